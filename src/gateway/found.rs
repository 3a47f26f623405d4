//! What others have changed in the file of keys, as soon as it is in force.

use super::{calls::Calls, state::keys::Difference};
use crate::{error::StoreError, limiter::Limiter, store::Note};

/// Who has changed it, nobody knows.
const WHY: &str = "found in the file when it was read again";

/// Ends the calls that wait of keys that are good no more, has those of others go by when these expire now, and notes each
/// change in the audit log.
///
/// # Errors
/// That of the first that could not be noted; the others are tried all the same.
pub(super) async fn heed(
    found: &[Difference],
    calls: &Calls,
    limiter: &Limiter,
) -> Result<(), StoreError> {
    for key in found.iter().filter(|key| key.ends) {
        calls.cancel_waiting_of(&key.name);
    }
    for key in found {
        if let Some(expires) = key.lasts {
            calls.key_lasts(&key.name, expires);
        }
    }
    let mut all = Ok(());
    for key in found {
        let mut note = Note::new("key", key.name.as_str());
        if let Some(was) = &key.was {
            note = note.was(was.as_str());
        }
        if let Some(now) = &key.now {
            note = note.now(now.as_str());
        }
        all = all.and(limiter.note(note, WHY).await);
    }
    all
}
