//! Google's details of an error: `QuotaFailure`, which says which quota of the Gemini API a request ran into, and
//! `RetryInfo`.
//!
//! Source: "Gemini API: Rate limits", `google.rpc.QuotaFailure` and `google.rpc.RetryInfo`; the names of quotas are
//! known from recorded answers.

use std::time::Duration;

use super::{
    super::{
        ObservedQuantity::{InputTokens, Requests, Tokens},
        note::shortened,
        retry_after::go_duration,
        walk::Scalar,
    },
    text::{Stated, count},
};

pub(super) const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Google's status of an error that is about a quota, of whatever time.
pub(super) const USED_UP: &str = "RESOURCE_EXHAUSTED";

/// How many violations are kept.
const MANY: usize = 8;

/// The details of an error, as far as anything is made of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::wire) struct Details {
    /// `RetryInfo`.
    pub(super) retry_delay: Option<Duration>,
    /// `QuotaFailure`.
    pub(super) violations: Vec<Violation>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
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

impl Details {
    /// Takes in a value of `error.details`.
    pub(in crate::wire) fn read(&mut self, path: &[&str], value: &Scalar<'_>) {
        let Some(text) = value.text() else {
            return;
        };
        match path {
            ["retryDelay"] => self.retry_delay = proto_duration(text).or(self.retry_delay),
            ["violations", key] => self.violation(key, text),
            _ => {}
        }
    }

    /// Lists add nothing to a path, so a key that is there already begins the next violation.
    fn violation(&mut self, key: &str, text: &str) {
        let last = self.violations.last();
        let begins = last.is_none_or(|last| match key {
            "quotaId" => last.id.is_some(),
            "quotaValue" => last.value.is_some(),
            _ => false,
        });
        if begins && self.violations.len() < MANY {
            self.violations.push(Violation::default());
        } else if begins {
            return;
        }
        if let Some(last) = self.violations.last_mut() {
            match key {
                "quotaId" => last.id = Some(shortened(text)),
                "quotaValue" => last.value = Some(shortened(text)),
                _ => {}
            }
        }
    }
}

/// A `google.protobuf.Duration` as JSON: decimal seconds with an `s`, and no other unit.
fn proto_duration(text: &str) -> Option<Duration> {
    let digits = text.strip_suffix('s')?;
    let is_decimal = digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    is_decimal.then(|| go_duration(text)).flatten()
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
