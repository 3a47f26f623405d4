//! hyper-util's client, and bodies that cannot be made of bytes.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::ServiceExt as _;
use tower_quota::RequestBody;

use super::*;

fn client<B>() -> Client<hyper_util::client::legacy::connect::HttpConnector, B>
where
    B: Body<Data = Bytes> + Send,
{
    Client::builder(TokioExecutor::new()).build_http()
}

#[tokio::test]
async fn hyper_utils_client_makes_every_call_once_under_four_layers() {
    let (provider, outer, inner) = (provider().await, one_at_a_time(), one_at_a_time());
    let client = around(&four_deep(&outer, &inner), client::<RequestBody>());
    five_calls(&client, &provider.base_url()).await;
    all_arrived_once(&provider, [&outer, &inner]).await;
}

#[tokio::test]
async fn hyper_utils_client_takes_a_body_of_whole_bytes_as_well() {
    let (provider, outer, inner) = (provider().await, one_at_a_time(), one_at_a_time());
    let client = around(&four_deep(&outer, &inner), client::<Full<Bytes>>());
    five_calls(&client, &provider.base_url()).await;
    all_arrived_once(&provider, [&outer, &inner]).await;
}

#[tokio::test]
async fn a_boxed_body_goes_in_by_a_request_body_and_is_sent_again_when_refused() {
    let (provider, outer, inner) = (provider().await, one_at_a_time(), one_at_a_time());
    let client = around(&four_deep(&outer, &inner), client::<RequestBody>());
    for stream in [false, true, false, true, false] {
        let boxed: Request<BoxBody<Bytes, std::convert::Infallible>> =
            chat(&provider.base_url(), stream).map(|bytes| Full::new(bytes).boxed());
        let request = boxed.map(RequestBody::new);
        let response = client.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        response.into_body().collect().await.unwrap();
    }
    all_arrived_once(&provider, [&outer, &inner]).await;
}

#[tokio::test]
async fn an_answer_that_is_not_read_to_its_end_lets_the_next_call_in_when_it_is_dropped() {
    let (provider, limiter) = (provider().await, one_at_a_time());
    let client = AdmissionLayer::new(limiter.clone()).layer(client::<RequestBody>());
    let request = chat(&provider.base_url(), true).map(RequestBody::from);
    let response = client.oneshot(request).await.unwrap();
    assert!(!is_free(&limiter).await);
    drop(response);
    assert!(is_free(&limiter).await);
}

/// It is one service to many tasks by tower's buffer as well, in a task of its own.
#[tokio::test]
async fn a_buffer_around_a_layer_runs_in_a_spawned_task() {
    let (provider, limiter) = (provider().await, one_at_a_time());
    let service = ServiceBuilder::new()
        .buffer(4)
        .layer(AdmissionLayer::new(limiter.clone()))
        .timeout(std::time::Duration::from_secs(60))
        .service(client::<Full<Bytes>>());
    let request = chat(&provider.base_url(), false).map(Full::from);
    let called = async move {
        let response = service.oneshot(request).await.unwrap();
        response.into_body().collect().await.unwrap();
    };
    tokio::spawn(called).await.unwrap();
    assert!(is_free(&limiter).await);
}
