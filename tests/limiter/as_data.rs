//! O2: how things stand is data for programs: budgets, counts, calls that wait, refusals.

use std::time::Duration;

use serde_json::{json, to_value};
use tower_quota::{
    Limiter, Money, Tag, Tags,
    limit::{CalendarUnit, Limit, Limits, Period, Quantity},
    limiter::{Call, Progress},
};

const MINUTE: Duration = Duration::from_secs(60);

fn limiter() -> Limiter {
    let budget = Limit::cost(Money::from_dollars(10)).every(60 * MINUTE);
    let requests = Limit::requests(1).every(MINUTE);
    let limits = [requests.per(Tag::Agent), budget.per(Tag::Agent)];
    Limiter::new(Limits::new(limits).unwrap())
}

fn call() -> Call {
    let scout = Tags::new().with(Tag::Agent, "scout");
    Call::new().tags(scout).cost(Money::from_dollars(2))
}

#[tokio::test(start_paused = true)]
async fn counts_and_budgets_are_objects() {
    let limiter = limiter();
    let permit = limiter.acquire(call()).await.unwrap();
    let budgets = to_value(limiter.budgets().await.unwrap()).unwrap();
    let budget = json!({
        "budget": "cost $10.00/hour for agent=scout", "of": {"agent": ["scout"]},
        "amount": "10.00", "settled": "0.00", "reserved": "2.00",
        "shadow": false, "stopped": false, "comes_back": {"after_ms": 3_600_000},
    });
    assert_eq!(budgets, json!([budget]));

    drop(permit);
    let counts = to_value(limiter.counts(10).await.unwrap()).unwrap();
    let requests = json!({
        "limit": 0, "rule": "requests 1/min per agent", "quantity": "requests", "of": {"agent": "scout"},
        "amount": 1, "in_use": 1, "reserved": 0, "shadow": false,
    });
    assert_eq!(counts[0], requests);
    assert_eq!(counts[1]["quantity"], "cost");
    assert_eq!(counts[1]["in_use"], 2_000_000_000);
}

#[tokio::test(start_paused = true)]
async fn a_call_tells_where_it_is_and_a_refusal_why() {
    let limiter = limiter();
    let first = Progress::new();
    let permit = limiter.acquire(call().progress(&first)).await.unwrap();
    tokio::time::advance(Duration::from_secs(1)).await;
    let sent = to_value(first.state()).unwrap();
    assert_eq!(sent["sent"]["since_ms"], 1_000);
    assert_eq!(sent["sent"]["tags"], json!({"agent": "scout"}));
    drop(permit);
    assert_eq!(to_value(first.state()).unwrap(), "done");

    let refused = limiter.try_acquire(call()).await.unwrap_err();
    let refused = to_value(refused).unwrap();
    assert_eq!(refused["kind"], "rate_limited");
    assert_eq!(refused["retry_after_ms"], 59_500);
    assert_eq!(refused["shortage"]["period_ms"], 60_000);

    let second = Progress::new();
    let call = call().progress(&second);
    let waiting = tokio::spawn(async move { limiter.acquire(call).await });
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    let state = to_value(second.state()).unwrap();
    let (waits, lacks) = (&state["waiting"]["shortage"], &refused["shortage"]);
    assert_eq!(waits["limit"], lacks["limit"]);
    assert_eq!(waits["needed"], lacks["needed"]);
    assert_eq!(state["waiting"]["expected_in_ms"], 59_500);
    waiting.abort();
}

#[test]
fn a_limit_says_what_it_was_made_of() {
    let limit = Limit::cost(Money::from_dollars(5))
        .every_calendar(CalendarUnit::Day, "UTC")
        .when_any(Tag::Model, ["b", "a"])
        .when(Tag::Provider, "openai")
        .per(Tag::Team)
        .per(Tag::Agent);
    assert_eq!(limit.quantity(), Quantity::Cost);
    assert_eq!(Money::from_nanos(limit.amount()), Money::from_dollars(5));
    assert_eq!(limit.period(), Some(Period::Calendar(CalendarUnit::Day)));
    assert_eq!(limit.time_zone(), Some("UTC"));
    let conditions = limit.conditions();
    let conditions: Vec<String> = conditions
        .map(|(tag, values)| format!("{tag}={}", values.join("|")))
        .collect();
    assert_eq!(conditions, ["model=a|b", "provider=openai"]);
    assert!(limit.split_by().eq([&Tag::Team, &Tag::Agent]));

    let slots = Limit::concurrency(4).headroom(0.5);
    assert_eq!((slots.amount(), slots.period()), (4, None));
    assert_eq!(slots.time_zone(), None);
    assert_eq!(slots.conditions().count() + slots.split_by().count(), 0);
    let run = Limit::requests(9).every_run();
    assert_eq!(run.period(), Some(Period::Run));
    assert!(run.split_by().eq([&Tag::Run]));
}
