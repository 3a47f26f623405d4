//! What happens to budgets is told, once; what went over stops until somebody resets it.

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

/// B3: thresholds fire once.
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

/// B12: a circuit trips at its own level.
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

    assert_eq!(limiter.reset(&of("sibling"), "looked at").await, Ok(0));
    assert_eq!(limiter.reset(&of("runaway"), "looked at").await, Ok(1));
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
        assert_eq!(limiter.reset(&of("b"), "looked at").await, Ok(0));
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
        assert_eq!(restored.reset(&of("a"), "looked at").await, Ok(1));
        spend(&restored, "a", 60, 60).await;
        let warned = |event: &BudgetEvent| event.change == BudgetChange::Passed { share: 0.5 };
        assert_eq!(
            taken(&heard).iter().filter(|event| warned(event)).count(),
            1
        );
    }
}

/// B9: spend can be corrected, and is audited.
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

/// Calls that fit look at no clock: what is spent is looked at when they end.
#[tokio::test(start_paused = true)]
async fn a_rolling_budget_warns_in_each_period_also_where_nothing_was_ever_refused() {
    let (limiter, heard) = told([budget(10).thresholds([0.5]).circuit()]);
    for _ in 0..3 {
        for _ in 0..3 {
            spend(&limiter, "a", 200, 200).await;
        }
        assert_eq!(taken(&heard).len(), 1);
        tokio::time::advance(3 * HOUR).await;
    }
    // What has left by now is not spent: nothing is passed.
    limiter.record(&Tags::new(), cost(900)).await.unwrap();
    tokio::time::advance(HOUR + Duration::from_secs(36)).await;
    taken(&heard);
    limiter.record(&Tags::new(), cost(300)).await.unwrap();
    assert_eq!(taken(&heard), []);
}

#[tokio::test(start_paused = true)]
async fn parts_of_a_budget_warn_of_nothing_and_stop_nothing() {
    let shared = budget(10).circuit().thresholds([0.5]);
    let shared = shared.share(Tag::Agent, "a", 0.3);
    let sliced = budget(24).slice(HOUR / 4).circuit();
    let (limiter, heard) = told([shared, sliced.per(Tag::Team)]);
    spend(&limiter, "a", 400, 400).await;
    assert_eq!(taken(&heard), [], "more than its share is borrowed");
    spend(&limiter, "a", 150, 150).await;
    assert_eq!(taken(&heard).len(), 1);
    // The quarter of an hour has no more than six dollars, which stops nobody for good.
    assert!(limiter.try_acquire(call("a", 100)).await.is_err());
    tokio::time::advance(HOUR / 2).await;
    spend(&limiter, "a", 100, 100).await;
    let less = Correction::Less(cents(10));
    limiter.correct(&of("a"), less, "").await.unwrap();
    let corrected = |event: &BudgetEvent| matches!(event.change, BudgetChange::Corrected { .. });
    assert_eq!(
        taken(&heard)
            .iter()
            .filter(|event| corrected(event))
            .count(),
        2
    );
}

#[tokio::test(start_paused = true)]
async fn a_large_call_stops_nobody_while_little_is_spent() {
    let (limiter, heard) = told([budget(10).circuit()]);
    spend(&limiter, "a", 10, 10).await;
    let refused = limiter.try_acquire(call("b", 995)).await.unwrap_err();
    assert_eq!((refused.kind(), taken(&heard)), ("budget_exceeded", vec![]));
    spend(&limiter, "a", 10, 10).await;
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_budget_that_stops_hears_it_at_once() {
    let (limiter, _) = told([budget(10).circuit()]);
    spend(&limiter, "a", 600, 600).await;
    let _held = limiter.try_acquire(call("a", 300)).await.unwrap();
    let waiting = tokio::spawn({
        let limiter = limiter.clone();
        async move { limiter.acquire(call("b", 300)).await.map(drop) }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!waiting.is_finished(), "it waits for what is reserved");
    let stopped = limiter.try_acquire(call("c", 500)).await.unwrap_err();
    assert_eq!(stopped.kind(), "budget_exceeded", "behind the other");
    limiter.record(&Tags::new(), cost(450)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(waiting.is_finished());
    assert!(matches!(
        waiting.await.unwrap(),
        Err(Rejection::CircuitOpen(_))
    ));
    let stopped = limiter.try_acquire(call("c", 100)).await.unwrap_err();
    assert_eq!(
        (stopped.kind(), stopped.retry_after()),
        ("circuit_open", None)
    );
}

#[tokio::test(start_paused = true)]
async fn a_stopped_budget_names_no_instant_whatever_else_is_full() {
    let requests = Limit::requests(1).every(HOUR);
    let (limiter, _) = told([budget(1).circuit(), requests]);
    spend(&limiter, "a", 60, 60).await;
    let refused = limiter.try_acquire(call("a", 60)).await.unwrap_err();
    assert_eq!(
        (refused.kind(), refused.retry_after()),
        ("circuit_open", None)
    );
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_of_a_stopped_budget_stops_none_that_does_not_stop() {
    let limits = |limit: Limit| Limits::new([limit]).unwrap();
    let store = Arc::new(MemoryStore::new(limits(
        budget(1).circuit().thresholds([0.5]),
    )));
    let limiter = Limiter::build(store.clone(), QueueOptions::new());
    spend(&limiter, "a", 60, 60).await;
    assert!(limiter.try_acquire(call("a", 60)).await.is_err());
    let snapshot = store.snapshot();
    // The thresholds are others as well: what was told was of another.
    let hard = limits(budget(1).thresholds([0.9]));
    let restored = MemoryStore::restore(hard, &snapshot, Duration::ZERO).unwrap();
    let restored = Limiter::with_store(restored);
    let heard = listen(&restored);
    spend(&restored, "a", 35, 35).await;
    assert_eq!(taken(&heard).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_changed_of_a_budget_is_told_with_what_may_be_used_of_it_then() {
    let limits = |amount: u64, search: u64, headroom: f64| {
        let split = budget(amount).per(Tag::Team).thresholds([0.5]);
        let split = split.amount_for("search", cents(search * 100).as_nanos());
        Limits::new([split.headroom(headroom)]).unwrap()
    };
    let limiter = Limiter::new(limits(10, 20, 1.0));
    let heard = listen(&limiter);
    let changes = |events: Vec<BudgetEvent>| -> Vec<(String, u64)> {
        let of = |event: BudgetEvent| (event.budget, event.amount.as_nanos() / 10_000_000);
        events.into_iter().map(of).collect()
    };
    limiter.reconfigure(&limits(10, 30, 1.0)).await.unwrap();
    let told = changes(taken(&heard));
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].0.contains("team=search") && told[0].1 == 3_000,
        "{told:?}"
    );
    limiter.reconfigure(&limits(10, 30, 0.5)).await.unwrap();
    let told = changes(taken(&heard));
    let amounts: Vec<u64> = told.iter().map(|(_, amount)| *amount).collect();
    assert_eq!(amounts, [500, 1_500], "{told:?}");
    // With less of it more than half is spent now.
    let team = Tags::new().with(Tag::Team, "other");
    limiter.record(&team, cost(200)).await.unwrap();
    assert_eq!(taken(&heard), []);
    limiter.reconfigure(&limits(4, 30, 0.5)).await.unwrap();
    let passed = |event: &BudgetEvent| matches!(event.change, BudgetChange::Passed { .. });
    assert_eq!(
        taken(&heard).iter().filter(|event| passed(event)).count(),
        1
    );
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
    /// with the hour of the clock then; no clock that is set to and fro ends it sooner or begins it twice. None goes on for
    /// longer than two hours.
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
            let (mut spent, mut told, mut ends) = (0, 0, None::<(u64, Duration)>);
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
                        let steady = start.elapsed();
                        if ends.is_none_or(|(end, latest)| now >= end || steady >= latest) {
                            (spent, told) = (0, 0);
                            ends = Some(((now / 3_600 + 1) * 3_600, steady + HOUR * 2));
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
