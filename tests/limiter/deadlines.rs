//! A8. A wait that cannot end before its deadline is refused at once, also where it is others that it waits for; one
//! that just makes it is not.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use tokio::{
    task::{JoinHandle, JoinSet, yield_now},
    time::{Instant, sleep_until},
};
use tower_quota::{
    Limiter, Rejection, Tag, Tags, Usage,
    limit::{CalendarUnit, Charge, Limit, Limits},
    limiter::{Call, Peek, Permit, QueueOptions},
    store::{MemoryStore, Observation},
    wire::rate_limits,
};

const MINUTE: Duration = Duration::from_secs(60);
/// Timers have a grain of a millisecond, each period one.
const GRAIN: Duration = Duration::from_millis(1);

fn limiter(limit: Limit) -> Limiter {
    let store = MemoryStore::new(Limits::new([limit]).unwrap());
    Limiter::build(Arc::new(store), QueueOptions::new())
}

fn requests(amount: u64) -> Limiter {
    limiter(Limit::requests(amount).every(MINUTE).margin(Duration::ZERO))
}

fn agent(name: &str) -> Call {
    Call::new().tags(Tags::new().with(Tag::Agent, name))
}

/// Uses up the limit, and has so many calls wait.
async fn wait(limiter: &Limiter, used: u64, waiting: usize, call: &Call) -> JoinSet<()> {
    for _ in 0..used {
        drop(limiter.acquire(agent("before")).await.unwrap());
    }
    let mut tasks = JoinSet::new();
    for _ in 0..waiting {
        let (limiter, call) = (limiter.clone(), call.clone());
        tasks.spawn(async move { drop(limiter.acquire(call).await.unwrap()) });
    }
    while limiter.waiting() < waiting {
        yield_now().await;
    }
    tasks
}

async fn refused_now(limiter: &Limiter, call: Call) -> Rejection {
    let start = Instant::now();
    let refused = limiter.acquire(call).await.map(drop).unwrap_err();
    assert_eq!(start.elapsed(), Duration::ZERO, "now, not at the deadline");
    assert!(
        matches!(refused, Rejection::DeadlineExceeded(_)),
        "{refused}"
    );
    refused
}

#[tokio::test(start_paused = true)]
async fn those_before_it_are_counted_and_one_that_just_makes_it_waits() {
    for (amount, waiting, periods) in [
        (1, 2, 3),
        (10, 25, 3),
        (10, 9, 1),
        (10, 10, 2),
        (10, 999, 100),
    ] {
        let limiter = requests(amount);
        let call = agent("a");
        let tasks = wait(&limiter, amount, waiting, &call).await;
        let late = call.clone().max_wait(MINUTE * periods - GRAIN);
        let refused = refused_now(&limiter, late.clone()).await;
        assert_eq!(refused.retry_after(), Some(MINUTE * periods));
        assert!(matches!(
            limiter.peek(&late).await,
            Err(Rejection::DeadlineExceeded(_))
        ));
        let start = Instant::now();
        let just = call.clone().max_wait((MINUTE + GRAIN) * periods);
        assert!(matches!(limiter.peek(&just).await, Ok(Peek::Wait(_))));
        drop(limiter.acquire(just).await.unwrap());
        println!("{amount}/min, {waiting} before it: {:?}", start.elapsed());
        assert!(start.elapsed() >= MINUTE * periods);
        tasks.join_all().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_refusal_says_what_is_lacking_and_when_there_is_room() {
    let limiter = requests(1);
    let _tasks = wait(&limiter, 1, 2, &agent("a")).await;
    assert_eq!(
        refused_now(&limiter, agent("a").max_wait(MINUTE * 2))
            .await
            .to_string(),
        "no room before the call's deadline: requests 1/min: 1 in use, this call needs 1 (would be 2); \
         room in 180.0 s"
    );
}

#[tokio::test(start_paused = true)]
async fn those_who_go_after_it_are_not_counted() {
    // Its share is not behind theirs, and urgent calls are before all of them.
    let other = || agent("other");
    let urgent = || agent("much").priority(1);
    for call in [&other as &dyn Fn() -> Call, &urgent] {
        let limiter = requests(10);
        let _tasks = wait(&limiter, 10, 500, &agent("much").priority(-1)).await;
        let _more = wait(&limiter, 0, 1_000, &agent("much")).await;
        let call = call().max_wait(MINUTE + GRAIN);
        drop(limiter.acquire(call).await.unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn urgent_calls_are_counted_that_go_first_for_sure() {
    let limiter = requests(10);
    let _tasks = wait(&limiter, 10, 25, &agent("urgent").priority(1)).await;
    let late = agent("other").max_wait(MINUTE * 3 - GRAIN);
    refused_now(&limiter, late).await;
    drop(
        limiter
            .acquire(agent("other").max_wait((MINUTE + GRAIN) * 3))
            .await
            .unwrap(),
    );
}

/// It is refused at once, so that nobody waits behind it.
#[tokio::test(start_paused = true)]
async fn one_that_never_fits_is_not_counted() {
    let limit = Limit::tokens(100).every(MINUTE).margin(Duration::ZERO);
    let limiter = limiter(limit.charge(Charge::azure()));
    drop(limiter.acquire(agent("a").tokens(100, 0)).await.unwrap());
    let tasks = wait(&limiter, 0, 1, &agent("a").tokens(50, 0)).await;
    let never = tokio::spawn({
        let limiter = limiter.clone();
        async move { limiter.acquire(agent("a").tokens(1_000_000, 0)).await }
    });
    yield_now().await;
    let behind = agent("a").tokens(50, 0).max_wait(MINUTE + GRAIN);
    drop(limiter.acquire(behind).await.unwrap());
    let never = never.await.unwrap().unwrap_err();
    assert!(matches!(never, Rejection::NeverFits(_)), "{never}");
    tasks.join_all().await;
}

/// Nobody knows what calls in flight leave, and those before it may use less than they say.
#[tokio::test(start_paused = true)]
async fn what_may_be_given_back_earlier_is_not_counted() {
    let slots = limiter(Limit::concurrency(1));
    let held = slots.acquire(agent("a")).await.unwrap();
    let tasks = wait(&slots, 0, 100, &agent("a")).await;
    let waits: JoinHandle<_> = tokio::spawn({
        let slots = slots.clone();
        async move { slots.acquire(agent("a").max_wait(GRAIN)).await.map(drop) }
    });
    yield_now().await;
    held.release();
    waits.await.unwrap().unwrap();
    tasks.join_all().await;

    let limit = Limit::tokens(100).every(MINUTE).margin(Duration::ZERO);
    let limiter = limiter(limit.charge(Charge::anthropic()));
    let held = limiter.acquire(agent("a").tokens(0, 100)).await.unwrap();
    let first = tokio::spawn({
        let limiter = limiter.clone();
        async move {
            let permit = limiter.acquire(agent("a").tokens(0, 100)).await.unwrap();
            permit.settle(Usage::new(0, 10));
        }
    });
    yield_now().await;
    let second = tokio::spawn({
        let limiter = limiter.clone();
        async move {
            let call = agent("a").tokens(0, 50).max_wait(MINUTE / 2);
            limiter.acquire(call).await.map(drop)
        }
    });
    yield_now().await;
    held.release();
    first.await.unwrap();
    second.await.unwrap().unwrap();
}

/// A limiter whose clock on the wall shows half past.
fn at_half_past(limit: Limit) -> Limiter {
    let (half_past, start) = (SystemTime::UNIX_EPOCH + 30 * MINUTE, Instant::now());
    let store = MemoryStore::new(Limits::new([limit]).unwrap());
    let store = store.wall_clock(move || half_past + start.elapsed());
    Limiter::build(Arc::new(store), QueueOptions::new())
}

fn tokens_a_minute() -> Limit {
    let limit = Limit::tokens(90_000).every(MINUTE);
    limit.margin(Duration::ZERO)
}

/// An hour by the clock on the wall.
fn tokens_an_hour() -> Limit {
    Limit::tokens(90_000).every_calendar(CalendarUnit::Hour, "UTC")
}

fn of_size(tokens: u64) -> Call {
    Call::new().tokens(tokens, 0)
}

/// A call of this size comes to all of it.
async fn use_up(limiter: &Limiter, tokens: u64) {
    let permit = limiter.acquire(of_size(tokens)).await.unwrap();
    permit.settle(Usage::new(tokens, 0));
}

/// Ten calls in flight hold 80 000 tokens, and come to much less.
#[tokio::test(start_paused = true)]
async fn what_calls_in_flight_may_give_back_makes_nobody_late() {
    let charges = [
        Charge::default(),
        Charge::groq(),
        Charge::anthropic(),
        Charge::bedrock(1),
    ];
    let limits = charges.map(|charge| tokens_a_minute().charge(charge));
    for limit in limits.into_iter().chain([tokens_an_hour()]) {
        let limiter = at_half_past(limit.clone());
        use_up(&limiter, 10_000).await;
        let mut held = Vec::new();
        for _ in 0..10 {
            held.push(limiter.acquire(of_size(8_000)).await.unwrap());
        }
        let in_time = of_size(8_000).max_wait(MINUTE / 6);
        assert!(matches!(limiter.peek(&in_time).await, Ok(Peek::Wait(_))));
        let waits: JoinHandle<_> = tokio::spawn({
            let limiter = limiter.clone();
            async move { limiter.acquire(in_time).await.map(drop) }
        });
        yield_now().await;
        assert_eq!(limiter.waiting(), 1, "{limit}");
        for permit in held.drain(..2) {
            permit.settle(Usage::new(500, 0));
        }
        waits.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_settled_makes_late_whatever_calls_in_flight_give_back() {
    for (limit, room) in [(tokens_a_minute(), MINUTE), (tokens_an_hour(), 30 * MINUTE)] {
        let limiter = at_half_past(limit);
        use_up(&limiter, 85_000).await;
        let _held = limiter.acquire(of_size(1_000)).await.unwrap();
        let refused = refused_now(&limiter, of_size(8_000).max_wait(room - GRAIN)).await;
        assert_eq!(refused.retry_after(), Some(room));
        let just = of_size(8_000).max_wait(room + GRAIN);
        drop(limiter.acquire(just).await.unwrap());
    }
}

/// What is never corrected is not given back when a call ends.
#[tokio::test(start_paused = true)]
async fn what_calls_in_flight_never_give_back_makes_late() {
    let limiter = limiter(tokens_a_minute().charge(Charge::azure()));
    use_up(&limiter, 10_000).await;
    let _held = limiter.acquire(of_size(80_000)).await.unwrap();
    refused_now(&limiter, of_size(8_000).max_wait(MINUTE - GRAIN)).await;
}

/// The provider's counters say that nothing is left of ten requests.
fn hears_that_nothing_is_left(permit: &Permit) {
    let headers = [
        ("x-ratelimit-limit-requests", "10"),
        ("x-ratelimit-remaining-requests", "0"),
    ];
    let headers = headers.map(|(name, value)| {
        let name = HeaderName::from_static(name);
        (name, HeaderValue::from_static(value))
    });
    let shown = rate_limits("openai", &HeaderMap::from_iter(headers), SystemTime::now());
    permit.observe(&Observation::Counters {
        shown,
        refused: false,
    });
}

/// Nobody knows what others use of the same account from now on.
#[tokio::test(start_paused = true)]
async fn what_others_use_makes_nobody_late_behind_those_who_wait() {
    // How many wait before it, and in how many periods it may go at the earliest, as one of ours counts.
    for (waiting, periods) in [(1, 0), (8, 0), (9, 1), (10, 1), (25, 2)] {
        let call = Call::new().tags(Tags::new().with(Tag::Model, "m"));
        let limit = Limit::requests(10).every(MINUTE).margin(Duration::ZERO);
        let limiter = limiter(limit.when(Tag::Model, "m"));
        let permit = limiter.acquire(call.clone()).await.unwrap();
        hears_that_nothing_is_left(&permit);
        let Ok(Peek::Wait(full)) = limiter.peek(&call).await else {
            panic!("others use the rest")
        };
        assert_eq!(full.in_use, 10);
        let _tasks = wait(&limiter, 0, waiting, &call).await;
        if periods > 0 {
            let late = call.clone().max_wait(MINUTE * periods - GRAIN);
            refused_now(&limiter, late).await;
        }
        let just = call.clone().max_wait(MINUTE * periods + GRAIN);
        assert!(matches!(limiter.peek(&just).await, Ok(Peek::Wait(_))));
        let waits = tokio::spawn({
            let limiter = limiter.clone();
            async move { limiter.acquire(just).await.map(drop) }
        });
        yield_now().await;
        assert_eq!(limiter.waiting(), waiting + 1);
        waits.abort();
    }
}

#[derive(Clone, Debug)]
struct Planned {
    comes: u64,
    agent: usize,
    size: u64,
    priority: i32,
}

fn plan() -> impl Strategy<Value = Vec<Planned>> {
    let call = (0u64..60_000, 0usize..3, 1u64..400, -1i32..2);
    let call = call.prop_map(|(comes, agent, size, priority)| Planned {
        comes,
        agent,
        size,
        priority,
    });
    prop::collection::vec(call, 2..60)
}

/// When each call is let in, where the one with this number may wait until this instant.
async fn run(plan: &[Planned], deadline: Option<(usize, Duration)>) -> Vec<Option<Duration>> {
    let (second, agents) = (Duration::from_secs(1), ["a", "b", "c"]);
    let tokens = Limit::tokens(1_000)
        .every(30 * second)
        .margin(Duration::ZERO)
        .charge(Charge::azure())
        .share(Tag::Agent, "c", 0.3);
    let own = Limit::requests(4).every(10 * second).margin(Duration::ZERO);
    let limits = Limits::new([tokens, own.per(Tag::Agent)]).unwrap();
    let options = QueueOptions::new().weight("b", 3.try_into().unwrap());
    let limiter = Limiter::build(Arc::new(MemoryStore::new(limits)), options);
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for (number, planned) in plan.iter().cloned().enumerate() {
        let limiter = limiter.clone();
        tasks.spawn(async move {
            sleep_until(start + Duration::from_millis(planned.comes)).await;
            let call = agent(agents[planned.agent])
                .tokens(planned.size, 0)
                .priority(planned.priority);
            let call = match deadline {
                Some((of, at)) if of == number => call.max_wait(start + at - Instant::now()),
                _ => call,
            };
            let permit = limiter.acquire(call).await;
            (number, permit.is_ok().then(|| start.elapsed()))
        });
    }
    let mut ends = tasks.join_all().await;
    ends.sort_by_key(|(number, _)| *number);
    ends.into_iter().map(|(_, end)| end).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whoever is let in at an instant is let in where that instant is its deadline.
    #[test]
    fn nobody_is_refused_who_makes_it(plan in plan(), of in any::<prop::sample::Index>()) {
        let runtime = || tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        let of = of.index(plan.len());
        let end = runtime().block_on(run(&plan, None))[of].unwrap();
        let again = runtime().block_on(run(&plan, Some((of, end + GRAIN))))[of];
        prop_assert_eq!(again, Some(end));
    }
}
