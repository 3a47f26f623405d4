//! Which window a limit has whose header does not say.

use std::time::Duration;

/// A minute first: see [`minute_or_day`].
const WINDOWS: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(86_400)];

/// How exact `reset` is.
const GRAIN: f64 = 1e-3;

/// The window in which `limit` is granted, if it comes back evenly.
///
/// OpenAI's requests are per minute on most models and per day on some, under one header. What was
/// used comes back at `limit / window`, so the window is `reset × limit / used`: 6 ms for one of
/// 10 000 is a minute, 8.64 s a day. `used` is `limit - remaining`, but `remaining` is rounded
/// down, so up to one less was used; and `reset` is in milliseconds.
///
/// If a single request is being paid back, both windows may fit: half a second could be the last of
/// a day's 8.64 seconds. It is then said to be a minute, which is wrong in one of a thousand such
/// answers, and never once two requests are out. Nothing used, nothing known.
pub(super) fn minute_or_day(
    limit: Option<u64>,
    remaining: Option<u64>,
    reset: Option<Duration>,
) -> Option<Duration> {
    let (limit, reset) = (limit?, reset?.as_secs_f64());
    let used = limit.checked_sub(remaining?)?;
    if used == 0 || reset <= GRAIN {
        return None;
    }
    let (used, limit) = (used as f64, limit as f64);
    let shortest = (reset - GRAIN) * limit / used;
    // Infinite for the first request.
    let longest = (reset + GRAIN) * limit / (used - 1.0);
    let fits = |window: &Duration| (shortest..=longest).contains(&window.as_secs_f64());
    WINDOWS.into_iter().find(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Option<u64> = Some(60);
    const DAY: Option<u64> = Some(86_400);

    fn seconds(limit: u64, remaining: u64, reset_ms: u64) -> Option<u64> {
        let reset = Duration::from_millis(reset_ms);
        let window = minute_or_day(Some(limit), Some(remaining), Some(reset));
        window.map(|window| window.as_secs())
    }

    #[test]
    fn follows_from_what_comes_back() {
        for (limit, remaining, reset, expected) in [
            (10_000, 9_999, 6, MINUTE),
            (5_000, 4_999, 12, MINUTE),
            (30_000, 29_999, 2, MINUTE),
            (500, 498, 133, MINUTE),
            (30_000, 786, 58_428, MINUTE),
            (200_000, 199_976, 7, MINUTE),
            (3, 0, 60_000, MINUTE),
            (10_000, 9_999, 8_640, DAY),
            (10_000, 0, 86_400_000, DAY),
            (200, 199, 432_000, DAY),
            (1, 0, 80_000_000, DAY),
        ] {
            let found = seconds(limit, remaining, reset);
            assert_eq!(found, expected, "{limit} {remaining} {reset}");
        }
    }

    #[test]
    fn holds_while_the_bucket_fills() {
        for (limit, window) in [
            (500_u64, 60_u64),
            (10_000, 60),
            (200, 86_400),
            (10_000, 86_400),
        ] {
            for used in 2..50_u64 {
                // Just refilled by one, and just before the next.
                for tenths in [1, 5, 9, 10] {
                    let out = (used - 1) * 10 + tenths;
                    let reset = (window * 1_000 * out).div_ceil(limit * 10);
                    let found = seconds(limit, limit - used, reset);
                    assert_eq!(found, Some(window), "{limit}/{window} {used} {tenths}");
                }
            }
        }
    }

    #[test]
    fn nothing_used_is_nothing_known() {
        assert_eq!(seconds(500, 500, 0), None);
        assert_eq!(seconds(500, 500, 120), None);
        assert_eq!(seconds(500, 499, 0), None);
        assert_eq!(seconds(30_000_000, 29_999_999, 1), None);
        assert_eq!(seconds(0, 0, 60_000), None);
        assert_eq!(seconds(500, 501, 120), None);
    }

    #[test]
    fn no_other_window_is_guessed() {
        assert_eq!(seconds(500, 400, 120), None, "under a second");
        assert_eq!(seconds(500, 400, 720_000), None, "an hour");
        assert_eq!(seconds(500, 0, 604_800_000), None, "a week");
    }
}
