//! Streams that break before anything was generated, though their status is 200.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};
use tower::{ServiceExt as _, service_fn, util::BoxCloneSyncService};
use tower_layer::Layer as _;
use tower_quota::{
    FailoverLayer, RateLimitLayer, RetryLayer,
    failover::{BreakerOptions, Route},
};

use crate::providers::{Heard, MODEL, failover, limiter, send, target};

const ROLE: &str =
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
const TEXT: &str =
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"North\"}}]}\n\ndata: [DONE]\n\n";

/// What a connection breaks with.
#[derive(Debug)]
struct Broken;

type Frames = stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, Broken>>>;
type Providers =
    BoxCloneSyncService<Request<Full<Bytes>>, Response<StreamBody<Frames>>, Infallible>;

/// Two providers, of which the first breaks each stream off, and who was asked.
fn providers() -> (Providers, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::<Mutex<Vec<String>>>::default();
    let noted = asked.clone();
    let service = service_fn(move |request: Request<Full<Bytes>>| {
        let host = request.uri().host().unwrap().to_owned();
        let frame = |text: &'static str| Ok(Frame::data(Bytes::from_static(text.as_bytes())));
        let frames = match &*host {
            "first" => vec![frame(ROLE), Err(Broken)],
            _ => vec![frame(ROLE), frame(TEXT)],
        };
        noted.lock().unwrap().push(host);
        let response = Response::builder().header("content-type", "text/event-stream");
        let response = response.body(StreamBody::new(stream::iter(frames)));
        async move { Ok::<_, Infallible>(response.unwrap()) }
    });
    (BoxCloneSyncService::new(service), asked)
}

fn two() -> FailoverLayer {
    failover(Route::ordered([target("first"), target("second")]))
}

/// One attempt each.
fn once(failover: FailoverLayer) -> RateLimitLayer {
    let retry = RetryLayer::new().max_attempts(1.try_into().unwrap());
    RateLimitLayer::new(limiter([]))
        .retry(retry)
        .failover(failover)
}

fn streamed() -> Request<Full<Bytes>> {
    let body = format!(
        r#"{{"model":"{MODEL}","stream":true,"max_tokens":100,"messages":[{{"role":"user","content":"hello"}}]}}"#
    );
    let request = Request::post("http://called/v1/chat/completions");
    request.body(Full::from(body)).unwrap()
}

/// R7: nothing of it was handed on, so another serves; and it is a failure as any other (F4).
#[tokio::test(start_paused = true)]
async fn another_target_serves_and_the_breaker_hears_of_it() {
    let ((providers, asked), heard) = (providers(), Heard::default());
    let span = Duration::from_secs(10);
    let breaker = BreakerOptions::new().failures(2).open_for(span);
    let layer = two().breaker(breaker).on_event(heard.listener());
    let service = once(layer).layer(providers);
    for expected in [
        ["first", "second"].as_slice(),
        &["first", "second"],
        &["second"],
    ] {
        let came = send(&service, streamed()).await.unwrap();
        assert_eq!(came.asked(), expected);
        assert!(came.body.contains("North"), "{}", came.body);
        assert_eq!(std::mem::take(&mut *asked.lock().unwrap()), expected);
    }
    assert_eq!(
        heard.all(),
        ["first/gpt-5.5 (main) fails; passed over for 10 s"]
    );
}

#[tokio::test(start_paused = true)]
async fn it_goes_nowhere_else_where_that_might_be_billed_twice_and_is_not_wanted() {
    let (providers, asked) = providers();
    let service = once(two().repeats_uncertain(false)).layer(providers);
    let response = service.oneshot(streamed()).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.into_body().collect().await.is_err());
    assert_eq!(*asked.lock().unwrap(), ["first"]);
}
