//! What happens to budgets, for whoever is to know.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::entry::Entry;
use crate::{
    limit::{Happened, LimitKey, Limits, Window},
    money::Money,
};

/// So many that nobody has asked for are kept; further ones push out the oldest.
const KEPT: usize = 1_024;

/// Something that has happened to a budget: to be logged, sent to somebody, or kept as an audit record.
///
/// ```
/// use tower_quota::{Money, store::{BudgetChange, BudgetEvent}};
///
/// let event = BudgetEvent {
///     budget: "cost $10.00/hour".into(),
///     change: BudgetChange::Passed { share: 0.8 },
///     settled: Some(Money::from_dollars(8)),
///     amount: Money::from_dollars(10),
/// };
/// let text = r#"{"budget":"cost $10.00/hour","change":{"passed":{"share":0.8}},"settled":"8.00","amount":"10.00"}"#;
/// assert_eq!(serde_json::to_string(&event)?, text);
/// assert_eq!(serde_json::from_str::<BudgetEvent>(text)?, event);
/// assert_eq!(event.to_string(), "cost $10.00/hour: 80 % of it is spent; $8.00 of $10.00 spent");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BudgetEvent {
    /// The budget in words, including whose it is if it is split.
    pub budget: String,
    /// What has happened.
    pub change: BudgetChange,
    /// What is spent of it by then. `None` if it is split and all of its counts are meant.
    pub settled: Option<Money>,
    /// How much may be spent.
    pub amount: Money,
}

/// What has happened to a budget.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BudgetChange {
    /// This share of it is spent, for the first time in its period: a [threshold](crate::limit::Limit::thresholds).
    Passed {
        /// The threshold.
        share: f64,
    },
    /// Too much of it is spent, and everything under it stops until it is [reset](crate::Limiter::reset).
    Tripped,
    /// It was [reset](crate::Limiter::reset) by hand.
    Reset {
        /// What had been spent of it.
        before: Money,
        /// Why, in the words of whoever did it.
        reason: String,
    },
    /// The amount spent of it was [corrected](crate::Limiter::correct) by hand.
    Corrected {
        /// What had been spent of it according to the count.
        before: Money,
        /// Why, in the words of whoever did it.
        reason: String,
    },
    /// Another amount is in force from now on.
    AmountChanged {
        /// The amount that was in force before.
        before: Money,
    },
    /// It is new, and counts from now on.
    Added,
    /// It was removed, and what was spent of it is forgotten.
    Removed,
}

impl fmt::Display for BudgetEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BudgetEvent {
            budget,
            change,
            settled,
            amount,
        } = self;
        write!(f, "{budget}: ")?;
        match change {
            BudgetChange::Passed { share } => {
                // A share is kept to the millionth.
                let percent = (share * 1e6).round() / 1e4;
                write!(f, "{percent} % of it is spent")?;
            }
            BudgetChange::Tripped => f.write_str("it stops until it is reset")?,
            BudgetChange::Reset { before, reason } => {
                write!(f, "reset by hand from {before} ({reason})")?;
            }
            BudgetChange::Corrected { before, reason } => {
                write!(f, "corrected by hand from {before} ({reason})")?;
            }
            BudgetChange::AmountChanged { before } => {
                return write!(f, "{amount} instead of {before} from now on");
            }
            BudgetChange::Added => return f.write_str("it holds from now on"),
            BudgetChange::Removed => return f.write_str("it holds no more"),
        }
        match settled {
            Some(settled) => write!(f, "; {settled} of {amount} spent"),
            None => Ok(()),
        }
    }
}

impl From<Happened> for BudgetChange {
    fn from(happened: Happened) -> Self {
        match happened {
            Happened::Passed(share) => BudgetChange::Passed { share },
            Happened::Tripped => BudgetChange::Tripped,
        }
    }
}

impl BudgetEvent {
    /// Of a count as it stands now.
    pub(super) fn of(
        limits: &Limits,
        key: &LimitKey,
        count: &Window,
        change: BudgetChange,
    ) -> Self {
        BudgetEvent {
            budget: limits.describe(key),
            change,
            settled: Some(Money::from_nanos(count.settled())),
            amount: Money::from_nanos(count.amount()),
        }
    }
}

/// The events of one store that nobody has asked for yet.
#[derive(Debug, Default)]
pub(super) struct Events {
    untold: Vec<BudgetEvent>,
    /// How many of them the audit log knows.
    noted: usize,
}

impl Events {
    pub(super) fn push(&mut self, event: BudgetEvent) {
        if self.untold.len() == KEPT {
            self.untold.remove(0);
            self.noted = self.noted.saturating_sub(1);
        }
        self.untold.push(event);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.untold.is_empty()
    }

    pub(super) fn take(&mut self) -> Vec<BudgetEvent> {
        self.noted = 0;
        std::mem::take(&mut self.untold)
    }

    /// Those that the audit log does not know; it does from now on.
    pub(super) fn not_noted(&mut self) -> &[BudgetEvent] {
        let known = std::mem::replace(&mut self.noted, self.untold.len());
        self.untold.get(known..).unwrap_or_default()
    }

    /// Notes what has happened to a count of an entry.
    #[cold]
    pub(super) fn note(
        &mut self,
        limits: &Limits,
        entry: &Entry,
        (limit, window): (u32, u32),
        happened: Vec<Happened>,
    ) {
        let count = &entry.windows[window as usize];
        let shared = entry.is_shared(&limits.rules()[limit as usize].limit);
        let key = LimitKey::of_values(limit, &entry.values.shared(), shared);
        for happened in happened {
            self.push(BudgetEvent::of(limits, &key, count, happened.into()));
        }
    }
}
