//! What happens to budgets is told, once; what went over stops until somebody resets it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use proptest::prelude::*;
use tokio::time::Instant;
use tower_quota::{
    Limiter, Money, Rejection, Tag, Tags, Usage,
    limit::{CalendarUnit, Limit, Limits},
    limiter::{Call, QueueOptions},
    store::{BudgetChange, BudgetEvent, Correction, MemoryStore},
};

const HOUR: Duration = Duration::from_secs(3_600);

fn cents(cents: u64) -> Money {
    Money::from_nanos(cents * 10_000_000)
}

/// A limiter, and what it tells.
fn told(limits: impl IntoIterator<Item = Limit>) -> (Limiter, Arc<Mutex<Vec<BudgetEvent>>>) {
    let limiter = Limiter::new(Limits::new(limits).unwrap());
    let heard = listen(&limiter);
    (limiter, heard)
}

fn listen(limiter: &Limiter) -> Arc<Mutex<Vec<BudgetEvent>>> {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let listener = heard.clone();
    limiter.on_event(move |event| listener.lock().unwrap().push(event.clone()));
    heard
}

fn taken(heard: &Mutex<Vec<BudgetEvent>>) -> Vec<BudgetEvent> {
    std::mem::take(&mut heard.lock().unwrap())
}

fn of(agent: &str) -> Tags {
    Tags::new().with(Tag::Agent, agent)
}

fn call(agent: &str, cost: u64) -> Call {
    Call::new().tags(of(agent)).cost(cents(cost))
}

fn cost(cost: u64) -> Usage {
    let mut usage = Usage::new(1, 1);
    usage.cost = Some(cents(cost));
    usage
}

async fn spend(limiter: &Limiter, agent: &str, most: u64, really: u64) {
    let permit = limiter.try_acquire(call(agent, most)).await.unwrap();
    permit.settle(cost(really));
}

fn budget(dollars: u64) -> Limit {
    Limit::cost(Money::from_dollars(dollars)).every(HOUR)
}

#[tokio::test(start_paused = true)]
async fn a_threshold_is_told_when_it_is_spent_and_not_when_it_is_reserved() {
    let (limiter, heard) = told([budget(10).thresholds([0.5, 0.9]).per(Tag::Agent)]);
    let permit = limiter.try_acquire(call("a", 900)).await.unwrap();
    assert_eq!(taken(&heard), []);
    permit.settle(cost(500));
    let event = |share, settled| BudgetEvent {
        budget: "cost $10.00/hour for agent=a".into(),
        change: BudgetChange::Passed { share },
        settled: Some(cents(settled)),
        amount: Money::from_dollars(10),
    };
    assert_eq!(taken(&heard), [event(0.5, 500)]);
    spend(&limiter, "a", 450, 399).await;
    spend(&limiter, "b", 450, 450).await;
    assert_eq!(taken(&heard), []);
    // Nothing is left of a call whose usage nobody knows.
    drop(limiter.try_acquire(call("a", 100)).await.unwrap());
    assert_eq!(taken(&heard), [event(0.9, 999)]);
}

#[tokio::test(start_paused = true)]
async fn what_went_over_stops_alone_until_it_is_reset_and_its_siblings_go_on() {
    let (limiter, heard) = told([budget(1).per(Tag::Agent).circuit(), budget(100)]);
    spend(&limiter, "runaway", 60, 60).await;
    assert_eq!(taken(&heard), []);
    let refused = limiter.try_acquire(call("runaway", 60)).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "stopped until it is reset: cost $1.00/hour for agent=runaway (circuit): $0.60 settled, $0.00 reserved, \
         this call needs up to $0.60 (would be $1.20)"
    );
    assert_eq!(
        (refused.kind(), refused.status().as_u16()),
        ("circuit_open", 402)
    );
    assert!(!refused.is_retryable() && refused.retry_after().is_none());
    let tripped = taken(&heard);
    assert!(matches!(&tripped[..], [event] if event.change == BudgetChange::Tripped));

    // Also what would fit, also when the hour is over, and told no more.
    let circuit_open = |refused| matches!(refused, Err(Rejection::CircuitOpen(_)));
    assert!(circuit_open(limiter.try_acquire(call("runaway", 1)).await));
    tokio::time::advance(2 * HOUR).await;
    assert!(circuit_open(limiter.acquire(call("runaway", 1)).await));
    assert_eq!(taken(&heard), []);
    spend(&limiter, "sibling", 90, 90).await;
    // What costs nothing goes on.
    spend(&limiter, "runaway", 0, 0).await;

    assert_eq!(limiter.reset(&of("sibling")).await, Ok(0));
    assert_eq!(limiter.reset(&of("runaway")).await, Ok(1));
    let reset = taken(&heard);
    assert!(matches!(&reset[..], [event] if matches!(event.change, BudgetChange::Reset { .. })));
    spend(&limiter, "runaway", 90, 90).await;
}

#[tokio::test(start_paused = true)]
async fn an_open_circuit_is_named_beside_a_budget_that_is_spent() {
    let (limiter, _) = told([budget(1).per(Tag::Agent).circuit(), budget(2)]);
    spend(&limiter, "a", 60, 60).await;
    assert!(limiter.try_acquire(call("a", 60)).await.is_err());
    tokio::time::advance(2 * HOUR).await;
    for _ in 0..2 {
        spend(&limiter, "b", 99, 90).await;
        assert_eq!(limiter.reset(&of("b")).await, Ok(0));
        let less = Correction::Less(cents(90));
        limiter.correct(&of("b"), less, "").await.unwrap();
        let more = Correction::More(cents(95));
        limiter.correct(&of("c"), more, "").await.unwrap();
    }
    // Ninety of the two dollars are left for it, and its circuit is open.
    let refused = limiter.try_acquire(call("a", 60)).await.unwrap_err();
    assert_eq!(refused.kind(), "circuit_open");
    assert!(matches!(
        limiter.try_acquire(call("d", 60)).await,
        Err(Rejection::BudgetExceeded(_))
    ));
}

#[tokio::test(start_paused = true)]
async fn a_circuit_stays_open_over_a_restart() {
    let limits = || Limits::new([budget(1).circuit().thresholds([0.5])]).unwrap();
    let store = Arc::new(MemoryStore::new(limits()));
    let limiter = Limiter::build(store.clone(), QueueOptions::new());
    spend(&limiter, "a", 60, 60).await;
    assert!(limiter.try_acquire(call("a", 60)).await.is_err());
    let snapshot = serde_json::to_string(&store.snapshot()).unwrap();
    for since in [Duration::ZERO, 3 * HOUR] {
        let snapshot = serde_json::from_str(&snapshot).unwrap();
        let restored = MemoryStore::restore(limits(), &snapshot, since).unwrap();
        let restored = Limiter::with_store(restored);
        let heard = listen(&restored);
        let refused = restored.try_acquire(call("a", 1)).await;
        assert!(
            matches!(refused, Err(Rejection::CircuitOpen(_))),
            "{since:?}"
        );
        assert_eq!(restored.reset(&of("a")).await, Ok(1));
        spend(&restored, "a", 60, 60).await;
        let warned = |event: &BudgetEvent| event.change == BudgetChange::Passed { share: 0.5 };
        assert_eq!(
            taken(&heard).iter().filter(|event| warned(event)).count(),
            1
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_corrected_makes_room_at_once_and_is_told_with_its_reason() {
    let (limiter, heard) = told([budget(1).thresholds([0.9])]);
    spend(&limiter, "a", 100, 80).await;
    assert!(limiter.try_acquire(call("a", 60)).await.is_err());
    let less = Correction::Less(cents(50));
    limiter.correct(&of("a"), less, "a refund").await.unwrap();
    let corrected = |before, reason: &str, settled| BudgetEvent {
        budget: "cost $1.00/hour".into(),
        change: BudgetChange::Corrected {
            before: cents(before),
            reason: reason.into(),
        },
        settled: Some(cents(settled)),
        amount: cents(100),
    };
    assert_eq!(taken(&heard), [corrected(80, "a refund", 30)]);
    spend(&limiter, "a", 60, 0).await;
    let more = Correction::More(cents(70));
    limiter.correct(&of("a"), more, "a bill").await.unwrap();
    let heard = taken(&heard);
    assert_eq!(heard[0], corrected(30, "a bill", 100));
    assert_eq!(heard[1].change, BudgetChange::Passed { share: 0.9 });
    assert!(limiter.try_acquire(call("a", 1)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_reserved_money_gets_what_a_correction_frees() {
    let limiter = Limiter::new(Limits::new([budget(1)]).unwrap());
    spend(&limiter, "a", 50, 50).await;
    let _held = limiter.try_acquire(call("a", 40)).await.unwrap();
    let waiting = tokio::spawn({
        let limiter = limiter.clone();
        async move { limiter.acquire(call("b", 50)).await.map(drop) }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!waiting.is_finished());
    let less = Correction::Less(cents(40));
    limiter.correct(&of("a"), less, "").await.unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(waiting.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_raised_budget_is_told_and_a_limit_that_is_none_is_not() {
    let limits = |dollars, requests| {
        let requests = Limit::requests(requests).every(HOUR);
        Limits::new([budget(dollars).thresholds([0.5]), requests]).unwrap()
    };
    let limiter = Limiter::new(limits(10, 100));
    let heard = listen(&limiter);
    spend(&limiter, "a", 600, 600).await;
    assert_eq!(taken(&heard).len(), 1);
    limiter.reconfigure(&limits(10, 200)).await.unwrap();
    assert_eq!(taken(&heard), []);
    limiter.reconfigure(&limits(20, 200)).await.unwrap();
    let changed = BudgetEvent {
        budget: "cost $20.00/hour".into(),
        change: BudgetChange::AmountChanged {
            before: Money::from_dollars(10),
        },
        settled: None,
        amount: Money::from_dollars(20),
    };
    assert_eq!(taken(&heard), [changed]);
    spend(&limiter, "a", 400, 400).await;
    assert_eq!(taken(&heard).len(), 1, "half of the new one");
}

/// What is done, and the clock on the wall, in minutes.
#[derive(Clone, Debug)]
enum Step {
    Spend(u64),
    /// The time goes on, and the clock with it.
    Pass(u64),
    /// Somebody sets the clock.
    Set(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1u64..40).prop_map(Step::Spend),
        3 => (1u64..50).prop_map(Step::Pass),
        1 => (-90i64..90).prop_map(Step::Set),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    /// Against a list of everything: a period begins with what is spent first after the last one's end, and ends
    /// with the hour of the clock then; no clock that is set to and fro ends it sooner or begins it twice.
    #[test]
    fn by_a_calendar_each_is_told_once_a_period_whatever_the_clock_does(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async move {
            let shown = Arc::new(Mutex::new(0i64));
            let (offset, start) = (shown.clone(), Instant::now());
            let day = Duration::from_secs(86_400 * 400);
            let clock = move || {
                let set = Duration::from_secs(60 * u64::try_from(200 * 60 + *offset.lock().unwrap()).unwrap());
                SystemTime::UNIX_EPOCH + day + set + start.elapsed()
            };
            let limit = budget_by_the_hour();
            let store = MemoryStore::new(Limits::new([limit]).unwrap()).wall_clock(clock.clone());
            let limiter = Limiter::build(Arc::new(store), QueueOptions::new());
            let heard = listen(&limiter);
            let (mut spent, mut told, mut ends) = (0, 0, None);
            for step in steps {
                match step {
                    Step::Pass(minutes) => tokio::time::advance(Duration::from_secs(60 * minutes)).await,
                    Step::Set(minutes) => {
                        let mut offset = shown.lock().unwrap();
                        *offset = (*offset + minutes).max(-199 * 60);
                    }
                    Step::Spend(amount) => {
                        limiter.record(&Tags::new(), cost(amount)).await.unwrap();
                        let now = clock().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
                        if ends.is_none_or(|end| now >= end) {
                            (spent, told) = (0, 0);
                            ends = Some((now / 3_600 + 1) * 3_600);
                        }
                        spent += amount;
                        let passed = [50, 80, 100].iter().filter(|share| spent >= **share).count();
                        let news = taken(&heard);
                        assert_eq!(news.len(), passed - told, "{spent} spent, {news:?}");
                        told = passed;
                    }
                }
            }
        });
    }
}

fn budget_by_the_hour() -> Limit {
    let limit = Limit::cost(cents(100)).every_calendar(CalendarUnit::Hour, "UTC");
    limit.thresholds([0.5, 0.8, 1.0])
}
