//! The windows of a subscription of Anthropic, of five hours and of seven days, which show no amounts. Known from
//! recorded answers.

use std::time::{Duration, SystemTime};

use http::HeaderMap;

use super::providers::Reset;

const PREFIX: &str = "anthropic-ratelimit-unified-";

/// In how long a subscription that is used up is there again, by the headers of a refusal: at the last reset of the
/// windows that are rejected, or where none is said to be, at the one that stands for them, or at the first there is. A
/// reset that is over tells nothing.
pub(super) fn reset(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    if !is_rejected(headers, "") {
        return None;
    }
    let rejected = windows(headers).filter(|window| is_rejected(headers, window));
    let last = rejected
        .filter_map(|window| until(headers, window, now))
        .max();
    let all = || windows(headers).filter_map(|window| until(headers, window, now));
    last.or_else(|| until(headers, "", now))
        .or_else(|| all().min())
}

/// The names of windows, such as `5h-` and `7d_opus-`, once for each header of theirs. What is beyond them
/// (`overage-`) has no length in its name.
fn windows(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers.keys().filter_map(|name| {
        let rest = name.as_str().strip_prefix(PREFIX)?;
        let window = &rest[..=rest.find('-')?];
        window
            .starts_with(|first: char| first.is_ascii_digit())
            .then_some(window)
    })
}

fn is_rejected(headers: &HeaderMap, window: &str) -> bool {
    text(headers, window, "status").is_some_and(|said| said.eq_ignore_ascii_case("rejected"))
}

fn until(headers: &HeaderMap, window: &str, now: SystemTime) -> Option<Duration> {
    let reset = Reset::UnixSeconds.read(text(headers, window, "reset")?, now)?;
    Some(reset).filter(|reset| !reset.is_zero())
}

fn text<'a>(headers: &'a HeaderMap, window: &str, what: &str) -> Option<&'a str> {
    let value = headers.get(format!("{PREFIX}{window}{what}"))?;
    value.to_str().ok().map(str::trim)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    /// 2026-11-22T09:15:30Z
    const NOW: u64 = 1_795_338_930;

    /// In how many seconds, where `headers` are named without their beginning.
    fn seconds(headers: &[(&str, &str)]) -> Option<u64> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: http::HeaderName = format!("{PREFIX}{name}").parse().unwrap();
            map.insert(name, HeaderValue::from_str(value).unwrap());
        }
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
        reset(&map, now).map(|reset| reset.as_secs())
    }

    const REJECTED: (&str, &str) = ("status", "rejected");
    const HOURS: (&str, &str) = ("5h-reset", "1795342530");
    const DAYS: (&str, &str) = ("7d-reset", "1795400000");

    #[test]
    fn the_last_reset_of_what_is_rejected() {
        let hours = ("5h-status", "rejected");
        let days = ("7d-status", "rejected");
        let fine = ("7d-status", "allowed_warning");
        assert_eq!(seconds(&[REJECTED, hours, fine, HOURS, DAYS]), Some(3_600));
        assert_eq!(seconds(&[REJECTED, hours, days, HOURS, DAYS]), Some(61_070));
        let one_model = [
            REJECTED,
            HOURS,
            ("7d_opus-status", "rejected"),
            ("7d_opus-reset", "1795338990"),
        ];
        assert_eq!(seconds(&one_model), Some(60));
    }

    #[test]
    fn where_no_window_is_said_to_be_rejected() {
        let all = ("reset", "1795400000");
        assert_eq!(seconds(&[REJECTED, all]), Some(61_070));
        assert_eq!(seconds(&[REJECTED, all, HOURS]), Some(61_070));
        assert_eq!(seconds(&[REJECTED, HOURS, DAYS]), Some(3_600));
        assert_eq!(seconds(&[REJECTED]), None);
    }

    #[test]
    fn what_tells_nothing() {
        let all = ("reset", "1795400000");
        assert_eq!(seconds(&[("status", "allowed"), all, HOURS]), None);
        assert_eq!(seconds(&[all, HOURS]), None);
        for over in ["1795338900", "0", "soon", "-1", ""] {
            assert_eq!(seconds(&[REJECTED, ("reset", over)]), None, "{over}");
        }
        // What is paid for beyond the plan is rejected wherever nobody has asked for it.
        let beyond = [
            ("overage-status", "rejected"),
            ("overage-reset", "1796000000"),
        ];
        assert_eq!(
            seconds(&[REJECTED, HOURS, beyond[0], beyond[1]]),
            Some(3_600)
        );
    }
}
