//! The cap on output that is put into requests that name none.

use std::{fmt, sync::Arc};

use crate::tags::{Tag, Tags};

/// What is known of how much a model gives at most, by its provider and its name.
type Gives = dyn Fn(Option<&str>, &str) -> Option<u64> + Send + Sync;

/// So many tokens, and no more than the model gives: providers refuse larger caps.
#[derive(Clone)]
pub(crate) struct OutputCap {
    tokens: u64,
    gives: Arc<Gives>,
}

impl OutputCap {
    pub(crate) fn new(
        tokens: u64,
        gives: impl Fn(Option<&str>, &str) -> Option<u64> + Send + Sync + 'static,
    ) -> Self {
        OutputCap {
            tokens: tokens.max(1),
            gives: Arc::new(gives),
        }
    }

    /// For a call with these tags.
    pub(super) fn of(&self, tags: &Tags) -> u64 {
        let gives = |model| (self.gives)(tags.get(&Tag::Provider), model);
        let most = tags.get(&Tag::Model).and_then(gives);
        most.map_or(self.tokens, |most| self.tokens.min(most.max(1)))
    }
}

impl fmt::Debug for OutputCap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tokens.fmt(f)
    }
}
