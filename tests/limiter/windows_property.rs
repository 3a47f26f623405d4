//! The promise itself, on random loads against a plain log of everything: no interval of a limit's length
//! ever holds more than the limit, nothing stays in flight, and nobody is forgotten.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use proptest::prelude::*;
use tokio::time::Instant;
use tower_quota::{
    Limiter, Rejection, Tag, Tags, Usage,
    limit::{Charge, Limit, Limits},
    limiter::Call,
};

const AGENTS: [&str; 3] = ["a", "b", "c"];

#[derive(Clone, Debug)]
struct Load {
    requests: u64,
    tokens: u64,
    of_agent: u64,
    places: u64,
    calls: Vec<Planned>,
}

#[derive(Clone, Debug)]
struct Planned {
    comes: u64,
    agent: usize,
    size: u64,
    runs: u64,
    end: End,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Settled,
    Dropped,
    Released,
    /// The caller goes away after so many milliseconds, waiting or not.
    Cancelled(u64),
}

fn load() -> impl Strategy<Value = Load> {
    let end = prop_oneof![
        5 => Just(End::Settled),
        1 => Just(End::Dropped),
        1 => Just(End::Released),
        2 => (0u64..90_000).prop_map(End::Cancelled),
    ];
    let call = (0u64..200_000, 0usize..3, 1u64..400, 0u64..90_000, end).prop_map(
        |(comes, agent, size, runs, end)| Planned {
            comes,
            agent,
            size,
            runs,
            end,
        },
    );
    (
        1u64..20,
        400u64..2_000,
        400u64..1_000,
        1u64..8,
        prop::collection::vec(call, 1..120),
    )
        .prop_map(|(requests, tokens, of_agent, places, calls)| Load {
            requests,
            tokens,
            of_agent,
            places,
            calls,
        })
}

/// One send: when, by whom, how much.
type Sent = (u64, usize, u64);

async fn run(load: Load) {
    let limiter = Limiter::new(
        Limits::new([
            Limit::requests(load.requests)
                .every(Duration::from_secs(10))
                .margin(Duration::ZERO),
            Limit::tokens(load.tokens)
                .every(Duration::from_secs(30))
                .charge(Charge::azure())
                .margin(Duration::ZERO),
            Limit::tokens(load.of_agent)
                .every(Duration::from_secs(7))
                .charge(Charge::azure())
                .margin(Duration::ZERO)
                .per(Tag::Agent),
            Limit::concurrency(load.places),
        ])
        .unwrap(),
    );
    let start = Instant::now();
    let log: Arc<Mutex<Vec<Sent>>> = Arc::default();
    let flying = Arc::new(Mutex::new((0u64, 0u64)));
    let mut tasks = tokio::task::JoinSet::new();
    for planned in load.calls.clone() {
        let (limiter, log, flying) = (limiter.clone(), log.clone(), flying.clone());
        tasks.spawn(async move {
            tokio::time::sleep_until(start + Duration::from_millis(planned.comes)).await;
            let call = one_call(&limiter, &planned, start, &log, &flying);
            match planned.end {
                End::Cancelled(after) => {
                    let _ = tokio::time::timeout(Duration::from_millis(after), call).await;
                }
                _ => call.await,
            }
        });
    }
    tasks.join_all().await;
    let log = std::mem::take(&mut *log.lock().unwrap());
    let (now, most) = *flying.lock().unwrap();
    assert_eq!(now, 0);
    assert!(most <= load.places, "{most} in flight of {}", load.places);
    within(&log, 10_000, load.requests, |_| true, |_| 1);
    within(&log, 30_000, load.tokens, |_| true, |sent| sent.2);
    for agent in 0..AGENTS.len() {
        within(
            &log,
            7_000,
            load.of_agent,
            |sent| sent.1 == agent,
            |sent| sent.2,
        );
    }
    // Nothing is left behind: every place is free again.
    assert_eq!(limiter.waiting(), 0);
    let all = (0..load.places).map(|_| limiter.acquire(Call::new()));
    for permit in all {
        tokio::time::timeout(Duration::from_secs(100), permit)
            .await
            .expect("a place leaked")
            .unwrap()
            .release();
    }
    let permits = places_free(&limiter, load.places).await;
    assert_eq!(
        permits as u64,
        load.places.min(load.requests),
        "places free at the same time"
    );
}

/// How many calls are in flight at the same time, out of `places` tried at once after a pause.
async fn places_free(limiter: &Limiter, places: u64) -> usize {
    tokio::time::advance(Duration::from_secs(100)).await;
    let mut held = Vec::new();
    for _ in 0..places {
        match limiter.try_acquire(Call::new()).await {
            Ok(permit) => held.push(permit),
            Err(Rejection::RateLimited(_)) => break,
            Err(other) => panic!("{other}"),
        }
    }
    held.len()
}

struct InFlight<'a>(&'a Mutex<(u64, u64)>);

impl<'a> InFlight<'a> {
    fn enter(flying: &'a Mutex<(u64, u64)>) -> Self {
        let mut now = flying.lock().unwrap();
        now.0 += 1;
        now.1 = now.1.max(now.0);
        InFlight(flying)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.lock().unwrap().0 -= 1;
    }
}

async fn one_call(
    limiter: &Limiter,
    planned: &Planned,
    start: Instant,
    log: &Mutex<Vec<Sent>>,
    flying: &Mutex<(u64, u64)>,
) {
    let tags = Tags::new().with(Tag::Agent, AGENTS[planned.agent]);
    let permit = limiter
        .acquire(Call::new().tags(tags).tokens(planned.size, 0))
        .await
        .unwrap();
    if planned.end == End::Released {
        return permit.release();
    }
    let here = InFlight::enter(flying);
    let now = u64::try_from(start.elapsed().as_millis()).unwrap();
    log.lock().unwrap().push((now, planned.agent, planned.size));
    tokio::time::sleep(Duration::from_millis(planned.runs)).await;
    drop(here);
    match planned.end {
        End::Settled => permit.settle(Usage::new(planned.size / 2, 0)),
        _ => drop(permit),
    }
}

/// By the plainest means: from each send on, one period.
fn within(
    log: &[Sent],
    period: u64,
    limit: u64,
    of: impl Fn(&Sent) -> bool,
    amount: impl Fn(&Sent) -> u64,
) {
    let log: Vec<&Sent> = log.iter().filter(|sent| of(sent)).collect();
    for (i, first) in log.iter().enumerate() {
        let sum: u64 = log[i..]
            .iter()
            .filter(|sent| sent.0 < first.0 + period)
            .map(|sent| amount(sent))
            .sum();
        assert!(
            sum <= limit,
            "{sum} in {period} ms from {} on, of {limit}",
            first.0
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// A5: no interval holds more than the limit.
    #[test]
    fn no_interval_ever_holds_more_than_the_limit_and_nothing_stays_in_flight(load in load()) {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap()
            .block_on(run(load));
    }
}
