//! What became of each attempt of a call, for whoever made it.

use std::{
    fmt,
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::StatusCode;
use serde::Serialize;
use tokio::time::Instant;

use super::turned_away::TurnedAway;
use crate::{
    error::Rejection,
    tags::{Tag, Tags},
    wire::{ErrorClass, ProviderError},
};

/// What became of each attempt of a call, in order.
///
/// It is in the extensions of the responses that [`RetryLayer`](crate::RetryLayer) and
/// [`FailoverLayer`](crate::FailoverLayer) hand on. If the inner service fails with an error, there is no response to
/// hold it. It names targets, never keys, and nothing of what was asked or answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Attempts {
    /// The attempts that were sent, and those that were refused here.
    pub made: Vec<AttemptReport>,
    /// The targets that were passed over without an attempt.
    pub passed_over: Vec<PassedOver>,
    /// How long after the answer another try is worthwhile, by what the provider told. Set if that is longer than a
    /// call waits here, or beyond the call's deadline.
    pub retry_after: Option<Duration>,
}

/// What became of one attempt.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AttemptReport {
    /// Where it went.
    pub target: TargetName,
    /// How long the call had waited before the attempt left: for room, for a told wait, or between repeats. Counted
    /// since the call arrived, or since the attempt before had its answer.
    pub waited: Duration,
    /// How it ended.
    pub outcome: Outcome,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// With an answer.
    Answered {
        /// The status, as a number.
        status: u16,
        /// The kind of error, if it is one; also set for a stream that began with an error.
        error: Option<&'static str>,
    },
    /// With an error of the inner service.
    #[non_exhaustive]
    Failed {
        /// Whether it may have been sent, and so may have been billed.
        sent: bool,
    },
    /// It was refused here, and did not leave.
    #[non_exhaustive]
    Refused {
        /// The kind of the refusal, as in [`Rejection::kind`].
        kind: &'static str,
    },
}

/// The name of a target, without its address and without its key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub struct TargetName {
    /// The provider.
    pub provider: Option<Arc<str>>,
    /// The model.
    pub model: Option<Arc<str>>,
    /// The label of the API key.
    pub api_key: Option<Arc<str>>,
}

/// A target that was passed over.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PassedOver {
    /// The target.
    pub target: TargetName,
    /// Why it was passed over.
    pub why: PassedOverWhy,
    /// How much longer that lasts, if that can be said.
    pub still: Option<Duration>,
}

/// Why a target was passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PassedOverWhy {
    /// Its provider told a wait that is not over.
    CoolingDown,
    /// Its money or its quota is used up, or its key is refused.
    Parked,
    /// It failed too often of late.
    BreakerOpen,
    /// The call is larger than its model takes.
    TooLong,
    /// It cannot be reached with a call in this API.
    OtherApi,
    /// Its provider refuses the key of the route, or what that key may do.
    KeyRefused,
    /// So much of a budget is spent that cheaper targets are used.
    Degraded,
}

impl TargetName {
    pub(crate) fn of(tags: &Tags) -> Self {
        TargetName {
            provider: tags.shared(&Tag::Provider).cloned(),
            model: tags.shared(&Tag::Model).cloned(),
            api_key: tags.shared(&Tag::ApiKey).cloned(),
        }
    }
}

impl fmt::Display for TargetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (provider, model) = (self.provider.as_deref(), self.model.as_deref());
        f.write_str(provider.unwrap_or("?"))?;
        write!(f, "/{}", model.unwrap_or("?"))?;
        match &self.api_key {
            Some(key) => write!(f, " ({key})"),
            None => Ok(()),
        }
    }
}

impl PassedOver {
    pub(crate) fn new(target: &TargetName, why: PassedOverWhy, still: Option<Duration>) -> Self {
        PassedOver {
            target: target.clone(),
            why,
            still,
        }
    }
}

impl PassedOverWhy {
    /// Returns the reason in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            PassedOverWhy::CoolingDown => "was told to wait",
            PassedOverWhy::Parked => "is out of money or quota, or its key is refused",
            PassedOverWhy::BreakerOpen => "failed too often of late",
            PassedOverWhy::TooLong => "does not take so long a call",
            PassedOverWhy::OtherApi => "has no such API",
            PassedOverWhy::KeyRefused => "refuses the key that it is asked with",
            PassedOverWhy::Degraded => "is too dear for what is left of a budget",
        }
    }
}

impl Outcome {
    pub(crate) fn answered(status: StatusCode, error: Option<ProviderError>) -> Self {
        Outcome::Answered {
            status: status.as_u16(),
            error: error.map(|error| error.class.name()),
        }
    }
}

/// The attempts of a call so far. Calls that a foreign layer makes of one share it.
#[derive(Clone, Debug)]
pub(super) struct SharedLog(Arc<Mutex<Log>>);

impl SharedLog {
    pub(super) fn new(since: Instant) -> Self {
        SharedLog(Arc::new(Mutex::new(Log::new(since))))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
pub(super) struct Log {
    attempts: Attempts,
    /// Since when it waits.
    since: Instant,
    waited: Duration,
    /// How many attempts have left, shown or not.
    made: u32,
    /// How many the layer makes at one target that repeats them, where there is one.
    most_repeated: Option<u32>,
    /// What it was refused.
    pub(super) turned_away: TurnedAway,
}

impl Log {
    fn new(since: Instant) -> Self {
        Log {
            attempts: Attempts::default(),
            since,
            waited: Duration::ZERO,
            made: 0,
            most_repeated: None,
            turned_away: TurnedAway::default(),
        }
    }

    /// An attempt leaves.
    pub(super) fn left(&mut self, now: Instant) {
        self.waited = now.saturating_duration_since(self.since);
    }

    /// It had its answer.
    pub(super) fn ended(&mut self, tags: &Tags, outcome: Outcome) {
        let waited = match outcome {
            Outcome::Refused { .. } => self.since.elapsed(),
            _ => self.waited,
        };
        if !matches!(outcome, Outcome::Answered { status, .. } if status < 400) {
            // After an answer there is no other attempt, unless it turns out to be an error.
            self.since = Instant::now();
        }
        self.made += u32::from(!matches!(outcome, Outcome::Refused { .. }));
        self.attempts.made.push(AttemptReport {
            target: TargetName::of(tags),
            waited,
            outcome,
        });
    }

    /// What kind of error the last answer turned out to be.
    pub(super) fn failed(&mut self, class: ErrorClass) {
        self.since = Instant::now();
        if let Some(AttemptReport {
            outcome: Outcome::Answered { error, .. },
            ..
        }) = self.attempts.made.last_mut()
        {
            *error = Some(class.name());
        }
    }

    pub(super) fn refused(&mut self, tags: &Tags, rejection: &Rejection) {
        let kind = rejection.kind();
        self.ended(tags, Outcome::Refused { kind });
    }

    pub(super) fn passed_over(&mut self, passed: PassedOver) {
        let known = &mut self.attempts.passed_over;
        if !known
            .iter()
            .any(|other| other.target == passed.target && other.why == passed.why)
        {
            known.push(passed);
        }
    }

    /// How many attempts have left.
    pub(super) fn made(&self) -> u32 {
        self.made
    }

    /// A layer repeats attempts until so many are made at one target.
    pub(super) fn repeats_up_to(&mut self, most: NonZeroU32) {
        self.most_repeated = Some(most.get());
    }

    pub(super) fn most_repeated(&self) -> Option<u32> {
        self.most_repeated
    }

    pub(super) fn retry_after(&mut self, wait: Duration) {
        self.attempts.retry_after = Some(wait);
    }

    pub(super) fn attempts(&self) -> &Attempts {
        &self.attempts
    }

    /// All of it, to be shown.
    pub(super) fn take(&mut self) -> Attempts {
        std::mem::take(&mut self.attempts)
    }
}
