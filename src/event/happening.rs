//! What observers are told.

use std::time::Duration;

use crate::{error::Rejection, tags::Tags, usage::Usage};

/// Something happened to a call.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event<'e> {
    /// It came to the outermost layer that observes, and was read.
    Came,
    /// It waits for room from now on.
    #[non_exhaustive]
    Waits {
        /// For which limit, as it was given: `tokens 90000/min per agent`; `cooldown` for a wait that a provider told.
        rule: &'e str,
        /// For which of its counts: `tokens 90000/min for agent=scout`.
        limit: &'e str,
    },
    /// It waits no longer.
    #[non_exhaustive]
    Waited {
        /// For which limit it has waited, as it was given.
        rule: &'e str,
        /// How long.
        span: Duration,
        /// Whether it has room: else it was refused, or given up.
        has_room: bool,
    },
    /// The answer to an attempt that streams has begun: something was generated. Told of streams alone, and where one is
    /// looked into before it is handed on.
    #[non_exhaustive]
    Began {
        /// Where it went.
        tags: &'e Tags,
        /// How long after the attempt left.
        after: Duration,
    },
    /// An attempt that left has ended: its answer was read or dropped, or there was none.
    Ended(&'e AttemptEnd<'e>),
    /// An attempt was refused here, and did not leave; or the whole call, by a layer that has nowhere to send it.
    #[non_exhaustive]
    Refused {
        /// Where it would have gone.
        tags: &'e Tags,
        /// Why not.
        rejection: &'e Rejection,
    },
    /// It is repeated, by the layer that retries.
    #[non_exhaustive]
    Repeats {
        /// What kind of error the last attempt came to: as [`ErrorClass::name`](crate::wire::ErrorClass::name), or
        /// `connection`.
        cause: &'static str,
        /// After how long.
        wait: Duration,
    },
    /// It goes on from a target that does not serve it: to the next, if there is one.
    #[non_exhaustive]
    MovesOn {
        /// From which.
        from: &'e Tags,
        /// Why: as [`Trigger::name`](crate::failover::Trigger::name).
        cause: &'static str,
    },
    /// A provider told its target to be left alone.
    #[non_exhaustive]
    Cools {
        /// Which.
        tags: &'e Tags,
        /// For how long, from the answer on.
        span: Duration,
    },
    /// It is over: its answer was handed on and read or dropped, or nobody waits for one any more. The last event.
    Over(&'e CallEnd),
}

/// How an attempt ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AttemptEnd<'e> {
    /// Which of the call's attempts it was, from 1 on.
    pub number: u32,
    /// Where it went, and who called.
    pub tags: &'e Tags,
    /// What came of it.
    pub outcome: AttemptOutcome,
    /// The model that has answered, by the answer. Providers write here what they like.
    pub model: Option<&'e str>,
    /// What it used, and what that cost where a layer knows prices; `None` where there is nothing to say.
    pub usage: Option<&'e Usage>,
    /// Whether the provider said so. Otherwise it was estimated, or is what was reserved.
    pub is_reported: bool,
    /// From its leaving to its end.
    pub took: Duration,
    /// From its leaving to the head of its answer.
    pub head_after: Option<Duration>,
}

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AttemptOutcome {
    /// An answer.
    #[non_exhaustive]
    Answered {
        /// With this status.
        status: u16,
        /// What kind of error it is, where it is one: also of a stream that begins with one. As
        /// [`ErrorClass::name`](crate::wire::ErrorClass::name).
        error: Option<&'static str>,
    },
    /// The inner service failed.
    #[non_exhaustive]
    Failed {
        /// It may have been sent, so it may have been billed.
        sent: bool,
    },
    /// Nobody waited for its answer.
    GivenUp,
    /// A foreign layer answered in its place: it was not sent.
    NotSent,
}

impl AttemptOutcome {
    /// What went wrong, in a word: the kind of error, else the status; `connection`, `given_up`. `None`: nothing.
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
    /// What came of it.
    pub outcome: CallOutcome,
    /// How many attempts left.
    pub attempts: u32,
    /// From its coming to its end.
    pub took: Duration,
    /// How long it waited for room, over all attempts.
    pub waited: Duration,
}

/// What came of a call: of what was handed on, whatever there was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallOutcome {
    /// An answer that is no error.
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
    /// It was refused here: the [kind](Rejection::kind) of the refusal.
    #[non_exhaustive]
    Refused {
        /// As [`Rejection::kind`].
        kind: &'static str,
    },
    /// The inner service failed.
    Failed,
    /// Nobody waited for it.
    GivenUp,
}

impl CallOutcome {
    /// In a word: `ok`, `error`, `refused`, `failed`, `given_up`.
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
