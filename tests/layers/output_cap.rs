//! A call that names no cap on its output gets one where that is wanted, and is reserved at it.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use tower::{Layer, Service, ServiceExt as _, service_fn, util::BoxCloneSyncService};
use tower_quota::{
    AdmissionLayer, BudgetLayer, Limiter, Money, RateLimitLayer, Rejection, RetryLayer,
    limit::{Limit, Limits},
    pricing::{Price, PriceTable},
};

const CAP: u64 = 50;
/// A token in and out, in billionths of a dollar.
const PRICE: (u64, u64) = (1_000, 10_000);

type Sent = Arc<Mutex<Vec<(String, Option<String>)>>>;
type Provider = BoxCloneSyncService<Request<Full<Bytes>>, Response<Full<Bytes>>, Infallible>;

/// A provider, and what was sent to it: bodies and their lengths as the headers say.
fn provider() -> (Provider, Sent) {
    let sent = Sent::default();
    let log = sent.clone();
    let service = service_fn(move |request: Request<Full<Bytes>>| {
        let log = log.clone();
        async move {
            let length = request.headers().get("content-length");
            let length = length.map(|length| length.to_str().unwrap().to_owned());
            let body = request.into_body().collect().await?.to_bytes();
            let body = String::from_utf8(body.to_vec()).unwrap();
            log.lock().unwrap().push((body, length));
            Ok::<_, Infallible>(Response::new(Full::from("{}")))
        }
    });
    (BoxCloneSyncService::new(service), sent)
}

fn prices() -> Arc<PriceTable> {
    let mut table = PriceTable::new();
    let price = Price::new("1".parse().unwrap(), "10".parse().unwrap());
    table.insert("openai", "m", price);
    Arc::new(table)
}

fn chat(body: &str) -> Request<Full<Bytes>> {
    Request::post("http://provider/v1/chat/completions")
        .header("content-length", body.len())
        .body(Full::from(body.to_owned()))
        .unwrap()
}

async fn status<S, R>(service: S, body: &str) -> (StatusCode, Option<u64>)
where
    S: Service<Request<Full<Bytes>>, Response = Response<R>, Error = Infallible>,
{
    let response = service.oneshot(chat(body)).await.unwrap();
    let refused = response.extensions().get::<Rejection>();
    let needed = refused
        .and_then(|refused| refused.shortage())
        .map(|it| it.needed);
    (response.status(), needed)
}

/// Too little for anything: what a call needs stands in the refusal.
fn poor() -> Limiter {
    let limit = Limit::cost(Money::from_nanos(1)).every(Duration::from_secs(60));
    Limiter::new(Limits::new([limit]).unwrap())
}

fn rich() -> Limiter {
    let limit = Limit::cost(Money::from_dollars(9)).every(Duration::from_secs(60));
    Limiter::new(Limits::new([limit]).unwrap())
}

const WITHOUT: &str = r#"{"model":"m","messages":[]}"#;
const WITH: &str = r#"{"max_tokens":9,"model":"m","messages":[]}"#;
const CAPPED: &str = r#"{"max_completion_tokens":50,"model":"m","messages":[]}"#;

/// B10: calls without an output cap.
#[tokio::test(start_paused = true)]
async fn the_cap_is_in_what_is_sent_and_in_what_is_reserved() {
    let (inner, sent) = provider();
    let layer = |limiter| BudgetLayer::new(limiter, prices()).cap_output(CAP);
    assert_eq!(
        status(layer(rich()).layer(inner.clone()), WITHOUT).await.0,
        200
    );
    let length = CAPPED.len();
    assert_eq!(
        *sent.lock().unwrap(),
        [(CAPPED.to_owned(), Some(length.to_string()))]
    );
    // Each byte that the caller sent may be a token, and the answer has its cap.
    let most = WITHOUT.len() as u64 * PRICE.0 + CAP * PRICE.1;
    let (refused, needed) = status(layer(poor()).layer(inner), WITHOUT).await;
    assert_eq!((refused.as_u16(), needed), (413, Some(most)));
}

/// Providers refuse caps that are larger than the model's own: the price says how much it gives.
#[tokio::test(start_paused = true)]
async fn a_model_that_gives_less_is_capped_at_that() {
    let gives = |most| {
        let mut table = PriceTable::clone(&prices());
        let mut price = Price::new("1".parse().unwrap(), "10".parse().unwrap());
        price.max_output = most;
        table.insert("openai", "m", price);
        Arc::new(table)
    };
    let layer = |limiter| {
        let layer = BudgetLayer::new(limiter, gives(Some(40))).cap_output(CAP);
        // What is said after it makes no difference.
        layer.output_without_cap(7)
    };
    let ((inner, sent), rich) = (provider(), layer(rich()));
    let service = rich.layer(inner.clone());
    for (most, capped) in [(Some(40), 40), (Some(60), CAP), (None, CAP), (Some(1), 1)] {
        rich.set_prices(gives(most));
        assert_eq!(status(service.clone(), WITHOUT).await.0, 200);
        let body = CAPPED.replace("50", &capped.to_string());
        assert_eq!(sent.lock().unwrap().pop().unwrap().0, body, "{most:?}");
    }
    let most = WITHOUT.len() as u64 * PRICE.0 + 40 * PRICE.1;
    let (_, needed) = status(layer(poor()).layer(inner), WITHOUT).await;
    assert_eq!(needed, Some(most));
}

#[tokio::test(start_paused = true)]
async fn a_cap_of_the_callers_stays_and_without_the_setting_none_is_put_in() {
    for (cap, body) in [(Some(CAP), WITH), (None, WITHOUT), (None, WITH)] {
        let (inner, sent) = provider();
        let layer = BudgetLayer::new(rich(), prices());
        let layer = match cap {
            Some(cap) => layer.cap_output(cap),
            None => layer,
        };
        assert_eq!(status(layer.layer(inner), body).await.0, 200);
        assert_eq!(sent.lock().unwrap()[0].0, body);
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_signed_or_leaves_as_it_came_gets_none() {
    let layer = || BudgetLayer::new(rich(), prices()).cap_output(CAP);
    let (inner, sent) = provider();
    assert_eq!(
        status(layer().as_it_came().layer(inner.clone()), WITHOUT)
            .await
            .0,
        200
    );
    let mut signed = chat(WITHOUT);
    let signature = "AWS4-HMAC-SHA256 Credential=x, SignedHeaders=host, Signature=x"
        .parse()
        .unwrap();
    signed.headers_mut().insert("authorization", signature);
    let response = layer().layer(inner).oneshot(signed).await.unwrap();
    assert_eq!(response.status(), 200);
    for (body, _) in &*sent.lock().unwrap() {
        assert_eq!(body, WITHOUT);
    }
}

/// Nor is a signed stream asked for its usage, and its headers stay as well: the signature is of all of it.
#[tokio::test(start_paused = true)]
async fn a_signed_stream_leaves_as_it_was_signed() {
    const STREAM: &str = r#"{"model":"m","messages":[],"stream":true}"#;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let inner = {
        let seen = seen.clone();
        tower::service_fn(move |request: Request<Full<Bytes>>| {
            let seen = seen.clone();
            async move {
                let encoding = request.headers().get("accept-encoding").cloned();
                let body = request.into_body().collect().await.unwrap().to_bytes();
                seen.lock().unwrap().push((encoding.unwrap(), body));
                Ok::<_, Infallible>(http::Response::new(Full::<Bytes>::default()))
            }
        })
    };
    let service = BudgetLayer::new(rich(), prices())
        .cap_output(CAP)
        .layer(inner);
    for signature in [
        "AWS4-HMAC-SHA256 Credential=x, SignedHeaders=host, Signature=x",
        "Bearer sk-…",
        "AWS4-x",
    ] {
        let mut request = chat(STREAM);
        let headers = request.headers_mut();
        headers.insert("authorization", signature.parse().unwrap());
        headers.insert("accept-encoding", "gzip".parse().unwrap());
        drop(service.clone().oneshot(request).await.unwrap());
    }
    let seen = seen.lock().unwrap();
    assert_eq!(
        (&seen[0].0, &seen[0].1[..]),
        (&"gzip".parse().unwrap(), STREAM.as_bytes())
    );
    for (encoding, body) in &seen[1..] {
        assert_eq!(encoding, "identity");
        assert!(body.len() > STREAM.len(), "{body:?}");
    }
}

/// It is not the caller's own figure: what has room for a part of it is not passed over.
#[tokio::test(start_paused = true)]
async fn a_limit_that_is_smaller_than_the_cap_refuses_nothing_because_of_it() {
    let limit = Limit::output_tokens(CAP - 1).every(Duration::from_secs(60));
    let limiter = Limiter::new(Limits::new([limit]).unwrap());
    let (inner, _) = provider();
    let budget = BudgetLayer::new(limiter.clone(), prices()).cap_output(CAP);
    let layer = RateLimitLayer::new(limiter).budget(budget);
    assert_eq!(status(layer.layer(inner), WITHOUT).await.0, 200);
}

/// What is said at one of the layers holds for all of them together.
#[tokio::test(start_paused = true)]
async fn how_requests_are_read_may_be_said_at_any_layer() {
    let limiter = rich();
    let budget = || BudgetLayer::new(limiter.clone(), prices());
    let of = |admission, budget| RateLimitLayer::of(RetryLayer::new(), admission).budget(budget);
    let admission = || AdmissionLayer::new(limiter.clone());
    let (inner, sent) = provider();
    let capped = of(admission(), budget().cap_output(CAP));
    assert_eq!(status(capped.layer(inner), WITHOUT).await.0, 200);
    assert_eq!(sent.lock().unwrap()[0].0, CAPPED);

    let stream = r#"{"stream":true,"max_tokens":9,"model":"m","messages":[]}"#;
    for (layer, as_it_came) in [
        (of(admission(), budget()), false),
        (of(admission().as_it_came(), budget()), true),
        (of(admission(), budget().as_it_came()), true),
    ] {
        let (inner, sent) = provider();
        assert_eq!(status(layer.layer(inner), stream).await.0, 200);
        assert_eq!(sent.lock().unwrap()[0].0 == stream, as_it_came);
    }

    let (inner, _) = provider();
    let small = of(admission().body_cap(5), budget().body_cap(9));
    // Over the five bytes it is not read, and so has no price.
    assert_eq!(status(small.layer(inner), WITHOUT).await.0, 402);
}
