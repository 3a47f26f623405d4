//! One count: what was charged, when, and when it leaves.

use serde::{Deserialize, Serialize};

use super::{Life, Rule, Tick, learnt::Learnt};

/// One count under one limit.
///
/// Charges are *held* (granted, not yet dated: they never expire) or *dated*. Dated charges are kept in
/// sparse slots of a small part of the period. A slot leaves as a whole, one period and the margin after
/// its **last** charge: never early, and late by at most the slot's length. So the sum of charges in any
/// interval of the period never passes the limit, but for usage that was reported above what was claimed:
/// that is debt, and is paid before anything else is admitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
// In this order, so that what a claim looks at stands together.
#[repr(C)]
pub(crate) struct Window {
    /// How much may be used.
    amount: u64,
    pub(super) held: u64,
    pub(super) dated: u64,
    /// Of that, what calls in flight have dated at their send and may come to less, at most: found again by their grants.
    #[serde(skip)]
    open: u64,
    /// What answers have taught, where they have.
    pub(super) learnt: Option<Box<Learnt>>,
    /// Charges dated before this belong to the last slot or to an older one; zero where there is no slot. By a calendar:
    /// what the clock on the wall shows when the period ends.
    pub(super) until: Tick,
    /// The last slot stands apart, because nearly every charge goes there. Of a run it is when something was charged last.
    pub(super) last: Slot,
    /// The slots but the last, from the oldest on.
    older: Vec<Slot>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Slot {
    pub(super) last: Tick,
    amount: u64,
}

/// A charge as it is kept where no clock is shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spent {
    /// How long ago it was, in microseconds; by a calendar: the first of its period.
    pub(crate) age: u64,
    pub(crate) amount: u64,
    /// Until when it counts by the clock on the wall, in microseconds since the epoch, where it goes by a calendar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<u64>,
}

/// Whether there is room for a charge. The variants are in order: those further down have room later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[must_use]
pub enum Room {
    /// There is room now.
    Now,
    /// There will be room at this instant, and not a tick earlier, if nothing else is charged or given back.
    At(Tick),
    /// There will be room when something held is given back; nobody can say when.
    WhenGivenBack,
    /// There will never be room.
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
            open: 0,
            held: 0,
            learnt: None,
        }
    }

    /// How much may be used.
    pub(crate) fn amount(&self) -> u64 {
        self.amount
    }

    /// From now on it goes by this rule, and this much may be used; what counts stays.
    pub(crate) fn go_by(&mut self, old: &Rule, rule: &Rule, amount: u64) {
        if let Some(learnt) = &mut self.learnt {
            learnt.go_by(old, rule, amount);
        }
        self.set_amount(rule, amount);
    }

    fn set_amount(&mut self, rule: &Rule, amount: u64) {
        if amount == self.amount {
            return;
        }
        self.amount = amount;
        self.warn_again(rule);
        if let Some(learnt) = &mut self.learnt {
            learnt.reconfigured(amount);
        }
    }

    /// What counts at this moment: held and dated, after [`expire`](Self::expire).
    #[must_use]
    pub(crate) fn in_use(&self) -> u64 {
        self.held.saturating_add(self.dated)
    }

    /// The part of that which is dated: of a budget what is spent.
    pub(crate) fn settled(&self) -> u64 {
        self.dated
    }

    /// The part of that which is held.
    pub(crate) fn reserved(&self) -> u64 {
        self.held
    }

    /// Whether nothing counts here any more.
    #[must_use]
    pub(crate) fn is_idle(&self) -> bool {
        self.held == 0 && self.dated == 0 && !self.has_slots() && self.learnt.is_none()
    }

    pub(super) fn has_slots(&self) -> bool {
        self.until > Tick::default()
    }

    /// From the oldest on.
    fn slots(&self) -> impl DoubleEndedIterator<Item = &Slot> {
        self.older
            .iter()
            .chain(self.has_slots().then_some(&self.last))
    }

    /// About how much memory this takes, itself included.
    pub(crate) fn bytes(&self) -> usize {
        let learnt = self.learnt.as_ref().map_or(0, |learnt| learnt.bytes());
        size_of::<Self>() + self.older.capacity() * size_of::<Slot>() + learnt
    }

    /// What counts at `now`, with the age of each charge. What is held counts as charged now, but for calls
    /// in flight, which end with whoever made them.
    pub(crate) fn spent(&self, rule: &Rule, now: Tick) -> Vec<Spent> {
        let mut copy = self.clone();
        match &rule.life {
            Life::Flight => return Vec::new(),
            Life::Calendar(calendar) => {
                copy.expire(rule, now);
                return copy.spent_by_calendar(calendar, now).into_iter().collect();
            }
            Life::Run => return self.spent_by_run(now).into_iter().collect(),
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
            until: None,
        };
        copy.slots().map(spent).collect()
    }

    /// Books what counted elsewhere, the oldest first.
    pub(crate) fn book_spent(&mut self, rule: &Rule, spent: &[Spent], now: Tick) {
        for Spent { age, amount, until } in spent {
            if let (Some(until), Life::Calendar(calendar)) = (until, &rule.life) {
                self.book_until(calendar, (*age, *amount, *until), now);
                continue;
            }
            let date = Tick::from_micros(now.as_micros().saturating_sub(*age));
            self.book(rule, *amount, date);
        }
    }

    /// What is dated no later than this, of whole slots.
    pub(super) fn dated_by(&self, date: Tick) -> u64 {
        let slots = self.slots().take_while(|slot| slot.last <= date);
        slots.fold(0, |sum, slot| sum.saturating_add(slot.amount))
    }

    /// What is dated after this for sure: of slots that began later.
    pub(super) fn begun_after(&self, rule: &Rule, date: Tick) -> u64 {
        let Life::Sliding { slot: length, .. } = rule.life else {
            return 0;
        };
        let slots = self.slots().rev();
        let slots = slots.take_while(|slot| number(slot.last, length) > number(date, length));
        slots.fold(0, |sum, slot| sum.saturating_add(slot.amount))
    }

    /// When the last of what is dated leaves.
    pub(super) fn last_leaves(&self, stay: u64) -> Option<Tick> {
        let last = self.slots().rev().find(|slot| slot.amount > 0)?;
        Some(leaves(last.last, stay))
    }

    /// Lets go what has left by `now`.
    pub(crate) fn expire(&mut self, rule: &Rule, now: Tick) {
        if let Some(learnt) = &mut self.learnt
            && learnt.expire(rule, now)
        {
            self.learnt = None;
        }
        match &rule.life {
            Life::Sliding { stay, .. } => self.let_go(*stay, now),
            Life::Calendar(calendar) => self.turn(calendar, now),
            Life::Run | Life::Flight => {}
        }
        if self.learnt.is_some() {
            self.warn_again_when_below(rule, now);
        }
    }

    /// Nothing is dated any more.
    pub(super) fn forget_dated(&mut self) {
        self.older.clear();
        (self.dated, self.until) = (0, Tick::default());
    }

    /// Takes back so much of what is dated, the newest first; no more than there is.
    pub(crate) fn take_back(&mut self, rule: &Rule, amount: u64) {
        let amount = amount.min(self.dated);
        self.dated -= amount;
        if !matches!(rule.life, Life::Sliding { .. }) || !self.has_slots() {
            return;
        }
        let mut left = amount;
        for slot in std::iter::once(&mut self.last).chain(self.older.iter_mut().rev()) {
            let part = left.min(slot.amount);
            slot.amount -= part;
            left -= part;
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
    pub(crate) fn room(&self, rule: &Rule, need: u64, now: Tick) -> Room {
        if need > 0 && self.is_tripped() {
            return Room::Never;
        }
        match &self.learnt {
            None => self.room_of(rule, self.in_use(), need, self.amount, Vec::new()),
            Some(_) => self.room_learnt(rule, need, now),
        }
    }

    /// Before this there is no room for sure, whatever is learnt meanwhile; `None`: no telling.
    pub(crate) fn not_before(&self, rule: &Rule, need: u64) -> Option<Tick> {
        if self.is_tripped() {
            return None;
        }
        match self.room_of(rule, self.lasting(rule), need, self.amount, Vec::new()) {
            Room::At(at) => Some(at),
            _ => None,
        }
    }

    /// What counts here whatever calls in flight come to, until it leaves by itself.
    fn lasting(&self, rule: &Rule) -> u64 {
        match rule.may_shrink() {
            false => self.in_use(),
            // Most calls come to less than was reserved for them: who waits for that waits for no instant.
            true => self.dated.saturating_sub(self.open),
        }
    }

    /// So much of a call in flight is dated that may come to less.
    #[inline]
    pub(crate) fn opens(&mut self, amount: u64) {
        self.open = self.open.saturating_add(amount);
    }

    /// It has ended.
    #[inline]
    pub(crate) fn closes(&mut self, amount: u64) {
        self.open = self.open.saturating_sub(amount);
    }

    /// Whether `need` fits into `amount` beside `used`, of which, besides our own, so much leaves at these
    /// instants, the last first.
    pub(super) fn room_of(
        &self,
        rule: &Rule,
        used: u64,
        need: u64,
        amount: u64,
        mut others: Vec<(Tick, u64)>,
    ) -> Room {
        let over = used.saturating_add(need).saturating_sub(amount);
        if need == 0 || over == 0 {
            return Room::Now;
        }
        if need > amount {
            return Room::Never;
        }
        if let Life::Calendar(calendar) = &rule.life {
            return self.room_by_calendar(calendar, (used, need), amount);
        }
        let Life::Sliding { stay, .. } = rule.life else {
            let lasting = if matches!(rule.life, Life::Run) {
                self.dated
            } else {
                0
            };
            return if lasting.saturating_add(need) > amount {
                Room::Never
            } else {
                Room::WhenGivenBack
            };
        };
        let mut freed = 0u64;
        let own = self.slots();
        let mut own = own
            .map(|slot| (leaves(slot.last, stay), slot.amount))
            .peekable();
        loop {
            let others_first = match (own.peek(), others.last()) {
                (Some((own, _)), Some((other, _))) => other < own,
                (None, other) => other.is_some(),
                (Some(_), None) => false,
            };
            let next = if others_first {
                others.pop()
            } else {
                own.next()
            };
            let Some((at, amount)) = next else {
                return Room::WhenGivenBack;
            };
            freed = freed.saturating_add(amount);
            if freed >= over {
                return Room::At(at);
            }
        }
    }

    /// Whether `need` fits without anything expiring: the answer that needs no clock. Nothing always fits, also
    /// under debt. Where something was learnt, it takes a closer look.
    pub(crate) fn fits(&self, need: u64) -> bool {
        need == 0
            || (self.in_use().saturating_add(need) <= self.amount
                && self.learnt.as_ref().is_none_or(|learnt| !learnt.acts()))
    }

    /// Holds `amount`, whether it fits or not.
    pub(crate) fn hold(&mut self, amount: u64) {
        self.held = self.held.saturating_add(amount);
        if self.learnt.is_some() {
            self.asked(amount);
        }
    }

    /// Holds `amount`, which [fits](Self::fits).
    #[inline]
    pub(crate) fn hold_fitting(&mut self, amount: u64) {
        self.held = self.held.saturating_add(amount);
        if self.learnt.is_some() {
            self.asked(amount);
        }
    }

    /// Gives back what was held.
    pub(crate) fn unhold(&mut self, amount: u64) {
        self.held = self.held.saturating_sub(amount);
    }

    /// Dates a charge: it leaves one period and the margin after `date`. Returns the date it was booked
    /// under, which is later than asked where a later one is booked already.
    #[inline]
    pub(crate) fn book(&mut self, rule: &Rule, amount: u64, date: Tick) -> Tick {
        let (stay, length) = match &rule.life {
            Life::Sliding { stay, slot } => (*stay, *slot),
            Life::Calendar(calendar) => return self.book_by_calendar(calendar, amount, date),
            Life::Run => return self.book_by_run(amount, date),
            Life::Flight => {
                self.dated = self.dated.saturating_add(amount);
                return date;
            }
        };
        self.dated = self.dated.saturating_add(amount);
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

    /// Whether charges of these dates leave together, or have left both.
    pub(crate) fn same_slot(&self, rule: &Rule, one: Tick, other: Tick) -> bool {
        match rule.life {
            Life::Sliding { slot, .. } => number(one, slot) == number(other, slot),
            Life::Calendar(_) => self.is_of_this_period(one) == self.is_of_this_period(other),
            Life::Run | Life::Flight => true,
        }
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
        let length = match rule.life {
            Life::Sliding { slot, .. } => slot,
            Life::Calendar(_) => return self.rebook_by_calendar(date, old, new),
            Life::Run | Life::Flight => {
                self.dated = self.dated.saturating_sub(old).saturating_add(new);
                return;
            }
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
    last.after_micros(stay)
}

fn number(date: Tick, length: u64) -> u64 {
    date.as_micros() / length
}

#[cfg(test)]
#[path = "window_tests.rs"]
mod tests;
