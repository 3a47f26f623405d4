//! The memory store's clocks: the one it counts by, and the one on the wall.

use std::{fmt, time::SystemTime};

use tokio::time::Instant;

use crate::{
    clock::time_of_day,
    limit::{Limits, Tick},
};

/// What the clock on the wall shows.
type Shown = dyn Fn() -> SystemTime + Send + Sync;

pub(super) struct Clock {
    start: Instant,
    /// The time at the start.
    began: Tick,
    shown: Box<Shown>,
    /// What it shows instead, where somebody says so.
    #[cfg(feature = "sqlite")]
    told: Option<std::sync::Arc<told::Told>>,
}

#[cfg(feature = "sqlite")]
pub(super) mod told;

impl Clock {
    /// A clock that shows this tick now.
    pub(super) fn new(began: Tick) -> Self {
        Clock {
            start: Instant::now(),
            began,
            shown: Box::new(time_of_day),
            #[cfg(feature = "sqlite")]
            told: None,
        }
    }

    pub(super) fn show(&mut self, shown: impl Fn() -> SystemTime + Send + Sync + 'static) {
        self.shown = Box::new(shown);
    }

    #[inline]
    pub(super) fn now(&self) -> Tick {
        #[cfg(feature = "sqlite")]
        if let Some(told) = &self.told {
            return told.tick();
        }
        self.began.after(self.start.elapsed())
    }

    /// Has the calendars of these limits go by what the clock on the wall shows now.
    pub(super) fn set_calendars(&self, limits: &Limits) {
        if limits.have_calendars() {
            limits.wall().set(self.now(), (self.shown)());
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
