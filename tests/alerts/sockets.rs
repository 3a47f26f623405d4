//! The same over real sockets.

use std::{sync::Arc, time::Duration};

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, response::IntoResponse};
use serde_json::Value;
use tokio::{net::TcpSocket, sync::mpsc};
use tower_quota::{
    Limiter, Money, Usage,
    alerts::{Alerts, Outcome, Webhook},
    limit::Limit,
};

use super::{
    agent, ports, run,
    support::{HOUR, limiter, millis},
};

type Got = mpsc::UnboundedReceiver<(HeaderMap, Value)>;

/// Listens on this socket; answers these first, then 200. What it gets.
fn receive(socket: TcpSocket, answers: &[u16]) -> Got {
    let listener = socket.listen(16).unwrap();
    let (tell, got) = mpsc::unbounded_channel();
    let answers = Arc::new(std::sync::Mutex::new(answers.to_vec()));
    let take = |State((tell, answers)): State<(
        mpsc::UnboundedSender<_>,
        Arc<std::sync::Mutex<Vec<u16>>>,
    )>,
                headers: HeaderMap,
                body: Bytes| async move {
        tell.send((headers, serde_json::from_slice::<Value>(&body).unwrap()))
            .unwrap();
        let mut answers = answers.lock().unwrap();
        let status = if answers.is_empty() {
            200
        } else {
            answers.remove(0)
        };
        let status = axum::http::StatusCode::from_u16(status).unwrap();
        (status, [("retry-after-ms", "1")]).into_response()
    };
    let router = Router::new().fallback(take).with_state((tell, answers));
    tokio::spawn(async move { axum::serve(listener, router).await });
    got
}

/// A place where nobody listens yet.
fn socket() -> (TcpSocket, String) {
    let (socket, addr) = ports::taken();
    (socket, format!("http://{addr}/s3cret?token=s3cret"))
}

fn watched(alerts: &Alerts) -> Limiter {
    let limiter = limiter([Limit::cost(Money::from_dollars(1))
        .every(HOUR)
        .thresholds([0.5])]);
    alerts.watch(&limiter);
    limiter
}

async fn pass(limiter: &Limiter) {
    let mut usage = Usage::new(1, 1);
    usage.cost = Some(Money::from_dollars(1));
    limiter.record(&agent("a"), usage).await.unwrap();
}

async fn soon<T>(coming: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(Duration::from_secs(60), coming).await;
    waited.expect("nothing came for a minute")
}

#[tokio::test]
async fn a_webhook_gets_it_with_its_headers_again_after_a_503_and_not_twice() {
    let (socket, url) = socket();
    let mut got = receive(socket, &[503]);
    let webhook = Webhook::new(&url)
        .unwrap()
        .header("authorization", "Bearer s3cret")
        .unwrap();
    let alerts = Alerts::new([webhook]).unwrap();
    let (limiter, running) = (watched(&alerts), run(&alerts));
    pass(&limiter).await;
    let (first, body) = soon(got.recv()).await.unwrap();
    assert_eq!(first["authorization"], "Bearer s3cret");
    assert_eq!(first["content-type"], "application/json");
    assert_eq!(body["kind"], "threshold");
    let (second, again) = soon(got.recv()).await.unwrap();
    assert_eq!(body, again);
    assert_eq!(first["idempotency-key"], second["idempotency-key"]);
    pass(&limiter).await;
    running.end().await;
    assert!(got.try_recv().is_err(), "it is told once");
}

#[tokio::test]
async fn a_connection_that_is_refused_is_tried_again_and_nothing_of_the_address_is_said() {
    let (socket, url) = socket();
    let webhook = Webhook::new(&url)
        .unwrap()
        .tries(10_000)
        .first_wait(millis(1));
    let alerts = Alerts::new([webhook]).unwrap();
    let (tell, mut refused) = mpsc::unbounded_channel();
    alerts.on_outcome(move |told| {
        let _ = tell.send((told.outcome.clone(), told.to_string()));
    });
    let (limiter, running) = (watched(&alerts), run(&alerts));
    pass(&limiter).await;
    let (outcome, said) = soon(refused.recv()).await.unwrap();
    assert!(matches!(outcome, Outcome::Again(..)), "{outcome:?}");
    assert!(
        said.contains("was not reached") && said.contains("refused"),
        "{said}"
    );
    let addr = socket.local_addr().unwrap().to_string();
    assert!(!said.contains("s3cret") && !said.contains(&addr), "{said}");
    let mut got = receive(socket, &[]);
    soon(got.recv()).await.unwrap();
    running.end().await;
    assert!(got.try_recv().is_err());
}

#[tokio::test]
async fn who_takes_connections_and_says_nothing_holds_up_no_call() {
    let (socket, url) = socket();
    let _silent = socket.listen(1).unwrap();
    let alerts = Alerts::new([Webhook::new(&url).unwrap()]).unwrap();
    let (limiter, running) = (watched(&alerts), run(&alerts));
    for _ in 0..100 {
        soon(pass(&limiter)).await;
    }
    drop(running);
}
