//! reqwest, by the bridge.

use axum::{Router, response::Redirect, routing::get};
use tower_quota::reqwest::Client;

use super::*;

#[tokio::test]
async fn reqwest_makes_every_call_once_under_four_layers() {
    let (provider, outer, inner) = (provider().await, one_at_a_time(), one_at_a_time());
    let client = around(&four_deep(&outer, &inner), Client::new().unwrap());
    five_calls(&client, &provider.base_url()).await;
    all_arrived_once(&provider, [&outer, &inner]).await;
}

#[tokio::test]
async fn the_bridge_hands_a_redirect_on_and_a_client_from_elsewhere_follows_it() {
    let (listener, addr) = listener().await;
    let app = Router::new()
        .route("/", get(async || Redirect::to("/there")))
        .route("/there", get(async || "there"));
    tokio::spawn(async { axum::serve(listener, app).await });
    let status = async |client: Client| {
        let request = Request::get(format!("http://{addr}/")).body(reqwest::Body::default());
        client.oneshot(request.unwrap()).await.unwrap().status()
    };
    assert_eq!(status(Client::new().unwrap()).await, StatusCode::SEE_OTHER);
    let elsewhere = Client::from(reqwest::Client::new());
    assert_eq!(status(elsewhere).await, StatusCode::OK);
}

#[tokio::test]
async fn reqwests_error_comes_through_four_layers_as_it_is_and_holds_nothing() {
    let (outer, inner) = (one_at_a_time(), one_at_a_time());
    let client = around(&four_deep(&outer, &inner), Client::new().unwrap());
    let not_absolute = Request::get("/v1/models").body(reqwest::Body::default());
    let error: reqwest::Error = client.oneshot(not_absolute.unwrap()).await.unwrap_err();
    assert!(error.is_builder());
    assert!(is_free(&outer).await && is_free(&inner).await);
}

/// A7: nothing was sent, so nothing counts, whatever the client's type of bodies.
#[tokio::test]
async fn a_connection_that_was_never_made_counts_nothing() {
    let (_taken, addr) = ports::taken();
    let nobody = format!("http://{addr}");
    let requests = || Limiter::new(Limits::new([Limit::requests(9).every(HOUR)]).unwrap());
    let (by_reqwest, by_hyper) = (requests(), requests());
    let client = AdmissionLayer::new(by_reqwest.clone()).layer(Client::new().unwrap());
    let request = chat(&nobody, false).map(reqwest::Body::from);
    assert!(client.oneshot(request).await.unwrap_err().is_connect());
    let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new());
    let client = client.build_http::<http_body_util::Full<Bytes>>();
    let client = AdmissionLayer::new(by_hyper.clone()).layer(client);
    let request = chat(&nobody, false).map(http_body_util::Full::from);
    assert!(client.oneshot(request).await.is_err());
    // So does a client whose error is put into a box on its way.
    let boxed = requests();
    let client = ServiceBuilder::new()
        .layer(AdmissionLayer::new(boxed.clone()))
        .timeout(HOUR)
        .service(Client::new().unwrap());
    let request = chat(&nobody, false).map(reqwest::Body::from);
    assert!(client.oneshot(request).await.is_err());
    for limiter in [by_reqwest, by_hyper, boxed] {
        let explained = limiter.explain(&Call::new()).await.unwrap();
        assert_eq!(explained.limits[0].in_use, 0);
    }
}

const HOUR: Duration = Duration::from_secs(3_600);
