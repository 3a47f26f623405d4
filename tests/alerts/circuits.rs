//! Circuits that stay open, and those that others close.

use std::sync::Arc;

use tower_quota::{
    Limiter, Money,
    limit::{Limit, Limits},
    limiter::QueueOptions,
    store::MemoryStore,
};

use super::{
    Receiver, agent,
    kinds::cost,
    run, settle, status,
    support::{HOUR, MINUTE, limiter},
    webhook,
};

fn circuit() -> Limit {
    Limit::cost(Money::from_dollars(1)).every(HOUR).circuit()
}

#[tokio::test(start_paused = true)]
async fn one_that_stays_open_is_told_again_after_a_while_and_not_before() {
    let limiter = limiter([circuit()]);
    let receiver = Receiver::default();
    let alerts = receiver.alerts([webhook().again_after(HOUR * 2)]);
    alerts.watch(&limiter);
    let running = run(&alerts);
    limiter.record(&agent("a"), cost(2)).await.unwrap();
    for _ in 0..2 {
        settle().await;
        assert_eq!(receiver.kinds(), ["circuit"]);
        tokio::time::sleep(HOUR * 2 - MINUTE * 2).await;
        assert_eq!(receiver.kinds(), [""; 0]);
        tokio::time::sleep(MINUTE * 3).await;
    }
    let got = receiver.got();
    assert_eq!(got.len(), 1, "{got:?}");
    assert_eq!(got[0].2["subject"], "cost/hour (circuit)");
    let text = got[0].2["text"].as_str().unwrap();
    assert!(text.contains("it stops until it is reset"), "{text}");

    limiter.reset(&agent("a"), "looked into").await.unwrap();
    settle().await;
    assert_eq!(receiver.kinds(), ["circuit over"]);
    tokio::time::sleep(HOUR * 3).await;
    assert_eq!(receiver.kinds(), [""; 0]);
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn one_that_a_webhook_did_not_take_is_told_again_after_a_while() {
    let limiter = limiter([circuit()]);
    let receiver = Receiver::default();
    receiver.answers([Some(status(500))]);
    let alerts = receiver.alerts([webhook().tries(1)]);
    alerts.watch(&limiter);
    let running = run(&alerts);
    limiter.record(&agent("a"), cost(2)).await.unwrap();
    settle().await;
    assert_eq!(receiver.kinds(), ["circuit"]);
    assert_eq!(running.outcomes(), ["failed"]);
    tokio::time::sleep(HOUR + MINUTE * 2).await;
    assert_eq!(receiver.kinds(), ["circuit"]);
    assert_eq!(running.outcomes(), ["delivered"]);
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn one_that_was_open_before_the_process_is_told_when_it_begins_and_when_it_is_reset() {
    let limiter = limiter([circuit()]);
    // Somebody was told, in a process that is no more.
    limiter.on_event(|_| {});
    limiter.record(&agent("a"), cost(2)).await.unwrap();
    let receiver = Receiver::default();
    let alerts = receiver.alerts([webhook()]);
    alerts.watch(&limiter);
    let running = run(&alerts);
    settle().await;
    assert_eq!(receiver.kinds(), ["circuit"]);
    tokio::time::sleep(MINUTE * 5).await;
    assert_eq!(receiver.kinds(), [""; 0]);
    limiter.reset(&agent("a"), "looked into").await.unwrap();
    settle().await;
    assert_eq!(receiver.kinds(), ["circuit over"]);
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn one_that_another_process_opens_and_closes_is_told_within_a_minute() {
    let store = Arc::new(MemoryStore::new(Limits::new([circuit()]).unwrap()));
    let ours = Limiter::build(store.clone(), QueueOptions::new());
    let other = Limiter::build(store, QueueOptions::new());
    other.on_event(|_| {});
    let receiver = Receiver::default();
    let alerts = receiver.alerts([webhook()]);
    alerts.watch(&ours);
    let running = run(&alerts);
    settle().await;
    other.record(&agent("a"), cost(2)).await.unwrap();
    tokio::time::sleep(MINUTE).await;
    settle().await;
    assert_eq!(receiver.kinds(), ["circuit"]);
    other.reset(&agent("a"), "looked into").await.unwrap();
    tokio::time::sleep(MINUTE).await;
    settle().await;
    let got = receiver.got();
    assert_eq!(got.len(), 1, "{got:?}");
    assert_eq!(got[0].2["is_over"], true);
    assert_eq!(
        got[0].2["text"],
        "cost/hour (circuit): it stops calls no more"
    );
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn one_whose_budget_is_a_budget_no_more_is_over() {
    let limiter = limiter([circuit()]);
    let receiver = Receiver::default();
    let alerts = receiver.alerts([webhook()]);
    alerts.watch(&limiter);
    let running = run(&alerts);
    limiter.record(&agent("a"), cost(2)).await.unwrap();
    tokio::time::sleep(MINUTE * 2).await;
    assert_eq!(receiver.kinds(), ["circuit"]);
    limiter
        .reconfigure(&Limits::new([]).unwrap())
        .await
        .unwrap();
    tokio::time::sleep(MINUTE * 2).await;
    assert_eq!(receiver.kinds(), ["circuit over"]);
    running.end().await;
}
