//! One count by a calendar: all of it leaves when the period ends.
//!
//! A window keeps when the present period ends, by what the clock on the wall will show then, and when something was
//! charged in it first. The end only moves on: a clock that is set back begins no period again, one that is set
//! forward skips none, and one set to and fro has several of them count as one. But what is charged while the clock is
//! years ahead does not count for years: by the steady clock no period goes on for longer than two of its kind. One that
//! is years behind for a moment, as that of a machine which has just started, begins nothing anew by that.

use super::{
    Tick, WallCalendar,
    window::{Room, Spent, Window},
};

impl Window {
    /// Lets the period go, where it has ended by now.
    pub(super) fn turn(&mut self, calendar: &WallCalendar, now: Tick) {
        let shows_its_end = || self.until.as_micros() <= calendar.shown(now);
        if self.has_slots() && (shows_its_end() || self.ends_by(calendar) <= now) {
            self.forget_dated();
            if let Some(learnt) = &mut self.learnt {
                learnt.warned = 0;
            }
        }
    }

    /// When the period ends at the latest, whatever the clock on the wall shows.
    fn ends_by(&self, calendar: &WallCalendar) -> Tick {
        self.last.last.after_micros(calendar.longest())
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
            let shows_its_end = calendar.tick(self.until.as_micros());
            Room::At(shows_its_end.min(self.ends_by(calendar)))
        } else {
            Room::WhenGivenBack
        }
    }

    /// What counts in this period, for how long that has gone on, and when it ends by the clock on the wall: that may be
    /// wrong at this moment, so the end is kept as it is.
    pub(super) fn spent_by_calendar(&self, calendar: &WallCalendar, now: Tick) -> Option<Spent> {
        let amount = self.in_use();
        let (age, until) = if self.has_slots() {
            let began = self.last.last.as_micros();
            let age = now.as_micros().saturating_sub(began);
            (age, self.until.as_micros())
        } else {
            (0, calendar.end(now))
        };
        (amount > 0).then_some(Spent {
            age,
            amount,
            until: Some(until),
        })
    }

    /// When the period ends by the clock on the wall as that shows now, after [`expire`](Self::expire).
    pub(crate) fn period_ends(&self, calendar: &WallCalendar, now: Tick) -> u64 {
        if self.has_slots() {
            let at_the_latest = calendar.shown(self.ends_by(calendar));
            self.until.as_micros().min(at_the_latest)
        } else {
            calendar.end(now)
        }
    }

    /// Books what counted elsewhere in a period of this `age` until the clock shows `until`, unless it does already.
    pub(super) fn book_until(
        &mut self,
        calendar: &WallCalendar,
        (age, amount, until): (u64, u64, u64),
        now: Tick,
    ) {
        if until > calendar.shown(now) {
            let began = now.as_micros().saturating_sub(age);
            self.book_by_calendar(calendar, amount, Tick::from_micros(began));
            self.until = self.until.max(Tick::from_micros(until));
        }
    }
}

#[cfg(test)]
#[path = "by_calendar_tests.rs"]
mod tests;
