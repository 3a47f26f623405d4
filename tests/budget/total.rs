//! B1: money in total, which never comes back.

use std::{sync::Arc, time::Duration};

use tokio::time::advance;
use tower_quota::{
    Limiter, Money, Tag, Tags, Usage,
    limit::{Limit, Limits},
    limiter::{Call, QueueOptions},
    store::{ComesBack, MemoryStore},
};

fn dollars(amount: u64) -> Money {
    Money::from_dollars(amount)
}

fn total(amount: u64) -> Limits {
    let limit = Limit::cost(dollars(amount)).in_total();
    Limits::new([limit.per(Tag::Team)]).unwrap()
}

fn of(team: &str) -> Tags {
    Tags::new().with(Tag::Team, team)
}

async fn spend(limiter: &Limiter, team: &str, amount: u64) {
    let mut usage = Usage::default();
    usage.cost = Some(dollars(amount));
    limiter.record(&of(team), usage).await.unwrap();
}

/// The refusal of a call that may cost a dollar.
async fn refusal(limiter: &Limiter, team: &str) -> String {
    let call = Call::new().tags(of(team)).cost(dollars(1));
    let refused = limiter.try_acquire(call).await.unwrap_err();
    assert_eq!(refused.kind(), "budget_exceeded");
    assert_eq!(refused.retry_after(), None, "{refused}");
    refused.to_string()
}

#[tokio::test(start_paused = true)]
async fn what_is_spent_is_spent_for_good_and_no_time_is_told() {
    let store = Arc::new(MemoryStore::new(total(10)));
    let limiter = Limiter::build(store.clone(), QueueOptions::new());
    spend(&limiter, "a", 10).await;
    let words = "budget exceeded: cost $10.00 in total for team=a";
    for _ in 0..3 {
        let refused = refusal(&limiter, "a").await;
        assert!(refused.starts_with(words), "{refused}");
        assert!(!refused.contains("room in"), "{refused}");
        advance(Duration::from_secs(400 * 86_400)).await;
    }
    let call = Call::new().tags(of("b")).cost(dollars(1));
    limiter.try_acquire(call).await.unwrap().release();
    let budgets = limiter.budgets().await.unwrap();
    assert!(
        budgets
            .iter()
            .all(|budget| budget.comes_back == ComesBack::Never)
    );
    // In another process, and with more of it.
    let text = serde_json::to_string(&store.snapshot()).unwrap();
    let snapshot = serde_json::from_str(&text).unwrap();
    let restored = MemoryStore::restore(total(11), &snapshot, Duration::ZERO);
    let limiter = Limiter::with_store(restored.unwrap());
    let call = Call::new().tags(of("a")).cost(dollars(1));
    limiter.try_acquire(call).await.unwrap().release();
    limiter.reconfigure(&total(10)).await.unwrap();
    refusal(&limiter, "a").await;
}

#[cfg(feature = "sqlite")]
#[tokio::test(start_paused = true)]
async fn a_file_keeps_it() {
    use tower_quota::store::SqliteStore;

    let folder = crate::folder::Folder::new();
    let path = folder.file("counts.db");
    let limiter = Limiter::with_store(SqliteStore::open(&path, total(10)).unwrap());
    spend(&limiter, "a", 10).await;
    let copy = folder.copy(&path, "copy.db");
    let again = Limiter::with_store(SqliteStore::open(copy, total(10)).unwrap());
    refusal(&again, "a").await;
}

#[cfg(feature = "config")]
#[test]
fn a_configuration_has_it_and_it_reads_so() {
    use tower_quota::config::Config;

    let text = "rate_limiting: { budgets: [{ amount: 10, every: total, per: [team] }] }";
    let limits = Config::from_yaml(text).unwrap().rate_limiting.limits();
    let words: Vec<String> = limits.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(words, ["cost $10.00 in total per team"]);
}
