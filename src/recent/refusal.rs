//! One refusal.

use std::{sync::Arc, time::SystemTime};

use serde::Serialize;

use super::bounds;
use crate::{
    clock::time_of_day, error::Rejection, retry::TargetName, statistics::instant, tags::Tags,
};

/// A refusal, made here, of a call or of one of its attempts.
///
/// As JSON: `{"at":"2026-11-26T12:00:00Z","call":7,"kind":"budget_exceeded","message":"budget exceeded: …",
/// "retry_at":"2026-11-26T13:00:00Z","tags":{"team":"blue"},"target":{"provider":"openai","model":"gpt-4o","api_key":null}}`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Refusal {
    /// When it was refused.
    #[serde(with = "instant")]
    pub at: SystemTime,
    /// The call's number.
    pub call: u64,
    /// The kind of the refusal, as in [`Rejection::kind`].
    pub kind: &'static str,
    /// Why, in the words that the caller gets; cut if they are longer than 4 KB.
    pub message: Arc<str>,
    /// When another try is worthwhile, if that can be said.
    #[serde(with = "instant::option")]
    pub retry_at: Option<SystemTime>,
    /// Who called, and what for.
    pub tags: Arc<Tags>,
    /// Where it would have gone.
    pub target: TargetName,
}

impl Refusal {
    pub(super) fn now(call: u64, rejection: &Rejection, tags: Arc<Tags>, target: &Tags) -> Self {
        let at = time_of_day();
        let wait = rejection.retry_after();
        Refusal {
            at,
            call,
            kind: rejection.kind(),
            message: bounds::message(rejection),
            retry_at: wait.and_then(|wait| at.checked_add(wait)),
            tags,
            target: TargetName::of(target),
        }
    }
}

/// Whether these tags have each of those.
pub(super) fn has(tags: &Tags, wanted: &Tags) -> bool {
    wanted
        .iter()
        .all(|(tag, value)| tags.get(&tag) == Some(value))
}
