//! One target's breaker: whether it is worth an attempt. The time is an argument.

use std::time::Duration;

use tokio::time::Instant;

/// No breaker is open for longer: nobody remembers why.
const MOST: Duration = Duration::from_secs(30 * 86_400);
/// A span doubles with each probe that fails, up to so many times itself.
const LONGEST: u32 = 8;

/// When the breaker of a target opens and closes.
///
/// Failures are answers that are the provider's fault (5xx, overload, a stream that begins with one of these) and
/// connections that fail; not answers for which a limit, a quota or the request itself is to blame, as with a 501 or 505.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct BreakerOptions {
    pub(super) failures: u32,
    pub(super) open_for: Duration,
}

impl BreakerOptions {
    /// Creates the default options: five failures in a row open the breaker for ten seconds.
    pub fn new() -> Self {
        BreakerOptions {
            failures: 5,
            open_for: Duration::from_secs(10),
        }
    }

    /// Sets how many failures in a row open the breaker. 0 is treated as 1.
    pub fn failures(mut self, failures: u32) -> Self {
        self.failures = failures.max(1);
        self
    }

    /// Sets how long the breaker stays open before calls may try the target, one at a time.
    ///
    /// The time doubles with each try that fails, up to eight times this span and never more than thirty days. If a
    /// call that tries the target is not back within that time, the next call may try.
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

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Breaker {
    state: State,
    /// How many attempts have tried the target: the last of them has this number, and speaks for it.
    probes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// So many failures in a row.
    Closed(u32),
    /// Until then, after so long.
    Open(Instant, Duration),
    /// Somebody tries it, until then at most: after that the next one may.
    Probing(Instant, Duration),
}

/// An attempt that tries a target whose breaker was open, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Probe(u64);

/// What an end changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Changed {
    Nothing,
    Opened(Duration),
    Closed,
}

impl Default for State {
    fn default() -> Self {
        State::Closed(0)
    }
}

impl Breaker {
    /// Until when it is open, if it is. While somebody tries it: for as long as it was.
    pub(super) fn open_until(&self, now: Instant) -> Option<Instant> {
        match self.state {
            State::Open(until, _) if now < until => Some(until),
            State::Probing(until, _) if now < until => Some(until),
            _ => None,
        }
    }

    /// An attempt begins; which probe it is, if it is one.
    pub(super) fn begin(&mut self, now: Instant) -> Option<Probe> {
        match self.state {
            State::Open(until, span) | State::Probing(until, span) if now >= until => {
                self.state = State::Probing(now + span, span);
                self.probes += 1;
                Some(Probe(self.probes))
            }
            _ => None,
        }
    }

    /// A probe ended and nobody knows how.
    pub(super) fn give_up_probe(&mut self, probe: Probe, now: Instant) {
        if let State::Probing(_, span) = self.state
            && self.is_last(Some(probe))
        {
            self.state = State::Open(now, span);
        }
    }

    pub(super) fn succeeded(&mut self, probe: Option<Probe>) -> Changed {
        match self.state {
            // One that was under way when it opened says nothing new.
            State::Open(..) => Changed::Nothing,
            State::Probing(..) if probe.is_none() => Changed::Nothing,
            // A probe that took too long serves as well: that is what is to be known.
            State::Probing(..) => {
                self.state = State::default();
                Changed::Closed
            }
            State::Closed(_) => {
                self.state = State::default();
                Changed::Nothing
            }
        }
    }

    pub(super) fn failed(
        &mut self,
        options: &BreakerOptions,
        probe: Option<Probe>,
        now: Instant,
    ) -> Changed {
        let span = match self.state {
            State::Probing(_, span) if self.is_last(probe) => {
                let most = options.open_for.saturating_mul(LONGEST);
                span.saturating_mul(2).min(most).min(MOST)
            }
            State::Open(..) | State::Probing(..) => return Changed::Nothing,
            State::Closed(failures) => {
                let failures = failures + 1;
                if failures < options.failures {
                    self.state = State::Closed(failures);
                    return Changed::Nothing;
                }
                options.open_for
            }
        };
        self.state = State::Open(now + span, span);
        Changed::Opened(span)
    }

    /// Whether no other has come in its place.
    fn is_last(&self, probe: Option<Probe>) -> bool {
        probe == Some(Probe(self.probes))
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
            assert_eq!(breaker.failed(&options(), None, now), Changed::Nothing);
            assert_eq!(breaker.open_until(now), None);
        }
        assert_eq!(breaker.failed(&options(), None, now), Changed::Opened(SPAN));
        breaker
    }

    #[test]
    fn opens_after_failures_in_a_row_and_not_otherwise() {
        let now = Instant::now();
        assert_eq!(opened(now).open_until(now), Some(now + SPAN));
        let mut breaker = Breaker::default();
        for _ in 0..100 {
            for _ in 0..2 {
                assert_eq!(breaker.failed(&options(), None, now), Changed::Nothing);
            }
            assert_eq!(breaker.succeeded(None), Changed::Nothing);
        }
    }

    #[test]
    fn one_at_a_time_may_try_it_and_closes_it() {
        let now = Instant::now();
        let (mut breaker, then) = (opened(now), now + SPAN);
        assert_eq!(breaker.begin(then - Duration::from_millis(1)), None);
        assert_eq!(breaker.open_until(then), None);
        let probe = breaker.begin(then);
        assert!(probe.is_some());
        assert!(breaker.open_until(then).is_some(), "somebody tries it");
        assert_eq!(breaker.begin(then), None);
        assert_eq!(breaker.succeeded(probe), Changed::Closed);
        assert_eq!(breaker.open_until(then), None);
    }

    #[test]
    fn stays_open_twice_as_long_where_that_fails_up_to_a_bound() {
        let mut now = Instant::now();
        let mut breaker = opened(now);
        for expected in [20, 40, 80, 80] {
            now = breaker.open_until(now).unwrap();
            let probe = breaker.begin(now);
            assert!(probe.is_some());
            let span = Duration::from_secs(expected);
            let changed = breaker.failed(&options(), probe, now);
            assert_eq!(changed, Changed::Opened(span));
        }
    }

    #[test]
    fn a_probe_that_does_not_come_back_leaves_it_to_the_next() {
        let now = Instant::now();
        let (mut breaker, then) = (opened(now), now + SPAN);
        assert!(breaker.begin(then).is_some());
        let later = then + SPAN;
        assert_eq!(breaker.begin(later - Duration::from_millis(1)), None);
        assert_eq!(breaker.open_until(later), None);
        let next = breaker.begin(later);
        assert!(next.is_some());
        assert_eq!(breaker.succeeded(next), Changed::Closed);
    }

    #[test]
    fn a_probe_in_whose_place_another_has_come_speaks_no_more_unless_it_serves() {
        let now = Instant::now();
        let (mut breaker, then) = (opened(now), now + SPAN);
        let old = breaker.begin(then).unwrap();
        let later = then + SPAN;
        let new = breaker.begin(later).unwrap();
        let until = breaker.open_until(later);
        assert_eq!(until, Some(later + SPAN));

        breaker.give_up_probe(old, later);
        assert_eq!(breaker.open_until(later), until, "the new one tries it");
        let changed = breaker.failed(&options(), Some(old), later);
        assert_eq!(
            (changed, breaker.open_until(later)),
            (Changed::Nothing, until)
        );
        assert_eq!(breaker.begin(later), None);

        let mut served = breaker;
        assert_eq!(served.succeeded(Some(old)), Changed::Closed);
        served.give_up_probe(new, later);
        assert_eq!(served.open_until(later), None);

        let changed = breaker.failed(&options(), Some(new), later);
        assert_eq!(changed, Changed::Opened(SPAN * 2));
    }

    #[test]
    fn a_span_without_end_has_one() {
        let options = BreakerOptions::new().failures(1).open_for(Duration::MAX);
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        assert!(matches!(
            breaker.failed(&options, None, now),
            Changed::Opened(_)
        ));
        let then = breaker.open_until(now).unwrap();
        let probe = breaker.begin(then);
        assert!(probe.is_some());
        assert!(matches!(
            breaker.failed(&options, probe, then),
            Changed::Opened(_)
        ));
    }

    #[test]
    fn a_probe_that_is_given_up_leaves_the_next_one_free() {
        let now = Instant::now();
        let (mut breaker, then) = (opened(now), now + SPAN);
        let probe = breaker.begin(then).unwrap();
        breaker.give_up_probe(probe, then);
        assert!(breaker.begin(then).is_some());
    }

    #[test]
    fn what_was_under_way_when_it_opened_changes_nothing() {
        let now = Instant::now();
        let mut breaker = opened(now);
        assert_eq!(breaker.succeeded(None), Changed::Nothing);
        assert_eq!(breaker.failed(&options(), None, now), Changed::Nothing);
        assert_eq!(breaker.open_until(now), Some(now + SPAN));
        let probe = breaker.begin(now + SPAN);
        assert!(probe.is_some());
        assert_eq!(breaker.failed(&options(), None, now), Changed::Nothing);
        assert_eq!(breaker.succeeded(None), Changed::Nothing);
        assert_eq!(breaker.succeeded(probe), Changed::Closed);
    }
}
