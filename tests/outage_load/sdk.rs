//! A caller that repeats its calls itself, as the SDKs that Stainless makes do.

use std::{num::NonZeroU32, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::Body;
use http_body_util::{BodyExt as _, Full};
use tower::{Service, ServiceExt as _};
use tower_layer::Layer as _;
use tower_quota::{Limiter, RateLimitLayer, RetryLayer, limit::Limits, retry::RetryBudget};

use crate::provider::{Provider, Wrong, chat};

/// How often it repeats a call.
const REPEATS: usize = 2;

/// One call by it, and how many tries it makes of that.
async fn call<S, R>(service: &S) -> usize
where
    S: Service<Request<Full<Bytes>>, Response = Response<R>> + Clone,
    R: Body<Data = Bytes>,
{
    for tries in 0.. {
        let mut request = chat();
        let headers = request.headers_mut();
        headers.insert("x-stainless-retry-count", tries.into());
        let answered = service.clone().oneshot(request).await;
        let (again, wait) = match answered {
            Ok(response) => {
                let (parts, body) = response.into_parts();
                let _ = body.collect().await;
                (
                    repeats(parts.status.as_u16(), &parts.headers),
                    told(&parts.headers),
                )
            }
            // What a proxy would answer with 502, and say that it was repeated.
            Err(_) => (false, None),
        };
        if tries == REPEATS || !again {
            return tries + 1;
        }
        let wait = wait.filter(|wait| (1..=60_000).contains(&wait.as_millis()));
        tokio::time::sleep(wait.unwrap_or(Duration::from_millis(500) * (1 << tries))).await;
    }
    unreachable!("an endless loop ends by returning")
}

/// As their base clients decide it.
fn repeats(status: u16, headers: &HeaderMap) -> bool {
    match headers.get("x-should-retry").map(|says| says.as_bytes()) {
        Some(b"true") => true,
        Some(b"false") => false,
        _ => matches!(status, 408 | 409 | 429 | 500..),
    }
}

fn told(headers: &HeaderMap) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.parse::<f64>().ok();
    let millis = number("retry-after-ms").map(|millis| millis / 1e3);
    let seconds = millis.or_else(|| number("retry-after"))?;
    Duration::try_from_secs_f64(seconds).ok()
}

const FAULTS: [&str; 6] = [
    "status=429;retry-after=2",
    "status=429",
    "status=503",
    "status=500",
    "status=503;retry-after=100",
    "insufficient-quota",
];

fn most(attempts: u32) -> NonZeroU32 {
    NonZeroU32::new(attempts).unwrap()
}

#[tokio::test(start_paused = true)]
async fn its_repeats_and_ours_do_not_multiply() {
    for fault in FAULTS {
        for ours in [2, 3, 5] {
            for is_paved in [false, true] {
                let provider = Provider::new(Wrong::Says(fault));
                let retry = RetryLayer::new().max_attempts(most(ours));
                let tries = if is_paved {
                    let limiter = Limiter::new(Limits::new([]).unwrap());
                    let layer = RateLimitLayer::new(limiter).retry(retry);
                    call(&layer.layer(provider.clone())).await
                } else {
                    call(&retry.layer(provider.clone())).await
                };
                let made = provider.attempts().len();
                assert!(made <= ours as usize, "{fault}, {ours}: {made}");
                assert_eq!(tries, 1, "{fault}, {ours}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn where_our_budget_is_used_up_it_does_not_go_on_by_itself() {
    let provider = Provider::new(Wrong::Says("status=503"));
    let retry = RetryLayer::new().retry_budget(RetryBudget::percent(0).reserve(0));
    assert_eq!(call(&retry.layer(provider.clone())).await, 1);
    assert_eq!(provider.attempts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn where_we_repeat_nothing_it_does_and_by_itself_too() {
    let provider = Provider::new(Wrong::Says("status=503"));
    let retry = RetryLayer::new().max_attempts(most(1));
    assert_eq!(call(&retry.layer(provider.clone())).await, 3);
    assert_eq!(provider.attempts().len(), 3);
    let provider = Provider::new(Wrong::Says("status=503"));
    assert_eq!(call(&provider).await, 3);
}

#[tokio::test(start_paused = true)]
async fn one_that_comes_again_has_one_attempt_each_time() {
    let provider = Provider::new(Wrong::Says("status=503"));
    let service = RetryLayer::new().layer(provider.clone());
    for tries in [0, 1, 2] {
        let mut request = chat();
        let headers = request.headers_mut();
        headers.insert("x-stainless-retry-count", tries.into());
        service.clone().oneshot(request).await.unwrap();
    }
    assert_eq!(provider.attempts().len(), 3 + 1 + 1);
}
