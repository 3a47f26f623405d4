//! The audit log: what was done to budgets, limits and what is spent; when, by whom, and why.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{BudgetChange, BudgetEvent, clock::told::At};
use crate::limit::{Identity, Limit, Limits};

/// An entry of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuditEntry {
    /// When, in UTC.
    pub at: String,
    /// What was done: `correct`, `reset`, `limit`, `stop`, `recover`, `prune`.
    pub what: String,
    /// To what.
    pub subject: String,
    /// What it was before.
    pub old: Option<String>,
    /// What it is since.
    pub new: Option<String>,
    /// By whom.
    pub by: String,
    /// Why.
    pub why: String,
}

/// Who has done what nobody has done.
pub(super) const ITSELF: &str = "tower-quota";

/// An entry that is still to be dated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) what: &'static str,
    pub(super) subject: String,
    pub(super) old: Option<String>,
    pub(super) new: Option<String>,
    pub(super) by: String,
    pub(super) why: String,
}

impl Note {
    /// Of what has happened to a budget, where that is a change of it.
    pub(super) fn of_event(event: &BudgetEvent, by: &str) -> Option<Self> {
        let settled = event.settled.map(|money| money.to_string());
        let note = |what, old, new, by: &str, why: &str| Note {
            what,
            subject: event.budget.clone(),
            old,
            new,
            by: by.to_owned(),
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
        let same = |one: &Limit, other: &Limit| Identity::of(one).same(&Identity::of(other));
        let find = |limits: &Limits, limit: &Limit| {
            limits.iter().find(|other| same(other, limit)).cloned()
        };
        let note = |old: Option<&Limit>, new: Option<&Limit>| Note {
            what: "limit",
            subject: new.or(old).map(ToString::to_string).unwrap_or_default(),
            old: old.map(words),
            new: new.map(words),
            by: by.to_owned(),
            why: why.to_owned(),
        };
        let mut notes = Vec::new();
        for old in before.iter() {
            let new = find(after, old);
            if new.as_ref() != Some(old) {
                notes.push(note(Some(old), new.as_ref()));
            }
        }
        let new = after.iter().filter(|new| find(before, new).is_none());
        notes.extend(new.map(|new| note(None, Some(new))));
        notes
    }

    /// Of a process that has ended without a word.
    pub(super) fn of_crash(lost: usize) -> Self {
        Note {
            what: "recover",
            subject: "calls in flight".into(),
            old: Some(format!("{lost} open")),
            new: Some("counted as reserved".into()),
            by: ITSELF.into(),
            why: "their process ended without settling them".into(),
        }
    }

    /// The same with its date.
    #[cfg(feature = "redis")]
    pub(super) fn at(self, at: At) -> AuditEntry {
        AuditEntry {
            at: instant(at),
            what: self.what.to_owned(),
            subject: self.subject,
            old: self.old,
            new: self.new,
            by: self.by,
            why: self.why,
        }
    }
}

/// With the amounts that some values have of their own.
fn words(limit: &Limit) -> String {
    let own = limit.amounts.iter();
    own.fold(limit.to_string(), |text, (value, amount)| {
        format!("{text}; {value}: {amount}")
    })
}

/// As it is written.
pub(super) fn instant(at: At) -> String {
    let millis =
        Timestamp::from_millisecond(at.wall.div_euclid(1_000)).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{millis:.3}")
}
