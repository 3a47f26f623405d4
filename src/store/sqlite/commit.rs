//! Waiting until something is in the file.

use crate::{error::StoreError, store::later};

/// Told once, when it is there or cannot be for now.
pub(super) type Told = later::Told<()>;

/// Waits until it is there.
pub(super) async fn committed(told: Told) -> Result<(), StoreError> {
    let gone = || StoreError::new("its file was closed; open it again");
    later::told(told, gone).await
}
