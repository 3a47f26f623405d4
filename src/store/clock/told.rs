//! A clock that shows what it is told: for a store that does what another did, at the same instants.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};

use super::Clock;
use crate::limit::{Limits, Tick};

/// An instant by both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::store) struct At {
    pub(in crate::store) tick: Tick,
    /// What the clock on the wall shows, in microseconds since the epoch.
    pub(in crate::store) wall: i64,
}

impl At {
    pub(in crate::store) fn shown(self) -> SystemTime {
        let span = Duration::from_micros(self.wall.unsigned_abs());
        if self.wall < 0 {
            SystemTime::UNIX_EPOCH - span
        } else {
            SystemTime::UNIX_EPOCH + span
        }
    }
}

/// What such a clock is told last.
#[derive(Debug, Default)]
pub(in crate::store) struct Told {
    tick: AtomicU64,
    wall: AtomicI64,
}

impl Told {
    pub(in crate::store) fn tell(&self, at: At) {
        self.tick.store(at.tick.as_micros(), Ordering::Relaxed);
        self.wall.store(at.wall, Ordering::Relaxed);
    }

    pub(super) fn tick(&self) -> Tick {
        Tick::from_micros(self.tick.load(Ordering::Relaxed))
    }

    fn shown(&self) -> SystemTime {
        let wall = self.wall.load(Ordering::Relaxed);
        let tick = self.tick();
        At { tick, wall }.shown()
    }
}

impl Clock {
    /// A clock that shows what `told` was told last, for these limits.
    pub(in crate::store) fn telling(told: Arc<Told>, limits: &Limits) -> Self {
        let mut clock = Clock::on(limits.wall().clone(), Tick::default());
        clock.told = Some(told.clone());
        clock.show(move || told.shown());
        clock.serve(limits);
        clock
    }

    /// A clock by which no limits go.
    pub(in crate::store) fn alone() -> Self {
        Clock::on(Arc::default(), Tick::default())
    }

    /// Shows this tick now.
    #[cfg(feature = "sqlite")]
    pub(in crate::store) fn set(&mut self, tick: Tick) {
        (self.start, self.began) = (tokio::time::Instant::now(), tick);
        *self.asked_until.get_mut() = 0;
    }

    /// What both clocks show now.
    pub(in crate::store) fn at(&self) -> At {
        let tick = self.now();
        let wall = self
            .epoch_at(tick)
            .saturating_add_unsigned(tick.as_micros());
        At { tick, wall }
    }
}
