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
    /// In which API it asked, as [`Dialect::name`](crate::wire::Dialect::name).
    pub dialect: &'static str,
    /// Whether its answer was asked for as a stream.
    pub streams: bool,
    /// Who called, and what for.
    pub tags: Arc<Tags>,
    /// What happened.
    pub events: Vec<Moment>,
    /// How many events from the middle are not kept.
    pub left_out: u32,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Moment {
    /// How long after the call came.
    #[serde(serialize_with = "seconds")]
    pub after: Duration,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What happened. In JSON its name is in `what`, beside the fields: `{"after":0.2,"what":"waits","limit":"requests 60/min"}`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
#[non_exhaustive]
pub enum What {
    /// It came. More than once where a foreign layer has made several requests of it.
    Came,
    /// It waits for room.
    #[non_exhaustive]
    Waits {
        /// For which count: `tokens 90000/min for agent=scout`.
        limit: Box<str>,
    },
    /// It waits no longer.
    #[non_exhaustive]
    Waited {
        /// For which limit, as it was given: `tokens 90000/min per agent`.
        rule: Box<str>,
        /// How long.
        #[serde(rename = "seconds", serialize_with = "seconds")]
        span: Duration,
        /// Whether it has room: else it was refused, or given up.
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
    /// It was refused here: an attempt of it, or all of it.
    Refused(#[serde(serialize_with = "refused")] Arc<Refusal>),
    /// It is repeated.
    #[non_exhaustive]
    Repeats {
        /// What kind of error the attempt before came to.
        cause: &'static str,
        /// After how long.
        #[serde(rename = "seconds", serialize_with = "seconds")]
        span: Duration,
    },
    /// It goes on from a target that does not serve it.
    #[non_exhaustive]
    MovesOn {
        /// From which.
        from: TargetName,
        /// Why.
        cause: &'static str,
    },
    /// A provider told its target to be left alone.
    #[non_exhaustive]
    Cools {
        /// Which.
        target: TargetName,
        /// For how long.
        #[serde(rename = "seconds", serialize_with = "seconds")]
        span: Duration,
    },
    /// It is over.
    #[non_exhaustive]
    Over {
        /// As [`CallOutcome::name`].
        outcome: &'static str,
        /// The status that was handed on, where there was an answer.
        status: Option<u16>,
        /// The kind of the refusal that was.
        kind: Option<&'static str>,
        /// How many attempts left.
        attempts: u32,
        /// For how long it waited for room.
        #[serde(serialize_with = "seconds")]
        waited: Duration,
    },
}

/// What became of one attempt.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AttemptStory {
    /// Which of the call's attempts, from 1 on.
    pub number: u32,
    /// Where it went.
    pub target: TargetName,
    /// In a word: `answered`, `failed`, `given_up`, `not_sent`.
    pub outcome: &'static str,
    /// The status of its answer.
    pub status: Option<u16>,
    /// What went wrong, as [`AttemptOutcome::error`].
    pub error: Option<&'static str>,
    /// The model that has answered, by the answer.
    pub model: Option<Arc<str>>,
    /// What it used, and what that cost where prices are known.
    pub usage: Option<Usage>,
    /// Whether the provider said so.
    pub is_reported: bool,
    /// From its leaving to its end.
    #[serde(serialize_with = "seconds")]
    pub took: Duration,
    /// From its leaving to the head of its answer.
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
