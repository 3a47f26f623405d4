//! A store that takes long for its answer keeps no call beyond its deadline, and nothing that it gives then is lost.

use crate::later;

use std::{sync::Arc, time::Duration};

use later::LaterStore;
use tokio::time::Instant;
use tower_quota::{
    Limiter, Rejection,
    limit::{Limit, Limits},
    limiter::{Call, QueueOptions},
};

const SECOND: Duration = Duration::from_secs(1);

/// One slot, and so long for each answer.
fn limiter(span: Duration) -> Limiter {
    let limits = Limits::new([Limit::concurrency(1)]).unwrap();
    Limiter::build(
        Arc::new(LaterStore::after(span, limits)),
        QueueOptions::new(),
    )
}

#[tokio::test(start_paused = true)]
async fn a_call_hears_at_its_deadline_that_the_store_is_late_and_the_slot_comes_back() {
    let limiter = limiter(60 * SECOND);
    let start = Instant::now();
    let refused = limiter.acquire(Call::new().max_wait(5 * SECOND)).await;
    let Err(Rejection::StoreUnavailable(error)) = refused else {
        panic!("it is late: {refused:?}");
    };
    assert!(
        error.to_string().contains("deadline of the call"),
        "{error}"
    );
    assert_eq!(start.elapsed(), 5 * SECOND);
    // It was granted later, to nobody, and given back.
    let permit = limiter.acquire(Call::new()).await.unwrap();
    permit.release();
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_time_is_waited_for() {
    let limiter = limiter(SECOND);
    let permit = limiter.acquire(Call::new().max_wait(5 * SECOND)).await;
    permit.unwrap().release();
}

#[tokio::test(start_paused = true)]
async fn a_call_that_must_not_wait_for_room_waits_for_the_answer() {
    let limiter = limiter(SECOND);
    let permit = limiter.acquire(Call::new().max_wait(Duration::ZERO)).await;
    let other = limiter.acquire(Call::new().max_wait(Duration::ZERO)).await;
    assert!(permit.is_ok());
    assert!(
        matches!(
            other,
            Err(Rejection::DeadlineExceeded { .. } | Rejection::RateLimited(_))
        ),
        "{other:?}"
    );
}
