//! Between the limiter and its store: what is asked, and what follows from the answers.

use std::{
    future::Future,
    sync::{Arc, atomic::Ordering},
};

use super::{Shared, outbox::RunToEnd, permit::Permit, refused::Refused};
use crate::{
    error::{Rejection, StoreError},
    limit::LimitKey,
    store::{Answer, BoxFuture, Claim, Decision},
};

impl Shared {
    /// An answer that is waited for to its end, whoever goes away meanwhile.
    pub(super) async fn get<T: Send + 'static>(
        self: &Arc<Self>,
        answer: Answer<T>,
    ) -> Result<T, StoreError> {
        match answer {
            Answer::Now(answer) => answer,
            Answer::Later(answer) => {
                self.flush();
                RunToEnd::new(self.clone(), answer).get().await
            }
        }
    }

    /// Of the limits, before the store is asked: should they change meanwhile it is the earlier one, as of what is new a
    /// grant may hold nothing.
    pub(super) fn version_now(&self) -> u32 {
        self.version.load(Ordering::Acquire)
    }

    /// Asks the store, and sees to it that a grant is never lost, whoever goes away meanwhile.
    pub(super) async fn ask(self: &Arc<Self>, claim: &Claim) -> Result<Permit, Refused> {
        let version = self.version_now();
        match self.store.claim(claim) {
            Answer::Now(answer) => self.grant(answer, claim, version),
            Answer::Later(answer) => self.hear(answer, claim, version).await,
        }
    }

    /// Refuses a claim that never fits, also where others go before it: the store says why. What it grants after all is
    /// dropped, and given back.
    pub(super) async fn refuse_never(self: &Arc<Self>, claim: &Claim) -> Result<(), Rejection> {
        match self.ask(claim).await {
            Err(Refused::Rejected(rejection)) => Err(rejection),
            Ok(_) | Err(Refused::NotNow(_)) => Ok(()),
        }
    }

    /// Waits for a store's answer. It is seen to from now on, polled or not.
    pub(super) fn hear(
        self: &Arc<Self>,
        answer: BoxFuture<Result<Decision, StoreError>>,
        claim: &Claim,
        version: u32,
    ) -> impl Future<Output = Result<Permit, Refused>> + Send + use<> {
        self.flush();
        let (shared, claim) = (self.clone(), claim.clone());
        let work = async move { shared.grant(answer.await, &claim, version) };
        RunToEnd::new(self.clone(), work).get()
    }

    pub(super) fn grant(
        self: &Arc<Self>,
        answer: Result<Decision, StoreError>,
        claim: &Claim,
        version: u32,
    ) -> Result<Permit, Refused> {
        match answer {
            Ok(Decision::Granted(grant)) => Ok(Permit::new(self.clone(), grant, claim, version)),
            Ok(Decision::NotNow(refused)) => Err(Refused::NotNow(refused)),
            Ok(Decision::Never(refused)) => {
                let rejection = self.never(&refused);
                if matches!(rejection, Rejection::CircuitOpen(_)) {
                    // It may have opened just now: who waits for it waits in vain.
                    self.look_again(|| vec![refused.key]);
                }
                self.tell_events();
                Err(Refused::Rejected(rejection))
            }
            Err(error) => Err(Refused::Rejected(error.into())),
        }
    }

    /// Something was given back: whoever waits for it is to look again.
    pub(super) fn given_back(
        self: &Arc<Self>,
        answer: Answer<()>,
        keys: impl FnOnce() -> Vec<LimitKey>,
    ) {
        if let Answer::Later(answer) = answer {
            let (shared, keys) = (self.clone(), keys());
            self.post(Box::pin(async move {
                // A store that cannot settle keeps the reservation: nothing is given back that was spent.
                let _ = answer.await;
                shared.kick(keys);
                shared.tell_events();
            }));
        } else {
            self.look_again(keys);
            self.tell_events();
        }
    }

    /// Has those who wait for one of `keys` look again.
    pub(super) fn look_again(&self, keys: impl FnOnce() -> Vec<LimitKey>) {
        if self.waiting() > 0 {
            self.kick(keys());
        }
    }

    pub(super) fn kick(&self, keys: Vec<LimitKey>) {
        if self.queue().given_back(keys) {
            self.changed.send_replace(());
        }
    }
}
