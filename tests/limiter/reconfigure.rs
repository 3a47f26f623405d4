//! Amounts that change while calls wait and run: nobody is forgotten, nothing is counted anew.

use std::time::Duration;

use tokio::{
    task::{JoinHandle, yield_now},
    time::{Instant, timeout},
};
use tower_quota::{
    Limiter, Rejection, Tag,
    limit::{Charge, Limit, Limits},
    limiter::{Call, Permit},
    store::MemoryStore,
};

const MINUTE: Duration = Duration::from_secs(60);

fn tokens(amount: u64) -> Limits {
    let limit = Limit::tokens(amount).every(MINUTE).margin(Duration::ZERO);
    Limits::new([limit.charge(Charge::azure())]).unwrap()
}

async fn waiting(limiter: &Limiter, size: u64) -> JoinHandle<Result<Permit, Rejection>> {
    let task = tokio::spawn({
        let limiter = limiter.clone();
        async move { limiter.acquire(Call::new().tokens(size, 0)).await }
    });
    yield_now().await;
    task
}

#[tokio::test(start_paused = true)]
async fn a_lowered_limit_refuses_those_who_never_fit_wherever_they_stand_and_keeps_the_others() {
    let limiter = Limiter::new(tokens(100));
    let start = Instant::now();
    drop(limiter.acquire(Call::new().tokens(100, 0)).await.unwrap());
    let (small, large, last) = (
        waiting(&limiter, 30).await,
        waiting(&limiter, 80).await,
        waiting(&limiter, 20).await,
    );
    limiter.reconfigure(&tokens(50)).await.unwrap();
    let refused = timeout(Duration::from_millis(1), large)
        .await
        .expect("at once");
    assert_eq!(
        refused.unwrap().unwrap_err().to_string(),
        "this call never fits: tokens 50/min: 100 in use, this call needs 80 (would be 180)"
    );
    drop(small.await.unwrap().unwrap());
    drop(last.await.unwrap().unwrap());
    assert_eq!(start.elapsed().as_secs(), 60);
    assert_eq!(limiter.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_raised_limit_lets_in_at_once_who_waits_as_far_as_it_goes() {
    let limiter = Limiter::new(tokens(100));
    let start = Instant::now();
    drop(limiter.acquire(Call::new().tokens(100, 0)).await.unwrap());
    let (one, two) = (waiting(&limiter, 50).await, waiting(&limiter, 60).await);
    limiter.reconfigure(&tokens(150)).await.unwrap();
    drop(one.await.unwrap().unwrap());
    assert_eq!(start.elapsed(), Duration::ZERO);
    drop(two.await.unwrap().unwrap());
    assert_eq!(start.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn calls_in_flight_go_on_and_hold_their_places() {
    let places = |n| Limits::new([Limit::concurrency(n)]).unwrap();
    let limiter = Limiter::new(places(3));
    let mut flying = Vec::new();
    for _ in 0..3 {
        flying.push(limiter.acquire(Call::new()).await.unwrap());
    }
    limiter.reconfigure(&places(1)).await.unwrap();
    let next = waiting(&limiter, 0).await;
    drop(flying.pop());
    drop(flying.pop());
    yield_now().await;
    assert!(!next.is_finished(), "one is in flight of one");
    drop(flying);
    drop(
        timeout(MINUTE, next)
            .await
            .expect("woken")
            .unwrap()
            .unwrap(),
    );
}

#[tokio::test(start_paused = true)]
async fn named_values_have_their_count_when_the_table_is_full() {
    let limit = Limit::requests(1)
        .every(MINUTE)
        .per(Tag::Agent)
        .amount_for("vip", 2);
    let store = MemoryStore::new(Limits::new([limit]).unwrap()).max_counts(1);
    let limiter = Limiter::with_store(store);
    let call = |name: &str| Call::new().tags(tower_quota::Tags::new().with(Tag::Agent, name));
    for name in ["a", "b", "vip", "vip"] {
        drop(limiter.try_acquire(call(name)).await.unwrap());
    }
    assert!(
        limiter.try_acquire(call("c")).await.is_err(),
        "shared with b"
    );
    assert!(limiter.try_acquire(call("vip")).await.is_err());
}
