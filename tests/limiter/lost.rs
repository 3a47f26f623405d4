//! What a limiter does where something that it stands on is not there.

use std::time::Duration;

use tokio::time::timeout;
use tower_quota::{
    Limiter,
    limit::{Limit, Limits},
    limiter::Call,
};

use crate::later::LaterStore;

const MINUTE: Duration = Duration::from_secs(60);

fn requests(amount: u64) -> Limits {
    Limits::new([Limit::requests(amount).every(MINUTE)]).unwrap()
}

/// A server may come back without a change of limits that it had: whoever waits does so by what there is.
#[tokio::test(start_paused = true)]
async fn a_store_that_has_lost_a_change_of_limits_keeps_nobody_busy() {
    let store = LaterStore::new(requests(2));
    let (said, before) = (store.said(), requests(2));
    let limiter = Limiter::with_store(store);
    limiter.reconfigure(&requests(1)).await.unwrap();
    drop(limiter.acquire(Call::new()).await.unwrap());
    *said.lock().unwrap() = Some(before);
    let granted = timeout(MINUTE * 3, limiter.acquire(Call::new())).await;
    drop(granted.expect("it waits, and is woken").unwrap());
}

/// It says so to the first who would have to wait, and turns in no circle.
#[test]
fn a_runtime_without_a_timer_is_told_of_where_a_call_has_to_wait() {
    let call = || {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.build().unwrap();
        runtime.block_on(async {
            let limiter = Limiter::new(requests(1));
            drop(limiter.acquire(Call::new()).await.unwrap());
            drop(limiter.acquire(Call::new()).await);
        });
    };
    let panicked = std::panic::catch_unwind(call).unwrap_err();
    let said = panicked.downcast_ref::<String>().map(String::as_str);
    let said = said.or_else(|| panicked.downcast_ref::<&str>().copied());
    assert!(said.unwrap().contains("timers are disabled"), "{said:?}");
}
