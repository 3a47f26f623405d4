//! Inside `axum::Router::layer`, four deep.

use axum::{Router, body::Body as AxumBody, extract::State, routing::post};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tower_quota::{RequestBody, body::ResponseBody};

use super::*;

type Upstream = (Client<HttpConnector, RequestBody>, String);

/// Hands a call on to the provider; the answer streams through.
async fn forward(
    State((client, base_url)): State<Upstream>,
    request: Request<AxumBody>,
) -> Response<AxumBody> {
    let (mut parts, body) = request.into_parts();
    parts.uri = format!("{base_url}{}", parts.uri.path()).parse().unwrap();
    let request = Request::from_parts(parts, RequestBody::new(body));
    client.request(request).await.unwrap().map(AxumBody::new)
}

#[tokio::test]
async fn a_router_under_four_layers_answers_every_call_once() {
    let (provider, outer, inner) = (provider().await, one_at_a_time(), one_at_a_time());
    let client = Client::builder(TokioExecutor::new()).build_http::<RequestBody>();
    let app = Router::new()
        .route("/v1/chat/completions", post(forward))
        .layer(four_deep(&outer, &inner))
        .with_state((client, provider.base_url()));
    let (listener, addr) = listener().await;
    tokio::spawn(async { axum::serve(listener, app).await });

    let caller = Client::builder(TokioExecutor::new()).build_http::<RequestBody>();
    five_calls(&caller, &format!("http://{addr}")).await;
    all_arrived_once(&provider, [&outer, &inner]).await;
}

#[tokio::test]
async fn a_router_tells_its_callers_to_come_back_and_serves_one_that_has_room() {
    let limits = Limits::new([Limit::requests(1).every(Duration::from_secs(3_600))]).unwrap();
    let app = Router::new()
        .route("/", post(async || "served"))
        .layer(AdmissionLayer::new(Limiter::new(limits)).reject_when_full());
    let (listener, addr) = listener().await;
    tokio::spawn(async { axum::serve(listener, app).await });
    let caller = Client::builder(TokioExecutor::new()).build_http::<ResponseBody<AxumBody>>();
    let ask = async || {
        let request = Request::post(format!("http://{addr}/")).body(ResponseBody::default());
        caller.request(request.unwrap()).await.unwrap()
    };

    assert_eq!(ask().await.status(), StatusCode::OK);
    let refused = ask().await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    let wait: u64 = refused.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((3_500..=3_601).contains(&wait), "{wait}");
    let text = refused.into_body().collect().await.unwrap().to_bytes();
    assert!(text.starts_with(b"{"), "{text:?}");
}
