//! Budgets that come to act, or only to watch: what is spent of them stays spent.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::advance;
use tower_quota::{
    Limiter, Money, Tag, Tags, Usage,
    limit::{Limit, Limits},
    limiter::{Call, QueueOptions},
    store::MemoryStore,
};

const HOUR: Duration = Duration::from_secs(3_600);

fn dollars(amount: u64) -> Money {
    Money::from_dollars(amount)
}

fn budget(amount: u64) -> Limit {
    let limit = Limit::cost(dollars(amount)).every(HOUR);
    limit.margin(Duration::ZERO).per(Tag::Team).per(Tag::User)
}

/// The same, with its tags the other way round.
fn soft(amount: u64) -> Limit {
    let limit = Limit::cost(dollars(amount)).every(HOUR);
    let limit = limit.margin(Duration::ZERO).shadow();
    limit.per(Tag::User).per(Tag::Team)
}

fn limits(limits: impl IntoIterator<Item = Limit>) -> Limits {
    Limits::new(limits).unwrap()
}

async fn change(limiter: &Limiter, all: impl IntoIterator<Item = Limit>) {
    limiter.reconfigure(&limits(all)).await.unwrap();
}

fn of(team: &str) -> Tags {
    Tags::new().with(Tag::Team, team).with(Tag::User, "u")
}

async fn spend(limiter: &Limiter, team: &str, amount: u64) {
    let mut usage = Usage::default();
    usage.cost = Some(dollars(amount));
    limiter.record(&of(team), usage).await.unwrap();
}

/// What became of a call that may cost so much, and gives it back.
async fn asks(limiter: &Limiter, team: &str, amount: u64) -> &'static str {
    let call = Call::new().tags(of(team)).cost(dollars(amount));
    match limiter.try_acquire(call).await {
        Ok(permit) => {
            permit.release();
            "granted"
        }
        Err(refused) => refused.kind(),
    }
}

/// What is spent of every budget of a team, in the order of the budgets.
async fn spent(limiter: &Limiter, team: &str) -> Vec<Money> {
    let (of, budgets) = (format!("team={team}"), limiter.budgets().await.unwrap());
    let budgets = budgets.iter().filter(|budget| budget.budget.contains(&of));
    budgets.map(|budget| budget.settled).collect()
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_turns_hard_knows_what_was_spent_while_it_was_soft() {
    let limiter = Limiter::new(limits([Limit::concurrency(9), soft(10)]));
    spend(&limiter, "a", 12).await;
    assert_eq!(asks(&limiter, "a", 1).await, "granted");
    advance(HOUR / 2).await;
    change(&limiter, [budget(10), Limit::concurrency(9)]).await;
    assert_eq!(spent(&limiter, "a").await, [dollars(12)]);
    assert_eq!(asks(&limiter, "a", 1).await, "budget_exceeded");
    assert_eq!(asks(&limiter, "b", 1).await, "granted");
    // Soft again, and hard with another amount: each knows all of it.
    change(&limiter, [soft(10)]).await;
    assert_eq!(asks(&limiter, "a", 1).await, "granted");
    spend(&limiter, "a", 3).await;
    change(&limiter, [budget(20)]).await;
    assert_eq!(spent(&limiter, "a").await, [dollars(15)]);
    assert_eq!(asks(&limiter, "a", 6).await, "budget_exceeded");
    assert_eq!(asks(&limiter, "a", 5).await, "granted");
    // An hour after the first: that is what has left, and no more.
    advance(HOUR / 2).await;
    assert_eq!(asks(&limiter, "a", 17).await, "granted");
    assert_eq!(asks(&limiter, "a", 18).await, "budget_exceeded");
}

#[tokio::test(start_paused = true)]
async fn what_is_in_flight_settles_into_the_budget_that_has_turned() {
    let limiter = Limiter::new(limits([soft(10)]));
    let call = Call::new().tags(of("a")).cost(dollars(8));
    let permit = limiter.try_acquire(call).await.unwrap();
    change(&limiter, [budget(10)]).await;
    assert_eq!(asks(&limiter, "a", 2).await, "granted");
    assert_ne!(asks(&limiter, "a", 3).await, "granted", "eight are held");
    let mut usage = Usage::default();
    usage.cost = Some(dollars(5));
    permit.settle(usage);
    assert_eq!(spent(&limiter, "a").await, [dollars(5)]);
    assert_eq!(asks(&limiter, "a", 5).await, "granted");
}

#[tokio::test(start_paused = true)]
async fn thresholds_that_were_told_are_not_told_again() {
    let limiter = Limiter::new(limits([soft(10).thresholds([0.5, 0.9])]));
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let listener = heard.clone();
    limiter.on_event(move |event| listener.lock().unwrap().push(event.to_string()));
    let told = || std::mem::take(&mut *heard.lock().unwrap()).len();
    spend(&limiter, "a", 6).await;
    assert_eq!(told(), 1);
    change(&limiter, [budget(10).thresholds([0.5, 0.9])]).await;
    assert_eq!(told(), 0);
    spend(&limiter, "a", 3).await;
    assert_eq!(told(), 1);
    change(&limiter, [soft(10).thresholds([0.5, 0.9])]).await;
    assert_eq!(told(), 0);
}

/// Two that stand side by side are two limits, whatever comes and goes.
#[tokio::test(start_paused = true)]
async fn a_hard_budget_beside_a_soft_one_takes_nothing_over() {
    let limiter = Limiter::new(limits([budget(10)]));
    spend(&limiter, "a", 1).await;
    change(&limiter, [soft(5), budget(10)]).await;
    spend(&limiter, "a", 2).await;
    let sum: Money = spent(&limiter, "a").await.into_iter().sum();
    assert_eq!(sum, dollars(5));
    change(&limiter, [budget(10)]).await;
    assert_eq!(spent(&limiter, "a").await, [dollars(3)]);
    // The soft one of before is gone; what goes on is the hard one.
    change(&limiter, [soft(5)]).await;
    assert_eq!(spent(&limiter, "a").await, [dollars(3)]);
    change(&limiter, [budget(10)]).await;
    assert_eq!(spent(&limiter, "a").await, [dollars(3)]);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_is_restored_into_the_budget_that_has_turned() {
    for (before, now) in [
        (soft(10), budget(20)),
        (budget(20), soft(10)),
        (soft(20), budget(10)),
    ] {
        let store = Arc::new(MemoryStore::new(limits([before])));
        let limiter = Limiter::build(store.clone(), QueueOptions::new());
        spend(&limiter, "a", 12).await;
        let restored = MemoryStore::restore(limits([now]), &store.snapshot(), Duration::ZERO);
        let limiter = Limiter::with_store(restored.unwrap());
        assert_eq!(spent(&limiter, "a").await, [dollars(12)]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_audit_log_says_that_it_has_turned_and_has_amounts_as_money() {
    let own = |limit: Limit, amount| limit.amount_for("search", dollars(amount).as_nanos());
    let teams = || Limit::cost(dollars(100)).every(HOUR).per(Tag::Team);
    let limiter = Limiter::new(limits([own(teams().shadow(), 150)]));
    change(&limiter, [own(teams(), 250)]).await;
    let audit = limiter.audit().await.unwrap();
    assert_eq!(audit.len(), 1, "{audit:?}");
    let words = "cost $100.00/hour per team (other amounts for 1)";
    let (old, new) = (audit[0].old.as_deref(), audit[0].new.as_deref());
    assert_eq!(
        old,
        Some(&*format!("{words} (shadow); search: $150.00")),
        "it was soft"
    );
    assert_eq!(new, Some(&*format!("{words}; search: $250.00")));
}

#[cfg(feature = "sqlite")]
#[tokio::test(start_paused = true)]
async fn a_file_is_opened_with_the_budget_that_has_turned() {
    use tower_quota::store::SqliteStore;

    let folder = crate::folder::Folder::new();
    let path = folder.file("counts.db");
    let limiter = Limiter::with_store(SqliteStore::open(&path, limits([soft(10)])).unwrap());
    spend(&limiter, "a", 12).await;
    // As a crash leaves it, first hard and then soft again.
    let hard = folder.copy(&path, "hard.db");
    let limiter = Limiter::with_store(SqliteStore::open(&hard, limits([budget(10)])).unwrap());
    assert_eq!(asks(&limiter, "a", 1).await, "budget_exceeded");
    let soft_again = folder.copy(&hard, "soft.db");
    let limiter = Limiter::with_store(SqliteStore::open(soft_again, limits([soft(20)])).unwrap());
    assert_eq!(spent(&limiter, "a").await, [dollars(12)]);
}

#[cfg(feature = "config")]
#[tokio::test(start_paused = true)]
async fn a_reload_says_that_a_budget_has_turned_and_forgets_nothing() {
    use tower_quota::config::Config;

    let config = |mode: &str| {
        let budget = format!("{{ amount: 10, every: 1h, mode: {mode} }}");
        Config::from_yaml(&format!("rate_limiting: {{ budgets: [{budget}] }}")).unwrap()
    };
    let stack = config("soft").build().unwrap();
    spend(&stack.limiter, "a", 12).await;
    let reloaded = stack.reload(&config("hard")).await.unwrap();
    assert!(reloaded.added.is_empty() && reloaded.removed.is_empty());
    assert_eq!(reloaded.changed.len(), 1);
    let changed = &reloaded.changed[0];
    assert_eq!(changed.before, "cost $10.00/hour (shadow)");
    assert_eq!(changed.now, "cost $10.00/hour");
    assert_eq!(changed.fields, ["shadow"]);
    assert_eq!(asks(&stack.limiter, "a", 1).await, "budget_exceeded");
}
