//! One attempt of a call that is observed.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{AttemptEnd, AttemptOutcome, Event, ObservedCall};
use crate::{tags::Tags, usage::Usage};

/// An attempt that has left, until it ends.
#[derive(Debug)]
pub(crate) struct Watched {
    call: Arc<ObservedCall>,
    number: u32,
    tags: Arc<Tags>,
    left: Instant,
    head_after: Option<Duration>,
    outcome: AttemptOutcome,
    model: Option<Box<str>>,
}

impl Watched {
    pub(crate) fn new(call: Arc<ObservedCall>, number: u32, tags: Arc<Tags>) -> Box<Self> {
        Box::new(Watched {
            call,
            number,
            tags,
            left: Instant::now(),
            head_after: None,
            outcome: AttemptOutcome::GivenUp,
            model: None,
        })
    }

    /// The head of its answer came, it failed, or it was not sent.
    pub(crate) fn came_to(&mut self, outcome: AttemptOutcome) {
        if matches!(outcome, AttemptOutcome::Answered { .. }) {
            self.head_after = Some(self.left.elapsed());
        }
        self.outcome = outcome;
    }

    /// What its answer turned out to be: which error, and of which model.
    pub(crate) fn says(&mut self, failed: Option<&'static str>, model: Option<Box<str>>) {
        if let AttemptOutcome::Answered { error, .. } = &mut self.outcome {
            *error = error.or(failed);
        }
        self.model = model;
    }

    /// Who is to be told that something was generated, and how long that took.
    pub(crate) fn began(&self) -> (Arc<ObservedCall>, Arc<Tags>, Duration) {
        (self.call.clone(), self.tags.clone(), self.left.elapsed())
    }

    /// Who is to be told of what its answer says of its target.
    pub(crate) fn of(&self) -> (Arc<ObservedCall>, Arc<Tags>) {
        (self.call.clone(), self.tags.clone())
    }

    /// It has ended.
    pub(crate) fn ended(&self, usage: Option<&Usage>, is_reported: bool) {
        let end = AttemptEnd {
            number: self.number,
            tags: &self.tags,
            outcome: self.outcome,
            model: self.model.as_deref(),
            usage,
            is_reported,
            took: self.left.elapsed(),
            head_after: self.head_after,
        };
        self.call.tell(&Event::Ended(&end));
    }
}
