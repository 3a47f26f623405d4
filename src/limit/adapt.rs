//! An amount that is learnt from refusals: cut by a share at once, grown back in equal steps.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Tick, micros};

/// What is left of the amount after a refusal.
const LEFT: (u64, u64) = (7, 10);
/// How many steps there are in the whole amount.
const STEPS: u64 = 20;

/// How much of a limit is used for the time being, because whoever enforces it refused more.
///
/// One refusal cuts the amount to seven tenths of itself, and never below the floor. Attempts that left
/// before the cut say nothing of it: what was refused at once, or is in flight still, cuts once. After a
/// quiet time the amount grows by a twentieth of the whole: where an attempt that left since the last change
/// succeeded, none was refused, and so much time has passed since then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Adapt {
    amount: u64,
    /// When it changed last.
    changed: Tick,
}

impl Adapt {
    /// After the first refusal of what may use `whole`.
    pub(crate) fn first(whole: u64, floor: u64, now: Tick) -> Self {
        let mut adapt = Adapt {
            amount: whole,
            changed: now,
        };
        adapt.cut(floor, now);
        adapt
    }

    pub(crate) fn amount(&self) -> u64 {
        self.amount
    }

    /// An attempt that left at `sent` was refused. Returns whether that changes anything.
    pub(crate) fn refused(&mut self, sent: Tick, floor: u64, now: Tick) -> bool {
        let news = sent > self.changed;
        if news {
            self.cut(floor, now);
        }
        news
    }

    /// An attempt that left at `sent` was not refused. Returns whether the amount grew.
    pub(crate) fn succeeded(&mut self, sent: Tick, whole: u64, quiet: Duration, now: Tick) -> bool {
        let long_ago = now.since(self.changed) >= quiet;
        if sent <= self.changed || !long_ago {
            return false;
        }
        self.amount = self
            .amount
            .saturating_add((whole / STEPS).max(1))
            .min(whole);
        self.changed = now;
        true
    }

    /// The whole is another one from now on.
    pub(crate) fn reconfigured(&mut self, whole: u64) {
        self.amount = self.amount.min(whole);
    }

    /// The floor is another one from now on.
    pub(crate) fn at_least(&mut self, floor: u64) {
        self.amount = self.amount.max(floor);
    }

    /// For how long it is kept without any news: until it could have grown back.
    pub(crate) fn kept(quiet: Duration) -> u64 {
        micros(quiet).saturating_mul(2 * STEPS)
    }

    fn cut(&mut self, floor: u64, now: Tick) {
        let less = u128::from(self.amount) * u128::from(LEFT.0) / u128::from(LEFT.1);
        let less = u64::try_from(less).unwrap_or(self.amount);
        self.amount = less.max(floor).min(self.amount);
        self.changed = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(seconds: u64) -> Tick {
        Tick::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn a_refusal_cuts_once_a_flight_and_never_below_the_floor() {
        let mut adapt = Adapt::first(100, 30, at(10));
        assert_eq!(adapt.amount(), 70);
        assert!(!adapt.refused(at(9), 30, at(11)), "left before the cut");
        assert!(!adapt.refused(at(10), 30, at(12)), "left with it");
        assert_eq!(adapt.amount(), 70);
        assert!(adapt.refused(at(11), 30, at(12)));
        assert_eq!(adapt.amount(), 49);
        for sent in 13..20 {
            adapt.refused(at(sent), 30, at(sent));
        }
        assert_eq!(adapt.amount(), 30);
    }

    #[test]
    fn it_grows_after_a_quiet_time_by_what_succeeded_since_and_never_past_the_whole() {
        let mut adapt = Adapt::first(100, 1, at(0));
        assert!(!adapt.succeeded(at(0), 100, MINUTE, at(61)), "left before");
        assert!(!adapt.succeeded(at(1), 100, MINUTE, at(59)), "too soon");
        assert!(adapt.succeeded(at(1), 100, MINUTE, at(60)));
        assert_eq!(adapt.amount(), 75);
        assert!(
            !adapt.succeeded(at(60), 100, MINUTE, at(200)),
            "one step each"
        );
        for minute in 2..20 {
            adapt.succeeded(at(minute * 60 - 1), 100, MINUTE, at(minute * 60));
        }
        assert_eq!(adapt.amount(), 100);
    }

    #[test]
    fn it_is_never_nothing_and_small_amounts_move_too() {
        let mut adapt = Adapt::first(1, 1, at(0));
        assert_eq!(adapt.amount(), 1);
        adapt = Adapt::first(3, 1, at(0));
        assert_eq!(adapt.amount(), 2);
        assert!(adapt.succeeded(at(1), 3, MINUTE, at(60)));
        assert_eq!(adapt.amount(), 3);
    }

    #[test]
    fn another_whole_is_the_ceiling_at_once() {
        let mut adapt = Adapt::first(100, 10, at(0));
        adapt.reconfigured(200);
        assert_eq!(adapt.amount(), 70);
        adapt.reconfigured(50);
        assert_eq!(adapt.amount(), 50);
    }
}
