//! How long to wait where nobody says.

use std::time::Duration;

use tokio::time::Instant;

/// By how much of itself a told wait is lengthened at most.
const JITTER: f64 = 0.1;
/// By how much a told wait is lengthened at most that is too short for that to spread anybody out.
const LEAST_JITTER: Duration = Duration::from_millis(100);

/// Exponential waits with full jitter: before repeat number n anything from nothing to `base * 2^(n - 1)`, `cap` at
/// most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Backoff {
    pub(crate) base: Duration,
    pub(crate) cap: Duration,
}

impl Default for Backoff {
    /// Half a second, and eight at most, as the SDKs of OpenAI and Anthropic have it.
    fn default() -> Self {
        Backoff {
            base: Duration::from_millis(500),
            cap: Duration::from_secs(8),
        }
    }
}

impl Backoff {
    /// The wait before repeat number `repeat`, from 1.
    pub(crate) fn wait(&self, repeat: u32) -> Duration {
        self.most(repeat).mul_f64(fastrand::f64())
    }

    fn most(&self, repeat: u32) -> Duration {
        let factor = 1_u32
            .checked_shl(repeat.saturating_sub(1))
            .unwrap_or(u32::MAX);
        self.base.saturating_mul(factor).min(self.cap)
    }
}

/// By how much a told wait is lengthened, so that those who are told the same do not come back together.
pub(crate) fn jitter(told: Duration) -> Duration {
    let most = told.mul_f64(JITTER).max(LEAST_JITTER);
    most.mul_f64(fastrand::f64())
}

/// The end of a told wait, so much later: never sooner, and not past a `deadline` that it keeps itself.
pub(crate) fn spread_out(told: Instant, jitter: Duration, deadline: Option<Instant>) -> Instant {
    let later = told.checked_add(jitter).unwrap_or(told);
    deadline.map_or(later, |deadline| later.min(deadline).max(told))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn untold_waits_double_up_to_a_cap_and_may_be_anything_below() {
        let backoff = Backoff::default();
        let most: Vec<u128> = [1, 2, 3, 4, 5, 6, 100]
            .map(|repeat| backoff.most(repeat).as_millis())
            .into();
        assert_eq!(most, [500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000]);
        let waits: Vec<Duration> = (0..1_000).map(|_| backoff.wait(4)).collect();
        let within = |from, to| {
            waits
                .iter()
                .filter(|wait| (from..to).contains(&wait.as_millis()))
                .count()
        };
        for quarter in 0..4 {
            let count = within(quarter * 1_000, (quarter + 1) * 1_000);
            assert!((150..350).contains(&count), "{quarter}: {count}");
        }
    }

    #[test]
    fn a_told_wait_is_never_shorter_and_passes_no_deadline_that_it_keeps_itself() {
        let (told, second) = (Instant::now(), Duration::from_secs(1));
        assert_eq!(spread_out(told, second, None), told + second);
        for (deadline, expected) in [
            (told + 2 * second, told + second),
            (told + second / 2, told + second / 2),
            (told, told),
            (told - second, told),
        ] {
            assert_eq!(spread_out(told, second, Some(deadline)), expected);
        }
    }

    #[test]
    fn a_wait_too_long_to_add_to_stays_one() {
        let told = Instant::now();
        assert_eq!(spread_out(told, Duration::MAX, None), told);
        assert!(jitter(Duration::MAX) < Duration::MAX);
        let backoff = Backoff {
            base: Duration::MAX,
            cap: Duration::from_secs(1),
        };
        assert!(backoff.wait(40) <= Duration::from_secs(1));
    }
}
