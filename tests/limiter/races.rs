//! Races on real threads: one place, a hundred calls at once, exactly one in, thousands of times.
//!
//! Nothing here asks a clock. A hang is found by counting polls: while the calls do not end their runtime is
//! asked again and again, and lets its threads run in between.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::Poll,
    time::Duration,
};

use tokio::task::{JoinSet, yield_now};
use tower_quota::{
    Limiter, Rejection, Tag, Tags, Usage,
    limit::{Limit, Limits},
    limiter::{Call, Permit},
};

const DAY: Duration = Duration::from_secs(24 * 3_600);
const CALLS: usize = 100;
const ROUNDS: usize = 2_000;
/// More polls than any round needs by a factor of thousands.
const HANGS: usize = 20_000_000;

fn limiter(limits: impl IntoIterator<Item = Limit>) -> Limiter {
    Limiter::new(Limits::new(limits).unwrap())
}

fn one_a_day() -> Limit {
    Limit::requests(1).every(DAY)
}

fn on_threads(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build();
    runtime.unwrap().block_on(work);
}

/// The output of what ends before it was polled more often than it can need.
async fn ends<F: Future>(what: &str, future: F) -> F::Output {
    let mut future = pin!(future);
    for _ in 0..HANGS {
        if let Poll::Ready(output) = polled(future.as_mut()).await {
            return output;
        }
        std::thread::yield_now();
        yield_now().await;
    }
    panic!("{what}: hangs");
}

/// Polls a future once, as part of the task at hand.
async fn polled<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}

/// Ends a permit in one of the ways that leave what was reserved counted.
fn end(number: usize, permit: Permit) {
    if number.is_multiple_of(2) {
        permit.settle(Usage::new(3, 4));
    } else {
        drop(permit);
    }
}

/// A hundred calls at once, each its own task. Returns how many were let in.
async fn admitted<F>(what: &str, call: impl Fn(usize) -> F) -> usize
where
    F: Future<Output = bool> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    (0..CALLS).for_each(|number| drop(tasks.spawn(call(number))));
    let answers = ends(what, tasks.join_all()).await;
    answers.into_iter().filter(|admitted| *admitted).count()
}

#[test]
fn of_a_hundred_that_try_at_once_exactly_one_is_let_in() {
    on_threads(async {
        for round in 0..ROUNDS {
            let limiter = limiter([one_a_day(), Limit::concurrency(5)]);
            let admitted = admitted("trying", |number| {
                let limiter = limiter.clone();
                async move {
                    let permit = limiter.try_acquire(Call::new()).await;
                    permit.map(|permit| end(number, permit)).is_ok()
                }
            });
            assert_eq!(admitted.await, 1, "round {round}");
        }
    });
}

#[test]
fn of_a_hundred_that_would_wait_and_have_no_time_exactly_one_is_let_in() {
    on_threads(async {
        for round in 0..ROUNDS {
            let limiter = limiter([one_a_day(), Limit::concurrency(1)]);
            let admitted = admitted("with a deadline", |number| {
                let limiter = limiter.clone();
                async move {
                    // The window does not open before the deadline, and the call does not wait for it.
                    let call = Call::new()
                        .max_wait(DAY / 2)
                        .priority(i32::from(number.is_multiple_of(3)));
                    match limiter.acquire(call).await {
                        Ok(permit) => {
                            yield_now().await;
                            end(number, permit);
                            true
                        }
                        Err(Rejection::DeadlineExceeded(_)) => false,
                        Err(other) => panic!("{other}"),
                    }
                }
            });
            assert_eq!(admitted.await, 1, "round {round}");
            assert_eq!(limiter.waiting(), 0, "round {round}");
        }
    });
}

/// As many as come back are let in once more, and never two at a time.
#[test]
fn a_place_that_is_given_back_in_a_race_is_taken_once() {
    on_threads(async {
        for round in 0..ROUNDS {
            let limiter = limiter([one_a_day(), Limit::concurrency(CALLS as u64)]);
            let released = Arc::new(AtomicUsize::new(0));
            let admitted = admitted("giving back", |number| {
                let (limiter, released) = (limiter.clone(), released.clone());
                async move {
                    let Ok(permit) = limiter.try_acquire(Call::new()).await else {
                        return false;
                    };
                    if number % 3 == 0 {
                        released.fetch_add(1, SeqCst);
                        permit.release();
                    } else {
                        end(number, permit);
                    }
                    true
                }
            });
            let (admitted, released) = (admitted.await, released.load(SeqCst));
            let left = limiter.try_acquire(Call::new()).await.is_ok();
            let kept = admitted - released + usize::from(left);
            assert_eq!(
                kept, 1,
                "round {round}: {admitted} in, {released} came back"
            );
        }
    });
}

/// Waiting calls, one place, all ways to end and to go away: never two in, everybody ends, nothing is left.
#[test]
fn a_hundred_that_wait_for_one_place_have_it_one_after_another() {
    on_threads(async {
        for round in 0..ROUNDS / 10 {
            let limiter = limiter([
                Limit::concurrency(1).per(Tag::Agent),
                Limit::concurrency(1).when(Tag::Model, "m"),
            ]);
            let inside = [(); 3].map(|()| Arc::new(AtomicUsize::new(0)));
            let went = admitted("waiting", |number| {
                let (limiter, inside) = (limiter.clone(), inside[number % 3].clone());
                async move {
                    let mut tags = Tags::new().with(Tag::Agent, ["a", "b", "c"][number % 3]);
                    if number.is_multiple_of(2) {
                        tags.set(Tag::Model, "m");
                    }
                    let mut call = pin!(limiter.acquire(Call::new().tags(tags)));
                    if number % 5 == 0 {
                        // It goes away after some polls, wherever it is.
                        for _ in 0..number % 7 {
                            if polled(call.as_mut()).await.is_ready() {
                                return true;
                            }
                            yield_now().await;
                        }
                        return true;
                    }
                    let permit = call.await.unwrap();
                    assert_eq!(inside.fetch_add(1, SeqCst), 0, "two in one place");
                    yield_now().await;
                    assert_eq!(inside.fetch_sub(1, SeqCst), 1, "two in one place");
                    match number % 4 {
                        0 => permit.release(),
                        _ => end(number, permit),
                    }
                    true
                }
            });
            assert_eq!(went.await, CALLS, "round {round}");
            assert_eq!(limiter.waiting(), 0, "round {round}");
            for agent in ["a", "b", "c"] {
                let tags = Tags::new().with(Tag::Agent, agent).with(Tag::Model, "m");
                let free = limiter.try_acquire(Call::new().tags(tags)).await;
                assert!(free.is_ok(), "round {round}: a place leaked");
            }
        }
    });
}
