//! What was done by hand: to budgets, limits and what is spent, and to things beside the store; when, by whom, and why.

use std::{borrow::Cow, sync::Arc, time::SystemTime};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{BudgetChange, BudgetEvent};
use crate::{
    limit::{Identity, Limit, Limits, pairs},
    tags::{self, Tag},
};

/// An entry of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuditEntry {
    /// When it was done, in UTC.
    pub at: String,
    /// What was done: `correct`, `reset`, `limit`, `stop`, `recover`, `prune`, or what a [`Note`] says.
    pub what: String,
    /// What it was done to.
    pub subject: String,
    /// What it was before.
    pub old: Option<String>,
    /// What it has been since.
    pub new: Option<String>,
    /// Who did it.
    pub by: String,
    /// Why it was done.
    pub why: String,
}

/// Why something is done by hand, and by whom, for the audit log.
///
/// If nobody is named, it is the `user` of the [`scope`](crate::scope) in which it is done, or else whoever the store
/// was told, or else "this program". A text alone can serve as a reason.
///
/// ```
/// use tower_quota::store::Reason;
///
/// let reason = Reason::new("refunded, ticket 4711").by("ada");
/// assert_eq!(reason.to_string(), "refunded, ticket 4711");
/// assert_ne!(reason, "refunded, ticket 4711".into());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Reason {
    why: String,
    by: Option<Arc<str>>,
}

impl Reason {
    /// Creates a reason in words.
    pub fn new(why: impl Into<String>) -> Self {
        let why = why.into();
        Reason { why, by: None }
    }

    /// Names who does it.
    pub fn by(mut self, name: impl Into<Arc<str>>) -> Self {
        self.by = Some(name.into());
        self
    }

    pub(super) fn why(&self) -> &str {
        &self.why
    }

    /// The same, of a change of limits that nobody gives a reason for.
    pub(super) fn why_or_changed(&self) -> &str {
        changed(&self.why)
    }

    /// Whoever does it: `else_by`, where neither this nor the scope says.
    pub(super) fn who(&self, else_by: &Arc<str>) -> Arc<str> {
        let user = || tags::inherited().and_then(|tags| tags.shared(&Tag::User).cloned());
        let by = self.by.clone().or_else(user);
        by.unwrap_or_else(|| else_by.clone())
    }
}

/// Why limits were changed.
pub(super) fn changed(why: &str) -> &str {
    match why {
        "" => "changed at run time",
        why => why,
    }
}

impl From<&str> for Reason {
    fn from(why: &str) -> Self {
        Reason::new(why)
    }
}

impl From<String> for Reason {
    fn from(why: String) -> Self {
        Reason::new(why)
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.why)
    }
}

/// Who has done what nobody has done.
pub(super) const ITSELF: &str = "tower-quota";
/// Who does things by hand, where nothing is said.
pub(super) const PROGRAM: &str = "this program";

/// An entry of the audit log that is not dated yet: what a program [notes](crate::Limiter::note) about things other
/// than the store.
///
/// ```
/// use tower_quota::store::Note;
///
/// let note = Note::new("key", "ci-bot").was("enabled").now("disabled");
/// # let _ = note;
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[must_use]
pub struct Note {
    pub(super) what: Cow<'static, str>,
    pub(super) subject: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) old: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) new: Option<String>,
    #[serde(default)]
    pub(super) by: Cow<'static, str>,
    #[serde(default)]
    pub(super) why: String,
}

impl Note {
    /// Creates a note that something was done to this subject.
    pub fn new(what: impl Into<Cow<'static, str>>, subject: impl Into<String>) -> Self {
        Note {
            what: what.into(),
            subject: subject.into(),
            old: None,
            new: None,
            by: Cow::Borrowed(""),
            why: String::new(),
        }
    }

    /// Sets what it was before.
    pub fn was(mut self, old: impl Into<String>) -> Self {
        self.old = Some(old.into());
        self
    }

    /// Sets what it is now.
    pub fn now(mut self, new: impl Into<String>) -> Self {
        self.new = Some(new.into());
        self
    }

    pub(super) fn because(mut self, reason: &Reason, else_by: &Arc<str>) -> Self {
        self.by = String::from(&*reason.who(else_by)).into();
        reason.why().clone_into(&mut self.why);
        self
    }

    /// Of what has happened to a budget, where that is a change of it.
    pub(super) fn of_event(event: &BudgetEvent, by: &str) -> Option<Self> {
        let settled = event.settled.map(|money| money.to_string());
        let note = |what, old, new, by: &str, why: &str| Note {
            what: Cow::Borrowed(what),
            subject: event.budget.clone(),
            old,
            new,
            by: by.to_owned().into(),
            why: why.to_owned(),
        };
        Some(match &event.change {
            BudgetChange::Corrected { before, reason } => {
                note("correct", Some(before.to_string()), settled, by, reason)
            }
            BudgetChange::Reset { before, reason } => {
                note("reset", Some(before.to_string()), settled, by, reason)
            }
            BudgetChange::Tripped => note("stop", None, settled, ITSELF, "too much of it is spent"),
            // The limit is told of.
            BudgetChange::AmountChanged { .. } | BudgetChange::Added | BudgetChange::Removed => {
                return None;
            }
            // Nothing is changed by it.
            BudgetChange::Passed { .. } => return None,
        })
    }

    /// Of limits that were changed: those that are others now, that are new and that are gone.
    pub(super) fn of_limits(before: &Limits, after: &Limits, by: &str, why: &str) -> Vec<Self> {
        let (old, new): (Vec<&Limit>, Vec<&Limit>) =
            (before.iter().collect(), after.iter().collect());
        let of = |limits: &Limits| limits.iter().map(Identity::of).collect::<Vec<_>>();
        let mut now: Vec<Option<&Limit>> = vec![None; old.len()];
        let mut added = Vec::new();
        for (limit, place) in new.into_iter().zip(pairs(&of(before), &of(after))) {
            match place {
                Some(place) => now[place] = Some(limit),
                None => added.push(limit),
            }
        }
        let note = |old: Option<&Limit>, new: Option<&Limit>| {
            let [before, now] = in_words(old, new);
            Note {
                what: Cow::Borrowed("limit"),
                subject: new.or(old).map(ToString::to_string).unwrap_or_default(),
                old: before,
                new: now,
                by: by.to_owned().into(),
                why: why.to_owned(),
            }
        };
        let changed = old.into_iter().zip(now);
        let changed = changed.filter(|(old, now)| *now != Some(*old));
        let mut notes: Vec<Self> = changed.map(|(old, now)| note(Some(old), now)).collect();
        notes.extend(added.into_iter().map(|limit| note(None, Some(limit))));
        notes
    }

    /// Of a process that has ended without a word.
    #[cfg(any(feature = "redis", feature = "sqlite"))]
    pub(super) fn of_crash(lost: usize) -> Self {
        Note {
            what: Cow::Borrowed("recover"),
            subject: "calls in flight".into(),
            old: Some(format!("{lost} open")),
            new: Some("counted as reserved".into()),
            by: Cow::Borrowed(ITSELF),
            why: "their process ended without settling them".into(),
        }
    }

    /// The same with its date.
    pub(super) fn at(self, at: SystemTime) -> AuditEntry {
        AuditEntry {
            at: instant(at),
            what: self.what.into_owned(),
            subject: self.subject,
            old: self.old,
            new: self.new,
            by: self.by.into_owned(),
            why: self.why,
        }
    }
}

/// A limit as it was and as it is; of what differs also what the words for both leave out.
fn in_words(old: Option<&Limit>, new: Option<&Limit>) -> [Option<String>; 2] {
    let mut both = [old.map(words), new.map(words)];
    let unsaid = old.zip(new).map(|(old, new)| old.differs_unsaid(new));
    for field in unsaid.into_iter().flatten() {
        let values = [field.before, field.now];
        for (text, value) in both.iter_mut().flatten().zip(values) {
            *text = format!("{text}; {}: {value}", field.name);
        }
    }
    both
}

/// With the amounts that some values have of their own.
fn words(limit: &Limit) -> String {
    let own = limit.amounts.iter();
    own.fold(limit.to_string(), |text, (value, amount)| {
        format!("{text}; {value}: {}", limit.quantity.amount(*amount))
    })
}

/// As it is written.
pub(super) fn instant(at: SystemTime) -> String {
    let millis = match at.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => {
            let micros = i64::try_from(before.duration().as_micros()).unwrap_or(i64::MAX);
            (-micros).div_euclid(1_000)
        }
    };
    let millis = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{millis:.3}")
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
