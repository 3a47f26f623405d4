//! What is left for calls with certain tags.

use std::sync::Arc;

use super::Limiter;
use crate::{store::Remaining, tags::Tags};

impl Limiter {
    /// Of each quantity that limits for these tags count, what is left under that which has least of it; what is reserved is
    /// not left. By what is known here: `None` where the store would have to be waited for.
    pub(crate) fn remaining(&self, tags: &Arc<Tags>) -> Option<Remaining> {
        self.shared.store.remaining(tags)
    }
}
