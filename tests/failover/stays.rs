//! What is no reason to go on is repeated at the same target, as if there were no other.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request};
use http_body_util::Full;
use tokio::time::Instant;
use tower_layer::Layer as _;
use tower_quota::{
    AdmissionLayer, CallOptions, FailoverLayer, RetryLayer, Tag,
    failover::{Route, Trigger},
    limit::Limit,
};

use crate::providers::{Came, Providers, failover, limiter, request, send, stack, target};

fn two() -> FailoverLayer {
    failover(Route::ordered([target("first"), target("second")]))
}

/// A call of one of the official SDKs, which repeat by themselves.
fn of_an_sdk() -> Request<Full<Bytes>> {
    let mut request = request();
    let tries = HeaderValue::from_static("0");
    request
        .headers_mut()
        .insert("x-stainless-retry-count", tries);
    request
}

/// What comes of a call, and after how long, through the layers in their usual order: as one service, or one around the
/// other.
async fn came(
    paved: bool,
    layer: FailoverLayer,
    limits: Option<Limit>,
    (providers, request): (&Providers, Request<Full<Bytes>>),
) -> (Came, Duration) {
    let (limiter, began) = (limiter(limits), Instant::now());
    let came = if paved {
        send(&stack(layer, limiter, providers), request).await
    } else {
        let admission = AdmissionLayer::new(limiter).layer(providers.clone());
        let service = layer.layer(RetryLayer::new().layer(admission));
        send(&service, request).await
    };
    (came.unwrap(), began.elapsed())
}

#[tokio::test(start_paused = true)]
async fn it_is_repeated_as_with_one_target() {
    for (fault, off) in [
        ("status=409;retry-after=5", None),
        ("status=503;retry-after=5", Some(Trigger::ServerError)),
        ("status=429;retry-after=5", Some(Trigger::RateLimited)),
    ] {
        for paved in [true, false] {
            let providers = Providers::new(["first", "second"]);
            providers.fault_once("first", fault);
            let layer = off.into_iter().fold(two(), FailoverLayer::not_on);
            let (came, span) = came(paved, layer, None, (&providers, of_an_sdk())).await;
            assert_eq!(came.status, 200, "{fault}");
            assert_eq!(came.asked(), ["first", "first"], "{fault}");
            let waited = span.as_secs_f64();
            assert!((5.0..6.5).contains(&waited), "{fault}: {waited}");
            assert_eq!(providers.attempts("second"), 0, "{fault}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn for_room_to_repeat_it_there_it_waits_as_long_as_it_may() {
    for paved in [true, false] {
        let providers = Providers::new(["first", "second"]);
        providers.fault_once("first", "status=409;retry-after=5");
        let limit = Limit::requests(1).every(Duration::from_secs(20));
        let limit = Some(limit.when(Tag::Provider, "first"));
        let (came, span) = came(paved, two(), limit, (&providers, request())).await;
        assert_eq!((came.status.as_u16(), came.asked().len()), (200, 2));
        assert!((19.0..22.0).contains(&span.as_secs_f64()), "{span:?}");
        assert_eq!(providers.attempts("second"), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_not_where_the_call_has_no_time_for_that() {
    for paved in [true, false] {
        let providers = Providers::new(["first", "second"]);
        providers.fault_once("first", "status=409;retry-after=5");
        let mut hurried = of_an_sdk();
        let options = CallOptions::new().max_wait(Duration::from_secs(3));
        hurried.extensions_mut().insert(options);
        let (came, span) = came(paved, two(), None, (&providers, hurried)).await;
        assert_eq!((came.status.as_u16(), came.asked()), (409, vec!["first"]));
        assert!(span < Duration::from_secs(1), "{span:?}");
        assert_eq!(came.headers["retry-after"], "5");
        assert_eq!(came.headers["x-should-retry"], "false");
        assert_eq!(providers.attempts("second"), 0);
    }
}

/// The not: what is a reason to go on does, and a layer that repeats is not made up where there is none.
#[tokio::test(start_paused = true)]
async fn a_reason_to_go_on_goes_on_and_without_a_retry_layer_nothing_is_repeated() {
    let providers = Providers::new(["first", "second"]);
    providers.fault_once("first", "status=503;retry-after=5");
    let (served, span) = came(true, two(), None, (&providers, request())).await;
    assert_eq!(served.asked(), ["first", "second"]);
    assert!(span < Duration::from_secs(1), "{span:?}");

    let providers = Providers::new(["first", "second"]);
    providers.fault_once("first", "status=409;retry-after=5");
    let alone = send(&two().layer(providers.clone()), request()).await;
    let alone = alone.unwrap();
    assert_eq!((alone.status.as_u16(), alone.asked()), (409, vec!["first"]));
}

/// After it has stayed once it goes on for the next reason that is one.
#[tokio::test(start_paused = true)]
async fn one_that_stays_for_one_reason_goes_on_for_another() {
    let providers = Providers::new(["first", "second"]);
    providers.fault("first", "status=409;retry-after=5");
    let (routed, asked) = (two(), request());
    let call = {
        let providers = providers.clone();
        tokio::spawn(async move { came(true, routed, None, (&providers, asked)).await })
    };
    tokio::time::sleep(Duration::from_secs(3)).await;
    providers.fault("first", "status=503;retry-after=30");
    let (came, span) = call.await.unwrap();
    assert_eq!(came.asked(), ["first", "first", "second"]);
    assert!(span < Duration::from_secs(7), "{span:?}");
}
