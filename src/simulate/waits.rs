//! Waits, of which all are kept, so that what is told of them is exact.

use std::time::Duration;

use super::report::Waits;

/// How long calls have waited.
#[derive(Clone, Debug, Default)]
pub(super) struct Waited {
    /// Calls that did not.
    none: u64,
    /// In microseconds.
    micros: Vec<u64>,
}

impl Waited {
    pub(super) fn add(&mut self, span: Duration) {
        match u64::try_from(span.as_micros()).unwrap_or(u64::MAX) {
            0 => self.none += 1,
            micros => self.micros.push(micros),
        }
    }

    pub(super) fn merge(&mut self, other: &Waited) {
        self.none += other.none;
        self.micros.extend_from_slice(&other.micros);
    }

    /// What they come to.
    pub(super) fn report(&self) -> Waits {
        let mut micros = self.micros.clone();
        micros.sort_unstable();
        let waited = micros.len() as u64;
        let all = self.none + waited;
        let nth = |percent: u64| {
            // The least that so many of a hundred do not pass.
            let rank = (all * percent).div_ceil(100).max(1);
            let place = rank.checked_sub(self.none + 1);
            let place = place.and_then(|place| usize::try_from(place).ok());
            span(
                place
                    .and_then(|place| micros.get(place))
                    .copied()
                    .unwrap_or(0),
            )
        };
        let sum: u128 = micros.iter().map(|micros| u128::from(*micros)).sum();
        let sum = u64::try_from(sum).unwrap_or(u64::MAX);
        Waits {
            calls: waited,
            mean: span(sum / all.max(1)),
            p50: nth(50),
            p90: nth(90),
            p95: nth(95),
            p99: nth(99),
            longest: span(micros.last().copied().unwrap_or(0)),
        }
    }
}

fn span(micros: u64) -> Duration {
    Duration::from_micros(micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_the_nearest_rank() {
        let mut waited = Waited::default();
        assert_eq!(waited.report(), Waits::default());
        for seconds in [0, 0, 0, 0, 0, 4, 1, 3, 2, 10] {
            waited.add(Duration::from_secs(seconds));
        }
        let report = waited.report();
        let seconds = [
            report.p50,
            report.p90,
            report.p95,
            report.p99,
            report.longest,
        ];
        assert_eq!(seconds.map(|span| span.as_secs()), [0, 4, 10, 10, 10]);
        assert_eq!((report.calls, report.mean), (5, Duration::from_secs(2)));
    }

    #[test]
    fn what_is_merged_is_as_if_it_had_been_one() {
        let mut all = Waited::default();
        let mut parts = [Waited::default(), Waited::default()];
        for seconds in 0..100 {
            all.add(Duration::from_secs(seconds));
            parts[usize::from(seconds % 3 == 0)].add(Duration::from_secs(seconds));
        }
        let [mut one, other] = parts;
        one.merge(&other);
        assert_eq!(one.report(), all.report());
    }
}
