//! The memory store's clocks: the one it counts by, and the one on the wall.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use crate::{
    clock::time_of_day,
    limit::{Limits, Tick, Wall},
};

/// So long, in microseconds, the system's clock is not asked again: it goes as ours does until somebody sets it.
const ASKED_EACH: u64 = 1_000;
/// So long, in microseconds, it takes at most to read both clocks.
const READ_WITHIN: u64 = 100;

/// What the clock on the wall shows.
type Shown = dyn Fn() -> SystemTime + Send + Sync;

pub(super) struct Clock {
    start: Instant,
    /// The time at the start.
    began: Tick,
    shown: Box<Shown>,
    /// What the system's showed at tick zero, in microseconds since 1970, and up to when that is taken for granted; of
    /// another clock nothing is.
    epoch: AtomicI64,
    asked_until: AtomicU64,
    is_systems: bool,
    /// By which calendars go.
    wall: Arc<Wall>,
    /// Whether there are any.
    calendars: AtomicBool,
    /// What it shows instead, where somebody says so.
    #[cfg(any(feature = "redis", feature = "sqlite"))]
    told: Option<Arc<told::Told>>,
}

#[cfg(any(feature = "redis", feature = "sqlite"))]
pub(super) mod told;

impl Clock {
    /// A clock that shows this tick now, for these limits.
    pub(super) fn new(began: Tick, limits: &Limits) -> Self {
        let clock = Clock::on(limits.wall().clone(), began);
        clock.serve(limits);
        clock
    }

    /// A clock that shows this tick now, by which nothing goes yet.
    fn on(wall: Arc<Wall>, began: Tick) -> Self {
        Clock {
            start: Instant::now(),
            began,
            shown: Box::new(time_of_day),
            epoch: AtomicI64::new(0),
            asked_until: AtomicU64::new(0),
            is_systems: true,
            wall,
            calendars: AtomicBool::new(false),
            #[cfg(any(feature = "redis", feature = "sqlite"))]
            told: None,
        }
    }

    /// From now on these limits go by it, which are on the same wall.
    pub(super) fn serve(&self, limits: &Limits) {
        self.calendars
            .store(limits.have_calendars(), Ordering::Relaxed);
        self.set_calendars();
    }

    pub(super) fn show(&mut self, shown: impl Fn() -> SystemTime + Send + Sync + 'static) {
        (self.shown, self.is_systems) = (Box::new(shown), false);
    }

    #[inline]
    pub(super) fn now(&self) -> Tick {
        #[cfg(any(feature = "redis", feature = "sqlite"))]
        if let Some(told) = &self.told {
            return told.tick();
        }
        self.began.after(self.start.elapsed())
    }

    /// What the clock on the wall shows.
    pub(super) fn shown(&self) -> SystemTime {
        (self.shown)()
    }

    /// Whether it shows what it is told: then its store does what another has done.
    pub(super) fn is_told(&self) -> bool {
        #[cfg(any(feature = "redis", feature = "sqlite"))]
        return self.told.is_some();
        #[cfg(not(any(feature = "redis", feature = "sqlite")))]
        return false;
    }

    /// Has calendars go by what the clock on the wall shows now.
    pub(super) fn set_calendars(&self) {
        self.set_calendars_at(|| self.now());
    }

    /// The same, where it is known what this clock shows now.
    pub(super) fn set_calendars_at(&self, now: impl FnOnce() -> Tick) {
        if self.calendars.load(Ordering::Relaxed) {
            self.wall.set(self.epoch_at(now()));
        }
    }

    /// What the clock on the wall showed at tick zero by what it shows now, in microseconds since 1970.
    fn epoch_at(&self, now: Tick) -> i64 {
        if self.is_systems && now.as_micros() < self.asked_until.load(Ordering::Acquire) {
            return self.epoch.load(Ordering::Relaxed);
        }
        let epoch = |now: Tick| {
            let shown = micros_since_epoch((self.shown)());
            shown.saturating_sub_unsigned(now.as_micros())
        };
        if !self.is_systems {
            return epoch(now);
        }
        // Who was held up between the two readings would be wrong by that, for everybody.
        let mut before = self.now();
        for _ in 0..3 {
            let epoch = epoch(before);
            let after = self.now();
            if after < before.after_micros(READ_WITHIN) {
                self.epoch.store(epoch, Ordering::Relaxed);
                let until = before.after_micros(ASKED_EACH).as_micros();
                self.asked_until.store(until, Ordering::Release);
                return epoch;
            }
            before = after;
        }
        epoch(self.now())
    }
}

fn micros_since_epoch(shown: SystemTime) -> i64 {
    let micros = |span: Duration| i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
    match shown.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => micros(after),
        Err(before) => -micros(before.duration()),
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock")
            .field("now", &self.now())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;
    use crate::{
        limit::{CalendarUnit, Limit},
        money::Money,
    };

    const DAY: Duration = Duration::from_secs(86_400);

    #[tokio::test(start_paused = true)]
    async fn the_systems_clock_is_asked_again_after_a_millisecond_and_not_before() {
        let budget = Limit::cost(Money::from_dollars(1)).every_calendar(CalendarUnit::Day, "UTC");
        let limits = Limits::new([budget]).unwrap();
        let set_to = Arc::new(Mutex::new(SystemTime::UNIX_EPOCH + DAY));
        let (mut clock, began) = (Clock::new(Tick::default(), &limits), Instant::now());
        let shown = set_to.clone();
        clock.shown = Box::new(move || *shown.lock() + began.elapsed());
        *clock.asked_until.get_mut() = 0;
        let shows = |clock: &Clock| {
            clock.set_calendars();
            let shown = clock.wall.at(clock.now());
            shown.duration_since(SystemTime::UNIX_EPOCH).unwrap()
        };
        assert_eq!(shows(&clock), DAY);
        *set_to.lock() += DAY;
        let (before, millisecond) = (Duration::from_micros(999), Duration::from_millis(1));
        tokio::time::advance(before).await;
        assert_eq!(shows(&clock), DAY + before, "it goes on by itself");
        tokio::time::advance(millisecond - before).await;
        assert_eq!(shows(&clock), 2 * DAY + millisecond);
        *set_to.lock() += DAY;
        assert_eq!(shows(&clock), 2 * DAY + millisecond);
        // One that somebody sets is asked each time.
        let shown = set_to.clone();
        clock.show(move || *shown.lock());
        assert_eq!(shows(&clock), 3 * DAY);
        *set_to.lock() += DAY;
        assert_eq!(shows(&clock), 4 * DAY);
    }
}
