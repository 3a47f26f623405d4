//! The time of day, as it goes with `tokio::time`: where tests pause that, dates in headers mean what they say.

use std::time::SystemTime;

use tokio::time::Instant;

/// What the system's clock shows, and by how much `tokio::time` is ahead of it or behind: by nothing but where it is
/// paused.
#[expect(
    clippy::disallowed_methods,
    reason = "the true clock is what tokio's is compared with"
)]
pub(crate) fn time_of_day() -> SystemTime {
    let (shown, truly) = (Instant::now().into_std(), std::time::Instant::now());
    let now = SystemTime::now();
    let ahead = shown.checked_duration_since(truly);
    ahead
        .map_or_else(
            || now.checked_sub(truly.saturating_duration_since(shown)),
            |ahead| now.checked_add(ahead),
        )
        .unwrap_or(now)
}

/// Whether `tokio::time` is paused.
#[cfg(any(feature = "redis", feature = "sqlite"))]
#[expect(
    clippy::disallowed_methods,
    reason = "the true clock is what tokio's is compared with"
)]
pub(crate) fn is_paused() -> bool {
    let (shown, truly) = (Instant::now(), std::time::Instant::now());
    while std::time::Instant::now() == truly {
        std::hint::spin_loop();
    }
    Instant::now() == shown
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_goes_with_a_clock_that_is_paused_and_set_on() {
        let began = time_of_day();
        let day = Duration::from_secs(86_400);
        tokio::time::sleep(day).await;
        let passed = time_of_day().duration_since(began).unwrap();
        let more = passed.abs_diff(day);
        assert!(more < Duration::from_secs(3_600), "{passed:?}");
    }

    #[cfg(any(feature = "redis", feature = "sqlite"))]
    #[tokio::test]
    async fn it_is_seen_whether_it_is_paused() {
        assert!(!is_paused());
        tokio::time::pause();
        assert!(is_paused());
        tokio::time::resume();
        assert!(!is_paused());
    }

    #[tokio::test]
    async fn elsewhere_it_is_the_systems() {
        let before = SystemTime::now();
        let shown = time_of_day();
        let apart = shown
            .duration_since(before)
            .unwrap_or_else(|error| error.duration());
        assert!(apart < Duration::from_secs(3_600), "{apart:?}");
    }
}
