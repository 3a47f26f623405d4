//! Which targets may serve a call now, and which later.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{candidate::Candidate, order, outcome::Outlook, run::Run, trigger::Trigger};
use crate::{
    call::{PassedOver, PassedOverWhy},
    error::Rejection,
    retry::backoff::{Backoff, jitter},
    wire::{ErrorClass, ProviderError},
};

/// How often one target is asked for one call, where no layer further in says how often it repeats attempts.
const MOST_EACH: u32 = 3;

/// How long a call waits at one target while there are others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Until then; `None`: as long as it may.
    pub(super) until: Option<Instant>,
    /// Whether for room as well, and not only for what its provider tells.
    pub(super) for_room: bool,
}

/// The targets besides one that is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Others {
    /// Whether one of them can be tried at once.
    is_one_well: bool,
    /// When the first of those is free that are told to wait, if the call may wait for that.
    soonest: Option<Instant>,
}

impl Others {
    /// Until when room is waited for at a target that is asked now: with `patience` if another can be tried at once, else until
    /// the first of the others is free. `None`: as long as the call may.
    pub(super) fn until(self, now: Instant, patience: Duration) -> Option<Instant> {
        let patient = now.checked_add(patience);
        match self.soonest {
            _ if self.is_one_well => patient,
            Some(soonest) => patient.map(|patient| soonest.max(patient)),
            None => None,
        }
    }
}

impl Patience {
    /// Whether a wait may help that was not waited for.
    pub(super) fn was_short_of(&self, rejection: &Rejection) -> bool {
        self.for_room && self.until.is_some() && may_have_room_later(rejection)
    }
}

fn may_have_room_later(rejection: &Rejection) -> bool {
    matches!(
        rejection,
        Rejection::RateLimited(_)
            | Rejection::QueueFull { .. }
            | Rejection::DeadlineExceeded(_)
            | Rejection::BudgetExceeded(_)
    )
}

impl Run<'_> {
    /// What is known of the others while one target is asked.
    pub(super) fn others(&self, candidates: &[Arc<Candidate>], now: Instant) -> Others {
        let (mut well, mut soonest) = (0, None::<Instant>);
        for candidate in candidates {
            match self.shared.health.passes_over(candidate, now) {
                None => well += 1,
                Some((PassedOverWhy::CoolingDown, until)) if self.may_wait_until(until, now) => {
                    soonest = soonest.into_iter().chain([until]).min();
                }
                Some(_) => {}
            }
        }
        Others {
            is_one_well: well > 1,
            soonest,
        }
    }

    /// Whether a told wait that ends then is waited out.
    fn may_wait_until(&self, until: Instant, now: Instant) -> bool {
        let deadline = self.deadline();
        until - now <= self.options.longest_wait
            && deadline.is_none_or(|deadline| until <= deadline)
    }

    /// Until when the call may wait. Before it has come to a gate, the limiter is known that is watched.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let (turn, limiter) = (self.entry.turn(), self.options.limiter.as_ref());
        let watched = limiter.and_then(|limiter| limiter.bound(turn).deadline);
        self.entry.deadline().into_iter().chain(watched).min()
    }

    /// Whether the deadline of the call's own is over. Those of limiters bound waits, and to go on at once is none.
    pub(super) fn is_late(&self) -> bool {
        let deadline = self.entry.turn().deadline;
        deadline.is_some_and(|deadline| deadline <= Instant::now())
    }

    /// Whether there is any use in trying a target now.
    pub(super) fn may_be_tried(
        &self,
        candidate: &Arc<Candidate>,
        outlook: &mut Outlook,
        now: Instant,
    ) -> bool {
        if outlook.is_too_long(candidate) {
            self.pass_over(candidate, PassedOverWhy::TooLong, None);
            return false;
        }
        let Some((why, until)) = self.shared.health.passes_over(candidate, now) else {
            return true;
        };
        match why {
            PassedOverWhy::CoolingDown => {
                outlook.tells(Some(until));
                outlook.comes_back(candidate, Some(until), jitter(until - now));
            }
            PassedOverWhy::BreakerOpen => outlook.is_open(candidate, until),
            _ => {}
        }
        self.pass_over(candidate, why, Some(until - now));
        false
    }

    /// Where room lacks that every target needs: the first of them that waits for nothing else.
    pub(super) async fn free_to_wait(
        &self,
        candidates: &[Arc<Candidate>],
    ) -> Option<Arc<Candidate>> {
        let limiter = self.options.limiter.as_ref()?;
        let now = Instant::now();
        let well = candidates
            .iter()
            .filter(|candidate| self.shared.health.passes_over(candidate, now).is_none());
        order::held_up_by_none(limiter, self.entry.tags(), well).await
    }

    /// Whether the target that failed so may serve the call later.
    pub(super) fn look_ahead(
        &self,
        trigger: Trigger,
        error: &ProviderError,
        candidate: &Arc<Candidate>,
        outlook: &mut Outlook,
    ) {
        if trigger == Trigger::ContextLength {
            // One that is too large for a limit may fit that of another key.
            if error.class == ErrorClass::ContextLength {
                outlook.was_too_long(candidate);
            }
            return;
        }
        let after = |wait| Instant::now().checked_add(wait);
        outlook.tells(error.wait.and_then(after));
        let (asked, most) = (outlook.asked(candidate), self.entry.most_repeated());
        // A caller that repeats by itself has had all of that before.
        if !error.retryable || self.asked.again || asked >= most.unwrap_or(MOST_EACH) {
            return;
        }
        match (trigger, error.wait) {
            (Trigger::RateLimited, Some(wait)) => {
                outlook.comes_back(candidate, after(wait), jitter(wait));
            }
            (Trigger::ServerError, Some(wait)) => {
                outlook.failed(candidate, after(wait), jitter(wait));
            }
            (Trigger::RateLimited, None) => {
                // As it is, it is spread out.
                let wait = Backoff::default().wait(asked);
                outlook.comes_back(candidate, after(wait), Duration::ZERO);
            }
            _ => {}
        }
    }

    pub(super) fn pass_over(
        &self,
        candidate: &Candidate,
        why: PassedOverWhy,
        still: Option<Duration>,
    ) {
        let passed = PassedOver::new(&candidate.name, why, still);
        self.entry.pass_over(passed);
    }
}
