//! A provider that grants less than it says, and says nothing: what is allowed is learnt from 429s alone.

use std::{sync::Arc, time::Duration};

use tokio::{task::JoinHandle, time::Instant};
use tower_quota::{
    Limiter, Tag,
    limit::{CalendarUnit, Limit, Limits},
    sim::{SimLimit, Simulator},
    store::MemoryStore,
};

use crate::work::*;

const FLOOR: f64 = 0.25;

fn limit() -> Limit {
    Limit::requests(100).every(MINUTE).when(Tag::Model, "m")
}

/// As many calls as are let in, for ever: a new one for each that ends, so many at a time.
fn greedy(limiter: &Limiter, simulator: &Simulator, at_a_time: usize) -> Vec<JoinHandle<()>> {
    let one = || {
        let (limiter, simulator) = (limiter.clone(), simulator.clone());
        tokio::spawn(async move {
            loop {
                call(&limiter, &simulator, message(OURS, "m", 10)).await;
            }
        })
    };
    (0..at_a_time).map(|_| one()).collect()
}

/// What is used of the limit, as long as it is not all of it.
fn amount(store: &MemoryStore) -> u64 {
    let learnt = store.learnt();
    learnt.first().map_or(100, |learnt| learnt.amount)
}

#[derive(Debug)]
struct Phase {
    ok: usize,
    refused: usize,
    least: u64,
    most: u64,
    last: u64,
}

/// Lets it go on for so long, and looks at the amount every second.
async fn phase(simulator: &Simulator, store: &Arc<MemoryStore>, span: Duration) -> Phase {
    let (start, from) = (simulator.now(), Instant::now());
    let (mut least, mut most) = (u64::MAX, 0);
    while from.elapsed() < span {
        tokio::time::sleep(secs(1)).await;
        least = least.min(amount(store));
        most = most.max(amount(store));
    }
    let ledger = simulator.ledger();
    let during = || {
        ledger
            .entries()
            .iter()
            .filter(|attempt| attempt.arrival > start)
    };
    let with = |status| {
        during()
            .filter(|attempt| attempt.status == Some(status))
            .count()
    };
    let phase = Phase {
        ok: with(200),
        refused: with(429),
        least,
        most,
        last: amount(store),
    };
    println!("{phase:?}");
    phase
}

/// The provider grants 100, then half of it for half an hour, then 100 again.
async fn halved(limit: Limit, at_a_time: usize) -> [Phase; 4] {
    let simulator = silent([SimLimit::requests(100, MINUTE)]);
    let (limiter, store) = limiter([limit], true);
    let calls = greedy(&limiter, &simulator, at_a_time);
    let before = phase(&simulator, &store, secs(300)).await;
    simulator.set_amount(0, 50);
    let finds = phase(&simulator, &store, secs(300)).await;
    let keeps = phase(&simulator, &store, secs(1_500)).await;
    simulator.set_amount(0, 100);
    let back = phase(&simulator, &store, secs(1_500)).await;
    calls.iter().for_each(JoinHandle::abort);
    [before, finds, keeps, back]
}

/// A16: what a provider allows is learnt.
#[tokio::test(start_paused = true)]
async fn a_limit_that_is_halved_is_found_and_so_is_the_way_back() {
    for at_a_time in [5, 200] {
        let [before, finds, keeps, back] = halved(limit().adaptive(FLOOR), at_a_time).await;
        assert_eq!((before.refused, before.least), (0, 100));
        assert!((1..=50).contains(&finds.refused), "{finds:?}");
        // Twenty-five minutes of trying for more, a step of five at a time.
        assert!((1..=35).contains(&keeps.refused), "{keeps:?}");
        assert!(keeps.ok >= 1_090, "of 1250: {keeps:?}");
        assert!(keeps.most <= 55 && keeps.least >= 25, "{keeps:?}");
        assert_eq!((back.refused, back.last), (0, 100), "{back:?}");
        for phase in [before, finds, keeps, back] {
            assert!(phase.most <= 100 && phase.least >= 25, "{phase:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_adaptive_no_amount_changes() {
    let phases = halved(limit(), 200).await;
    assert!(phases[2].refused > 1_000, "{phases:?}");
    assert!(
        phases
            .iter()
            .all(|phase| (phase.least, phase.most) == (100, 100))
    );
}

/// Whatever is refused, a floor is used.
#[tokio::test(start_paused = true)]
async fn what_is_used_never_falls_below_the_floor() {
    let simulator = silent([SimLimit::requests(100, MINUTE)]);
    let (limiter, store) = limiter([limit().adaptive(FLOOR)], true);
    let calls = greedy(&limiter, &simulator, 50);
    simulator.set_amount(0, 0);
    let nothing = phase(&simulator, &store, secs(1_200)).await;
    calls.iter().for_each(JoinHandle::abort);
    assert_eq!((nothing.ok, nothing.least, nothing.last), (0, 25, 25));
}

/// A call that is larger than what was learnt is not refused as one that never fits.
#[tokio::test(start_paused = true)]
async fn a_call_that_fits_the_limit_goes_alone_where_less_was_learnt() {
    let simulator = silent([SimLimit::tokens(1_000, MINUTE)]);
    let tokens = Limit::tokens(1_000).every(MINUTE).adaptive(0.1);
    let (limiter, store) = limiter([tokens], true);
    simulator.set_amount(0, 10);
    for _ in 0..4 {
        call(&limiter, &simulator, message(OURS, "m", 100)).await;
        tokio::time::sleep(MINUTE * 2).await;
    }
    assert!(amount(&store) < 300, "{:?}", store.learnt());
    simulator.set_amount(0, 1_000);
    let small = call(&limiter, &simulator, message(OURS, "m", 10)).await;
    assert_eq!(small, 200);
    let start = Instant::now();
    let large = call(&limiter, &simulator, message(OURS, "m", 900)).await;
    assert_eq!(large, 200);
    assert!(start.elapsed() >= MINUTE, "when nothing else counted");
}

/// What is refused of one model says nothing of another, nor of a limit that does not learn.
#[tokio::test(start_paused = true)]
async fn only_limits_that_refused_are_cut() {
    let per_model = SimLimit::requests(100, MINUTE).per_model();
    let simulator = silent([per_model, SimLimit::tokens(1_000_000, MINUTE)]);
    let of = |model| Limit::requests(100).every(MINUTE).when(Tag::Model, model);
    let (limiter, store) = limiter(
        [
            of("m").adaptive(FLOOR),
            of("other").adaptive(FLOOR),
            Limit::tokens(1_000_000).every(MINUTE).adaptive(FLOOR),
            Limit::requests(10_000).every(MINUTE),
        ],
        true,
    );
    simulator.set_amount(0, 0);
    for model in ["m", "m"] {
        call(&limiter, &simulator, message(OURS, model, 10)).await;
        tokio::time::sleep(secs(1)).await;
    }
    simulator.set_amount(0, 100);
    call(&limiter, &simulator, message(OURS, "other", 10)).await;
    let learnt = store.learnt();
    let cut: Vec<(&str, u64)> = learnt.iter().map(|l| (&*l.limit, l.amount)).collect();
    assert_eq!(cut, [("requests 100/min for model=m (adaptive)", 49)]);
}

/// So many requests a minute and so many a day are granted, of which nothing is told but by 429s; what has been cut after
/// three calls.
async fn cut_by(minute: u64, day: u64) -> Vec<(String, u64)> {
    const DAY: Duration = Duration::from_secs(86_400);
    let simulator = silent([
        SimLimit::requests(minute, MINUTE),
        SimLimit::requests(day, DAY),
    ]);
    let of_a_day = Limit::requests(1_000).every_calendar(CalendarUnit::Day, "UTC");
    let (limiter, store) = limiter(
        [
            Limit::requests(100).every(MINUTE).adaptive(FLOOR),
            of_a_day.adaptive(FLOOR),
            Limit::requests(2_000).every(DAY).adaptive(FLOOR),
        ],
        true,
    );
    for expected in [200, 200, 429] {
        let status = call(&limiter, &simulator, chat(OURS, "m", 10)).await;
        assert_eq!(status, expected);
    }
    let learnt = store.learnt().into_iter();
    learnt.map(|cut| (cut.limit, cut.amount)).collect()
}

/// A day of a calendar is no minute.
#[tokio::test(start_paused = true)]
async fn a_refusal_that_names_its_period_cuts_limits_of_that_length() {
    let of_the_minute = ("requests 100/min (adaptive)".to_owned(), 70);
    assert_eq!(cut_by(2, 500).await, [of_the_minute]);
    let cut = cut_by(50, 2).await;
    let of_days = [
        (
            "requests 1000/calendar day in UTC (adaptive)".to_owned(),
            700,
        ),
        ("requests 2000/day (adaptive)".to_owned(), 1_400),
    ];
    assert_eq!(cut, of_days);
}

/// Another amount at run time is the ceiling: learning ends there, and goes on below.
#[tokio::test(start_paused = true)]
async fn a_limit_that_is_reconfigured_is_learnt_under_its_new_amount() {
    let simulator = silent([SimLimit::requests(1_000, MINUTE)]);
    let (limiter, store) = limiter([limit().adaptive(FLOOR)], true);
    simulator.set_amount(0, 0);
    call(&limiter, &simulator, message(OURS, "m", 10)).await;
    assert_eq!(amount(&store), 70);
    simulator.set_amount(0, 1_000);
    let with = |amount| {
        let limit = Limit::requests(amount).every(MINUTE).when(Tag::Model, "m");
        Limits::new([limit.adaptive(FLOOR)]).unwrap()
    };
    limiter.reconfigure(&with(40)).await.unwrap();
    assert_eq!(amount(&store), 40);
    limiter.reconfigure(&with(400)).await.unwrap();
    let calls = greedy(&limiter, &simulator, 400);
    let back = phase(&simulator, &store, secs(60 * 25)).await;
    calls.iter().for_each(JoinHandle::abort);
    assert_eq!(back.refused, 0);
    assert_eq!(store.learnt(), [], "as configured");
    let ledger = simulator.ledger();
    let peak = ledger.peak(&SimLimit::requests(400, MINUTE));
    assert!((396..=400).contains(&peak), "{peak}");
}
