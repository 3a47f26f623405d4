//! What is given to the layers, in whichever form a program has it.

use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body::Body as _;
use http_body_util::{BodyExt as _, Full};
use tower::{Layer as _, ServiceExt as _};
use tower_quota::{
    AdmissionLayer, Limiter, RateLimitLayer, RequestBody, Tag, Tags,
    event::Observer,
    limit::{Limit, Limits},
    limiter::Call,
    store::{MemoryStore, Store, StoreSetting},
    tags::TagLayer,
};

use super::settings::{Lines, MODEL, ear, lines, providers, request};
use crate::support::HOUR;

fn limits() -> Limits {
    Limits::new([Limit::requests(9).every(HOUR).per(Tag::Agent)]).unwrap()
}

/// How many requests count for an agent.
async fn counted(limiter: &Limiter, agent: &str) -> u64 {
    let call = Call::new().tags(Tags::new().with(Tag::Agent, agent));
    limiter.explain(&call).await.unwrap().limits[0].in_use
}

#[tokio::test(start_paused = true)]
async fn a_store_may_be_owned_or_shared_and_of_a_known_type_or_not() {
    let setting: StoreSetting = "memory".parse().unwrap();
    let shared = Arc::new(MemoryStore::new(limits()));
    let named: Arc<dyn Store> = setting.open(limits()).unwrap();
    for limiter in [
        Limiter::with_store(MemoryStore::new(limits())),
        Limiter::with_store(shared.clone()),
        Limiter::with_store(named.clone()),
        Limiter::with_store(named),
    ] {
        drop(limiter.acquire(Call::new()).await.unwrap());
    }
    // Who has it too sees what counts there.
    let again = Limiter::with_store(shared);
    let standings = again.explain(&Call::new()).await.unwrap().limits;
    assert_eq!(standings[0].in_use, 1);
}

#[tokio::test(start_paused = true)]
async fn an_observer_may_be_shared_and_of_a_known_type_or_not() {
    let ((chosen, heard), recent) = (ear(), Arc::new(tower_quota::recent::Recent::new()));
    let known: Arc<dyn Observer> = recent.clone();
    let layer = RateLimitLayer::new(Limiter::new(limits()));
    let layer = layer.observe(chosen.clone()).observe(known).observe(recent);
    // What is given twice is one observer.
    let service = layer.observe(chosen).layer(providers(&Lines::default()));
    service.oneshot(request(MODEL)).await.unwrap();
    let came = lines(&heard).iter().filter(|line| *line == "Came").count();
    assert_eq!(came, 1);
}

#[tokio::test(start_paused = true)]
async fn tags_may_be_shared_and_what_is_said_otherwise_beside_them_overrides_them() {
    let limiter = Limiter::new(limits());
    let sent = Lines::default();
    let service = AdmissionLayer::new(limiter.clone()).layer(providers(&sent));
    let shared = Arc::new(Tags::new().with(Tag::Agent, "scout"));
    for _ in 0..2 {
        let mut request = request(MODEL);
        request.extensions_mut().insert(shared.clone());
        service.clone().oneshot(request).await.unwrap();
    }
    assert_eq!(counted(&limiter, "scout").await, 2);

    let both = |agent: &str| {
        let mut request = request(MODEL);
        request.extensions_mut().insert(shared.clone());
        let said = Tags::new().with(Tag::Agent, agent);
        request.extensions_mut().insert(said);
        request
    };
    service.clone().oneshot(both("planner")).await.unwrap();
    assert_eq!(counted(&limiter, "planner").await, 1);
    // So it is with tags that a layer further out gives.
    let named = TagLayer::new(|_| Tags::new().with(Tag::Agent, "named"));
    let mut request = request(MODEL);
    request.extensions_mut().insert(shared.clone());
    named.layer(service).oneshot(request).await.unwrap();
    assert_eq!(counted(&limiter, "named").await, 1);
    assert_eq!(counted(&limiter, "scout").await, 2);
}

#[tokio::test]
async fn a_request_body_is_made_of_what_a_program_has() {
    let text = r#"{"model":"m"}"#;
    for body in [
        RequestBody::from(text),
        RequestBody::from(text.to_owned()),
        RequestBody::from(text.as_bytes()),
        RequestBody::from(text.as_bytes().to_vec()),
        RequestBody::from(Bytes::from(text)),
        RequestBody::new(Full::<Bytes>::from(text)),
    ] {
        assert_eq!(body.size_hint().exact(), Some(13));
        assert_eq!(body.collect().await.unwrap().to_bytes(), text);
    }
    for body in [RequestBody::from(()), RequestBody::default()] {
        assert!(body.is_end_stream());
    }
    // As they come where the type is asked for.
    let request: Request<RequestBody> = Request::post("/").body(text.into()).unwrap();
    assert!(!request.body().is_end_stream());
}
