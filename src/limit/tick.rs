//! A point in a store's time.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A point in a store's time, in microseconds since a start that only the store knows.
///
/// Ticks of one store can be compared with each other, ticks of two stores cannot. Microseconds,
/// because a Redis server tells its time so and because a script's doubles hold them exactly.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub struct Tick(u64);

impl Tick {
    /// The tick `micros` microseconds after the start.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Tick(micros)
    }

    /// Microseconds since the start.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// This tick, `span` later; the last tick there is rather than an overflow.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Tick(self.0.saturating_add(micros(span)))
    }

    /// How long from `earlier` until this tick; zero where it is not earlier.
    #[must_use]
    pub const fn since(self, earlier: Tick) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// A duration in ticks, rounded up: no wait comes out short.
#[inline]
pub(crate) fn micros(span: Duration) -> u64 {
    let whole = span.as_secs().saturating_mul(1_000_000);
    whole.saturating_add(span.subsec_nanos().div_ceil(1_000).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_round_up_to_a_whole_tick() {
        assert_eq!(micros(Duration::from_nanos(1)), 1);
        assert_eq!(micros(Duration::from_nanos(1_000)), 1);
        assert_eq!(micros(Duration::from_nanos(1_001)), 2);
        assert_eq!(micros(Duration::new(7, 999_999_001)), 8_000_000);
        assert_eq!(micros(Duration::MAX), u64::MAX);
    }

    #[test]
    fn a_tick_that_is_not_earlier_is_zero_away() {
        let (a, b) = (Tick::from_micros(5), Tick::from_micros(8));
        assert_eq!(b.since(a), Duration::from_micros(3));
        assert_eq!(a.since(b), Duration::ZERO);
        assert_eq!(b.after(Duration::MAX).as_micros(), u64::MAX);
    }
}
