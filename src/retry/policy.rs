//! Whether to repeat, and after which wait: a decision, nothing sleeps here.

use std::{num::NonZeroU32, time::Duration};

use tokio::time::Instant;

use super::{
    RetryBudget,
    asked::Asked,
    backoff::{Backoff, jitter, spread_out},
};
use crate::{
    call::{Failing, Failure},
    wire::{ErrorClass, ProviderError},
};

#[derive(Clone, Debug)]
pub(super) struct Policy {
    pub(super) max_attempts: NonZeroU32,
    pub(super) longest_wait: Duration,
    pub(super) backoff: Backoff,
    pub(super) budget: Option<RetryBudget>,
    /// Whether attempts are repeated that may have been billed.
    pub(super) repeats_uncertain: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            max_attempts: const { NonZeroU32::new(3).unwrap() },
            longest_wait: Duration::from_secs(60),
            backoff: Backoff::default(),
            budget: Some(RetryBudget::default()),
            repeats_uncertain: true,
        }
    }
}

/// How an attempt failed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Failed {
    /// The provider said so.
    Answered(ProviderError),
    /// The inner service said so.
    Broke(Failure),
}

impl From<Failing> for Failed {
    fn from(failing: Failing) -> Self {
        match failing {
            Failing::Answered(_, error) => Failed::Answered(error),
            Failing::Broke(failure) => Failed::Broke(failure),
        }
    }
}

impl Failed {
    /// In a word.
    pub(super) fn name(self) -> &'static str {
        match self {
            Failed::Answered(error) => error.class.name(),
            Failed::Broke(_) => "connection",
        }
    }

    /// Whether the connection broke after an answer had begun, and before anything was generated.
    pub(super) fn broke_off(self) -> bool {
        matches!(self, Failed::Answered(error) if error.broke_off)
    }
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    /// The next attempt is at this time.
    Again(Instant),
    /// It would not help, or nobody may say that it does.
    Final,
    /// It might help, and is not done here: attempts, time or the retry budget are used up. When it may be tried
    /// again, where somebody told.
    GivenUp(Option<Duration>),
}

impl Policy {
    /// What to do after attempt number `attempt` at its target, of a call that may have another one by what all layers
    /// have made (`may_have_another`).
    pub(super) fn judge(
        &self,
        attempt: u32,
        may_have_another: bool,
        asked: Asked,
        failed: Failed,
        deadline: Option<Instant>,
    ) -> Verdict {
        if !self.helps(asked, failed) {
            return Verdict::Final;
        }
        let told = match failed {
            Failed::Answered(error) => error.wait,
            Failed::Broke(_) => None,
        };
        // A caller that repeats itself has had ours before.
        if asked.again || !may_have_another || attempt >= self.max_attempts.get() {
            return Verdict::GivenUp(told);
        }
        let now = Instant::now();
        let wait = match told {
            Some(told) if told > self.longest_wait => return Verdict::GivenUp(Some(told)),
            Some(told) => told,
            None => self.backoff.wait(attempt),
        };
        // Whether it ends in time hangs on what was told, and on no chance.
        let at = match now.checked_add(wait) {
            Some(at) if deadline.is_none_or(|deadline| at <= deadline) => at,
            _ => return Verdict::GivenUp(told),
        };
        let at = told.map_or(at, |told| spread_out(at, jitter(told), deadline));
        let budget = self.budget.as_ref().filter(|_| !is_well(failed));
        if budget.is_none_or(|budget| budget.take(now)) {
            Verdict::Again(at)
        } else {
            Verdict::GivenUp(told)
        }
    }

    /// Whether the same call may succeed later, and it does no harm to try.
    fn helps(&self, asked: Asked, failed: Failed) -> bool {
        match failed {
            Failed::Answered(error) => {
                let refused = matches!(
                    error.class,
                    ErrorClass::RateLimit | ErrorClass::Ramp | ErrorClass::Overloaded
                );
                let may = !error.broke_off || self.repeats_uncertain;
                error.retryable && may && (refused || asked.repeatable)
            }
            Failed::Broke(Failure::BeforeDispatch) => true,
            Failed::Broke(Failure::Uncertain) => self.repeats_uncertain && asked.repeatable,
            Failed::Broke(Failure::Permanent) => false,
        }
    }
}

/// Whether the provider is well: it answers, and says that it is too much for now.
fn is_well(failed: Failed) -> bool {
    match failed {
        Failed::Answered(error) => matches!(error.class, ErrorClass::RateLimit | ErrorClass::Ramp),
        Failed::Broke(_) => false,
    }
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
