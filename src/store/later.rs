//! Answers that another thread gives.

use tokio::{runtime::Handle, sync::oneshot};

use crate::{clock, error::StoreError};

/// What is told once, or cannot be for now.
pub(super) type Told<T> = oneshot::Receiver<Result<T, StoreError>>;

/// Waits until it is told. `gone`: what is to be said where the thread has ended.
///
/// Time that is paused goes on by itself when everything waits, and does not know that a thread works. But it waits for
/// what blocks: so where it is paused this is waited for by blocking, and no time passes meanwhile.
pub(super) async fn told<T: Send + 'static>(
    told: Told<T>,
    gone: impl Fn() -> StoreError,
) -> Result<T, StoreError> {
    match Handle::try_current() {
        Ok(runtime) if clock::is_paused() => {
            let told = runtime.spawn_blocking(move || told.blocking_recv()).await;
            told.map_err(|_| gone())?.map_err(|_| gone())?
        }
        _ => told.await.map_err(|_| gone())?,
    }
}
