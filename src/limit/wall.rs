//! What the clock on the wall shows at a tick: calendars go by it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime},
};

use super::{Calendar, CalendarUnit, Tick};

/// What the clock on the wall shows at a tick. The store sets it, which asks the clocks; nobody asks one here.
#[derive(Debug, Default)]
pub(crate) struct Wall {
    /// Microseconds from the epoch to tick zero.
    epoch: AtomicI64,
}

impl Wall {
    /// At tick zero it showed this, in microseconds since the epoch, or would have.
    pub(crate) fn set(&self, epoch: i64) {
        self.epoch.store(epoch, Ordering::Relaxed);
    }

    /// What it shows at this tick.
    pub(crate) fn at(&self, tick: Tick) -> SystemTime {
        let micros = self
            .epoch
            .load(Ordering::Relaxed)
            .saturating_add_unsigned(tick.as_micros());
        let span = Duration::from_micros(micros.unsigned_abs());
        if micros < 0 {
            SystemTime::UNIX_EPOCH - span
        } else {
            SystemTime::UNIX_EPOCH + span
        }
    }

    /// The first tick at which it shows this, or more; tick zero for what was before it.
    pub(crate) fn tick(&self, shown: SystemTime) -> Tick {
        let zero = self.at(Tick::default());
        shown
            .duration_since(zero)
            .map_or(Tick::default(), |after| Tick::default().after(after))
    }
}

/// The periods of one calendar, by the clock on one wall.
#[derive(Clone, Debug)]
pub(crate) struct WallCalendar {
    pub(super) calendar: Arc<Calendar>,
    pub(super) wall: Arc<Wall>,
}

impl WallCalendar {
    /// What the clock will show when the period ends in which this tick is, in microseconds since the epoch.
    pub(crate) fn end(&self, at: Tick) -> u64 {
        let (_, end) = self.calendar.period(self.wall.at(at));
        since_epoch(end).max(1)
    }

    /// For how long a period goes on at most, in microseconds: twice as long as periods are, so that there is room for days
    /// on which clocks change, and for a clock that is set back by a period.
    pub(super) fn longest(&self) -> u64 {
        const HOUR: u64 = 3_600_000_000;
        let hours = match self.calendar.unit() {
            CalendarUnit::Hour => 1,
            CalendarUnit::Day => 24,
            CalendarUnit::Week => 7 * 24,
            CalendarUnit::Month => 31 * 24,
        };
        2 * hours * HOUR
    }

    /// What the clock shows at this tick, in microseconds since the epoch.
    pub(crate) fn shown(&self, at: Tick) -> u64 {
        since_epoch(self.wall.at(at))
    }

    /// The tick at which it shows this.
    pub(crate) fn tick(&self, shown: u64) -> Tick {
        self.wall
            .tick(SystemTime::UNIX_EPOCH + Duration::from_micros(shown))
    }
}

/// In microseconds; nothing before it.
fn since_epoch(moment: SystemTime) -> u64 {
    let after = moment.duration_since(SystemTime::UNIX_EPOCH);
    after.map_or(0, |after| {
        u64::try_from(after.as_micros()).unwrap_or(u64::MAX)
    })
}

/// Calendars on the same wall.
impl PartialEq for WallCalendar {
    fn eq(&self, other: &Self) -> bool {
        self.calendar == other.calendar && Arc::ptr_eq(&self.wall, &other.wall)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn tick(seconds: u64) -> Tick {
        Tick::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn a_tick_is_where_the_clock_was_when_it_was_set_and_goes_on_from_there() {
        let wall = Wall::default();
        wall.set((1_000_000 - 100) * 1_000_000);
        assert_eq!(wall.at(tick(160)), at(1_000_060));
        assert_eq!(wall.tick(at(1_000_060)), tick(160));
        assert_eq!(wall.tick(at(1)), Tick::default());
        wall.set(-100 * 1_000_000);
        assert_eq!(
            wall.at(tick(0)),
            SystemTime::UNIX_EPOCH - Duration::from_secs(100)
        );
    }

    #[test]
    fn a_period_ends_with_the_calendars() {
        let hours = WallCalendar {
            calendar: Arc::new(Calendar::utc(CalendarUnit::Hour)),
            wall: Arc::default(),
        };
        hours.wall.set((7_200 - 90) * 1_000_000);
        for (second, end) in [(0, 7_200), (89, 7_200), (90, 10_800)] {
            assert_eq!(hours.end(tick(second)), end * 1_000_000);
        }
        assert_eq!(hours.tick(hours.end(tick(0))), tick(90));
        assert_eq!(hours.tick(hours.shown(tick(500))), tick(500));
    }
}
