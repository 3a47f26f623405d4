//! Random loads on several limiters: nobody is lost, nobody granted twice, and whatever was registered is granted or
//! forgone.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use proptest::prelude::*;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};
use tower_quota::{Limiter, Rejection, Tag, Tags, limit::Limit, limiter::Call};

use crate::{
    MINUTE, ends as ends_in_time, limits,
    server::{Did, Server},
    settled,
};

/// Longer than any of these waits takes.
const FOR_EVER: Duration = Duration::from_secs(24 * 3_600);

#[derive(Clone, Debug)]
struct Planned {
    process: usize,
    comes: u64,
    agent: usize,
    tokens: u64,
    priority: i32,
    holds: u64,
    /// When it goes away, or is to be rejected.
    patience: Option<u64>,
    deadline: Option<u64>,
    /// Whether it never leaves.
    released: bool,
}

fn planned() -> impl Strategy<Value = Planned> {
    let who = (0usize..4, 0u64..90_000, 0usize..3, 0u64..120, -1i32..2);
    let how = (
        0u64..20_000,
        prop::option::weighted(0.3, 0u64..60_000),
        prop::option::weighted(0.2, 0u64..120_000),
        any::<bool>(),
    );
    (who, how).prop_map(
        |((process, comes, agent, tokens, priority), (holds, patience, deadline, released))| {
            Planned {
                process,
                // Many come at the same instant.
                comes: comes - comes % 3_000,
                agent,
                tokens,
                priority,
                holds,
                patience,
                deadline,
                released,
            }
        },
    )
}

async fn run(plan: Vec<Planned>, processes: usize, delay: u64) -> Result<(), TestCaseError> {
    let server = Server::answering(
        limits([
            Limit::concurrency(4),
            Limit::concurrency(2).per(Tag::Agent),
            Limit::tokens(200).every(MINUTE).margin(Duration::ZERO),
        ]),
        Duration::from_millis(delay),
    );
    let limiters: Vec<Limiter> = (0..processes)
        .map(|process| Limiter::with_store(server.handle(process)))
        .collect();
    let start = Instant::now();
    let mut calls = JoinSet::new();
    for planned in plan {
        let limiter = limiters[planned.process % processes].clone();
        calls.spawn(async move {
            sleep_until(start + Duration::from_millis(planned.comes)).await;
            let tags = Tags::new().with(Tag::Agent, planned.agent.to_string());
            let mut call = Call::new()
                .tags(tags)
                .tokens(planned.tokens, 0)
                .priority(planned.priority);
            if let Some(deadline) = planned.deadline {
                call = call.max_wait(Duration::from_millis(deadline));
            }
            let patience = planned.patience.map_or(FOR_EVER, Duration::from_millis);
            match timeout(patience, limiter.acquire(call)).await {
                Err(_) => planned.patience.is_some(),
                Ok(Err(Rejection::DeadlineExceeded(_))) => planned.deadline.is_some(),
                // Its store answers later than it may wait.
                Ok(Err(Rejection::StoreUnavailable(error))) => {
                    let is_late = error.to_string().contains("before the deadline");
                    is_late && planned.deadline.is_some() && delay > 0
                }
                Ok(Err(rejection)) => panic!("{rejection}"),
                Ok(Ok(permit)) => {
                    tokio::time::sleep(Duration::from_millis(planned.holds)).await;
                    if planned.released {
                        permit.release();
                    }
                    true
                }
            }
        });
    }
    let all = calls.join_all().await;
    prop_assert!(all.iter().all(|ended| *ended), "one waits for ever");
    tokio::time::sleep(Duration::from_millis(10 * delay)).await;
    settled().await;
    let log = server.log();
    prop_assert_eq!(log.open, 0, "a grant that nobody ended");
    prop_assert_eq!((server.registered(), server.asked()), (0, 0));
    let waiting: usize = limiters.iter().map(Limiter::waiting).sum();
    prop_assert_eq!(waiting, 0);
    ends(&log.did)
}

/// Each that is registered is granted or forgone before it is registered again.
fn ends(did: &[Did]) -> Result<(), TestCaseError> {
    let mut open: HashMap<u64, bool> = HashMap::new();
    for did in did {
        match did {
            Did::Registered(number) => {
                prop_assert!(!open.insert(*number, true).unwrap_or(false));
            }
            Did::Granted(number) | Did::Forgone(number) => {
                prop_assert_eq!(open.insert(*number, false), Some(true));
            }
            // It went away while it was asked for.
            Did::InVain(number) => prop_assert!(open.contains_key(number)),
        }
    }
    prop_assert!(open.values().all(|open| !open));
    Ok(())
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nobody_is_lost_and_nothing_is_kept_for_the_gone(
        plan in prop::collection::vec(planned(), 1..120),
        processes in 1usize..5,
        delay in 0u64..40,
    ) {
        runtime().block_on(run(plan, processes, delay))?;
    }
}

/// One that waits for a place: when it comes, whose it is, how urgent.
type Comer = (u64, usize, i32);

/// The order in which these are let in when so many places become free at once.
async fn order(limiter: Limiter, places: usize, comers: Vec<Comer>) -> Vec<usize> {
    let mut held = Vec::new();
    for _ in 0..places {
        held.push(limiter.acquire(Call::new()).await.unwrap());
    }
    let start = Instant::now();
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut calls = JoinSet::new();
    for (number, (comes, agent, priority)) in comers.into_iter().enumerate() {
        let (limiter, order) = (limiter.clone(), order.clone());
        calls.spawn(async move {
            // Each at an instant of its own.
            let comes = 100 * comes + number as u64;
            sleep_until(start + Duration::from_millis(comes)).await;
            let tags = Tags::new().with(Tag::Agent, agent.to_string());
            let call = Call::new().tags(tags).priority(priority);
            let _permit = limiter.acquire(call).await.unwrap();
            order.lock().unwrap().push(number);
            tokio::time::sleep(FOR_EVER).await;
        });
    }
    sleep_until(start + Duration::from_secs(3_000)).await;
    drop(held);
    // What is let in now holds its place.
    tokio::time::sleep(MINUTE).await;
    let order = order.lock().unwrap();
    order.clone()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn those_on_their_way_at_once_are_let_in_as_one_after_another(
        comers in prop::collection::vec((0u64..3_000, 0usize..4, -2i32..3), 1..80),
        places in 1usize..60,
        delay in 0u64..40,
    ) {
        let places_of = || limits([Limit::concurrency(places as u64)]);
        let one_by_one = runtime().block_on(order(
            Limiter::new(places_of()),
            places,
            comers.clone(),
        ));
        let (at_once, most) = runtime().block_on(async {
            let server = Server::answering(places_of(), Duration::from_millis(delay));
            let limiter = Limiter::with_store(server.handle(0));
            (order(limiter, places, comers).await, server.log().most)
        });
        prop_assert_eq!(&at_once, &one_by_one);
        prop_assert!(one_by_one.len() < 30 || most >= 8, "{} at once", most);
    }
}

/// A server whose tasks go away with their runtime: what is left of it is seen to by others.
#[test]
fn those_on_a_runtime_that_goes_down_take_nothing_with_them() {
    for after in 0..60 {
        let server = Server::new(limits([Limit::concurrency(3)]));
        let limiter = Limiter::with_store(server.handle(0));
        let other = Limiter::with_store(server.handle(1));
        let one = runtime();
        one.block_on(async {
            for number in 0..30 {
                let (limiter, other) = (limiter.clone(), other.clone());
                tokio::spawn(async move {
                    let limiter = if number % 3 == 0 { other } else { limiter };
                    let permit = limiter.acquire(Call::new()).await.unwrap();
                    tokio::task::yield_now().await;
                    drop(permit);
                });
            }
            for step in 0..after {
                tokio::task::yield_now().await;
                if step % 3 == 0 {
                    server.answer_one();
                }
            }
        });
        drop(one);
        // Answered while no runtime is there.
        server.answer_all();
        let two = runtime();
        two.block_on(async {
            let calls: Vec<_> = [&limiter, &other, &limiter, &other]
                .map(|limiter| {
                    let limiter = limiter.clone();
                    tokio::spawn(async move {
                        ends_in_time(limiter.acquire(Call::new())).await.map(drop)
                    })
                })
                .into();
            let answers = {
                let server: Arc<Server> = server.clone();
                tokio::spawn(async move {
                    loop {
                        tokio::task::yield_now().await;
                        server.answer_all();
                    }
                })
            };
            for call in calls {
                call.await.unwrap().unwrap();
            }
            settled().await;
            answers.abort();
        });
        let log = server.log();
        assert_eq!((log.open, server.registered()), (0, 0), "after {after}");
    }
}
