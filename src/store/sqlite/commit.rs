//! Waiting until something is in the file.

use tokio::{runtime::Handle, sync::oneshot};

use crate::{clock, error::StoreError};

/// Told once, when it is there or cannot be for now.
pub(super) type Told = oneshot::Receiver<Result<(), StoreError>>;

/// Waits until it is there.
///
/// Time that is paused goes on by itself when everything waits, and does not know that a thread works. But it waits for
/// what blocks: so where it is paused this is waited for by blocking, and no time passes meanwhile.
pub(super) async fn committed(told: Told) -> Result<(), StoreError> {
    let gone = || StoreError::new("its file was closed; open it again");
    match Handle::try_current() {
        Ok(runtime) if clock::is_paused() => {
            let told = runtime.spawn_blocking(move || told.blocking_recv()).await;
            told.map_err(|_| gone())?.map_err(|_| gone())?
        }
        _ => told.await.map_err(|_| gone())?,
    }
}
