//! One count: what was charged, when, and when it leaves.

use serde::{Deserialize, Serialize};

use super::{Rule, Tick, set::Life};

/// One count under one limit.
///
/// Charges are *held* (granted, not yet dated: they never expire) or *dated*. Dated charges are kept in
/// sparse slots of a small part of the period. A slot leaves as a whole, one period and the margin after
/// its **last** charge: never early, and late by at most the slot's length. So the sum of charges in any
/// interval of the period never passes the limit, but for usage that was reported above what was claimed:
/// that is debt, and is paid before anything else is admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// How much may be used.
    amount: u64,
    /// The slots but the last, from the oldest on.
    older: Vec<Slot>,
    /// The last slot stands apart, because nearly every charge goes there.
    last: Slot,
    /// Charges dated before this belong to the last slot or to an older one; zero where there is no slot.
    until: Tick,
    dated: u64,
    held: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Slot {
    last: Tick,
    amount: u64,
}

/// A charge as it is kept where no clock is shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spent {
    /// How long ago it was, in microseconds.
    pub(crate) age: u64,
    pub(crate) amount: u64,
}

/// Whether there is room for a charge. What comes later in this list has room later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[must_use]
pub enum Room {
    /// There is.
    Now,
    /// There will be at this instant, and not a tick earlier, if nothing else is charged or given back.
    At(Tick),
    /// There will be when something held is given back; nobody can say when.
    WhenGivenBack,
    /// There never will be.
    Never,
}

impl Window {
    /// Nothing used, of this much.
    pub(crate) fn new(amount: u64) -> Self {
        Window {
            amount,
            older: Vec::new(),
            last: Slot::default(),
            until: Tick::default(),
            dated: 0,
            held: 0,
        }
    }

    /// How much may be used.
    pub(crate) fn amount(&self) -> u64 {
        self.amount
    }

    /// From now on this much may be used; what counts stays.
    pub(crate) fn set_amount(&mut self, amount: u64) {
        self.amount = amount;
    }

    /// What counts at this moment: held and dated, after [`expire`](Self::expire).
    #[must_use]
    pub(crate) fn in_use(&self) -> u64 {
        self.held.saturating_add(self.dated)
    }

    /// Whether nothing counts here any more.
    #[must_use]
    pub(crate) fn is_idle(&self) -> bool {
        self.held == 0 && self.dated == 0 && !self.has_slots()
    }

    fn has_slots(&self) -> bool {
        self.until > Tick::default()
    }

    /// From the oldest on.
    fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.older
            .iter()
            .chain(self.has_slots().then_some(&self.last))
    }

    /// About how much memory this takes, itself included.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>() + self.older.capacity() * size_of::<Slot>()
    }

    /// What counts at `now`, with the age of each charge. What is held counts as charged now, but for calls
    /// in flight, which end with whoever made them.
    pub(crate) fn spent(&self, rule: &Rule, now: Tick) -> Vec<Spent> {
        let mut copy = self.clone();
        match rule.life {
            Life::Flight => return Vec::new(),
            Life::Run => {
                let amount = self.in_use();
                return (amount > 0)
                    .then_some(Spent { age: 0, amount })
                    .into_iter()
                    .collect();
            }
            Life::Sliding { .. } => {}
        }
        copy.expire(rule, now);
        if copy.held > 0 {
            copy.book(rule, copy.held, now);
        }
        let age = |last: Tick| now.as_micros().saturating_sub(last.as_micros());
        let spent = |slot: &Slot| Spent {
            age: age(slot.last),
            amount: slot.amount,
        };
        copy.slots().map(spent).collect()
    }

    /// Books what counted elsewhere, the oldest first.
    pub(crate) fn book_spent(&mut self, rule: &Rule, spent: &[Spent], now: Tick) {
        for Spent { age, amount } in spent {
            let date = Tick::from_micros(now.as_micros().saturating_sub(*age));
            self.book(rule, *amount, date);
        }
    }

    /// Lets go what has left by `now`.
    pub(crate) fn expire(&mut self, rule: &Rule, now: Tick) {
        if let Life::Sliding { stay, .. } = rule.life {
            self.let_go(stay, now);
        }
    }

    fn let_go(&mut self, stay: u64, now: Tick) {
        let gone = |slot: &Slot| leaves(slot.last, stay) <= now;
        let count = self.older.partition_point(gone);
        for slot in self.older.drain(..count) {
            self.dated = self.dated.saturating_sub(slot.amount);
        }
        if self.older.is_empty() && self.has_slots() && gone(&self.last) {
            self.dated = self.dated.saturating_sub(self.last.amount);
            self.until = Tick::default();
        }
    }

    /// Whether `need` fits at `now`. Call [`expire`](Self::expire) first.
    pub(crate) fn room(&self, rule: &Rule, need: u64) -> Room {
        let limit = self.amount;
        if self.fits(need) {
            return Room::Now;
        }
        let over = self.in_use().saturating_add(need).saturating_sub(limit);
        if need > limit {
            return Room::Never;
        }
        let Life::Sliding { stay, .. } = rule.life else {
            let lasting = if rule.life == Life::Run {
                self.dated
            } else {
                0
            };
            return if lasting.saturating_add(need) > limit {
                Room::Never
            } else {
                Room::WhenGivenBack
            };
        };
        let mut freed = 0u64;
        for slot in self.slots() {
            freed = freed.saturating_add(slot.amount);
            if freed >= over {
                return Room::At(leaves(slot.last, stay));
            }
        }
        Room::WhenGivenBack
    }

    /// Whether `need` fits without anything expiring: the answer that needs no clock. Nothing always fits, also
    /// under debt.
    pub(crate) fn fits(&self, need: u64) -> bool {
        need == 0 || self.in_use().saturating_add(need) <= self.amount
    }

    /// Holds `amount`, whether it fits or not.
    pub(crate) fn hold(&mut self, amount: u64) {
        self.held = self.held.saturating_add(amount);
    }

    /// Gives back what was held.
    pub(crate) fn unhold(&mut self, amount: u64) {
        self.held = self.held.saturating_sub(amount);
    }

    /// Dates a charge: it leaves one period and the margin after `date`. Returns the date it was booked
    /// under, which is later than asked where a later one is booked already.
    #[inline]
    pub(crate) fn book(&mut self, rule: &Rule, amount: u64, date: Tick) -> Tick {
        self.dated = self.dated.saturating_add(amount);
        let Life::Sliding { stay, slot: length } = rule.life else {
            return date;
        };
        if date < self.until {
            self.last.last = self.last.last.max(date);
            self.last.amount = self.last.amount.saturating_add(amount);
            return self.last.last;
        }
        self.begin_slot(Slot { last: date, amount }, stay, length);
        date
    }

    /// Lets go what has left first: slots that nobody asked about must not pile up.
    #[cold]
    fn begin_slot(&mut self, slot: Slot, stay: u64, length: u64) {
        self.let_go(stay, slot.last);
        if self.has_slots() {
            // A quarter more places at a time: where there are a million of these, each with a few slots, twice
            // as many would be most of the memory.
            let places = self.older.capacity();
            if self.older.len() == places {
                self.older.reserve_exact((places / 4).max(1));
            }
            self.older.push(self.last);
        }
        self.last = slot;
        let begin = number(slot.last, length) * length;
        self.until = Tick::from_micros(begin.saturating_add(length));
    }

    /// Changes a charge booked under `date` from `old` to `new`. One that has left stays gone.
    #[inline]
    pub(crate) fn rebook(&mut self, rule: &Rule, date: Tick, old: u64, new: u64) {
        // As a rule: requests are what they were.
        if old != new {
            self.rebook_changed(rule, date, old, new);
        }
    }

    fn rebook_changed(&mut self, rule: &Rule, date: Tick, old: u64, new: u64) {
        let Life::Sliding { slot: length, .. } = rule.life else {
            self.dated = self.dated.saturating_sub(old).saturating_add(new);
            return;
        };
        let wanted = number(date, length);
        let slot = if self.has_slots() && number(self.last.last, length) == wanted {
            &mut self.last
        } else {
            let number = |slot: &Slot| number(slot.last, length);
            let Ok(place) = self.older.binary_search_by_key(&wanted, number) else {
                return;
            };
            &mut self.older[place]
        };
        slot.amount = slot.amount.saturating_sub(old).saturating_add(new);
        self.dated = self.dated.saturating_sub(old).saturating_add(new);
    }
}

fn leaves(last: Tick, stay: u64) -> Tick {
    Tick::from_micros(last.as_micros().saturating_add(stay))
}

fn number(date: Tick, length: u64) -> u64 {
    date.as_micros() / length
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::limit::{Limit, Limits};

    fn rule(limit: Limit) -> Rule {
        Limits::new([limit]).unwrap().rules()[0].clone()
    }

    /// 10 per 240 ms, so that a slot is 1 ms, and no margin.
    fn ten() -> Rule {
        rule(
            Limit::requests(10)
                .every(Duration::from_millis(240))
                .margin(Duration::ZERO),
        )
    }

    fn at(millis: u64) -> Tick {
        Tick::from_micros(millis * 1_000)
    }

    #[test]
    fn room_comes_back_one_period_after_the_charge_and_not_a_tick_earlier() {
        let (rule, mut window) = (ten(), Window::new(10));
        window.book(&rule, 10, at(5));
        assert_eq!(window.room(&rule, 1), Room::At(at(245)));
        window.expire(&rule, Tick::from_micros(244_999));
        assert_eq!(window.room(&rule, 1), Room::At(at(245)));
        window.expire(&rule, at(245));
        assert_eq!(window.room(&rule, 10), Room::Now);
        assert!(window.is_idle());
    }

    #[test]
    fn a_slot_leaves_with_its_last_charge() {
        let (rule, mut window) = (ten(), Window::new(10));
        window.book(&rule, 5, Tick::from_micros(1_000));
        window.book(&rule, 5, Tick::from_micros(1_999));
        assert_eq!(window.room(&rule, 1), Room::At(Tick::from_micros(241_999)));
        window.expire(&rule, Tick::from_micros(241_998));
        assert_eq!(window.in_use(), 10);
    }

    #[test]
    fn charges_in_different_slots_leave_one_by_one() {
        let (rule, mut window) = (ten(), Window::new(10));
        window.book(&rule, 6, at(0));
        window.book(&rule, 4, at(100));
        assert_eq!(window.room(&rule, 6), Room::At(at(240)));
        assert_eq!(window.room(&rule, 7), Room::At(at(340)));
        window.expire(&rule, at(240));
        assert_eq!(window.room(&rule, 6), Room::Now);
    }

    #[test]
    fn what_is_held_never_expires() {
        let (rule, mut window) = (ten(), Window::new(10));
        window.hold(10);
        window.expire(&rule, at(1_000_000));
        assert_eq!(window.room(&rule, 1), Room::WhenGivenBack);
        window.unhold(10);
        assert_eq!(window.room(&rule, 1), Room::Now);
    }

    #[test]
    fn usage_above_the_claim_is_debt_that_is_paid_first() {
        let (rule, mut window) = (ten(), Window::new(10));
        window.book(&rule, 5, at(0));
        window.book(&rule, 5, at(100));
        window.rebook(&rule, at(0), 5, 25);
        assert_eq!(window.in_use(), 30);
        window.expire(&rule, at(99));
        assert_eq!(window.room(&rule, 1), Room::At(at(240)));
        assert_eq!(window.room(&rule, 6), Room::At(at(340)));
    }

    #[test]
    fn settling_a_charge_that_has_left_changes_nothing() {
        let (rule, mut window) = (ten(), Window::new(10));
        window.book(&rule, 5, at(0));
        window.expire(&rule, at(240));
        window.rebook(&rule, at(0), 5, 50);
        assert!(window.is_idle());
    }

    #[test]
    fn what_is_booked_in_an_old_slot_is_changed_there_and_in_one_that_left_nowhere() {
        let (rule, mut window) = (ten(), Window::new(100));
        for slot in 0..9 {
            window.book(&rule, 10, at(slot * 20));
        }
        window.rebook(&rule, at(40), 10, 1);
        window.rebook(&rule, at(160), 10, 3);
        assert_eq!(window.in_use(), 74);
        assert_eq!(window.room(&rule, 47), Room::At(at(280)));
        window.expire(&rule, at(280));
        assert_eq!(window.in_use(), 53);
        window.rebook(&rule, at(20), 10, 90);
        assert_eq!(window.in_use(), 53);
        window.expire(&rule, at(399));
        assert_eq!(window.in_use(), 3);
        window.expire(&rule, at(400));
        assert!(window.is_idle());
    }

    #[test]
    fn a_charge_begins_a_slot_where_the_last_one_ends_and_not_before() {
        let (rule, mut window) = (ten(), Window::new(10));
        window.book(&rule, 1, Tick::from_micros(1_999));
        window.book(&rule, 1, Tick::from_micros(2_000));
        window.expire(&rule, Tick::from_micros(241_999));
        assert_eq!(window.in_use(), 1);
        window.book(&rule, 1, Tick::from_micros(2_999));
        window.expire(&rule, Tick::from_micros(242_998));
        assert_eq!(window.in_use(), 2);
    }

    #[test]
    fn slots_take_little_more_memory_than_they_need() {
        let (rule, mut window) = (ten(), Window::new(1_000));
        for slot in 0..200 {
            window.book(&rule, 1, at(slot));
            let needed = size_of::<Window>() + window.older.len() * size_of::<Slot>();
            assert!(window.bytes() <= needed + needed / 4 + size_of::<Slot>());
        }
    }

    #[test]
    fn a_charge_dated_backwards_joins_the_latest_slot() {
        let (rule, mut window) = (ten(), Window::new(10));
        window.book(&rule, 1, at(100));
        assert_eq!(window.book(&rule, 1, at(50)), at(100));
        window.rebook(&rule, at(100), 2, 0);
        assert_eq!(window.in_use(), 0);
        window.expire(&rule, at(340));
        assert!(window.is_idle());
    }

    #[test]
    fn a_run_never_gives_back_what_was_used() {
        let (rule, mut window) = (rule(Limit::requests(2).every_run()), Window::new(2));
        let date = window.book(&rule, 1, at(0));
        window.hold(1);
        assert_eq!(window.room(&rule, 1), Room::WhenGivenBack);
        window.unhold(1);
        window.book(&rule, 1, date);
        window.expire(&rule, at(1_000_000_000));
        assert_eq!(window.room(&rule, 1), Room::Never);
    }

    #[test]
    fn more_than_the_limit_never_fits() {
        assert_eq!(Window::new(10).room(&ten(), 11), Room::Never);
        assert_eq!(Window::new(10).room(&ten(), 10), Room::Now);
    }

    #[test]
    fn a_lowered_amount_makes_what_is_used_a_debt_and_a_raised_one_gives_room_at_once() {
        let (rule, mut window) = (ten(), Window::new(10));
        window.book(&rule, 6, at(0));
        window.book(&rule, 4, at(100));
        window.set_amount(4);
        assert_eq!(window.room(&rule, 1), Room::At(at(340)));
        assert_eq!(window.room(&rule, 5), Room::Never);
        window.set_amount(11);
        assert_eq!(window.room(&rule, 1), Room::Now);
    }
}
