//! What has come of a call so far, and what may come of it still.

use std::{sync::Arc, time::Duration};

use http::Response;
use http_body::Body;
use smallvec::SmallVec;
use tokio::time::Instant;

use super::{candidate::Candidate, trigger};
use crate::{
    body::ResponseBody, error::Rejection, retry::backoff::spread_out, wire::ProviderError,
};

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
    at: Option<Instant>,
    /// How much later whoever was told so comes back.
    jitter: Duration,
    /// Whether its provider said so: nobody is to come sooner. Else there is no room here, which is waited for in the
    /// queue.
    pub(super) told: bool,
    /// Whether it was sent an attempt of this call, and failed: to come back costs of the retry budget.
    pub(super) failed: bool,
    /// Whether it lacks money that others have reserved.
    lacks_money: bool,
}

impl Later {
    fn new(candidate: &Arc<Candidate>, at: Option<Instant>) -> Self {
        Later {
            candidate: candidate.clone(),
            at,
            jitter: Duration::ZERO,
            told: false,
            failed: false,
            lacks_money: false,
        }
    }

    /// When to come back, where that can be said.
    pub(super) fn comes_back(&self, deadline: Option<Instant>) -> Option<Instant> {
        self.at.map(|at| spread_out(at, self.jitter, deadline))
    }

    /// Whether it is no later than the `deadline`, and what is told no later than `longest`.
    fn fits(&self, longest: Option<Instant>, deadline: Option<Instant>) -> bool {
        let within = |bound: Option<Instant>| {
            let both = self.at.zip(bound);
            both.is_none_or(|(at, bound)| at <= bound)
        };
        within(deadline) && (!self.told || within(longest))
    }
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
    /// How many attempts have left of the call when that was looked at last.
    made: u32,
    /// The targets that were asked, and how often.
    asked: SmallVec<[(usize, u32); 2]>,
    /// Whether only targets are left whose breakers are open.
    is_last_resort: bool,
}

impl Outlook {
    /// Of a call of which so many attempts have left before.
    pub(super) fn after(made: u32) -> Self {
        Outlook {
            made,
            ..Outlook::default()
        }
    }

    /// There may be room for it then.
    pub(super) fn has_room(&mut self, candidate: &Arc<Candidate>, at: Option<Instant>) {
        self.later.push(Later::new(candidate, at));
    }

    /// It told when to come back; who does comes so much later.
    pub(super) fn comes_back(
        &mut self,
        candidate: &Arc<Candidate>,
        at: Option<Instant>,
        jitter: Duration,
    ) {
        self.later.push(Later {
            jitter,
            told: true,
            ..Later::new(candidate, at)
        });
    }

    /// The same of one that failed.
    pub(super) fn failed(
        &mut self,
        candidate: &Arc<Candidate>,
        at: Option<Instant>,
        jitter: Duration,
    ) {
        self.later.push(Later {
            jitter,
            told: true,
            failed: true,
            ..Later::new(candidate, at)
        });
    }

    /// It was refused here, which another target may not be. `may_wait`: a longer wait may help.
    pub(super) fn was_refused(
        &mut self,
        candidate: &Arc<Candidate>,
        rejection: &Rejection,
        may_wait: bool,
    ) {
        let is_reserved = trigger::lacks_reserved_money(rejection);
        match (may_wait, is_reserved) {
            (true, false) => {
                let wait = rejection.retry_after();
                let at = wait.and_then(|wait| Instant::now().checked_add(wait));
                self.has_room(candidate, at);
            }
            // Nobody knows when that is given back.
            (true, true) => self.later.push(Later {
                lacks_money: true,
                ..Later::new(candidate, None)
            }),
            // It was waited for: it is not for each target anew.
            (false, true) => self.later.retain(|later| !later.lacks_money),
            (false, false) => {}
        }
    }

    /// A target has told when it may serve.
    pub(super) fn tells(&mut self, at: Option<Instant>) {
        self.told.extend(at);
    }

    /// Whether only targets are left whose breakers are open: one of them is asked all the same.
    pub(super) fn is_last_resort(&self) -> bool {
        self.is_last_resort
    }

    /// It was asked, so often at `least`: by all attempts of the call that have left since the last time. `made`: how many
    /// have by now.
    pub(super) fn was_asked(&mut self, candidate: &Candidate, made: u32, least: u32) {
        let times = made.saturating_sub(self.made).max(least);
        self.made = made;
        self.asked.push((candidate.number, times));
    }

    /// How often it was asked.
    pub(super) fn asked(&self, candidate: &Candidate) -> u32 {
        let of_it = self.asked.iter();
        let of_it = of_it.filter(|(number, _)| *number == candidate.number);
        of_it.map(|(_, times)| times).sum()
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
        let fits = |place: &usize| self.later[*place].fits(longest, deadline);
        let places = (0..self.later.len()).filter(fits);
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
        Some(Later::new(&candidate, None))
    }

    /// When the first of the others serves, of those that are left and can say so.
    pub(super) fn soonest(
        &self,
        longest: Option<Instant>,
        deadline: Option<Instant>,
        but: &Candidate,
    ) -> Option<Instant> {
        let others = self.later.iter();
        let others = others.filter(|later| later.candidate.number != but.number);
        let others = others.filter(|later| later.fits(longest, deadline));
        others.filter_map(|later| later.at).min()
    }
}
