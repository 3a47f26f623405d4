//! One stack, four layers deep, around each client and server that it is written for, over real sockets.
#![cfg(all(feature = "sim", feature = "reqwest"))]
#![allow(
    clippy::unwrap_used,
    reason = "the helpers of tests, too, fail by panicking"
)]

mod axum_router;
mod hyper_util_client;
#[path = "../support/ports.rs"]
mod ports;
mod proxy;
mod reqwest_client;

use std::{fmt::Debug, net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::BodyExt as _;
use tokio::net::TcpListener;
use tower::{Layer, Service, ServiceBuilder, ServiceExt as _, layer::util::Stack};
use tower_quota::{
    AdmissionLayer, Limiter, RetryLayer,
    limit::{Limit, Limits},
    limiter::Call,
    sim::{FaultRule, SimConfig, SimServer, Simulator},
};

/// Retry, admission, retry, admission: outermost first.
type FourDeep = Stack<AdmissionLayer, Stack<RetryLayer, Stack<AdmissionLayer, RetryLayer>>>;

fn four_deep(outer: &Limiter, inner: &Limiter) -> FourDeep {
    let layers = Stack::new(AdmissionLayer::new(outer.clone()), RetryLayer::new());
    Stack::new(
        AdmissionLayer::new(inner.clone()),
        Stack::new(RetryLayer::new(), layers),
    )
}

/// One call at a time: whoever is not given back holds up all that follow.
fn one_at_a_time() -> Limiter {
    Limiter::new(Limits::new([Limit::concurrency(1)]).unwrap())
}

async fn is_free(limiter: &Limiter) -> bool {
    let permit = limiter.try_acquire(Call::new()).await;
    permit.map(|permit| permit.release()).is_ok()
}

/// A provider that refuses its second attempt, for a moment.
async fn provider() -> SimServer {
    let refusal = FaultRule {
        fault: "status=429;retry-after=0".parse().unwrap(),
        nth: Some(2),
        ..FaultRule::default()
    };
    let config = SimConfig {
        faults: vec![refusal],
        ..SimConfig::default()
    };
    Simulator::start(config).await.unwrap()
}

/// A listener on a free port.
async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

fn chat(base_url: &str, stream: bool) -> Request<Bytes> {
    let body = format!(
        r#"{{"model":"m","max_tokens":50,"stream":{stream},"messages":[{{"role":"user","content":"Hi"}}]}}"#
    );
    Request::post(format!("{base_url}/v1/chat/completions"))
        .header("content-type", "application/json")
        .body(body.into())
        .unwrap()
}

/// Makes five calls at once, whole and streamed in turn, and reads each answer to its end.
async fn five_calls<S, B, R>(service: &S, base_url: &str)
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Debug + Send,
    B: From<Bytes> + Send + 'static,
    R: Body<Data = Bytes> + Send,
    R::Error: Debug,
{
    let mut calls = tokio::task::JoinSet::new();
    for call in 0..5 {
        let (service, stream) = (service.clone(), call % 2 == 1);
        let request = chat(base_url, stream).map(B::from);
        calls.spawn(async move {
            let response = service.oneshot(request).await.unwrap();
            assert_eq!(response.status(), StatusCode::OK);
            let text = response.into_body().collect().await.unwrap().to_bytes();
            let end = if stream { "data: [DONE]\n\n" } else { "}" };
            assert!(text.ends_with(end.as_bytes()), "{text:?}");
        });
    }
    while let Some(call) = calls.join_next().await {
        call.unwrap();
    }
}

/// Five calls and the attempt that was refused arrived, one at a time, and nothing is held any more.
async fn all_arrived_once(provider: &SimServer, limiters: [&Limiter; 2]) {
    provider.simulator().idle().await;
    let ledger = provider.ledger();
    assert_eq!(
        (ledger.attempts(), ledger.ok(), ledger.refused()),
        (6, 5, 1)
    );
    for limiter in limiters {
        assert!(is_free(limiter).await);
    }
}

/// The layers as they are used, for a stack that is written out by its types.
fn around<S>(layers: &FourDeep, service: S) -> <FourDeep as Layer<S>>::Service
where
    FourDeep: Layer<S>,
{
    layers.layer(service)
}
