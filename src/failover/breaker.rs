//! One target's breaker: whether it is worth an attempt. The time is an argument.

use std::time::Duration;

use tokio::time::Instant;

/// No breaker is open for longer: nobody remembers why.
const MOST: Duration = Duration::from_secs(30 * 86_400);
/// A span doubles with each probe that fails, up to so many times itself.
const LONGEST: u32 = 8;

/// When the breaker of a target opens and closes.
///
/// Failures are answers that are the provider's fault (5xx, overload, a stream that begins with such), and connections
/// that fail; not what a limit, a quota or the request itself is to blame for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct BreakerOptions {
    pub(super) failures: u32,
    pub(super) open_for: Duration,
}

impl BreakerOptions {
    /// Five failures in a row open it for ten seconds.
    pub fn new() -> Self {
        BreakerOptions {
            failures: 5,
            open_for: Duration::from_secs(10),
        }
    }

    /// How many failures in a row open it; 0 is taken for 1.
    pub fn failures(mut self, failures: u32) -> Self {
        self.failures = failures.max(1);
        self
    }

    /// For how long it stays open before a call may try the target, one at a time; twice as long each time that fails,
    /// up to eight times, and thirty days. A call that tries it and is not back in that time leaves it to the next.
    pub fn open_for(mut self, span: Duration) -> Self {
        self.open_for = span.min(MOST);
        self
    }
}

impl Default for BreakerOptions {
    fn default() -> Self {
        Self::new()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Breaker {
    /// So many failures in a row.
    Closed(u32),
    /// Until then, after so long.
    Open(Instant, Duration),
    /// Somebody tries it, until then at most: after that the next one may.
    Probing(Instant, Duration),
}

/// What an end changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Changed {
    Nothing,
    Opened(Duration),
    Closed,
}

impl Default for Breaker {
    fn default() -> Self {
        Breaker::Closed(0)
    }
}

impl Breaker {
    /// Until when it is open, if it is. While somebody tries it: for as long as it was.
    pub(super) fn open_until(&self, now: Instant) -> Option<Instant> {
        match *self {
            Breaker::Open(until, _) if now < until => Some(until),
            Breaker::Probing(until, _) if now < until => Some(until),
            _ => None,
        }
    }

    /// An attempt begins; whether it is a probe.
    pub(super) fn begin(&mut self, now: Instant) -> bool {
        match *self {
            Breaker::Open(until, span) | Breaker::Probing(until, span) if now >= until => {
                *self = Breaker::Probing(now + span, span);
                true
            }
            _ => false,
        }
    }

    /// A probe ended and nobody knows how.
    pub(super) fn give_up_probe(&mut self, now: Instant) {
        if let Breaker::Probing(_, span) = *self {
            *self = Breaker::Open(now, span);
        }
    }

    pub(super) fn succeeded(&mut self, was_probe: bool) -> Changed {
        match *self {
            // One that was under way when it opened says nothing new.
            Breaker::Open(..) => Changed::Nothing,
            Breaker::Probing(..) if !was_probe => Changed::Nothing,
            Breaker::Probing(..) => {
                *self = Breaker::default();
                Changed::Closed
            }
            _ => {
                *self = Breaker::default();
                Changed::Nothing
            }
        }
    }

    pub(super) fn failed(
        &mut self,
        options: &BreakerOptions,
        was_probe: bool,
        now: Instant,
    ) -> Changed {
        let span = match *self {
            Breaker::Probing(_, span) if was_probe => {
                let most = options.open_for.saturating_mul(LONGEST);
                span.saturating_mul(2).min(most).min(MOST)
            }
            Breaker::Open(..) | Breaker::Probing(..) => return Changed::Nothing,
            Breaker::Closed(failures) => {
                let failures = failures + 1;
                if failures < options.failures {
                    *self = Breaker::Closed(failures);
                    return Changed::Nothing;
                }
                options.open_for
            }
        };
        *self = Breaker::Open(now + span, span);
        Changed::Opened(span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Duration = Duration::from_secs(10);

    fn options() -> BreakerOptions {
        BreakerOptions::new().failures(3).open_for(SPAN)
    }

    fn opened(now: Instant) -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 0..2 {
            assert_eq!(breaker.failed(&options(), false, now), Changed::Nothing);
            assert_eq!(breaker.open_until(now), None);
        }
        assert_eq!(
            breaker.failed(&options(), false, now),
            Changed::Opened(SPAN)
        );
        breaker
    }

    #[test]
    fn opens_after_failures_in_a_row_and_not_otherwise() {
        let now = Instant::now();
        assert_eq!(opened(now).open_until(now), Some(now + SPAN));
        let mut breaker = Breaker::default();
        for _ in 0..100 {
            for _ in 0..2 {
                assert_eq!(breaker.failed(&options(), false, now), Changed::Nothing);
            }
            assert_eq!(breaker.succeeded(false), Changed::Nothing);
        }
    }

    #[test]
    fn one_at_a_time_may_try_it_and_closes_it() {
        let now = Instant::now();
        let (mut breaker, then) = (opened(now), now + SPAN);
        assert!(!breaker.begin(then - Duration::from_millis(1)));
        assert_eq!(breaker.open_until(then), None);
        assert!(breaker.begin(then));
        assert!(breaker.open_until(then).is_some(), "somebody tries it");
        assert!(!breaker.begin(then));
        assert_eq!(breaker.succeeded(true), Changed::Closed);
        assert_eq!(breaker.open_until(then), None);
    }

    #[test]
    fn stays_open_twice_as_long_where_that_fails_up_to_a_bound() {
        let mut now = Instant::now();
        let mut breaker = opened(now);
        for expected in [20, 40, 80, 80] {
            now = breaker.open_until(now).unwrap();
            assert!(breaker.begin(now));
            let span = Duration::from_secs(expected);
            assert_eq!(breaker.failed(&options(), true, now), Changed::Opened(span));
        }
    }

    #[test]
    fn a_probe_that_does_not_come_back_leaves_it_to_the_next() {
        let now = Instant::now();
        let (mut breaker, then) = (opened(now), now + SPAN);
        assert!(breaker.begin(then));
        let later = then + SPAN;
        assert!(!breaker.begin(later - Duration::from_millis(1)));
        assert_eq!(breaker.open_until(later), None);
        assert!(breaker.begin(later));
        assert_eq!(breaker.succeeded(true), Changed::Closed);
    }

    #[test]
    fn a_span_without_end_has_one() {
        let options = BreakerOptions::new().failures(1).open_for(Duration::MAX);
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        assert!(matches!(
            breaker.failed(&options, false, now),
            Changed::Opened(_)
        ));
        let then = breaker.open_until(now).unwrap();
        assert!(breaker.begin(then));
        assert!(matches!(
            breaker.failed(&options, true, then),
            Changed::Opened(_)
        ));
    }

    #[test]
    fn a_probe_that_is_given_up_leaves_the_next_one_free() {
        let now = Instant::now();
        let (mut breaker, then) = (opened(now), now + SPAN);
        assert!(breaker.begin(then));
        breaker.give_up_probe(then);
        assert!(breaker.begin(then));
    }

    #[test]
    fn what_was_under_way_when_it_opened_changes_nothing() {
        let now = Instant::now();
        let mut breaker = opened(now);
        assert_eq!(breaker.succeeded(false), Changed::Nothing);
        assert_eq!(breaker.failed(&options(), false, now), Changed::Nothing);
        assert_eq!(breaker.open_until(now), Some(now + SPAN));
        assert!(breaker.begin(now + SPAN));
        assert_eq!(breaker.failed(&options(), false, now), Changed::Nothing);
        assert_eq!(breaker.succeeded(false), Changed::Nothing);
        assert_eq!(breaker.succeeded(true), Changed::Closed);
    }
}
