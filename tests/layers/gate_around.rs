//! A gate around `RateLimitLayer`, with a further layer inside: all of them are of one attempt.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tower::{Layer, ServiceExt as _, service_fn};
use tower_quota::{
    AdmissionLayer, Limiter, RateLimitLayer, Tags,
    limit::{Limit, Limits},
    limiter::{Call, CallState, Progress},
};

const HOUR: Duration = Duration::from_secs(3_600);
const CHAT: &str = r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"}]}"#;
const ANSWER: &str = r#"{"choices":[],"usage":{"prompt_tokens":31,"completion_tokens":17}}"#;

fn limiter() -> Limiter {
    let limits = [Limit::tokens(1_000).every(HOUR), Limit::concurrency(1)];
    Limiter::new(Limits::new(limits).unwrap())
}

/// What counts against each of its limits.
async fn in_use(limiter: Limiter) -> Vec<u64> {
    let call = Call::new().tokens(1, 0);
    let standings = limiter.explain(&call).await.unwrap().limits;
    standings.iter().map(|limit| limit.in_use).collect()
}

fn request(progress: &Progress) -> Request<Full<Bytes>> {
    Request::post("https://api.openai.com/v1/chat/completions")
        .extension(Tags::new())
        .extension(progress.clone())
        .body(Full::from(CHAT))
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_gate_around_the_whole_holds_what_it_claimed_until_the_end() {
    let [outer, middle, inner] = [limiter(), limiter(), limiter()];
    let (sent, progress) = (Arc::new(AtomicU64::new(0)), Progress::new());
    let seen = (
        sent.clone(),
        outer.clone(),
        middle.clone(),
        progress.clone(),
    );
    let provider = service_fn(move |_: Request<Full<Bytes>>| {
        let (sent, outer, middle, progress) = seen.clone();
        async move {
            sent.fetch_add(1, Ordering::Relaxed);
            for limiter in [outer, middle] {
                // In a task that does not inherit the slot.
                let held = tokio::spawn(in_use(limiter)).await.unwrap();
                assert_eq!(held[1], 1, "a slot is held while it is in flight");
            }
            assert!(matches!(progress.state(), CallState::Sent { .. }));
            let answer = Response::builder().header("content-type", "application/json");
            Ok::<_, Infallible>(answer.body(Full::<Bytes>::from(ANSWER)).unwrap())
        }
    });
    let stack = AdmissionLayer::new(outer.clone()).layer(
        RateLimitLayer::new(middle.clone())
            .layer(AdmissionLayer::new(inner.clone()).layer(provider)),
    );
    let response = stack.oneshot(request(&progress)).await.unwrap();
    assert_eq!(response.status(), 200);
    response.into_body().collect().await.unwrap();
    assert_eq!(sent.load(Ordering::Relaxed), 1);
    for limiter in [outer, middle, inner] {
        assert_eq!(in_use(limiter).await, [48, 0], "one attempt");
    }
}
