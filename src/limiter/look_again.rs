//! Who waits looks again, and not under a lock of somebody else's.

use std::{fmt, sync::Arc};

use super::Shared;
use crate::tags::Tags;

/// Those who wait for what a call with these tags has taken are to look again. Not under a lock: they may be woken, or
/// refused by limits that have changed elsewhere.
#[must_use = "somebody may wait for it"]
pub(crate) struct LookAgain {
    shared: Arc<Shared>,
    tags: Arc<Tags>,
}

impl LookAgain {
    /// Nothing where nobody waits, as a rule.
    pub(super) fn of(shared: &Arc<Shared>, tags: &Arc<Tags>) -> Option<Self> {
        (shared.waiting() > 0).then(|| LookAgain {
            shared: shared.clone(),
            tags: tags.clone(),
        })
    }

    pub(crate) fn now(self) {
        let LookAgain { shared, tags } = self;
        shared.look_again(|| shared.limits().keys_given_back(&tags));
    }
}

impl fmt::Debug for LookAgain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LookAgain").field(&self.tags).finish()
    }
}
