//! On the limiter: callers that wait, give up, go away, keep futures that they do not poll, call inside of calls.

use std::{future::Future, sync::Arc, task::Poll, time::Duration};

use tokio::{
    task::{JoinSet, yield_now},
    time::{Instant, sleep, timeout},
};
use tower_quota::{
    Limiter, Rejection, Tag, Tags, Usage,
    limiter::{Call, Permit, QueueOptions},
};

use crate::{judged::Judged, plan::random_limits, prove};

const CALLS: usize = 100;

#[test]
fn callers_that_wait_and_go_away_leave_every_promise_kept() {
    prove("callers of the limiter", 60, |seed| trace(seed, None));
}

#[test]
fn and_with_a_store_that_answers_later() {
    prove("callers of the limiter, a slow store", 30, |seed| {
        trace(seed, Some(u32::try_from(seed % 3).unwrap()))
    });
}

#[derive(Clone, Debug)]
struct Planned {
    comes: Duration,
    tags: Tags,
    size: (u64, u64),
    priority: i32,
    max_wait: Option<Duration>,
    runs: Duration,
    way: Way,
    end: End,
}

/// How the call is made.
#[derive(Clone, Copy, Debug)]
enum Way {
    Waits,
    Tries,
    /// It goes away after so long, wherever it is by then.
    GoesAway(Duration),
    /// Its future is dropped unpolled.
    Never,
    /// Its future is polled so often, and after that not for so long; then dropped, or awaited.
    Kept {
        polls: usize,
        long: Duration,
        dropped: bool,
    },
    /// It makes another call inside.
    Nests,
    Records,
}

#[derive(Clone, Copy, Debug)]
enum End {
    Settled(Usage),
    Dropped,
    Released,
}

async fn trace(seed: u64, later: Option<u32>) -> usize {
    let mut random = fastrand::Rng::with_seed(seed);
    let scale = 1 << random.u32(17..29);
    let (limits, plans) = random_limits(&mut random, scale);
    let store = Judged::new(limits, plans, later);
    let most = if random.bool() { 100 } else { 5 };
    let options = QueueOptions::new().max_waiting(most);
    let limiter = Limiter::build(Arc::new(store.clone()), options);
    let mut tasks = JoinSet::new();
    for _ in 0..CALLS {
        let planned = random_call(&mut random, scale);
        let limiter = limiter.clone();
        tasks.spawn(async move {
            sleep(planned.comes).await;
            one(&limiter, &planned).await;
        });
    }
    // Long after the last of them could have waited for all others, one after another.
    let standstill = Duration::from_micros(scale * 10_000);
    timeout(standstill, tasks.join_all())
        .await
        .unwrap_or_else(|_| panic!("{} wait for ever", limiter.waiting()));
    assert_eq!(limiter.waiting(), 0);
    // What a slow store was told last.
    for _ in 0..100 {
        yield_now().await;
    }
    store.finish()
}

fn random_call(random: &mut fastrand::Rng, scale: u64) -> Planned {
    let mut tags = Tags::new();
    for (tag, values) in [
        (Tag::Agent, ["a", "b", "c", ""]),
        (Tag::Model, ["m", "n", "m", ""]),
        (Tag::Run, ["r", "s", "t", ""]),
    ] {
        let value = values[random.usize(..4)];
        if !value.is_empty() {
            tags.set(tag, value);
        }
    }
    let mut span = |most: u64| Duration::from_micros(random.u64(..=most));
    let (comes, runs, long, wait) = (span(scale * 4), span(scale), span(scale), span(scale * 4));
    let size = (random.u64(..400), random.u64(..400));
    Planned {
        comes,
        tags,
        size,
        priority: random.i32(-1..3),
        max_wait: (random.u8(..3) == 0).then_some(wait),
        runs,
        way: match random.u8(..20) {
            0..8 => Way::Waits,
            8..10 => Way::Tries,
            10..13 => Way::GoesAway(long),
            13 => Way::Never,
            14..17 => Way::Kept {
                polls: random.usize(1..6),
                long,
                dropped: random.bool(),
            },
            17..19 => Way::Nests,
            _ => Way::Records,
        },
        end: match random.u8(..8) {
            0 => End::Dropped,
            1 => End::Released,
            2 => End::Settled(Usage::new(size.0 * 2, random.u64(..3_000))),
            3 => End::Settled(Usage::new(size.0, size.1)),
            _ => End::Settled(Usage::new(size.0, random.u64(..=size.1))),
        },
    }
}

async fn one(limiter: &Limiter, planned: &Planned) {
    let mut call = Call::new()
        .tags(planned.tags.clone())
        .tokens(planned.size.0, planned.size.1)
        .priority(planned.priority);
    if let Some(wait) = planned.max_wait {
        call = call.max_wait(wait);
    }
    match planned.way {
        Way::Waits => work(waited(limiter, call, planned).await, planned).await,
        Way::Tries => {
            let tried = limiter.try_acquire(call).await;
            if let Err(rejection) = &tried {
                assert!(
                    !matches!(rejection, Rejection::DeadlineExceeded(_)),
                    "it does not wait: {rejection}"
                );
            }
            work(tried.ok(), planned).await;
        }
        Way::GoesAway(after) => {
            let all = async { work(waited(limiter, call, planned).await, planned).await };
            let _ = timeout(after, all).await;
        }
        Way::Never => drop(limiter.acquire(call)),
        Way::Kept {
            polls,
            long,
            dropped,
        } => {
            let mut kept = Box::pin(limiter.acquire(call));
            for _ in 0..polls {
                if let Poll::Ready(answer) = polled(kept.as_mut()).await {
                    return work(answer.ok(), planned).await;
                }
                yield_now().await;
            }
            sleep(long).await;
            if !dropped {
                work(kept.await.ok(), planned).await;
            }
        }
        Way::Nests => {
            let inside = async {
                // It holds a slot of one limit and may need one of another: not for ever.
                let call = Call::new().tokens(1, 1).max_wait(planned.runs);
                let inner = limiter.acquire(call).await;
                sleep(planned.runs).await;
                drop(inner);
            };
            let _ = limiter.run(call, inside).await;
        }
        Way::Records => {
            let usage = Usage::new(planned.size.0, planned.size.1);
            limiter.record(&planned.tags, usage).await.unwrap();
            let _ = limiter.peek(&call).await;
        }
    }
}

/// Waits, and looks whether it was refused for a reason that there is.
async fn waited(limiter: &Limiter, call: Call, planned: &Planned) -> Option<Permit> {
    let start = Instant::now();
    let rejection = match limiter.acquire(call).await {
        Ok(permit) => return Some(permit),
        Err(rejection) => rejection,
    };
    let took = start.elapsed();
    match (&rejection, planned.max_wait) {
        // tokio's timer has a grain of one millisecond.
        (Rejection::DeadlineExceeded(_), Some(wait)) => {
            assert!(
                took <= wait + Duration::from_millis(1),
                "{took:?} of {wait:?}"
            );
        }
        (Rejection::NeverFits(_) | Rejection::RunUsedUp(_) | Rejection::QueueFull { .. }, _) => {}
        _ => panic!("{rejection}"),
    }
    None
}

async fn work(permit: Option<Permit>, planned: &Planned) {
    let Some(permit) = permit else { return };
    sleep(planned.runs).await;
    match planned.end {
        End::Settled(usage) => permit.settle(usage),
        End::Dropped => drop(permit),
        End::Released => permit.release(),
    }
}

async fn polled<F: Future>(mut future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}
