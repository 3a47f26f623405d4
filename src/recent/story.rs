//! What became of one call.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde::{Serialize, Serializer};

use super::{Refusal, bounds};
use crate::{
    event::{AttemptEnd, AttemptOutcome, CallEnd, CallOutcome},
    retry::TargetName,
    statistics::instant,
    tags::Tags,
    usage::Usage,
};

/// What became of one call, in order.
///
/// As JSON: `{"call":7,"came":"2026-11-26T12:00:00Z","is_over":true,"dialect":"openai_chat","streams":false,
/// "tags":{"team":"blue"},"events":[{"after":0.0,"what":"came"},…],"left_out":0}`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Story {
    /// The call's number.
    pub call: u64,
    /// When it came.
    #[serde(with = "instant")]
    pub came: SystemTime,
    /// Whether it is over.
    pub is_over: bool,
    /// The API in which it asked, as in [`Dialect::name`](crate::wire::Dialect::name).
    pub dialect: &'static str,
    /// Whether it asked for its answer as a stream.
    pub streams: bool,
    /// Who called, and what for.
    pub tags: Arc<Tags>,
    /// What happened.
    pub events: Vec<Moment>,
    /// How many events from the middle were not kept.
    pub left_out: u32,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Moment {
    /// How long after the call came.
    #[serde(serialize_with = "seconds")]
    pub after: Duration,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// What happened. In JSON its name is in `what`, beside the fields:
/// `{"after":0.2,"what":"waits","limit":"requests 60/min"}`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
#[non_exhaustive]
pub enum What {
    /// It came. This is there more than once if a foreign layer made several requests of it.
    Came,
    /// It begins to wait for room.
    #[non_exhaustive]
    Waits {
        /// The count it waits for, such as `tokens 90000/min for agent=scout`.
        limit: Box<str>,
    },
    /// It waits no longer.
    #[non_exhaustive]
    Waited {
        /// The limit it waited for, as it was given, such as `tokens 90000/min per agent`.
        rule: Box<str>,
        /// How long it waited.
        #[serde(rename = "seconds", serialize_with = "seconds")]
        span: Duration,
        /// Whether it has room; otherwise it was refused or given up.
        has_room: bool,
    },
    /// A stream has begun.
    #[non_exhaustive]
    Began {
        /// How long after its attempt left.
        #[serde(rename = "seconds", serialize_with = "seconds")]
        span: Duration,
    },
    /// An attempt has ended.
    Attempt(Box<AttemptStory>),
    /// The call, or an attempt of it, was refused here.
    Refused(#[serde(serialize_with = "refused")] Arc<Refusal>),
    /// It is repeated.
    #[non_exhaustive]
    Repeats {
        /// The kind of error that the attempt before ended with.
        cause: &'static str,
        /// How long it waits before that.
        #[serde(rename = "seconds", serialize_with = "seconds")]
        span: Duration,
    },
    /// It leaves a target that does not serve it.
    #[non_exhaustive]
    MovesOn {
        /// The target it leaves.
        from: TargetName,
        /// Why it leaves.
        cause: &'static str,
    },
    /// A provider told a wait for its target.
    #[non_exhaustive]
    Cools {
        /// The target.
        target: TargetName,
        /// How long the wait is.
        #[serde(rename = "seconds", serialize_with = "seconds")]
        span: Duration,
    },
    /// It is over.
    #[non_exhaustive]
    Over {
        /// The outcome, as in [`CallOutcome::name`].
        outcome: &'static str,
        /// The status that was handed on, if there was an answer.
        status: Option<u16>,
        /// The kind of the refusal, if it was refused.
        kind: Option<&'static str>,
        /// How many attempts left.
        attempts: u32,
        /// How long it waited for room.
        #[serde(serialize_with = "seconds")]
        waited: Duration,
    },
}

/// What became of one attempt.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AttemptStory {
    /// Which of the call's attempts this was, counted from 1.
    pub number: u32,
    /// Where it went.
    pub target: TargetName,
    /// The outcome in a word: `answered`, `failed`, `given_up` or `not_sent`.
    pub outcome: &'static str,
    /// The status of its answer.
    pub status: Option<u16>,
    /// What went wrong, as in [`AttemptOutcome::error`].
    pub error: Option<&'static str>,
    /// The model that answered, according to the answer.
    pub model: Option<Arc<str>>,
    /// What it used, and what that cost if prices are known.
    pub usage: Option<Usage>,
    /// Whether the provider reported the usage.
    pub is_reported: bool,
    /// The time from when it left to its end.
    #[serde(serialize_with = "seconds")]
    pub took: Duration,
    /// The time from when it left to the head of its answer.
    #[serde(serialize_with = "seconds_if")]
    pub head_after: Option<Duration>,
}

impl AttemptStory {
    pub(super) fn of(end: &AttemptEnd<'_>) -> Box<Self> {
        let (outcome, status) = match end.outcome {
            AttemptOutcome::Answered { status, .. } => ("answered", Some(status)),
            AttemptOutcome::Failed { .. } => ("failed", None),
            AttemptOutcome::GivenUp => ("given_up", None),
            AttemptOutcome::NotSent => ("not_sent", None),
        };
        Box::new(AttemptStory {
            number: end.number,
            target: TargetName::of(end.tags),
            outcome,
            status,
            error: end.outcome.error(),
            model: end.model.map(bounds::name),
            usage: end.usage.copied(),
            is_reported: end.is_reported,
            took: end.took,
            head_after: end.head_after,
        })
    }
}

impl What {
    pub(super) fn over(end: &CallEnd) -> Self {
        let (status, kind) = match end.outcome {
            CallOutcome::Answered { status } | CallOutcome::Error { status } => {
                (Some(status), None)
            }
            CallOutcome::Refused { kind } => (None, Some(kind)),
            CallOutcome::Failed | CallOutcome::GivenUp => (None, None),
        };
        What::Over {
            outcome: end.outcome.name(),
            status,
            kind,
            attempts: end.attempts,
            waited: end.waited,
        }
    }
}

/// To the microsecond.
fn seconds<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((span.as_secs_f64() * 1e6).round() / 1e6)
}

fn seconds_if<S: Serializer>(span: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match span {
        Some(span) => seconds(span, serializer),
        None => serializer.serialize_none(),
    }
}

/// The call and its tags stand around it.
fn refused<S: Serializer>(refusal: &Arc<Refusal>, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Within<'r> {
        kind: &'static str,
        message: &'r str,
        #[serde(with = "instant::option")]
        retry_at: Option<SystemTime>,
        target: &'r TargetName,
    }

    let Refusal {
        kind,
        message,
        retry_at,
        target,
        ..
    } = &**refusal;
    let (kind, retry_at) = (*kind, *retry_at);
    let within = Within {
        kind,
        message,
        retry_at,
        target,
    };
    within.serialize(serializer)
}
