//! Random loads with random changes, seen by callers alone: no interval holds more of a limit than there was of it while
//! it held, everybody ends, and nothing stays in flight.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use proptest::prelude::*;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout},
};
use tower_quota::{
    Limiter, Rejection, Tag, Usage,
    limit::{Charge, Limit},
    limiter::QueueOptions,
    store::{MemoryStore, Store},
};

use crate::{agent, in_use, later::LaterStore, limits};

const KINDS: usize = 4;
/// The lengths of the first three; the last is in flight.
const PERIODS: [u64; 3] = [10_000, 30_000, 7_000];
/// Longer than anything takes in here.
const STANDSTILL: Duration = Duration::from_secs(86_400);

const CHARGES: [fn() -> Charge; 2] = [Charge::azure, Charge::anthropic];

/// How much of each kind there is, where it holds.
type Amounts = [Option<u64>; KINDS];

#[derive(Clone, Debug)]
struct Load {
    calls: Vec<Planned>,
    changes: Vec<(u64, Amounts)>,
}

#[derive(Clone, Debug)]
struct Planned {
    comes: u64,
    agent: &'static str,
    size: u64,
    runs: u64,
    patience: u64,
    end: u8,
}

/// One that was sent: from when until when, by whom, and how much.
#[derive(Clone, Debug)]
struct Sent {
    from: u64,
    until: u64,
    agent: &'static str,
    size: u64,
}

fn amounts() -> impl Strategy<Value = Amounts> {
    let of = |range| prop_oneof![1 => Just(None), 3 => Strategy::prop_map(range, Some)];
    (
        of(1u64..20),
        of(400u64..2_000),
        of(400u64..1_000),
        of(1u64..8),
    )
        .prop_map(|(requests, tokens, of_agent, slots)| [requests, tokens, of_agent, slots])
}

fn load() -> impl Strategy<Value = Load> {
    let patience = prop_oneof![4 => Just(100_000_000u64), 1 => 0u64..60_000];
    let agents = prop::sample::select(vec!["a", "b", "c"]);
    let call = (
        0u64..200_000,
        agents,
        1u64..400,
        0u64..40_000,
        patience,
        0u8..4,
    );
    let call = call.prop_map(|(comes, agent, size, runs, patience, end)| Planned {
        comes,
        agent,
        size,
        runs,
        patience,
        end,
    });
    let change = (1u64..250_000, amounts());
    let changes = prop::collection::vec(change, 1..12);
    (prop::collection::vec(call, 1..100), changes).prop_map(|(calls, mut changes)| {
        changes.sort_by_key(|(at, _)| *at);
        // One at a moment.
        changes.dedup_by_key(|(at, _)| *at);
        Load { calls, changes }
    })
}

fn set(amounts: &Amounts) -> Vec<Limit> {
    let [requests, tokens, of_agent, slots] = *amounts;
    let period = |kind: usize| Duration::from_millis(PERIODS[kind]);
    let dated = |limit: Limit, kind| limit.every(period(kind)).margin(Duration::ZERO);
    let azure = |limit: Limit| limit.charge(Charge::azure());
    let all = [
        requests.map(|amount| dated(Limit::requests(amount), 0)),
        tokens.map(|amount| azure(dated(Limit::tokens(amount), 1))),
        of_agent.map(|amount| azure(dated(Limit::tokens(amount), 2)).per(Tag::Agent)),
        slots.map(Limit::concurrency),
    ];
    all.into_iter().flatten().collect()
}

async fn run(load: Load, later: bool) {
    let mut plan = vec![(0, [None; KINDS])];
    plan.extend(load.changes);
    let store: Arc<dyn Store> = if later {
        Arc::new(LaterStore::new(limits([])))
    } else {
        Arc::new(MemoryStore::new(limits([])))
    };
    let limiter = Limiter::build(store, QueueOptions::new());
    let start = Instant::now();
    let log: Arc<Mutex<Vec<Sent>>> = Arc::default();
    let mut tasks = JoinSet::new();
    for planned in load.calls {
        let (limiter, log) = (limiter.clone(), log.clone());
        tasks.spawn(async move {
            sleep_until(start + Duration::from_millis(planned.comes)).await;
            call(&limiter, &planned, start, &log).await;
        });
    }
    for (at, amounts) in &plan {
        sleep_until(start + Duration::from_millis(*at)).await;
        limiter.reconfigure(&limits(set(amounts))).await.unwrap();
    }
    let all = timeout(STANDSTILL, tasks.join_all());
    all.await.expect("somebody stands still");
    assert_eq!(limiter.waiting(), 0);
    let log = std::mem::take(&mut *log.lock().unwrap());
    for kind in 0..KINDS {
        judge(&log, &plan, kind);
    }
    // Nothing is left behind.
    sleep(Duration::from_secs(100)).await;
    for name in ["a", "b", "c"] {
        let left = in_use(&limiter, agent(name).tokens(1, 0)).await;
        assert!(left.iter().all(|(_, in_use)| *in_use == 0), "{left:?}");
    }
}

async fn call(limiter: &Limiter, planned: &Planned, start: Instant, log: &Mutex<Vec<Sent>>) {
    let millis = || u64::try_from(start.elapsed().as_millis()).unwrap();
    let permit = limiter.acquire(agent(planned.agent).tokens(planned.size, 0));
    let permit = match timeout(Duration::from_millis(planned.patience), permit).await {
        Ok(Ok(permit)) => permit,
        Ok(Err(Rejection::NeverFits(shortage))) => {
            assert!(shortage.needed > shortage.amount.unwrap(), "{shortage:?}");
            return;
        }
        Ok(Err(other)) => panic!("{other}"),
        Err(_) => return,
    };
    let place = {
        let mut log = log.lock().unwrap();
        let Planned { agent, size, .. } = *planned;
        log.push(Sent {
            from: millis(),
            until: u64::MAX,
            agent,
            size,
        });
        log.len() - 1
    };
    sleep(Duration::from_millis(planned.runs)).await;
    log.lock().unwrap()[place].until = millis();
    match planned.end {
        0 => drop(permit),
        _ => permit.settle(Usage::new(planned.size / 2, 0)),
    }
}

/// From each change on at which a kind comes, until it goes, by the plainest means. What is sent at the very moment at
/// which it comes may have been let in before.
fn judge(log: &[Sent], plan: &[(u64, Amounts)], kind: usize) {
    let mut since = None;
    for (number, (at, amounts)) in plan.iter().enumerate() {
        since = amounts[kind].and(since.or(Some(*at)));
        let Some(from) = since else { continue };
        let until = plan.get(number + 1).map_or(u64::MAX, |(at, _)| *at);
        // Those who were sent under these amounts, each at its end of an interval.
        for last in log
            .iter()
            .filter(|sent| from < sent.from && *at <= sent.from && sent.from <= until)
        {
            let mut most = amounts[kind].unwrap();
            if last.from == *at {
                most = most.max(plan[number - 1].1[kind].unwrap_or(u64::MAX));
            }
            if last.from == until {
                most = most.max(plan[number + 1].1[kind].unwrap_or(u64::MAX));
            }
            let counted = log.iter().filter(|sent| {
                let here = from < sent.from && sent.from <= last.from;
                here && match kind {
                    3 => sent.until > last.from,
                    2 if sent.agent != last.agent => false,
                    _ => sent.from + PERIODS[kind] > last.from,
                }
            });
            let amount = |sent: &Sent| if kind == 0 || kind == 3 { 1 } else { sent.size };
            let sum: u64 = counted.map(amount).sum();
            assert!(
                sum <= most,
                "{sum} of {most}, kind {kind}, at {}",
                last.from
            );
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().start_paused(true).build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_interval_holds_more_than_there_was_and_nothing_stays_in_flight(load in load(), later in any::<bool>()) {
        runtime().block_on(run(load, later));
    }
}

/// On four threads, with everything that changes at once.
#[test]
fn on_several_threads_nobody_stands_still_and_nothing_stays_taken() {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(4).enable_all().build().unwrap();
    let short = Duration::from_millis(3);
    let sets = move |number: usize| {
        let mut set = vec![Limit::concurrency([2, 3, 4][number % 3])];
        let dated = Limit::tokens(100)
            .every(short)
            .charge(CHARGES[number % 2]());
        if number.is_multiple_of(2) {
            set.push(dated.per(Tag::Agent));
        }
        if !number.is_multiple_of(3) {
            set.push(Limit::requests(5).every(short).share(Tag::Agent, "a", 0.4));
        }
        if !number.is_multiple_of(5) {
            set.insert(0, Limit::concurrency(1).when(Tag::Agent, "b"));
        }
        limits(set)
    };
    runtime.block_on(async move {
        let limiter = Limiter::new(sets(0));
        let mut tasks = JoinSet::new();
        for number in 0..300_u64 {
            let limiter = limiter.clone();
            tasks.spawn(async move {
                let mut random = fastrand::Rng::with_seed(number);
                for _ in 0..4 {
                    let name = ["a", "b", "c"][random.usize(..3)];
                    let call = agent(name).tokens(random.u64(1..60), random.u64(..30));
                    let mut permit = limiter.acquire(call).await.unwrap();
                    permit.streamed(random.u64(..40));
                    tokio::task::yield_now().await;
                    match random.u8(..3) {
                        0 => permit.release(),
                        1 => drop(permit),
                        _ => permit.settle(Usage::new(random.u64(..60), random.u64(..40))),
                    }
                }
            });
        }
        let changes = tokio::spawn({
            let limiter = limiter.clone();
            async move {
                for number in 0..400 {
                    limiter.reconfigure(&sets(number)).await.unwrap();
                    tokio::task::yield_now().await;
                }
            }
        });
        let all = timeout(Duration::from_secs(120), tasks.join_all());
        all.await.expect("somebody stands still");
        changes.await.unwrap();
        assert_eq!(limiter.waiting(), 0);
        for name in ["a", "b", "c"] {
            for (limit, in_use) in in_use(&limiter, agent(name).tokens(1, 0)).await {
                assert!(
                    in_use == 0 || !limit.starts_with("concurrency"),
                    "{limit}: {in_use}"
                );
            }
        }
    });
}
