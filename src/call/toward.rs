//! The same call for another target: limits, budgets and prices follow the one that really serves.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use tokio::time::Instant;

use super::{Entry, enter};
use crate::tags::{Tag, Tags};

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
        facts.turn.deadline = facts.turn.deadline.into_iter().chain(*until).min();
        (self.seeing(facts, &body), body)
    }

    /// The body of this view, for a request with this head.
    pub(crate) fn fitted_body(&self, parts: &mut Parts) -> Option<Bytes> {
        let body = self.body()?;
        enter::set_length(parts, &body);
        Some(body)
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
