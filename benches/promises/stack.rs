//! What the whole stack costs a call: all four layers, with limits, a budget and a route, around a service that is ready
//! and answers at once; beside the service alone, and beside tower-resilience's rate limiter and retry around it.

use std::{convert::Infallible, future::Future, hint::black_box, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region};
use tokio::runtime::Runtime;
use tower::{Service, service_fn};
use tower_layer::Layer as _;
use tower_quota::{
    RequestBody,
    event::{Event, ObservedCall},
    recent::Recent,
};
use tower_resilience_ratelimiter::RateLimiterLayer;
use tower_resilience_retry::RetryLayer;

use crate::{
    calls::MINUTE,
    measure::{Verdicts, beside, by_turns, timed},
    whole::{answer, call, request, stack},
};

/// Microseconds a call, as promised.
const PROMISED: f64 = 5.0;
/// The same, for an observer that remembers what became of it beside one that does nothing.
const PROMISED_OF_RECENT: f64 = 1.0;
const CALLS: u32 = 500;
const ROUNDS: u32 = 300;

pub(crate) fn run(verdicts: &mut Verdicts) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let inner = service_fn(|request: Request<RequestBody>| async move {
        // As a client does: it takes the body to write it.
        let body = request.into_body().collect().await.expect("a body");
        black_box(body);
        Ok::<_, Infallible>(answer())
    });
    let plain = service_fn(|request: Request<Full<Bytes>>| async move {
        let Ok(body) = request.into_body().collect().await;
        black_box(body);
        Ok::<_, Infallible>(answer())
    });
    let ours = stack().layer(inner);
    let watched = stack().observe(|_: &ObservedCall, _: &Event<'_>| {});
    let (watched, recent) = (
        watched.layer(inner),
        stack().observe(Recent::new()).layer(inner),
    );
    let peer = peer(plain);

    let mut ours_nanos = || nanos(&runtime, || call(ours.clone(), request(RequestBody::from)));
    let mut bare_nanos = || nanos(&runtime, || call(plain, request(Full::new)));
    let mut peer_nanos = || nanos(&runtime, || call(peer.clone(), request(Full::new)));
    let mut watched_nanos = || {
        nanos(&runtime, || {
            call(watched.clone(), request(RequestBody::from))
        })
    };
    let mut recent_nanos = || {
        nanos(&runtime, || {
            call(recent.clone(), request(RequestBody::from))
        })
    };
    let [
        ours_nanos,
        bare_nanos,
        peer_nanos,
        watched_nanos,
        recent_nanos,
    ] = by_turns(
        ROUNDS,
        [
            &mut ours_nanos,
            &mut bare_nanos,
            &mut peer_nanos,
            &mut watched_nanos,
            &mut recent_nanos,
        ],
    );
    let added = (ours_nanos - bare_nanos) / 1e3;
    verdicts.most("whole stack, microseconds a call", added, PROMISED);
    let remembered = (recent_nanos - watched_nanos) / 1e3;
    verdicts.most(
        "recent calls, microseconds a call",
        remembered,
        PROMISED_OF_RECENT,
    );
    verdicts.shown(
        "whole stack, beside the service alone, ns",
        ours_nanos,
        bare_nanos,
    );
    verdicts.shown(
        "whole stack, beside limiter and retry, ns",
        ours_nanos,
        peer_nanos,
    );
    let ours = allocations(&runtime, || call(ours.clone(), request(RequestBody::from)));
    let peer = allocations(&runtime, || call(peer.clone(), request(Full::new)));
    let bare = allocations(&runtime, || call(plain, request(Full::new)));
    verdicts.shown(
        "whole stack, allocations, beside limiter and retry",
        ours,
        peer,
    );
    beside("the service alone, allocations", bare);
}

fn peer<S>(
    inner: S,
) -> impl Service<Request<Full<Bytes>>, Response = Response<Full<Bytes>>, Error: std::fmt::Debug> + Clone
where
    S: Service<Request<Full<Bytes>>, Response = Response<Full<Bytes>>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send,
{
    let limiter = RateLimiterLayer::builder()
        .limit_for_period(1 << 40)
        .refresh_period(MINUTE)
        .build()
        .expect("a limit");
    let retry = RetryLayer::builder()
        .max_attempts(3)
        .exponential_backoff(Duration::from_millis(500))
        .build();
    retry.layer(limiter.layer(inner))
}

fn nanos<F: Future>(runtime: &Runtime, call: impl Fn() -> F) -> f64 {
    let time = timed(|| {
        runtime.block_on(async {
            for _ in 0..CALLS {
                call().await;
            }
        });
    });
    time.as_secs_f64() * 1e9 / f64::from(CALLS)
}

#[expect(clippy::cast_precision_loss, reason = "they are few")]
fn allocations<F: Future>(runtime: &Runtime, call: impl Fn() -> F) -> f64 {
    let region = Region::new(&INSTRUMENTED_SYSTEM);
    nanos(runtime, call);
    let change = region.change();
    (change.allocations + change.reallocations) as f64 / f64::from(CALLS)
}
