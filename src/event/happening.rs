//! What observers are told.

use std::time::Duration;

use serde::Serialize;

use crate::{error::Rejection, tags::Tags, usage::Usage};

/// Something that happened to a call.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event<'e> {
    /// It came to the outermost layer that observes, and was read.
    Came,
    /// It begins to wait for room.
    #[non_exhaustive]
    Waits {
        /// The limit it waits for, as it was given, such as `tokens 90000/min per agent`; for a told wait, `cooldown`.
        rule: &'e str,
        /// The count of that limit it waits for, such as `tokens 90000/min for agent=scout`.
        limit: &'e str,
    },
    /// It waits no longer.
    #[non_exhaustive]
    Waited {
        /// The limit it waited for, as it was given.
        rule: &'e str,
        /// How long it waited.
        span: Duration,
        /// Whether it has room; otherwise it was refused or given up.
        has_room: bool,
    },
    /// The stream that answers an attempt has begun: something was generated. Told only of streams, and only if they
    /// are looked into before they are handed on.
    #[non_exhaustive]
    Began {
        /// Where the attempt went.
        tags: &'e Tags,
        /// How long after the attempt left.
        after: Duration,
    },
    /// An attempt that left has ended: its answer was read or dropped, or there was none.
    Ended(&'e AttemptEnd<'e>),
    /// An attempt was refused here and did not leave, or the whole call was refused by a layer that has nowhere to send
    /// it.
    #[non_exhaustive]
    Refused {
        /// Where it would have gone.
        tags: &'e Tags,
        /// Why it was refused.
        rejection: &'e Rejection,
    },
    /// The layer that retries repeats it.
    #[non_exhaustive]
    Repeats {
        /// The kind of error that the last attempt ended with, as in
        /// [`ErrorClass::name`](crate::wire::ErrorClass::name), or `connection`.
        cause: &'static str,
        /// How long it waits before that.
        wait: Duration,
    },
    /// It leaves a target that does not serve it, for the next target, if there is one.
    #[non_exhaustive]
    MovesOn {
        /// The target it leaves.
        from: &'e Tags,
        /// Why, as in [`Trigger::name`](crate::failover::Trigger::name).
        cause: &'static str,
    },
    /// A provider told a wait for its target.
    #[non_exhaustive]
    Cools {
        /// The target.
        tags: &'e Tags,
        /// How long the wait is, counted from the answer.
        span: Duration,
    },
    /// It is over: its answer was handed on and read or dropped, or nobody waits for one any more. This is the last
    /// event.
    Over(&'e CallEnd),
}

/// How an attempt ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AttemptEnd<'e> {
    /// Which of the call's attempts this was, counted from 1.
    pub number: u32,
    /// Where it went, and who called.
    pub tags: &'e Tags,
    /// Its outcome.
    pub outcome: AttemptOutcome,
    /// The model that answered, according to the answer. Providers write here what they like.
    pub model: Option<&'e str>,
    /// What it used, and what that cost if a layer knows prices. `None` if there is nothing to say.
    pub usage: Option<&'e Usage>,
    /// Whether the provider reported the usage. Otherwise it was estimated, or is what was reserved.
    pub is_reported: bool,
    /// The time from when it left to its end.
    pub took: Duration,
    /// The time from when it left to the head of its answer.
    pub head_after: Option<Duration>,
}

/// The outcome of an attempt. In JSON: `{"answered": {"status": 429, "error": "rate_limit"}}`, `{"failed": {"sent": true}}`,
/// `"given_up"` or `"not_sent"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AttemptOutcome {
    /// There was an answer.
    #[non_exhaustive]
    Answered {
        /// The status of the answer.
        status: u16,
        /// The kind of error, if it is one, as in [`ErrorClass::name`](crate::wire::ErrorClass::name). Also set for a
        /// stream that begins with an error.
        error: Option<&'static str>,
    },
    /// The inner service failed.
    #[non_exhaustive]
    Failed {
        /// Whether it may have been sent, and so may have been billed.
        sent: bool,
    },
    /// Nobody waited for its answer.
    GivenUp,
    /// A foreign layer answered in its place: it was not sent.
    NotSent,
}

impl AttemptOutcome {
    /// Returns what went wrong, in a word: the kind of error, or else the status; `connection`; `given_up`. `None` if
    /// nothing did.
    #[must_use]
    pub fn error(self) -> Option<&'static str> {
        match self {
            AttemptOutcome::Answered { error, status } => error.or(match status {
                0..400 => None,
                400..500 => Some("client_error"),
                _ => Some("server_error"),
            }),
            AttemptOutcome::Failed { .. } => Some("connection"),
            AttemptOutcome::GivenUp => Some("given_up"),
            AttemptOutcome::NotSent => None,
        }
    }
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallEnd {
    /// Its outcome.
    pub outcome: CallOutcome,
    /// How many attempts left.
    pub attempts: u32,
    /// The time from when the call came to its end.
    pub took: Duration,
    /// How long it waited for room, over all attempts.
    pub waited: Duration,
}

/// The outcome of a call: what was handed on, whatever happened before. In JSON: `{"answered": {"status": 200}}`,
/// `{"error": {"status": 500}}`, `{"refused": {"kind": "rate_limited"}}`, `"failed"` or `"given_up"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CallOutcome {
    /// An answer that is not an error.
    #[non_exhaustive]
    Answered {
        /// Its status.
        status: u16,
    },
    /// An answer that is an error of the provider, or a stream that began with one.
    #[non_exhaustive]
    Error {
        /// Its status.
        status: u16,
    },
    /// It was refused here.
    #[non_exhaustive]
    Refused {
        /// The kind of the refusal, as in [`Rejection::kind`].
        kind: &'static str,
    },
    /// The inner service failed.
    Failed,
    /// Nobody waited for it.
    GivenUp,
}

impl CallOutcome {
    /// Returns the outcome in a word: `ok`, `error`, `refused`, `failed` or `given_up`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            CallOutcome::Answered { .. } => "ok",
            CallOutcome::Error { .. } => "error",
            CallOutcome::Refused { .. } => "refused",
            CallOutcome::Failed => "failed",
            CallOutcome::GivenUp => "given_up",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{json, to_value};

    use super::*;

    #[test]
    fn outcomes_are_data_by_their_names() {
        let refused = AttemptOutcome::Answered {
            status: 429,
            error: Some("rate_limit"),
        };
        for (outcome, expected) in [
            (
                refused,
                json!({"answered": {"status": 429, "error": "rate_limit"}}),
            ),
            (
                AttemptOutcome::Failed { sent: true },
                json!({"failed": {"sent": true}}),
            ),
            (AttemptOutcome::GivenUp, json!("given_up")),
            (AttemptOutcome::NotSent, json!("not_sent")),
        ] {
            assert_eq!(to_value(outcome).unwrap(), expected);
        }
        for (outcome, expected) in [
            (
                CallOutcome::Answered { status: 200 },
                json!({"answered": {"status": 200}}),
            ),
            (
                CallOutcome::Error { status: 500 },
                json!({"error": {"status": 500}}),
            ),
            (
                CallOutcome::Refused {
                    kind: "rate_limited",
                },
                json!({"refused": {"kind": "rate_limited"}}),
            ),
            (CallOutcome::Failed, json!("failed")),
            (CallOutcome::GivenUp, json!("given_up")),
        ] {
            assert_eq!(to_value(outcome).unwrap(), expected);
        }
    }
}
