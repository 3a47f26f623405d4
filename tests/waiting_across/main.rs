//! Several limiters on one store, as several processes have it: each has a queue of its own, and those who are first in
//! turn are known to the store.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[cfg(feature = "sqlite")]
#[path = "../support/folder.rs"]
mod folder;

mod at_once;
mod forgone;
mod property;
mod server;
#[cfg(feature = "sqlite")]
mod sqlite;
mod threads;
mod wakes;

use std::time::Duration;

use tokio::{
    task::{JoinHandle, yield_now},
    time::timeout,
};
use tower_quota::{
    Limiter, Rejection,
    limit::{Limit, Limits},
    limiter::{Call, Permit},
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn limits(limits: impl IntoIterator<Item = Limit>) -> Limits {
    Limits::new(limits).unwrap()
}

/// A call that waits in a task of its own, but not for ever.
fn waits(limiter: &Limiter, call: Call) -> JoinHandle<Result<Permit, Rejection>> {
    let limiter = limiter.clone();
    tokio::spawn(async move { ends(limiter.acquire(call)).await })
}

/// What ends within a day, which passes at once where nothing happens.
async fn ends<T>(future: impl Future<Output = T>) -> T {
    let day = timeout(1_440 * MINUTE, future);
    day.await.expect("it waits for ever")
}

/// Until everybody has done what can be done now.
async fn settled() {
    for _ in 0..200 {
        yield_now().await;
    }
}
