//! The memory store's clocks: the one it counts by, and the one on the wall.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use crate::limit::{Limits, Tick};

/// What the clock on the wall shows so long after the start.
type Shown = dyn Fn(Duration) -> SystemTime + Send + Sync;

pub(super) struct Clock {
    start: Instant,
    /// The time at the start.
    began: Tick,
    shown: Box<Shown>,
}

impl Clock {
    /// A clock that shows this tick now.
    pub(super) fn new(began: Tick) -> Self {
        Clock {
            start: Instant::now(),
            began,
            shown: Box::new(system()),
        }
    }

    pub(super) fn show(&mut self, shown: impl Fn() -> SystemTime + Send + Sync + 'static) {
        self.shown = Box::new(move |_| shown());
    }

    #[inline]
    pub(super) fn now(&self) -> Tick {
        self.began.after(self.start.elapsed())
    }

    /// Has the calendars of these limits go by what the clock on the wall shows now.
    pub(super) fn set_calendars(&self, limits: &Limits) {
        if limits.have_calendars() {
            let elapsed = self.start.elapsed();
            limits
                .wall()
                .set(self.began.after(elapsed), (self.shown)(elapsed));
        }
    }
}

/// The system's clock, as it is set; but it goes with `tokio::time`, which tests pause.
#[expect(
    clippy::disallowed_methods,
    reason = "by how much the system's clock was set shows beside one that nobody sets"
)]
fn system() -> impl Fn(Duration) -> SystemTime {
    let (shown, true_start) = (SystemTime::now(), std::time::Instant::now());
    move |elapsed| {
        let expected = shown + true_start.elapsed();
        let really = SystemTime::now();
        match really.duration_since(expected) {
            Ok(forward) => shown + elapsed + forward,
            Err(back) => shown + elapsed - back.duration(),
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
