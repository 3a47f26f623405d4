//! Which budgets end before their period does. Time is an argument.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use crate::{
    money::Money,
    statistics::{Ends, Pace, ends},
    store::{BudgetStanding, ComesBack},
};

/// The pace is that of this time, and of no less than the other.
const OVER: Duration = Duration::from_secs(1_800);
const AT_LEAST: Duration = Duration::from_secs(300);
/// One part in so many has to be spent: the first calls of a period make no pace.
const PART: u64 = 4;
/// So many budgets are followed.
const MOST: usize = 10_000;

/// What was spent of budgets of late.
#[derive(Debug, Default)]
pub(super) struct Ahead(HashMap<String, Followed>);

#[derive(Debug)]
struct Followed {
    turns: SystemTime,
    spent: VecDeque<(Instant, Money)>,
    is_there: bool,
}

/// A budget that ends too early.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooEarly {
    pub(super) budget: String,
    pub(super) ends: SystemTime,
    pub(super) turns: SystemTime,
    pub(super) per_hour: Money,
}

impl Ahead {
    /// Those of these budgets, which are all that there are, that end before their period does.
    pub(super) fn look(
        &mut self,
        budgets: &[BudgetStanding],
        now: Instant,
        time: SystemTime,
    ) -> Vec<TooEarly> {
        let early = budgets
            .iter()
            .filter_map(|budget| self.one(budget, now, time))
            .collect();
        self.0
            .retain(|_, followed| std::mem::take(&mut followed.is_there));
        early
    }

    fn one(&mut self, budget: &BudgetStanding, now: Instant, time: SystemTime) -> Option<TooEarly> {
        // Others give back while they are spent, or never: neither ends before its period.
        let ComesBack::At(turns) = budget.comes_back else {
            return None;
        };
        if self.0.len() >= MOST && !self.0.contains_key(&budget.budget) {
            return None;
        }
        let followed = self
            .0
            .entry(budget.budget.clone())
            .or_insert_with(|| Followed {
                turns,
                spent: VecDeque::new(),
                is_there: true,
            });
        followed.is_there = true;
        let before = followed.spent.back().map(|(_, spent)| *spent);
        let is_less = before.is_some_and(|before| budget.settled < before);
        if followed.turns != turns || is_less {
            // Another period, or a correction: what was spent before says nothing.
            followed.turns = turns;
            followed.spent.clear();
        }
        followed.spent.push_back((now, budget.settled));
        let is_old = |(at, _): &(Instant, Money)| now.saturating_duration_since(*at) > OVER;
        while followed.spent.front().is_some_and(is_old) {
            followed.spent.pop_front();
        }
        let (since, before) = *followed.spent.front()?;
        let over = now.saturating_duration_since(since);
        let is_begun = budget.settled.as_nanos() >= budget.amount.as_nanos() / PART;
        if over < AT_LEAST || !is_begun {
            return None;
        }
        let cost = budget.settled - before;
        let pace = Pace { cost, over };
        match ends(budget, pace, time) {
            // Of what is spent already other alerts tell.
            Ends::At(at) if budget.settled < budget.amount && at < turns => Some(TooEarly {
                budget: budget.budget.clone(),
                ends: at,
                turns,
                per_hour: pace.per_hour(),
            }),
            _ => None,
        }
    }
}
