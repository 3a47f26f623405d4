//! What has come of a call so far, and what may come of it still.

use std::{sync::Arc, time::Duration};

use http::Response;
use http_body::Body;
use smallvec::SmallVec;
use tokio::time::Instant;

use super::candidate::Candidate;
use crate::{body::ResponseBody, wire::ProviderError};

/// What came of one target.
pub(super) enum Came<R: Body, E> {
    /// An answer of the provider's.
    Answered(Response<ResponseBody<R>>),
    /// An error of the inner service.
    Failed(E),
    /// A refusal of our own, and in how long there may be room.
    Refused(Response<ResponseBody<R>>, Option<Duration>),
}

/// What becomes of the call then.
pub(super) enum Step<R: Body, E> {
    /// It ends so.
    Done(Result<Response<ResponseBody<R>>, E>),
    /// It goes on to the next target.
    Next(Came<R, E>),
    /// No other target fares better now: it waits.
    Wait(Came<R, E>),
    /// It is refused here, wherever it would go and however long it waits.
    Over(Response<ResponseBody<R>>),
    /// The call cannot be made there at all.
    Skip,
}

/// What may be handed on when no target is left: what a provider answered last; else the last error of the inner service;
/// else the refusal that tells the shortest wait.
pub(super) struct Best<R: Body, E> {
    answered: Option<Response<ResponseBody<R>>>,
    failed: Option<E>,
    refused: Option<(Duration, Response<ResponseBody<R>>)>,
}

impl<R: Body, E> Best<R, E> {
    pub(super) fn new() -> Self {
        Best {
            answered: None,
            failed: None,
            refused: None,
        }
    }

    pub(super) fn add(&mut self, came: Came<R, E>) {
        match came {
            // One that broke says nothing: what another provider said is more.
            Came::Answered(response) if broke_off(&response) && self.answered.is_some() => {}
            Came::Answered(response) => self.answered = Some(response),
            Came::Failed(error) => self.failed = Some(error),
            Came::Refused(response, wait) => {
                let wait = wait.unwrap_or(Duration::MAX);
                if self.refused.as_ref().is_none_or(|(known, _)| wait < *known) {
                    self.refused = Some((wait, response));
                }
            }
        }
    }

    /// Whether a provider has answered.
    pub(super) fn has_answer(&self) -> bool {
        self.answered.is_some()
    }

    /// Whether a provider was asked, or the inner service at least.
    pub(super) fn was_sent(&self) -> bool {
        self.answered.is_some() || self.failed.is_some()
    }

    pub(super) fn take(self) -> Option<Result<Response<ResponseBody<R>>, E>> {
        let failed = || self.failed.map(Err);
        let refused = || self.refused.map(|(_, response)| Ok(response));
        self.answered.map(Ok).or_else(failed).or_else(refused)
    }
}

/// Whether the body of an answer broke before anything was generated.
fn broke_off<B>(response: &Response<B>) -> bool {
    let error = response.extensions().get::<ProviderError>();
    error.is_some_and(|error| error.broke_off)
}

/// A target that may serve later.
#[derive(Clone, Debug)]
pub(super) struct Later {
    pub(super) candidate: Arc<Candidate>,
    /// When, where that can be said.
    pub(super) at: Option<Instant>,
    /// Whether its provider said so: nobody is to come sooner. Else there is no room here, which is waited for in the
    /// queue.
    pub(super) told: bool,
    /// Whether it was sent an attempt of this call, and failed: to come back costs of the retry budget.
    pub(super) failed: bool,
}

/// What may come of the targets still.
#[derive(Debug, Default)]
pub(super) struct Outlook {
    later: Vec<Later>,
    /// Those whose breakers are open: better than none.
    open: Vec<(Instant, Arc<Candidate>)>,
    /// More tokens than this are needed, by a model that takes so many; 0 where it is not known how many it takes.
    needs_more_than: Option<u64>,
    /// The models that found it too long.
    too_long_for: Vec<Arc<Candidate>>,
    /// When targets may serve, as they have told.
    told: Vec<Instant>,
    /// The targets that were asked, as often as they were.
    asked: SmallVec<[usize; 2]>,
    /// Whether only targets are left whose breakers are open.
    is_last_resort: bool,
}

impl Outlook {
    pub(super) fn later(&mut self, candidate: &Arc<Candidate>, at: Option<Instant>, told: bool) {
        self.later.push(Later {
            candidate: candidate.clone(),
            at,
            told,
            failed: false,
        });
    }

    /// It failed, and told when to come back.
    pub(super) fn failed(&mut self, candidate: &Arc<Candidate>, at: Option<Instant>) {
        self.later.push(Later {
            candidate: candidate.clone(),
            at,
            told: true,
            failed: true,
        });
    }

    /// A target has told when it may serve.
    pub(super) fn tells(&mut self, at: Option<Instant>) {
        self.told.extend(at);
    }

    /// Whether only targets are left whose breakers are open: one of them is asked all the same.
    pub(super) fn is_last_resort(&self) -> bool {
        self.is_last_resort
    }

    /// It is asked once more.
    pub(super) fn asks(&mut self, candidate: &Candidate) {
        self.asked.push(candidate.number);
    }

    /// How often it was asked.
    pub(super) fn asked(&self, candidate: &Candidate) -> usize {
        let same = |number: &&usize| **number == candidate.number;
        self.asked.iter().filter(same).count()
    }

    pub(super) fn is_open(&mut self, candidate: &Arc<Candidate>, until: Instant) {
        self.open.push((until, candidate.clone()));
    }

    /// The call was too long for this one.
    pub(super) fn was_too_long(&mut self, candidate: &Arc<Candidate>) {
        let takes = candidate.target.context.unwrap_or(0);
        self.needs_more_than = self.needs_more_than.max(Some(takes));
        self.too_long_for.push(candidate.clone());
    }

    /// Whether it is too long for this one too.
    pub(super) fn is_too_long(&self, candidate: &Candidate) -> bool {
        let same = |other: &Arc<Candidate>| other.target.is_same_model(&candidate.target);
        let takes = candidate.target.context;
        self.too_long_for.iter().any(same)
            || takes.is_some_and(|takes| self.needs_more_than.is_some_and(|least| takes <= least))
    }

    /// When the first may serve, where somebody told.
    pub(super) fn told(&self) -> Option<Instant> {
        let now = Instant::now();
        let (ahead, over): (Vec<&Instant>, Vec<&Instant>) =
            self.told.iter().partition(|at| **at > now);
        let first = ahead.into_iter().min();
        first.or_else(|| over.into_iter().max()).copied()
    }

    /// Takes the one that serves first: what is told no later than `longest`, and anything no later than the `deadline`.
    /// Where nothing was ever sent, one whose breaker is open rather than none.
    pub(super) fn first(
        &mut self,
        longest: Option<Instant>,
        deadline: Option<Instant>,
        was_sent: bool,
    ) -> Option<Later> {
        let within = |at: Option<Instant>, bound: Option<Instant>| {
            at.is_none_or(|at| bound.is_none_or(|bound| at <= bound))
        };
        let fits = |later: &Later| {
            within(later.at, deadline) && (!later.told || within(later.at, longest))
        };
        let places = (0..self.later.len()).filter(|place| fits(&self.later[*place]));
        // Who cannot say when comes last.
        let first = places.min_by_key(|place| {
            let at = self.later[*place].at;
            (at.is_none(), at)
        });
        if let Some(place) = first {
            return Some(self.later.remove(place));
        }
        if was_sent || self.open.is_empty() {
            return None;
        }
        self.open.sort_by_key(|(until, _)| *until);
        let (_, candidate) = self.open.remove(0);
        self.is_last_resort = true;
        Some(Later {
            candidate,
            at: None,
            told: false,
            failed: false,
        })
    }
}
