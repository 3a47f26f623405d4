//! A8. A wait that cannot end before its deadline is refused at once, also where it is others that it waits for; one
//! that just makes it is not.

use std::{sync::Arc, time::Duration};

use proptest::prelude::*;
use tokio::{
    task::{JoinHandle, JoinSet, yield_now},
    time::{Instant, sleep_until},
};
use tower_quota::{
    Limiter, Rejection, Tag, Tags, Usage,
    limit::{Charge, Limit, Limits},
    limiter::{Call, Peek, QueueOptions},
    store::MemoryStore,
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
