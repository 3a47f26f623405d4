//! The same call for another target: limits, budgets and prices follow the one that really serves.

use std::sync::Arc;

use bytes::Bytes;
use http::{StatusCode, request::Parts};
use tokio::time::Instant;

use super::{Entry, Failure, enter};
use crate::{
    limiter::Turn,
    tags::{Tag, Tags},
    wire::ProviderError,
};

/// An attempt that goes elsewhere.
#[derive(Debug)]
pub(crate) struct Toward<'t> {
    /// Its provider, its model, and its key where that is another than the caller's.
    pub(crate) tags: &'t Arc<Tags>,
    /// What its provider calls the model.
    pub(crate) model: &'t Arc<str>,
    /// Whether the caller's own key is used.
    pub(crate) keeps_key: bool,
    /// Until when it may wait for room, where that is less than the call may.
    pub(crate) until: Option<Instant>,
    /// That the call may go on elsewhere from there.
    pub(crate) elsewhere: Option<Elsewhere>,
    /// How many attempts of the call have gone there before.
    pub(crate) before: u32,
}

/// That a call may go on to another target.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Elsewhere {
    /// From then on it had better be there than wait where it is.
    pub(crate) from: Instant,
    /// The reasons for which it goes on, as `goes_on` reads them.
    pub(crate) reasons: u16,
    /// Whether it goes on for one of these reasons after such a failure.
    pub(crate) goes_on: fn(u16, Failing) -> bool,
}

/// How an attempt failed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Failing {
    /// The provider said so, with this status.
    Answered(StatusCode, ProviderError),
    /// The inner service said so.
    Broke(Failure),
}

/// What the layers within are to know of the target that an attempt goes to.
#[derive(Clone, Copy, Debug)]
pub(super) struct AtTarget {
    before: u32,
    elsewhere: Option<Elsewhere>,
    /// Until when the call may wait, wherever it is.
    deadline: Option<Instant>,
}

impl Entry {
    /// This layer's view of the call, with a target in it, and the request body for it.
    pub(crate) fn toward(
        &self,
        toward: &Toward<'_>,
        parts: &mut Parts,
        body: Bytes,
    ) -> (Entry, Bytes) {
        let Toward {
            tags,
            model,
            keeps_key,
            until,
            elsewhere,
            before,
        } = toward;
        let mut facts = self.facts().clone();
        if facts
            .asked_model
            .as_ref()
            .is_some_and(|asked| asked != *model)
        {
            facts.asked_model = Some(Arc::clone(model));
        }
        let key = facts.tags.shared(&Tag::ApiKey).filter(|_| *keeps_key);
        if key.is_none() && !facts.tags.say_who_calls() {
            if facts.tags != **tags {
                facts.tags = Arc::clone(tags);
            }
        } else {
            let mut all = facts.tags.toward(tags);
            if let Some(key) = key {
                all.set(Tag::ApiKey, key.clone());
            }
            if all != *facts.tags {
                facts.tags = Arc::new(all);
            }
        }
        // Longer or shorter by the name of the model; what we put in ourselves is no input of the call.
        let came = self.body().map_or(0, |body| body.len() as u64);
        let bound = facts.bound.input.saturating_add(body.len() as u64);
        facts.bound.input = bound.saturating_sub(came);
        let body = enter::fit(&mut facts, parts, &body).unwrap_or(body);
        let deadline = facts.turn.deadline;
        facts.at_target = Some(AtTarget {
            before: *before,
            elsewhere: *elsewhere,
            deadline,
        });
        facts.turn.deadline = deadline.into_iter().chain(*until).min();
        (self.seeing(facts, &body), body)
    }

    /// The body of this view, for a request with this head.
    pub(crate) fn fitted_body(&self, parts: &mut Parts) -> Option<Bytes> {
        let body = self.body()?;
        enter::set_length(parts, &body);
        Some(body)
    }

    /// How many attempts of the call have gone before to the target that this view is of.
    pub(crate) fn tried_before(&self) -> u32 {
        self.facts().at_target.map_or(0, |at| at.before)
    }

    /// Until when the call may wait: as its caller says, and as the limiters of the gates that it has passed say of every
    /// call.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.bound(self.turn()).deadline
    }

    /// Until when it may wait to be repeated at its target, after it failed so. If it goes on elsewhere then: until it had
    /// better be there.
    pub(crate) fn waits_until(&self, failing: Failing) -> Option<Instant> {
        let turn = self.turn();
        let own = self.facts().at_target.map_or(turn, |at| Turn {
            deadline: at.deadline,
            ..turn
        });
        let elsewhere = self.goes_elsewhere(failing);
        let from = elsewhere.map(|elsewhere| elsewhere.from);
        // To be repeated at once, or soon, is no wait that limiters are asked about.
        let is_told = matches!(failing, Failing::Answered(_, error) if error.wait.is_some());
        let until = if is_told { self.bound(own) } else { own };
        until.deadline.into_iter().chain(from).min()
    }

    /// The view of a call that stays at its target after it failed so, although there are others: it waits there for as
    /// long as it may at all. `None`: as it does anyway, or it goes on elsewhere.
    pub(crate) fn staying(&self, failing: Failing) -> Option<Self> {
        let at = self.facts().at_target?;
        if self.turn().deadline == at.deadline || self.goes_elsewhere(failing).is_some() {
            return None;
        }
        let body = self.body()?;
        let mut facts = self.facts().clone();
        facts.turn.deadline = at.deadline;
        Some(self.seeing(facts, &body))
    }

    /// Where it goes on after it failed so, if it does.
    fn goes_elsewhere(&self, failing: Failing) -> Option<Elsewhere> {
        let elsewhere = self.facts().at_target?.elsewhere?;
        (elsewhere.goes_on)(elsewhere.reasons, failing).then_some(elsewhere)
    }

    fn bound(&self, turn: Turn) -> Turn {
        let state = self.state();
        let limiters = state.gates.iter().map(|passed| &passed.gate.limiter);
        limiters.fold(turn, |turn, limiter| limiter.bound(turn))
    }

    /// Begins the attempt that this view is of. `came` is the view that the call came with: what the layers outside have
    /// claimed for it serves where it goes to the same target, and is given back where it does not.
    pub(crate) fn begin(&self, came: &Entry) {
        let attempt = self.attempt();
        if !attempt.is_fresh() || attempt.has_passed(self.depth()) {
            self.end_attempt();
            self.next_attempt();
            return;
        }
        let (this, that) = (self.facts(), came.facts());
        if this.tags != that.tags || this.bound != that.bound {
            attempt.release_unsent();
        }
    }

    /// Holds nothing for the present attempt: gives back what was claimed for it where it was not sent.
    pub(crate) fn let_go(&self) {
        let attempt = self.attempt();
        if attempt.is_fresh() {
            attempt.release_unsent();
        } else {
            self.end_attempt();
        }
    }

    /// Holds nothing for the present attempt, and takes down who has counted it. One that was sent is ended by whoever has
    /// sent it, when its answer is read or dropped: where that is still to come, a foreign layer has let it run on.
    pub(crate) fn end_attempt(&self) {
        self.note_counted();
        self.attempt().release_unsent();
    }

    /// Waits until then, and shows it.
    pub(crate) async fn back_off(&self, until: Instant) {
        if let Some(progress) = self.progress() {
            progress.backs_off(until);
        }
        tokio::time::sleep_until(until).await;
        if let Some(progress) = self.progress() {
            progress.goes_on();
        }
    }

    /// Whether its request is signed as it is, so that it cannot be changed.
    pub(crate) fn is_signed(parts: &Parts) -> bool {
        enter::is_signed(parts)
    }
}
