//! Limits on calls in flight that come to act.

use tower_quota::{
    Limiter,
    limit::{Limit, Limits},
    limiter::Call,
};

#[tokio::test(start_paused = true)]
async fn calls_in_flight_hold_their_slots_of_a_limit_that_only_watched() {
    let slots = |limit: Limit| Limits::new([limit]).unwrap();
    let limiter = Limiter::new(slots(Limit::concurrency(1).shadow()));
    let one = limiter.try_acquire(Call::new()).await.unwrap();
    let two = limiter.try_acquire(Call::new()).await.unwrap();
    let act = slots(Limit::concurrency(1));
    limiter.reconfigure(&act).await.unwrap();
    drop(one);
    assert!(limiter.try_acquire(Call::new()).await.is_err());
    drop(two);
    let three = limiter.try_acquire(Call::new()).await.unwrap();
    let watch = slots(Limit::concurrency(1).shadow());
    limiter.reconfigure(&watch).await.unwrap();
    drop(limiter.try_acquire(Call::new()).await.unwrap());
    limiter.reconfigure(&act).await.unwrap();
    assert!(limiter.try_acquire(Call::new()).await.is_err());
    drop(three);
    drop(limiter.try_acquire(Call::new()).await.unwrap());
}
