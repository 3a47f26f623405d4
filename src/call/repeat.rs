//! What a layer that makes further attempts sees of a call.

use std::{num::NonZeroU32, time::Duration};

use http::{Response, StatusCode};
use tokio::time::Instant;

use super::{
    Entry,
    attempt::Attempt,
    attempts::{Attempts, Log, Outcome, PassedOver},
    context::State,
    turned_away::Refused,
};
use crate::{
    clock::time_of_day,
    error::Rejection,
    tags::Tag,
    wire::{ProviderError, classify},
};

/// What an answer says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Heard {
    /// It is no error.
    Fine,
    /// The attempt was refused here, and did not leave.
    Refused(Rejection),
    /// The provider says no, by its status or in a stream that begins with it.
    Failed(ProviderError),
}

/// What is kept of an answer in case that a foreign layer takes it off the response.
#[derive(Clone, Debug)]
pub(super) enum Noted {
    Refused(Rejection),
    Failed(StatusCode, ProviderError),
}

impl Entry {
    /// A layer that may send the call to other targets is around it from here on: it has so many attempts at most, by all
    /// layers together. Told waits of up to `longest_wait` are waited out.
    pub(crate) fn reroutes(&self, most: u32, longest_wait: Duration, now: Instant) {
        let mut state = self.state();
        state.most = state.most.min(most);
        state.longest_wait = state.longest_wait.max(Some(longest_wait));
        state.log_at(self.depth(), || now);
        if let Some(log) = &state.log {
            log.lock().turned_away.may_go_on = true;
        }
    }

    /// A layer that may repeat attempts is around the call from here on, so that there are `most` at one target, and waits
    /// out told waits of up to `longest_wait`. Whether it is to: of several the outermost, or they would multiply.
    pub(crate) fn repeats(&self, most: NonZeroU32, longest_wait: Duration) -> bool {
        let mut state = self.state();
        state.log_at(self.depth(), Instant::now);
        if state.repeater == 0 {
            state.repeater = self.depth();
            state.longest_wait = state.longest_wait.max(Some(longest_wait));
            if let Some(log) = &state.log {
                log.lock().repeats_up_to(most);
            }
        }
        state.repeater == self.depth()
    }

    /// How many attempts at one target a layer further in makes that repeats them, where a call has come to one.
    pub(crate) fn most_repeated(&self) -> Option<u32> {
        let state = self.state();
        let log = state.log.as_ref()?;
        let is_inside = state.repeater > self.depth();
        is_inside.then(|| log.lock().most_repeated()).flatten()
    }

    /// Whether somebody may repeat it.
    pub(crate) fn is_repeated(&self) -> bool {
        self.state().log.is_some()
    }

    /// Whether it may have another attempt, as far as their number goes, and whoever may end it has not done so.
    pub(crate) fn may_have_another(&self) -> bool {
        let state = self.state();
        let made = state.made();
        let is_over = || self.progress().is_some_and(|progress| progress.is_over());
        made < state.most && (made == 0 || !is_over())
    }

    /// How many attempts of it have left so far.
    pub(crate) fn made(&self) -> u32 {
        self.state().made()
    }

    /// Whether no attempt of it has left so far.
    pub(crate) fn is_untried(&self) -> bool {
        self.made() == 0
    }

    /// Whether the present attempt has left or may still, or a call that a foreign layer has made of it may have.
    pub(crate) fn has_left(&self) -> bool {
        self.look_at_attempt(|attempt| attempt.may_leave() || attempt.is_forked())
    }

    /// What became of its attempts.
    pub(crate) fn attempts(&self) -> Attempts {
        let log = self.state().log.clone();
        log.map(|log| log.lock().attempts().clone())
            .unwrap_or_default()
    }

    /// Puts what became of its attempts into the answer, where the layer is the outermost of those that may make further ones.
    pub(crate) fn with_attempts<B>(&self, mut response: Response<B>) -> Response<B> {
        if let Some((mut attempts, refused)) = self.attempts_to_show() {
            if let Some(refused) = refused {
                refused.count();
            }
            let began = response.extensions().get::<ProviderError>();
            if response.status().is_success() && began.is_none() {
                // Whatever was told on the way.
                attempts.retry_after = None;
            }
            response.extensions_mut().insert(attempts);
        }
        response
    }

    /// With the refusal that it has ended with, where it has.
    fn attempts_to_show(&self) -> Option<(Attempts, Option<Refused>)> {
        let state = self.state();
        let log = state.log.as_ref().filter(|_| state.shows == self.depth());
        log.map(|log| {
            let mut log = log.lock();
            (log.take(), log.turned_away.ends())
        })
    }

    /// In how long it is worth another try.
    pub(crate) fn note_retry_after(&self, wait: Duration) {
        self.log(|log| log.retry_after(wait));
    }

    /// A target was passed over.
    pub(crate) fn pass_over(&self, passed: PassedOver) {
        self.log(|log| log.passed_over(passed));
    }

    /// The answer to the attempt that this layer sent says that it failed.
    pub(crate) fn note_failure(&self, status: StatusCode, error: ProviderError) {
        self.look_at_attempt(|attempt| attempt.note(Noted::Failed(status, error)));
        self.log(|log| log.failed(error.class));
    }

    /// The attempt was refused here.
    pub(super) fn note_refusal(&self, rejection: &Rejection) {
        self.attempt().note(Noted::Refused(rejection.clone()));
        self.log(|log| log.refused(self.tags(), rejection));
    }

    /// The attempt leaves.
    pub(super) fn note_left(&self, now: Instant) {
        self.log(|log| log.left(now));
    }

    /// What came of the attempt that this layer sent.
    pub(super) fn note_outcome(&self, outcome: Outcome) {
        self.log(|log| log.ended(self.tags(), outcome));
    }

    /// What an answer says: by its extensions; where a foreign layer has cleared them by what was noted of the attempt;
    /// where nobody of ours saw it by its head.
    pub(crate) fn hear<R>(&self, response: &Response<R>) -> Heard {
        let (status, extensions) = (response.status(), response.extensions());
        if let Some(rejection) = extensions.get::<Rejection>() {
            return Heard::Refused(rejection.clone());
        }
        if let Some(error) = extensions.get::<ProviderError>() {
            return Heard::Failed(*error);
        }
        match self.look_at_attempt(Attempt::noted) {
            Some(Noted::Refused(rejection)) if rejection.status() == status => {
                return Heard::Refused(rejection);
            }
            Some(Noted::Failed(of, error)) if of == status => return Heard::Failed(error),
            _ if status.as_u16() < 400 => return Heard::Fine,
            _ => {}
        }
        let provider = self.tags().get(&Tag::Provider).unwrap_or_default();
        match classify(provider, status, response.headers(), b"", time_of_day()) {
            Some(error) => Heard::Failed(error),
            None => Heard::Fine,
        }
    }

    fn log(&self, note: impl FnOnce(&mut Log)) {
        if let Some(log) = &self.state().log {
            note(&mut log.lock());
        }
    }
}

impl State {
    /// How many attempts of the call have left so far.
    fn made(&self) -> u32 {
        self.log.as_ref().map_or(0, |log| log.lock().made())
    }
}
