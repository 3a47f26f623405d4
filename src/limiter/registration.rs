//! A place with the store, for whoever is first in turn.

use std::sync::Arc;

use super::{Shared, outbox::RunToEnd, permit::Permit, refused::Refused, waiter::Waiter};
use crate::{
    error::StoreError,
    limit::Tick,
    store::{Answer, BoxFuture, Claim, Decision},
};

/// The store keeps room for one that it has refused, or may, by an answer on its way. Dropped before anybody has
/// noted that, it is forgone.
struct Registration {
    shared: Arc<Shared>,
    waiter: Option<Arc<Waiter>>,
}

impl Registration {
    /// Somebody has noted it, and sees to its end.
    fn noted(mut self) {
        self.waiter = None;
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let Some(waiter) = self.waiter.take() {
            self.shared.queue().unheard(&waiter);
        }
    }
}

/// What the store says to one that waits.
pub(super) struct Asked {
    answer: Result<Permit, Refused>,
    /// Whether it was refused, and the store keeps room for it, or may.
    kept: bool,
    /// That, where the answer came later.
    registration: Option<Registration>,
    /// When it may leave, where it was granted ahead.
    starts: Option<Tick>,
}

impl Asked {
    /// What the store says, and whether it keeps room, or may: from now on the caller sees to that.
    pub(super) fn noted(self) -> (Result<Permit, Refused>, bool) {
        if let Some(registration) = self.registration {
            registration.noted();
        }
        (self.answer, self.kept)
    }

    /// When what was granted may leave, where that is not at once.
    pub(super) fn starts(&self) -> Option<Tick> {
        self.starts
    }
}

impl From<Result<Permit, Refused>> for Asked {
    fn from(answer: Result<Permit, Refused>) -> Self {
        Asked {
            answer,
            kept: false,
            registration: None,
            starts: None,
        }
    }
}

/// An answer of the store to one that waits.
pub(super) enum Asking {
    Now(Asked),
    /// It is seen to from now on, polled or not.
    Later(BoxFuture<Asked>),
}

impl Shared {
    /// Asks for one that waits. `first`: whether it is first in turn on its counts.
    pub(super) fn ask_for(self: &Arc<Self>, waiter: &Arc<Waiter>, first: bool) -> Asking {
        let (version, claim) = (self.version_now(), &waiter.claim);
        let answer = if first {
            self.store.claim_waiting(claim, waiter.waiting())
        } else {
            self.store.claim_behind(claim, waiter.waiting())
        };
        match answer {
            Answer::Now(answer) => Asking::Now(self.heard(answer, claim, first, version)),
            Answer::Later(answer) => {
                self.flush();
                let (shared, waiter) = (self.clone(), waiter.clone());
                let work = async move {
                    let mut asked = shared.heard(answer.await, &waiter.claim, first, version);
                    asked.registration = asked.kept.then(|| Registration {
                        shared,
                        waiter: Some(waiter),
                    });
                    asked
                };
                Asking::Later(Box::pin(RunToEnd::new(self.clone(), work).get()))
            }
        }
    }

    fn heard(
        self: &Arc<Self>,
        answer: Result<Decision, StoreError>,
        claim: &Claim,
        first: bool,
        version: u32,
    ) -> Asked {
        // A store that failed may have registered it all the same.
        let kept = first && matches!(&answer, Ok(Decision::NotNow(_)) | Err(_));
        let starts = match &answer {
            Ok(Decision::Granted(grant)) => self.store.starts(grant),
            _ => None,
        };
        Asked {
            answer: self.grant(answer, claim, version),
            kept,
            registration: None,
            starts,
        }
    }

    /// The store says that something changed elsewhere.
    pub(super) fn changed_elsewhere(&self) {
        // Other limits, perhaps.
        self.limits();
        let waiting = {
            let mut queue = self.queue();
            queue.kick_all();
            queue.len() > 0
        };
        if waiting {
            self.changed.send_replace(());
        }
    }
}
