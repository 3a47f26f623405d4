//! The handle on a claim.

use std::{fmt, sync::Arc};

use super::Shared;
use crate::{
    limit::LimitKey,
    store::{Grant, Settlement},
    tags::Tags,
    usage::Usage,
};

/// What a call may use: a claim on every limit that it touches.
///
/// [`settle`](Permit::settle) it with what was really used, or [`release`](Permit::release) it where the
/// call never left. Dropping it does the safe thing: what was reserved counts as used.
#[must_use = "dropping a permit counts what it reserved as used"]
pub struct Permit {
    shared: Arc<Shared>,
    /// Taken when it ends.
    grant: Option<Grant>,
    tags: Arc<Tags>,
    sent: bool,
}

impl Permit {
    pub(super) fn new(shared: Arc<Shared>, grant: Grant, tags: Arc<Tags>) -> Self {
        Permit {
            shared,
            grant: Some(grant),
            tags,
            sent: false,
        }
    }

    /// The attempt leaves now. What is charged at the send expires one period after this instant.
    ///
    /// [`Limiter::acquire`](super::Limiter::acquire) has said so already. Saying it again moves the date:
    /// worth it where much time passed since.
    pub fn sent(&mut self) {
        self.sent = true;
        if let Some(grant) = &mut self.grant {
            self.shared.store.date(grant);
            // Whoever was refused because of it knew of no instant to look again. Now there is one.
            self.shared.look_again(|| self.keys());
        }
    }

    /// Replaces what was reserved by what was used.
    pub fn settle(self, usage: Usage) {
        self.end_with(Settlement::Usage(usage));
    }

    /// Gives everything back: the call never left.
    pub fn release(mut self) {
        self.sent = false;
    }

    /// The attempt may leave at any moment from now: dropping the permit no longer gives anything back. It
    /// stays undated, so that it does not expire, until it is [`sent`](Self::sent).
    pub(crate) fn leaving(&mut self) {
        self.sent = true;
    }

    /// It has not left after all: unless it is [`sent`](Self::sent) again, dropping it gives everything back.
    pub(crate) fn unsent(&mut self) {
        self.sent = false;
    }

    /// As [`settle`](Self::settle), where usage may be unknown.
    pub(crate) fn end_with(mut self, settlement: Settlement) {
        self.end(Some(settlement));
    }

    fn end(&mut self, settlement: Option<Settlement>) {
        let Some(grant) = self.grant.take() else {
            return;
        };
        let store = &self.shared.store;
        let answer = match settlement {
            Some(settlement) => store.settle(grant, settlement),
            None => store.release(grant),
        };
        self.shared.given_back(answer, || self.keys());
    }

    fn keys(&self) -> Vec<LimitKey> {
        self.shared.store.limits().keys_given_back(&self.tags)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.end(self.sent.then_some(Settlement::Unknown));
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("tags", &self.tags)
            .field("sent", &self.sent)
            .finish_non_exhaustive()
    }
}
