//! Google's `QuotaFailure`: which quota of the Gemini API a request ran into.
//!
//! Source: "Gemini API: Rate limits", and `google.rpc.QuotaFailure`; the names of quotas are known
//! from recorded answers.

use std::time::Duration;

use super::{
    super::ObservedQuantity::{InputTokens, Requests, Tokens},
    text::{Stated, count},
};

const DAY: Duration = Duration::from_secs(24 * 3_600);

#[derive(Debug, Default)]
pub(super) struct Violation {
    /// Such as `GenerateContentInputTokensPerModelPerMinute-FreeTier`.
    pub(super) id: Option<String>,
    /// The limit, a number in a string.
    pub(super) value: Option<String>,
}

/// What the strictest of the violations states: one that is used up before one of a minute.
pub(super) fn stated(violations: &[Violation]) -> Option<Stated> {
    let mut all = violations.iter().map(Violation::stated);
    let first = all.next()?;
    Some(if is_used_up(&first) {
        first
    } else {
        all.find(is_used_up).unwrap_or(first)
    })
}

/// Whether waiting is of no use: the quota comes back at midnight, or there is none at all (a
/// model that is not in this tier).
pub(super) fn is_used_up(stated: &Stated) -> bool {
    stated.window == Some(DAY) || stated.limit == Some(0)
}

impl Violation {
    fn stated(&self) -> Stated {
        let id = self.id.as_deref().unwrap_or_default();
        let has = |word: &str| id.contains(word);
        Stated {
            quantity: match () {
                () if has("InputToken") => Some(InputTokens),
                () if has("Token") => Some(Tokens),
                () if has("Requests") => Some(Requests),
                () => None,
            },
            window: match () {
                () if has("PerDay") => Some(DAY),
                () if has("PerMinute") => Some(Duration::from_secs(60)),
                () => None,
            },
            limit: self.value.as_deref().and_then(count),
            ..Stated::default()
        }
    }
}
