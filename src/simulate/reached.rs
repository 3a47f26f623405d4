//! Waiting for an instant, however far it is.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Waits until so long after an instant; not, where no clock would ever show that.
pub(super) async fn reached(began: Instant, after: Duration) -> bool {
    let Some(instant) = began.checked_add(after) else {
        return false;
    };
    sleep_until(instant).await;
    // No sleep is longer than some thirty years.
    while Instant::now() < instant {
        sleep_until(instant).await;
    }
    true
}
