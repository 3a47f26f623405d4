//! What is done to budgets by hand.

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
};

use serde::{Deserialize, Serialize};

use super::{
    BudgetChange, BudgetEvent, MemoryStore, Reason, Store as _, budgets::is_budget, counts::Counts,
    memory::State,
};
use crate::{
    limit::{LimitKey, Limits, Quantity, Rule},
    money::Money,
    tags::Tags,
};

/// A correction of what is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Correction {
    /// This much more was spent.
    More(Money),
    /// This much less was spent. No more is taken back than is counted.
    Less(Money),
}

impl MemoryStore {
    pub(super) fn correct_budgets(&self, tags: &Tags, correction: Correction, reason: &Reason) {
        let state = &mut *self.lock();
        let now = self.now();
        state.counts.sweep_if_grown(&state.limits, || now);
        let (mut changed, limits) = (Vec::new(), state.limits.clone());
        self.each_count(state, tags, now, |name, rule, count| {
            if rule.limit.quantity != Quantity::Cost {
                return;
            }
            count.expire(rule, now);
            let before = Money::from_nanos(count.settled());
            match correction {
                Correction::More(money) => drop(count.book(rule, money.as_nanos(), now)),
                Correction::Less(money) => count.take_back(rule, money.as_nanos()),
            }
            if rule.is_share() || rule.limit.whole.is_some() {
                // A part of one that is told of.
                return;
            }
            let (key, reason) = (name.key(), reason.why().to_owned());
            let corrected = BudgetChange::Corrected { before, reason };
            changed.push(BudgetEvent::of(&limits, &key, count, corrected));
            for happened in count.after_spending(rule, now) {
                changed.push(BudgetEvent::of(&limits, &key, count, happened.into()));
            }
        });
        self.tell(&mut state.counts, changed, reason);
    }

    /// Returns how many circuits were open.
    pub(super) fn reset_circuits(&self, tags: &Tags, reason: &Reason) -> u64 {
        let state = &mut *self.lock();
        let now = self.now();
        state.counts.sweep_if_grown(&state.limits, || now);
        let (mut changed, limits) = (Vec::new(), state.limits.clone());
        self.each_count(state, tags, now, |name, rule, count| {
            count.expire(rule, now);
            let before = Money::from_nanos(count.settled());
            if count.reset() {
                let reason = reason.why().to_owned();
                let reset = BudgetChange::Reset { before, reason };
                changed.push(BudgetEvent::of(&limits, &name.key(), count, reset));
            }
        });
        let reset = changed.len() as u64;
        self.tell(&mut state.counts, changed, reason);
        reset
    }

    /// The budgets that come, those that go, and those of which another amount may be used.
    pub(super) fn tell_limits(&self, state: &mut State, new: &Limits, reason: &Reason) {
        let (old, mut changed) = (&state.limits, Vec::new());
        let budgets = |limits: &Limits| -> Vec<u32> {
            let live = limits.live().map(|(place, _)| place);
            live.filter(|place| is_budget(limits, *place)).collect()
        };
        let (before, now) = (budgets(old), budgets(new));
        let of = |limits: &Limits, place: u32, change| {
            let rule = &limits.rules()[place as usize];
            BudgetEvent {
                budget: rule.limit.to_string(),
                change,
                settled: None,
                amount: Money::from_nanos(rule.amount),
            }
        };
        let gone = before.iter().filter(|place| !new.hold(**place));
        changed.extend(gone.map(|place| of(old, *place, BudgetChange::Removed)));
        for place in now {
            if old.hold(place) {
                let number = place as usize;
                let rules = (&old.rules()[number], &new.rules()[number]);
                changed.extend(other_amounts(place, rules));
            } else {
                changed.push(of(new, place, BudgetChange::Added));
            }
        }
        self.tell(&mut state.counts, changed, reason);
    }

    pub(super) fn tell(&self, counts: &mut Counts, changed: Vec<BudgetEvent>, reason: &Reason) {
        changed
            .into_iter()
            .for_each(|event| counts.events.push(event));
        self.has_news_by(counts, Some(reason));
    }

    /// Whether something has happened that nobody has asked for.
    pub(super) fn has_news(&self, counts: &mut Counts) {
        self.has_news_by(counts, None);
    }

    fn has_news_by(&self, counts: &mut Counts, reason: Option<&Reason>) {
        if !counts.events.is_empty() {
            self.note_events(counts.events.not_noted(), reason);
            self.news.store(true, Ordering::Release);
        }
    }

    pub(super) fn take_events(&self) -> Vec<BudgetEvent> {
        // As a rule nothing has, and nobody is kept from the lock.
        if !self.news.load(Ordering::Acquire) {
            return Vec::new();
        }
        let mut state = self.lock();
        self.news.store(false, Ordering::Release);
        state.counts.events.take()
    }
}

/// The amounts of a budget that are others now, those for values among them.
fn other_amounts(place: u32, (old, new): (&Rule, &Rule)) -> Vec<BudgetEvent> {
    let mut changed = Vec::new();
    let mut compare = |budget: String, before: u64, amount: u64| {
        if before != amount {
            let before = Money::from_nanos(before);
            changed.push(BudgetEvent {
                budget,
                change: BudgetChange::AmountChanged { before },
                settled: None,
                amount: Money::from_nanos(amount),
            });
        }
    };
    compare(new.limit.to_string(), old.amount, new.amount);
    let named = old.limit.amounts.iter().chain(&new.limit.amounts);
    let named: BTreeSet<&Arc<str>> = named.map(|(value, _)| value).collect();
    for value in named {
        let key = LimitKey::of_values(place, std::slice::from_ref(value), false);
        let value = Some(&**value);
        compare(
            key.describe(&new.limit),
            old.amount_for(value),
            new.amount_for(value),
        );
    }
    changed
}
