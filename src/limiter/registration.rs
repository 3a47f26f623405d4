//! A place with the store, for whoever is first in turn.

use std::sync::Arc;

use super::{Shared, outbox::RunToEnd, permit::Permit, refused::Refused, waiter::Waiter};
use crate::{
    error::StoreError,
    store::{Answer, Decision},
};

/// The store keeps room for one that it has refused, or may. Dropped before anybody has noted that, it is forgone.
pub(super) struct Registration {
    shared: Arc<Shared>,
    waiter: Option<Arc<Waiter>>,
}

impl Registration {
    /// Somebody has noted it, and sees to its end.
    pub(super) fn noted(mut self) {
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
    pub(super) answer: Result<Permit, Refused>,
    /// Where it was refused, and the store keeps room for it.
    pub(super) registration: Option<Registration>,
}

impl From<Result<Permit, Refused>> for Asked {
    fn from(answer: Result<Permit, Refused>) -> Self {
        Asked {
            answer,
            registration: None,
        }
    }
}

impl Shared {
    /// As [`ask`](Self::ask), for one that is first in turn on its counts.
    pub(super) async fn ask_waiting(self: &Arc<Self>, waiter: &Arc<Waiter>) -> Asked {
        let version = self.version_now();
        match self.store.claim_waiting(&waiter.claim, waiter.waiting()) {
            Answer::Now(answer) => self.heard(answer, waiter, version),
            Answer::Later(answer) => {
                self.flush();
                let (shared, waiter) = (self.clone(), waiter.clone());
                let work = async move { shared.heard(answer.await, &waiter, version) };
                RunToEnd::new(self.clone(), work).get().await
            }
        }
    }

    fn heard(
        self: &Arc<Self>,
        answer: Result<Decision, StoreError>,
        waiter: &Arc<Waiter>,
        version: u32,
    ) -> Asked {
        // A store that failed may have registered it all the same.
        let registration =
            matches!(&answer, Ok(Decision::NotNow(_)) | Err(_)).then(|| Registration {
                shared: self.clone(),
                waiter: Some(waiter.clone()),
            });
        let answer = self.grant(answer, &waiter.claim, version);
        Asked {
            answer,
            registration,
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
