//! A point in a store's time.

use std::{fmt, num::NonZeroU64, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in a store's time, in microseconds since a start that only the store knows.
///
/// Ticks of one store can be compared with each other; ticks of different stores cannot. The unit is a microsecond
/// because a Redis server tells its time so, and because the doubles of its scripts hold microseconds exactly.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
// One more than the microseconds: with that, one which may be there or not takes no more room than one which is.
pub struct Tick(NonZeroU64);

impl Tick {
    /// Returns the tick `micros` microseconds after the start, at most [`Tick::LAST`].
    #[must_use]
    #[inline]
    pub const fn from_micros(micros: u64) -> Self {
        Tick(NonZeroU64::MIN.saturating_add(micros))
    }

    /// The last tick there is: some six hundred thousand years after the start.
    pub const LAST: Tick = Tick(NonZeroU64::MAX);

    /// Returns the microseconds since the start.
    #[must_use]
    #[inline]
    pub const fn as_micros(self) -> u64 {
        self.0.get() - 1
    }

    /// Returns the tick that is `span` later; the last tick there is instead of overflowing.
    #[must_use]
    #[inline]
    pub fn after(self, span: Duration) -> Self {
        self.after_micros(micros(span))
    }

    /// As [`after`](Self::after), of microseconds.
    #[inline]
    pub(crate) const fn after_micros(self, micros: u64) -> Self {
        Tick(self.0.saturating_add(micros))
    }

    /// Returns how long it is from `earlier` until this tick; zero if `earlier` is not earlier.
    #[must_use]
    pub const fn since(self, earlier: Tick) -> Duration {
        Duration::from_micros(self.0.get().saturating_sub(earlier.0.get()))
    }
}

impl Default for Tick {
    /// Returns the start.
    fn default() -> Self {
        Tick(NonZeroU64::MIN)
    }
}

impl fmt::Debug for Tick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tick").field(&self.as_micros()).finish()
    }
}

impl Serialize for Tick {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_micros().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Tick {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u64::deserialize(deserializer).map(Tick::from_micros)
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
        assert_eq!(b.after(Duration::MAX), Tick::LAST);
        assert_eq!(Tick::from_micros(u64::MAX), Tick::LAST);
        assert_eq!(Tick::LAST.as_micros(), u64::MAX - 1);
    }

    #[test]
    fn it_is_written_as_its_microseconds_and_none_takes_no_room() {
        let tick = Tick::from_micros(7);
        assert_eq!(serde_json::to_string(&tick).unwrap(), "7");
        assert_eq!(serde_json::from_str::<Tick>("7").unwrap(), tick);
        assert_eq!(format!("{tick:?}"), "Tick(7)");
        assert_eq!((Tick::default().as_micros(), tick.as_micros()), (0, 7));
        assert_eq!(size_of::<Option<Tick>>(), size_of::<Tick>());
    }
}
