//! Budgets that come, go and stay: what is spent, what is told.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use tokio::time::{Instant, advance};
use tower_quota::{
    Limiter, Money, Tag, Tags, Usage,
    limit::{CalendarUnit, Limit},
    limiter::{Call, QueueOptions},
    store::MemoryStore,
};

use crate::{change, limiter, limits, requests};

const HOUR: Duration = Duration::from_secs(3_600);

fn dollars(amount: u64) -> Money {
    Money::from_dollars(amount)
}

fn cost(amount: u64) -> Limit {
    Limit::cost(dollars(amount)).every(HOUR)
}

async fn spends(limiter: &Limiter, amount: u64) {
    let mut usage = Usage::default();
    usage.cost = Some(dollars(amount));
    limiter.record(&Tags::new(), usage).await.unwrap();
}

/// What is told, until it is asked for.
fn listen(limiter: &Limiter) -> impl Fn() -> Vec<String> + use<> {
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let listener = heard.clone();
    limiter.on_event(move |event| listener.lock().unwrap().push(event.to_string()));
    move || std::mem::take(&mut *heard.lock().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_threshold_that_was_told_of_is_not_told_again_and_one_that_is_new_is() {
    let budget = || cost(10).thresholds([0.5, 0.9]);
    let limiter = limiter([budget()]);
    let heard = listen(&limiter);
    spends(&limiter, 6).await;
    assert_eq!(
        heard(),
        ["cost $10.00/hour: 50 % of it is spent; $6.00 of $10.00 spent"]
    );
    for set in [
        vec![budget(), requests(5)],
        vec![requests(5), budget().margin(Duration::ZERO)],
        vec![budget().headroom(1.0)],
        vec![budget()],
    ] {
        change(&limiter, set).await;
        assert!(heard().is_empty());
    }
    change(&limiter, [cost(10).thresholds([0.3, 0.5, 0.55, 0.9])]).await;
    assert_eq!(
        heard(),
        ["cost $10.00/hour: 55 % of it is spent; $6.00 of $10.00 spent"]
    );
    change(&limiter, [cost(10).thresholds([0.3, 0.9])]).await;
    assert!(heard().is_empty());
    spends(&limiter, 3).await;
    assert_eq!(
        heard(),
        ["cost $10.00/hour: 90 % of it is spent; $9.00 of $10.00 spent"]
    );
}

#[tokio::test(start_paused = true)]
async fn budgets_that_come_and_go_are_told_once_and_begin_anew() {
    let run = || Limit::cost(dollars(3)).every_run();
    let budget = || cost(10).thresholds([0.5]);
    let limiter = limiter([budget(), run()]);
    let heard = listen(&limiter);
    spends(&limiter, 8).await;
    heard();
    change(&limiter, [run(), requests(1)]).await;
    assert_eq!(heard(), ["cost $10.00/hour: it holds no more"]);
    change(&limiter, [budget(), run()]).await;
    assert_eq!(heard(), ["cost $10.00/hour: it holds from now on"]);
    let budgets = limiter.budgets().await.unwrap();
    let settled: Vec<Money> = budgets.iter().map(|budget| budget.settled).collect();
    assert_eq!(
        settled,
        [Money::ZERO, dollars(8)],
        "the one anew, the other as it was"
    );
    spends(&limiter, 5).await;
    assert_eq!(
        heard(),
        ["cost $10.00/hour: 50 % of it is spent; $5.00 of $10.00 spent"]
    );
    change(&limiter, [cost(20).thresholds([0.5]), run()]).await;
    assert_eq!(
        heard(),
        ["cost $20.00/hour: $20.00 instead of $10.00 from now on"]
    );
}

#[tokio::test(start_paused = true)]
async fn an_open_circuit_stays_open_until_it_is_none_any_more() {
    let budget = || cost(10).circuit();
    let limiter = limiter([budget()]);
    let heard = listen(&limiter);
    spends(&limiter, 11).await;
    assert_eq!(heard().len(), 1);
    let call = || Call::new().cost(dollars(1));
    for set in [
        vec![requests(50), budget()],
        vec![budget().thresholds([0.5])],
    ] {
        change(&limiter, set).await;
        let refused = limiter.try_acquire(call()).await.unwrap_err();
        assert_eq!(refused.kind(), "circuit_open", "{refused}");
    }
    // The threshold is new, and was passed.
    assert_eq!(heard().len(), 1);
    change(&limiter, [cost(20)]).await;
    drop(limiter.try_acquire(call()).await.unwrap());
    heard();
    // More is spent than there is: it opens at once.
    change(&limiter, [budget()]).await;
    assert!(
        heard()
            .iter()
            .any(|event| event.contains("it stops until it is reset"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_in_flight_is_charged_to_the_budget_that_stays_and_to_no_other() {
    let agents = || cost(10).per(Tag::Agent);
    let limiter = limiter([cost(50), agents()]);
    let call = || {
        let tags = Tags::new().with(Tag::Agent, "a");
        Call::new().tags(tags).cost(dollars(4))
    };
    let (one, two) = (
        limiter.acquire(call()).await.unwrap(),
        limiter.acquire(call()).await.unwrap(),
    );
    let teams = || Limit::cost(dollars(5)).every(HOUR).per(Tag::Team);
    change(&limiter, [agents(), teams()]).await;
    let standing = async || {
        let budgets = limiter.budgets().await.unwrap();
        let of = budgets
            .iter()
            .map(|budget| (budget.settled, budget.reserved));
        of.collect::<Vec<_>>()
    };
    assert_eq!(standing().await, [(Money::ZERO, dollars(8))]);
    let mut usage = Usage::default();
    usage.cost = Some(dollars(3));
    one.settle(usage);
    drop(two);
    assert_eq!(standing().await, [(dollars(7), Money::ZERO)]);
    let three = limiter.try_acquire(call().cost(dollars(3))).await.unwrap();
    assert_eq!(
        standing().await,
        [(dollars(7), dollars(3)), (Money::ZERO, dollars(3))]
    );
    drop(three);
}

/// A store that had no calendar has a clock for one that comes; and one that stays keeps its day.
#[tokio::test(start_paused = true)]
async fn budgets_by_the_calendar_come_and_stay() {
    let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(20_000 * 86_400 + 43_200);
    let start = Instant::now();
    let store = MemoryStore::new(limits([requests(50)])).wall_clock(move || noon + start.elapsed());
    let limiter = Limiter::build(Arc::new(store), QueueOptions::new());
    let day = |amount| Limit::cost(dollars(amount)).every_calendar(CalendarUnit::Day, "UTC");
    change(&limiter, [requests(50), day(5)]).await;
    spends(&limiter, 5).await;
    let call = || Call::new().cost(dollars(1));
    for set in [vec![day(5)], vec![Limit::concurrency(3), day(5), cost(100)]] {
        change(&limiter, set).await;
        let refused = limiter.try_acquire(call()).await.unwrap_err();
        assert_eq!(refused.retry_after(), Some(HOUR * 12), "{refused}");
    }
    advance(HOUR * 12).await;
    drop(limiter.try_acquire(call()).await.unwrap());
}
