//! Which budgets have stopped calls, and which of them stop none any more.

use std::collections::HashSet;

use super::sources::unamounted;
use crate::store::{BudgetChange, BudgetEvent, BudgetStanding};

/// So many are followed.
const MOST: usize = 1_000;

/// The circuits that were open when it was looked last, by what alerts call them.
#[derive(Debug, Default)]
pub(super) struct Circuits(HashSet<String>);

impl Circuits {
    /// Those of these budgets, which are all that there are, that stop calls; and the names of those that did and do so
    /// no more.
    pub(super) fn look(&mut self, budgets: &[BudgetStanding]) -> (Vec<BudgetEvent>, Vec<String>) {
        let stopped = budgets.iter().filter(|budget| budget.stopped);
        let mut open: Vec<BudgetEvent> = stopped.map(tripped).collect();
        let names: HashSet<String> = open.iter().map(unamounted).collect();
        let over = self.0.difference(&names).cloned().collect();
        open.truncate(MOST);
        self.0 = open.iter().map(unamounted).collect();
        (open, over)
    }
}

/// What was told when it opened, as it stands now.
fn tripped(budget: &BudgetStanding) -> BudgetEvent {
    BudgetEvent {
        budget: budget.budget.clone(),
        change: BudgetChange::Tripped,
        settled: Some(budget.settled),
        amount: budget.amount,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{money::Money, store::ComesBack};

    fn budget(number: usize, dollars: u64, stopped: bool) -> BudgetStanding {
        BudgetStanding {
            budget: format!("cost ${dollars}.00/hour for agent={number:04} (circuit)"),
            of: None,
            amount: Money::from_dollars(dollars),
            settled: Money::from_dollars(7),
            reserved: Money::ZERO,
            shadow: false,
            stopped,
            comes_back: ComesBack::Never,
        }
    }

    #[test]
    fn what_stops_is_told_and_that_it_stops_no_more_once() {
        let mut circuits = Circuits::default();
        let (open, over) = circuits.look(&[budget(1, 5, true), budget(2, 5, false)]);
        assert!(over.is_empty());
        assert_eq!(
            open.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [
                "cost $5.00/hour for agent=0001 (circuit): it stops until it is reset; $7.00 of $5.00 spent"
            ]
        );
        // It is the same one when its amount is another.
        let (open, over) = circuits.look(&[budget(1, 9, true)]);
        assert_eq!((open.len(), over.len()), (1, 0));
        let (open, over) = circuits.look(&[budget(1, 9, false)]);
        assert!(open.is_empty());
        assert_eq!(over, ["cost/hour for agent=0001 (circuit)"]);
        let (open, over) = circuits.look(&[]);
        assert!(open.is_empty() && over.is_empty());
    }

    #[test]
    fn so_many_are_followed_and_of_others_nothing_is_over() {
        let mut circuits = Circuits::default();
        let later: Vec<_> = (1..=MOST).map(|number| budget(number, 5, true)).collect();
        assert_eq!(circuits.look(&later).0.len(), MOST);
        // Another comes before them, and the last is not among so many any more.
        let all: Vec<_> = (0..=MOST).map(|number| budget(number, 5, true)).collect();
        let (open, over) = circuits.look(&all);
        assert_eq!((open.len(), over.len()), (MOST, 0));
        assert_eq!(circuits.look(&[]).1.len(), MOST);
    }
}
