//! The memory store's clocks: the one it counts by, and the one on the wall.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use tokio::time::Instant;

use crate::{
    clock::time_of_day,
    limit::{Limits, Tick, Wall},
};

/// What the clock on the wall shows.
type Shown = dyn Fn() -> SystemTime + Send + Sync;

pub(super) struct Clock {
    start: Instant,
    /// The time at the start.
    began: Tick,
    shown: Box<Shown>,
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
        self.shown = Box::new(shown);
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
        if self.calendars.load(Ordering::Relaxed) {
            self.wall.set(self.now(), (self.shown)());
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock")
            .field("now", &self.now())
            .finish_non_exhaustive()
    }
}
