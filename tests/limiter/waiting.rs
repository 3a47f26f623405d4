//! The core without HTTP: waiting, ranks, deadlines, cancellation, races.

use crate::later;

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime},
};

use later::LaterStore;
use tokio::time::{Instant, advance, timeout};
use tower_quota::{
    Limiter, Rejection, Tag, Tags, Usage,
    limit::{CalendarUnit, Limit, Limits},
    limiter::{Call, QueueOptions},
    store::MemoryStore,
};

const MINUTE: Duration = Duration::from_secs(60);
const MARGIN: Duration = Duration::from_millis(500);

fn limits(limits: impl IntoIterator<Item = Limit>) -> Limits {
    Limits::new(limits).unwrap()
}

fn per_minute(requests: u64) -> Limiter {
    Limiter::new(limits([Limit::requests(requests).every(MINUTE)]))
}

fn model(name: &str) -> Call {
    Call::new().tags(Tags::new().with(Tag::Model, name))
}

/// Polls a future once, by hand.
fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// A1: requests per window.
#[tokio::test(start_paused = true)]
async fn waits_for_the_window_then_admits_on_time() {
    let limiter = per_minute(1);
    let start = Instant::now();
    drop(limiter.acquire(Call::new()).await.unwrap());
    assert_eq!(start.elapsed(), Duration::ZERO);
    drop(limiter.acquire(Call::new()).await.unwrap());
    // tokio's timer has a grain of one millisecond.
    let waited = start.elapsed();
    assert!(
        (MINUTE + MARGIN..=MINUTE + MARGIN + Duration::from_millis(1)).contains(&waited),
        "{waited:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn calls_are_granted_in_the_order_they_came() {
    let limiter = per_minute(3);
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..20 {
        let (limiter, order, call) = (limiter.clone(), order.clone(), Call::new());
        tasks.spawn(async move {
            drop(limiter.acquire(call).await.unwrap());
            order.lock().unwrap().push(number);
        });
    }
    tasks.join_all().await;
    let order = order.lock().unwrap();
    assert!(order.is_sorted(), "{order:?}");
}

#[tokio::test(start_paused = true)]
async fn priority_goes_first_and_what_came_an_aging_span_earlier_goes_before_it() {
    let store = Arc::new(MemoryStore::new(limits([Limit::requests(1).every(MINUTE)])));
    let limiter = Limiter::build(store, QueueOptions::new().aging(Duration::from_secs(10)));
    drop(limiter.acquire(Call::new()).await.unwrap());
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = tokio::task::JoinSet::new();
    let mut queue = |name: &'static str, priority| {
        let (limiter, order, call) = (
            limiter.clone(),
            order.clone(),
            Call::new().priority(priority),
        );
        tasks.spawn(async move {
            drop(limiter.acquire(call).await.unwrap());
            order.lock().unwrap().push(name);
        });
    };
    queue("old", 0);
    advance(Duration::from_secs(15)).await;
    queue("low", 0);
    queue("urgent", 1);
    tasks.join_all().await;
    assert_eq!(*order.lock().unwrap(), ["old", "urgent", "low"]);
}

#[tokio::test(start_paused = true)]
async fn a_full_window_of_one_model_does_not_hold_up_another() {
    let limiter = Limiter::new(limits([
        Limit::requests(1).every(MINUTE).when(Tag::Model, "a"),
        Limit::requests(1).every(MINUTE).when(Tag::Model, "b"),
    ]));
    drop(limiter.acquire(model("a")).await.unwrap());
    let mut waiting = pin!(limiter.acquire(model("a")));
    assert!(poll_once(waiting.as_mut()).is_pending());
    let start = Instant::now();
    drop(limiter.acquire(model("b")).await.unwrap());
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_small_call_does_not_pass_a_large_one_that_waits_for_the_same_limit() {
    let limiter = Limiter::new(limits([Limit::tokens(100).every(MINUTE)]));
    limiter
        .acquire(Call::new().tokens(60, 0))
        .await
        .unwrap()
        .settle(Usage::new(60, 0));
    let mut large = pin!(limiter.acquire(Call::new().tokens(100, 0)));
    assert!(poll_once(large.as_mut()).is_pending());
    let refused = limiter
        .try_acquire(Call::new().tokens(1, 0))
        .await
        .unwrap_err();
    assert!(matches!(refused, Rejection::RateLimited(_)), "{refused}");
    large.await.unwrap().settle(Usage::new(100, 0));
}

/// The driver as well: the head of one limit does not pass who goes before it and waits for another.
#[tokio::test(start_paused = true)]
async fn the_head_of_one_limit_does_not_pass_an_urgent_call_that_waits_for_another_it_needs() {
    let limiter = Limiter::new(limits([
        Limit::requests(1).every(MINUTE / 2).when(Tag::Model, "m"),
        Limit::tokens(100).every(MINUTE),
    ]));
    let start = Instant::now();
    drop(limiter.acquire(model("m")).await.unwrap());
    let used = limiter.acquire(Call::new().tokens(60, 0)).await.unwrap();
    used.settle(Usage::new(60, 0));
    // It needs a request, which comes back after half a minute, and ten tokens, for which there is room.
    let mut small = pin!(limiter.acquire(model("m").tokens(10, 0)));
    assert!(poll_once(small.as_mut()).is_pending());
    // This one came later, goes first, and needs all the tokens.
    let large = limiter.acquire(Call::new().tokens(100, 0).priority(1));
    let large = large.await.unwrap();
    assert_eq!(
        start.elapsed().as_secs(),
        60,
        "the small one took its tokens"
    );
    large.settle(Usage::new(100, 0));
    drop(small.await.unwrap());
    assert_eq!(start.elapsed().as_secs(), 121);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_cannot_end_in_time_is_refused_at_once_and_one_that_can_is_not() {
    let limiter = per_minute(1);
    drop(limiter.acquire(Call::new()).await.unwrap());
    let start = Instant::now();
    let late = limiter
        .acquire(Call::new().max_wait(MINUTE))
        .await
        .unwrap_err();
    assert_eq!(
        start.elapsed(),
        Duration::ZERO,
        "refused now, not at the deadline"
    );
    let Rejection::DeadlineExceeded(shortage) = &late else {
        panic!("{late}")
    };
    assert_eq!(shortage.retry_after, Some(MINUTE + MARGIN));
    assert_eq!(
        late.to_string(),
        "no room before the call's deadline: requests 1/min: 1 in use, this call needs 1 (would be 2); \
         room in 60.5 s"
    );
    drop(
        limiter
            .acquire(Call::new().max_wait(MINUTE + MARGIN * 2))
            .await
            .unwrap(),
    );
}

#[tokio::test(start_paused = true)]
async fn a_wait_whose_end_nobody_knew_ends_at_the_deadline() {
    let limiter = Limiter::new(limits([Limit::concurrency(1)]));
    let held = limiter.acquire(Call::new()).await.unwrap();
    let start = Instant::now();
    let late = limiter
        .acquire(Call::new().max_wait(MINUTE))
        .await
        .unwrap_err();
    assert!(matches!(late, Rejection::DeadlineExceeded(_)), "{late}");
    assert_eq!(start.elapsed(), MINUTE);
    assert_eq!(limiter.waiting(), 0);
    drop(held);
    drop(limiter.acquire(Call::new()).await.unwrap());
}

/// A9: what never fits is not queued.
#[tokio::test(start_paused = true)]
async fn a_call_that_never_fits_is_refused_at_once_and_one_that_just_fits_is_not() {
    let limiter = Limiter::new(limits([Limit::tokens(100).every(MINUTE)]));
    let never = limiter
        .acquire(Call::new().tokens(60, 41))
        .await
        .unwrap_err();
    assert!(
        matches!(&never, Rejection::NeverFits(shortage) if shortage.needed == 101),
        "{never}"
    );
    drop(limiter.acquire(Call::new().tokens(60, 40)).await.unwrap());
}

/// Nor where others wait, who are no reason to wait for what there never is.
#[tokio::test(start_paused = true)]
async fn a_call_that_never_fits_is_refused_at_once_also_behind_others() {
    let limiter = Limiter::new(limits([Limit::tokens(100).every(MINUTE)]));
    drop(limiter.acquire(Call::new().tokens(60, 40)).await.unwrap());
    let mut first = pin!(limiter.acquire(Call::new().tokens(50, 0)));
    assert!(poll_once(first.as_mut()).is_pending());
    let start = Instant::now();
    let never = limiter.acquire(Call::new().tokens(60, 41));
    let never = timeout(MINUTE / 2, never).await.expect("at once");
    let never = never.unwrap_err();
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert!(
        matches!(&never, Rejection::NeverFits(shortage) if shortage.needed == 101),
        "{never}"
    );
    assert_eq!(limiter.waiting(), 1);
    drop(first.await.unwrap());
}

/// While a machine is suspended the clock on the wall goes on, and no timer does.
#[tokio::test(start_paused = true)]
async fn who_waits_for_the_next_day_goes_within_a_minute_when_the_clock_has_gone_on() {
    let (start, suspended) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let shown = {
        let suspended = suspended.clone();
        move || {
            let suspended = Duration::from_secs(suspended.load(Ordering::Relaxed));
            SystemTime::UNIX_EPOCH + start.elapsed() + suspended
        }
    };
    let limit = Limit::requests(1).every_calendar(CalendarUnit::Day, "UTC");
    let limiter = Limiter::with_store(MemoryStore::new(limits([limit])).wall_clock(shown));
    drop(limiter.acquire(Call::new()).await.unwrap());
    let waiting = tokio::spawn({
        let limiter = limiter.clone();
        async move { limiter.acquire(Call::new()).await.map(drop) }
    });
    tokio::time::sleep(MINUTE * 10 + MINUTE / 2).await;
    assert!(!waiting.is_finished());
    suspended.store(86_400, Ordering::Relaxed);
    waiting.await.unwrap().unwrap();
    let went = start.elapsed();
    assert!(went <= MINUTE * 11 + Duration::from_millis(20), "{went:?}");
}

#[tokio::test(start_paused = true)]
async fn the_queue_is_bounded() {
    let store = Arc::new(MemoryStore::new(limits([Limit::concurrency(1)])));
    let limiter = Limiter::build(store, QueueOptions::new().max_waiting(1));
    let held = limiter.acquire(Call::new()).await.unwrap();
    let mut first = pin!(limiter.acquire(Call::new()));
    assert!(poll_once(first.as_mut()).is_pending());
    let full = limiter.acquire(Call::new()).await.unwrap_err();
    assert!(
        matches!(full, Rejection::QueueFull { waiting: 1, .. }),
        "{full}"
    );
    drop(held);
    drop(first.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_released_place_wakes_who_waits_for_it() {
    let limiter = Limiter::new(limits([
        Limit::requests(1).every(MINUTE),
        Limit::concurrency(1),
    ]));
    let permit = limiter.acquire(Call::new()).await.unwrap();
    let waiting = tokio::spawn({
        let limiter = limiter.clone();
        async move { limiter.acquire(Call::new()).await.map(drop) }
    });
    while limiter.waiting() == 0 {
        tokio::task::yield_now().await;
    }
    let start = Instant::now();
    permit.release();
    waiting.await.unwrap().unwrap();
    assert_eq!(
        start.elapsed(),
        Duration::ZERO,
        "woken by the release, not by a timer"
    );
}

#[tokio::test(start_paused = true)]
async fn a_dropped_permit_counts_what_it_reserved_and_frees_its_place() {
    let limiter = Limiter::new(limits([
        Limit::requests(1).every(MINUTE),
        Limit::concurrency(1),
    ]));
    drop(limiter.acquire(Call::new()).await.unwrap());
    let refused = limiter.try_acquire(Call::new()).await.unwrap_err();
    assert_eq!(refused.shortage().unwrap().limit, "requests 1/min");
    advance(MINUTE + MARGIN).await;
    drop(limiter.try_acquire(Call::new()).await.unwrap());
}

/// Dropping the future after each number of polls, until it completes: nothing may stay taken or queued.
async fn dropped_everywhere(limiter: Limiter) {
    for polls in 0..20 {
        let held = limiter.acquire(Call::new()).await.unwrap();
        let mut waiting = Box::pin(limiter.acquire(Call::new()));
        let mut held = Some(held);
        for turn in 0..polls {
            if turn == polls / 2 {
                held.take();
            }
            if poll_once(waiting.as_mut()).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(waiting);
        drop(held);
        let next = timeout(MINUTE, limiter.acquire(Call::new())).await;
        drop(
            next.unwrap_or_else(|_| panic!("a place leaked after {polls} polls"))
                .unwrap(),
        );
        assert_eq!(limiter.waiting(), 0, "a waiter leaked after {polls} polls");
    }
}

/// A7: what is dropped settles or releases itself, once.
#[tokio::test(start_paused = true)]
async fn a_future_dropped_at_any_await_gives_everything_back() {
    dropped_everywhere(Limiter::new(limits([Limit::concurrency(1)]))).await;
}

#[tokio::test(start_paused = true)]
async fn a_future_dropped_while_a_slow_store_answers_gives_everything_back() {
    dropped_everywhere(Limiter::with_store(LaterStore::new(limits([
        Limit::concurrency(1),
    ]))))
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_future_that_is_kept_and_never_polled_again_holds_its_own_place_and_no_other() {
    let limiter = per_minute(2);
    drop(limiter.acquire(Call::new()).await.unwrap());
    drop(limiter.acquire(Call::new()).await.unwrap());
    let mut kept = pin!(limiter.acquire(Call::new()));
    assert!(poll_once(kept.as_mut()).is_pending());
    // Behind it in line. The kept one is granted without being polled, and from then on the others share
    // what is left: one place a minute.
    let start = Instant::now();
    for minute in 1..5 {
        drop(limiter.acquire(Call::new()).await.unwrap());
        assert_eq!(start.elapsed().as_secs() / 60, minute);
    }
    let Poll::Ready(Ok(permit)) = poll_once(kept.as_mut()) else {
        panic!("it was granted meanwhile")
    };
    permit.release();
    assert_eq!(limiter.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_kept_future_does_not_stall_those_who_need_other_room() {
    let limiter = Limiter::new(limits([
        Limit::requests(10).every(MINUTE),
        Limit::concurrency(1).when(Tag::Model, "a"),
    ]));
    let held = limiter.acquire(model("a")).await.unwrap();
    let mut kept = pin!(limiter.acquire(model("a")));
    assert!(poll_once(kept.as_mut()).is_pending());
    drop(held);
    for _ in 0..5 {
        drop(limiter.acquire(model("b")).await.unwrap());
    }
}

#[test]
fn a_limiter_outlives_the_runtime_that_drove_it() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap()
    };
    let limiter = Limiter::new(limits([Limit::concurrency(1)]));
    let wait = |limiter: Limiter| async move { limiter.acquire(Call::new()).await.map(drop) };
    let first = runtime();
    let held = first.block_on(async {
        let held = limiter.acquire(Call::new()).await.unwrap();
        tokio::spawn(wait(limiter.clone()));
        while limiter.waiting() == 0 {
            tokio::task::yield_now().await;
        }
        held
    });
    // The driver goes down with it, and so does the one that waited.
    drop(first);
    assert_eq!(limiter.waiting(), 0);
    runtime().block_on(async {
        let waiting = tokio::spawn(wait(limiter.clone()));
        while limiter.waiting() == 0 {
            tokio::task::yield_now().await;
        }
        drop(held);
        timeout(MINUTE, waiting)
            .await
            .expect("granted by a driver of this runtime")
            .unwrap()
            .unwrap();
    });
}

#[test]
fn waiters_on_a_second_runtime_take_over_from_a_driver_that_died() {
    let runtime = || {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap()
    };
    let limiter = Limiter::new(limits([Limit::concurrency(1)]));
    let (first, second) = (runtime(), runtime());
    let held = first.block_on(limiter.acquire(Call::new())).unwrap();
    // Starts the driver on the first runtime.
    let one = first.spawn({
        let limiter = limiter.clone();
        async move { limiter.acquire(Call::new()).await.map(drop) }
    });
    let other = second.spawn({
        let limiter = limiter.clone();
        async move { limiter.acquire(Call::new()).await.map(drop) }
    });
    while limiter.waiting() < 2 {
        std::thread::yield_now();
    }
    first.shutdown_background();
    drop(one);
    drop(held);
    second.block_on(other).unwrap().unwrap();
}

/// A6: check and reserve are one step.
#[test]
fn one_place_and_a_hundred_calls_on_four_threads_let_exactly_one_in() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        for round in 0..500 {
            let limiter = per_minute(1);
            let admitted = Arc::new(AtomicUsize::new(0));
            let mut tasks = tokio::task::JoinSet::new();
            for _ in 0..100 {
                let (limiter, admitted) = (limiter.clone(), admitted.clone());
                tasks.spawn(async move {
                    if limiter.try_acquire(Call::new()).await.is_ok() {
                        admitted.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            tasks.join_all().await;
            assert_eq!(admitted.load(Ordering::Relaxed), 1, "round {round}");
        }
    });
}
