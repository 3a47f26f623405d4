//! The audit log: what was done to budgets, limits and what is spent; when, by whom, and why.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::Pruned;
use crate::{
    limit::{Limit, Limits},
    store::{BudgetChange, BudgetEvent, clock::told::At},
};

/// Who has done what nobody has done.
const ITSELF: &str = "tower-quota";

/// An entry that is still to be dated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Note {
    what: &'static str,
    subject: String,
    old: Option<String>,
    new: Option<String>,
    by: String,
    why: String,
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
        let same = |one: &Limit, other: &Limit| {
            use crate::limit::Identity;
            Identity::of(one).same(&Identity::of(other))
        };
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

    /// Of a file whose process has ended without a word.
    pub(super) fn of_crash(lost: usize) -> Self {
        Note {
            what: "recover",
            subject: "calls in flight".into(),
            old: Some(format!("{lost} open")),
            new: Some("counted as reserved".into()),
            by: ITSELF.into(),
            why: "the process before this one ended without settling them".into(),
        }
    }

    /// Of attempts that were deleted because they are old.
    pub(super) fn of_retention(Pruned { attempts, hours }: Pruned, by: &str) -> Self {
        Note {
            what: "prune",
            subject: "the ledger".into(),
            old: Some(format!("{attempts} attempts, {hours} sums of an hour")),
            new: None,
            by: by.to_owned(),
            why: "older than they are kept".into(),
        }
    }

    pub(super) fn write(&self, conn: &Connection, at: At) -> rusqlite::Result<()> {
        let Note {
            what,
            subject,
            old,
            new,
            by,
            why,
        } = self;
        let insert =
            "INSERT INTO audit (at, what, subject, old, new, by, why) VALUES (?, ?, ?, ?, ?, ?, ?)";
        let mut insert = conn.prepare_cached(insert)?;
        insert.execute(params![instant(at), what, subject, old, new, by, why])?;
        Ok(())
    }
}

/// With the amounts that some values have of their own.
fn words(limit: &Limit) -> String {
    let own = limit.amounts.iter();
    own.fold(limit.to_string(), |text, (value, amount)| {
        format!("{text}; {value}: {amount}")
    })
}

fn instant(at: At) -> String {
    let millis =
        Timestamp::from_millisecond(at.wall.div_euclid(1_000)).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{millis:.3}")
}
