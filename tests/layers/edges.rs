//! Edges of the layers, each of which was wrong once.
#![cfg(feature = "sim")]

use crate::recording;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Instant, sleep};
use tower::{Service, ServiceBuilder, ServiceExt as _, layer::layer_fn, service_fn};
use tower_quota::{
    AdmissionLayer, CallOptions, Limiter, RateLimitLayer, Rejection, RetryLayer, Tag, Tags,
    limit::{Limit, Limits},
    limiter::Call,
};
const MINUTE: Duration = Duration::from_secs(60);
type Req = Request<Full<Bytes>>;
type Res = Response<Full<Bytes>>;
fn limits(l: impl IntoIterator<Item = Limit>) -> Limits {
    Limits::new(l).unwrap()
}
fn get() -> Req {
    Request::get("http://x/").body(Full::default()).unwrap()
}
fn agent(mut r: Req) -> Req {
    r.extensions_mut().insert(Tags::new().with(Tag::Agent, "x"));
    r
}
fn ok() -> Res {
    Response::new(Full::default())
}

/// Answers 429 with a told second first, then 200; writes down when.
fn busy_once(
    body: &'static str,
) -> (
    impl Service<Req, Response = Res, Error = Infallible, Future = impl Send> + Clone + Send + 'static,
    Arc<Mutex<Vec<Instant>>>,
) {
    let log: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let l = log.clone();
    let s = service_fn(move |_: Req| {
        let mut log = l.lock().unwrap();
        log.push(Instant::now());
        let first = log.len() == 1;
        async move {
            Ok(if first {
                Response::builder()
                    .status(429)
                    .header("retry-after", "1")
                    .body(Full::from(body))
                    .unwrap()
            } else {
                ok()
            })
        }
    });
    (s, log)
}

async fn per_agent(body: &'static str, inside: bool) {
    let limiter = Limiter::new(limits([Limit::requests(1).every(MINUTE).per(Tag::Agent)]));
    let (svc, _) = busy_once(body);
    let start = Instant::now();
    let status = if inside {
        ServiceBuilder::new()
            .layer(AdmissionLayer::new(limiter))
            .layer(RetryLayer::new())
            .service(svc)
            .oneshot(agent(get()))
            .await
            .unwrap()
            .status()
    } else {
        ServiceBuilder::new()
            .layer(RetryLayer::new())
            .layer(AdmissionLayer::new(limiter))
            .service(svc)
            .oneshot(agent(get()))
            .await
            .unwrap()
            .status()
    };
    assert_eq!(status, 200);
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "the repeat was counted as a call: {:?}",
        start.elapsed()
    );
}
#[tokio::test(start_paused = true)]
async fn repeat_after_429_with_body_outside() {
    per_agent("busy", false).await;
}
#[tokio::test(start_paused = true)]
async fn repeat_after_empty_429_is_no_new_call_retry_outside() {
    per_agent("", false).await;
}
#[tokio::test(start_paused = true)]
async fn repeat_after_empty_429_is_no_new_call_retry_inside() {
    per_agent("", true).await;
}

#[tokio::test(start_paused = true)]
async fn paved_order_reclaim_refused_gives_the_upstreams_answer() {
    let limiter = Limiter::new(limits([Limit::requests(1).every(MINUTE)]));
    let (svc, _) = busy_once("upstream says busy");
    let mut r = get();
    r.extensions_mut()
        .insert(CallOptions::new().max_wait(Duration::from_secs(10)));
    let res = ServiceBuilder::new()
        .layer(RateLimitLayer::new(limiter))
        .service(svc)
        .oneshot(r)
        .await
        .unwrap();
    let ours = res.extensions().get::<Rejection>().cloned();
    let body = res.into_body().collect().await.unwrap().to_bytes();
    assert!(
        ours.is_none(),
        "the caller got our refusal, not the provider's answer: {ours:?}"
    );
    assert_eq!(&body[..], b"upstream says busy");
}
#[tokio::test(start_paused = true)]
async fn inverted_order_reclaim_refused_gives_the_upstreams_answer() {
    let limiter = Limiter::new(limits([Limit::requests(1).every(MINUTE)]));
    let (svc, _) = busy_once("upstream says busy");
    let mut r = get();
    r.extensions_mut()
        .insert(CallOptions::new().max_wait(Duration::from_secs(10)));
    let res = ServiceBuilder::new()
        .layer(AdmissionLayer::new(limiter))
        .layer(RetryLayer::new())
        .service(svc)
        .oneshot(r)
        .await
        .unwrap();
    assert!(res.extensions().get::<Rejection>().is_none());
}

/// What an answer that is the last one says to a caller that would repeat it by itself.
async fn says_that_it_is_the_last_one<S, B>(service: S)
where
    S: Service<Req, Response = Response<B>, Error = Infallible>,
{
    let mut r = get();
    let tries = http::HeaderValue::from_static("0");
    r.headers_mut().insert("x-stainless-retry-count", tries);
    r.extensions_mut()
        .insert(CallOptions::new().max_wait(Duration::from_secs(10)));
    let (parts, _) = service.oneshot(r).await.unwrap().into_parts();
    assert_eq!(parts.status, 503, "the provider's answer");
    assert_eq!(parts.headers["x-should-retry"], "false");
    let told = parts.headers["retry-after"].to_str().unwrap();
    let told: u64 = told.parse().unwrap();
    assert!((59..=61).contains(&told), "until there is room: {told}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_the_last_one_where_there_is_no_room_to_ask_again() {
    // What it tells was waited for.
    let busy = service_fn(|_: Req| async {
        let busy = Response::builder().status(503).header("retry-after", "1");
        Ok::<Res, Infallible>(busy.body(Full::from("busy")).unwrap())
    });
    let limiter = || Limiter::new(limits([Limit::requests(1).every(MINUTE)]));
    let outside = ServiceBuilder::new()
        .layer(RetryLayer::new())
        .layer(AdmissionLayer::new(limiter()))
        .service(busy);
    says_that_it_is_the_last_one(outside).await;
    let inside = ServiceBuilder::new()
        .layer(AdmissionLayer::new(limiter()))
        .layer(RetryLayer::new())
        .service(busy);
    says_that_it_is_the_last_one(inside).await;
    let paved = ServiceBuilder::new()
        .layer(RateLimitLayer::new(limiter()))
        .service(busy);
    says_that_it_is_the_last_one(paved).await;
}

#[tokio::test(start_paused = true)]
async fn a_repeat_is_not_held_up_by_a_limit_on_calls_that_it_does_not_take_from() {
    let limiter = Limiter::new(limits([Limit::requests(1).every(MINUTE).per(Tag::Agent)]));
    let (svc, log) = busy_once("busy");
    let svc = ServiceBuilder::new()
        .layer(RateLimitLayer::new(limiter.clone()))
        .service(svc);
    let start = Instant::now();
    let call = tokio::spawn(svc.oneshot(agent(get())));
    tokio::task::yield_now().await;
    let l = limiter.clone();
    let urgent = tokio::spawn(async move {
        l.acquire(
            Call::new()
                .tags(Tags::new().with(Tag::Agent, "x"))
                .priority(9),
        )
        .await
        .map(drop)
    });
    call.await.unwrap().unwrap();
    let second = log.lock().unwrap()[1] - start;
    urgent.abort();
    assert!(second < Duration::from_secs(2), "repeated after {second:?}");
}

/// Passes a request on twice at once, as a hedge does, and takes the answers of both.
#[derive(Clone)]
struct Twice<S>(S);
impl<S> Service<Req> for Twice<S>
where
    S: Service<Req> + Clone + Send + 'static,
    S::Future: Send,
    S::Response: Send,
    S::Error: Send,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }
    fn call(&mut self, r: Req) -> Self::Future {
        let (a, b) = (self.0.clone(), self.0.clone());
        let again = r.clone();
        Box::pin(async move {
            let (one, two) = tokio::join!(a.oneshot(r), async { b.oneshot(again).await });
            drop(two);
            one
        })
    }
}
use std::future::Future;

/// A hedge between two gates; both copies have to wait for the inner one.
#[tokio::test(start_paused = true)]
async fn copies_that_come_before_the_first_is_sent_are_claimed_for_each() {
    let (store, record) =
        recording::RecordingStore::new(limits([Limit::requests(100).every(MINUTE)]));
    let outer = Limiter::with_store(store);
    let inner = Limiter::new(limits([Limit::concurrency(2)]));
    let held = [
        inner.acquire(Call::new()).await.unwrap(),
        inner.acquire(Call::new()).await.unwrap(),
    ];
    let sends = Arc::new(Mutex::new(0));
    let s = sends.clone();
    let svc = service_fn(move |_: Req| {
        *s.lock().unwrap() += 1;
        async {
            sleep(Duration::from_secs(5)).await;
            Ok::<_, Infallible>(ok())
        }
    });
    let stack = ServiceBuilder::new()
        .layer(AdmissionLayer::new(outer))
        .layer(layer_fn(Twice))
        .layer(AdmissionLayer::new(inner))
        .service(svc);
    let call = tokio::spawn(stack.oneshot(get()));
    sleep(Duration::from_secs(1)).await;
    drop(held);
    call.await.unwrap().unwrap();
    let sends = *sends.lock().unwrap();
    let record = record.lock().unwrap();
    assert_eq!(sends, 2);
    assert_eq!(
        record.settled.len(),
        sends,
        "every send claimed and settled at the outer limiter: {record:?}"
    );
}

/// Retry, a hedge, a gate: the copy that waits for readiness.
#[tokio::test(start_paused = true)]
async fn the_slot_of_one_copy_is_not_freed_by_the_end_of_the_other() {
    let limiter = Limiter::new(limits([Limit::concurrency(2)]));
    let held = [
        limiter.acquire(Call::new()).await.unwrap(),
        limiter.acquire(Call::new()).await.unwrap(),
    ];
    let n = Arc::new(Mutex::new(0u64));
    let svc = service_fn(move |_: Req| {
        let mut n = n.lock().unwrap();
        *n += 1;
        let long = *n * 10;
        async move {
            sleep(Duration::from_secs(long)).await;
            Ok::<_, Infallible>(ok())
        }
    });
    let stack = ServiceBuilder::new()
        .layer(RetryLayer::new())
        .layer(layer_fn(Twice))
        .layer(AdmissionLayer::new(limiter.clone()))
        .service(svc);
    let call = tokio::spawn(stack.oneshot(get()));
    sleep(Duration::from_secs(1)).await;
    drop(held);
    sleep(Duration::from_secs(15)).await;
    // One copy is done, the other is in flight for another five seconds.
    let a = limiter.try_acquire(Call::new()).await.unwrap();
    let b = limiter.try_acquire(Call::new()).await;
    assert!(b.is_err(), "three in flight of two");
    drop(a);
    call.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_whole_answer_that_is_dropped_unread_is_not_free() {
    let limiter = Limiter::new(limits([Limit::output_tokens(1_000).every(MINUTE)]));
    let svc = service_fn(|_: Req| async {
        let body =
            r#"{"type":"message","content":[],"usage":{"input_tokens":10,"output_tokens":900}}"#;
        Ok::<_, Infallible>(
            Response::builder()
                .header("content-type", "application/json")
                .body(Full::<Bytes>::from(body))
                .unwrap(),
        )
    });
    let stack = ServiceBuilder::new()
        .layer(AdmissionLayer::new(limiter.clone()))
        .service(svc);
    let r = Request::post("http://x/v1/messages")
        .header("anthropic-version", "2023-06-01")
        .body(Full::from(
            r#"{"model":"claude","max_tokens":900,"messages":[]}"#,
        ))
        .unwrap();
    let res = stack.oneshot(r).await.unwrap();
    assert_eq!(res.status(), 200);
    drop(res);
    let more = limiter.try_acquire(Call::new().tokens(0, 900)).await;
    assert!(more.is_err(), "900 were billed and none counted");
}

/// A foreign layer between gate and retry that takes its time, by a header.
#[tokio::test(start_paused = true)]
async fn a_claim_dated_by_presumption_does_not_expire_before_the_send() {
    let limiter = Limiter::new(limits([Limit::requests(1).every(MINUTE)]));
    let log: Arc<Mutex<Vec<Duration>>> = Arc::default();
    let (l, start) = (log.clone(), Instant::now());
    let svc = service_fn(move |_: Req| {
        l.lock().unwrap().push(start.elapsed());
        async { Ok::<_, Infallible>(ok()) }
    });
    let slow = layer_fn(|s| {
        service_fn(move |r: Req| {
            let s = Clone::clone(&s);
            async move {
                let d: u64 = r.headers()["d"].to_str().unwrap().parse().unwrap();
                sleep(Duration::from_secs(d)).await;
                tower::ServiceExt::<Req>::oneshot(s, r).await
            }
        })
    });
    let stack = ServiceBuilder::new()
        .layer(AdmissionLayer::new(limiter))
        .layer(slow)
        .layer(RetryLayer::new())
        .service(svc);
    let req = |d: &str| {
        Request::get("http://x/")
            .header("d", d)
            .body(Full::default())
            .unwrap()
    };
    let one = tokio::spawn(stack.clone().oneshot(req("70")));
    sleep(Duration::from_secs(1)).await;
    stack.oneshot(req("0")).await.unwrap();
    one.await.unwrap().unwrap();
    let log = log.lock().unwrap();
    assert!(
        log[1] - log[0] >= MINUTE,
        "two in a minute, of one: {log:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_endless_longest_wait_does_not_panic() {
    let svc = service_fn(|_: Req| async {
        Ok::<_, Infallible>(
            Response::builder()
                .status(429)
                .header("retry-after", "18446744073709551615")
                .body(Full::<Bytes>::default())
                .unwrap(),
        )
    });
    let stack = ServiceBuilder::new()
        .layer(RetryLayer::new().longest_wait(Duration::MAX))
        .service(svc);
    let _ = tokio::time::timeout(MINUTE, stack.oneshot(get())).await;
}

#[cfg(feature = "config")]
#[tokio::test(start_paused = true)]
async fn disabled_passes_everything() {
    let stack = tower_quota::config::Config::from_yaml("rate_limiting: { enabled: false }")
        .unwrap()
        .build()
        .unwrap();
    let svc = service_fn(|_: Req| async { Ok::<_, Infallible>(ok()) });
    let r = Request::post("http://x/v1/chat/completions")
        .body(Full::from("not json"))
        .unwrap();
    let res = ServiceBuilder::new()
        .layer(stack.layer)
        .service(svc)
        .oneshot(r)
        .await
        .unwrap();
    assert_eq!(res.status(), 200);
}

/// A foreign retry repeats after the end: the same call or another, but not now so, now so.
#[tokio::test(start_paused = true)]
async fn a_copy_counts_the_same_whether_the_first_is_over_or_not() {
    let mut counted = Vec::new();
    for over in [false, true] {
        let limiter = Limiter::new(limits([Limit::requests(10).every(MINUTE).per(Tag::Agent)]));
        let svc = service_fn(move |_: Req| async move {
            if !over {
                sleep(Duration::from_secs(1)).await;
            }
            Ok::<_, Infallible>(ok())
        });
        let stack = ServiceBuilder::new()
            .layer(RetryLayer::new())
            .layer(layer_fn(Twice))
            .layer(AdmissionLayer::new(limiter.clone()))
            .service(svc);
        stack.oneshot(agent(get())).await.unwrap();
        let e = limiter
            .try_acquire(Call::new().tags(Tags::new().with(Tag::Agent, "x")))
            .await;
        drop(e);
        let mut n = 1;
        while limiter
            .try_acquire(Call::new().tags(Tags::new().with(Tag::Agent, "x")))
            .await
            .is_ok()
        {
            n += 1;
        }
        counted.push(10 - n);
    }
    assert_eq!(
        counted[0], counted[1],
        "calls counted while in flight, after its end"
    );
}
