//! One count by a calendar: all of it leaves when the period ends.
//!
//! A window keeps when the present period ends, by what the clock on the wall will show then, and when something was
//! charged in it first. The end only moves on: a clock that is set back begins no period again, one that is set
//! forward skips none, and one set to and fro has several of them count as one.

use super::{
    Tick, WallCalendar,
    window::{Room, Spent, Window},
};

impl Window {
    /// Lets the period go, where it has ended by now.
    pub(super) fn turn(&mut self, calendar: &WallCalendar, now: Tick) {
        if self.has_slots() && self.until.as_micros() <= calendar.shown(now) {
            self.forget_dated();
            if let Some(learnt) = &mut self.learnt {
                learnt.warned = 0;
            }
        }
    }

    /// Charges so much at this instant. Returns the date it is booked under.
    pub(super) fn book_by_calendar(
        &mut self,
        calendar: &WallCalendar,
        amount: u64,
        date: Tick,
    ) -> Tick {
        self.turn(calendar, date);
        if !self.has_slots() {
            self.last.last = date;
            self.until = Tick::from_micros(calendar.end(date));
        }
        self.dated = self.dated.saturating_add(amount);
        date.max(self.last.last)
    }

    /// Whether what is booked under this date was charged in this period.
    pub(super) fn is_of_this_period(&self, date: Tick) -> bool {
        self.has_slots() && date >= self.last.last
    }

    /// Changes a charge of this period; one of an earlier one has gone with it.
    pub(super) fn rebook_by_calendar(&mut self, date: Tick, old: u64, new: u64) {
        if self.is_of_this_period(date) {
            self.dated = self.dated.saturating_sub(old).saturating_add(new);
        }
    }

    /// When there is room, where there is none now: at the end of the period, unless what is held is too much then too.
    pub(super) fn room_by_calendar(
        &self,
        calendar: &WallCalendar,
        (used, need): (u64, u64),
        amount: u64,
    ) -> Room {
        let held = used.saturating_sub(self.dated);
        if self.has_slots() && held.saturating_add(need) <= amount {
            Room::At(calendar.tick(self.until.as_micros()))
        } else {
            Room::WhenGivenBack
        }
    }

    /// What counts in this period, and when that ends by the clock on the wall.
    pub(super) fn spent_by_calendar(&self, calendar: &WallCalendar, now: Tick) -> Option<Spent> {
        let amount = self.in_use();
        let until = if self.has_slots() {
            self.until.as_micros()
        } else {
            calendar.end(now)
        };
        (amount > 0).then_some(Spent {
            age: 0,
            amount,
            until: Some(until),
        })
    }

    /// Books what counted elsewhere until the clock shows `until`, unless it does already.
    pub(super) fn book_until(
        &mut self,
        calendar: &WallCalendar,
        amount: u64,
        until: u64,
        now: Tick,
    ) {
        if until > calendar.shown(now) {
            self.book_by_calendar(calendar, amount, now);
            self.until = self.until.max(Tick::from_micros(until));
        }
    }
}

#[cfg(test)]
#[path = "by_calendar_tests.rs"]
mod tests;
