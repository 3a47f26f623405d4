//! What callers say about a call in headers.

use std::{ops::RangeInclusive, time::Duration};

use http::{HeaderMap, HeaderName};
use jiff::{SignedDuration, Timestamp};

use crate::{
    call::CallOptions,
    config::Span,
    tags::{self, BadHeader, PREFIX, Tags},
};

/// What SDKs say of how long they wait, in seconds: those that Stainless makes for the next byte and for the whole, and Google's.
const TIMEOUTS: [HeaderName; 3] = [
    HeaderName::from_static("x-stainless-read-timeout"),
    HeaderName::from_static("x-stainless-timeout"),
    HeaderName::from_static("x-server-timeout"),
];

/// Takes our headers off and reads them.
pub(super) fn take(headers: &mut HeaderMap) -> Result<(Tags, CallOptions), BadHeader> {
    let ours = headers
        .keys()
        .filter(|name| name.as_str().starts_with(PREFIX));
    let ours: Vec<HeaderName> = ours.cloned().collect();
    let (mut tags, mut options) = (Tags::new(), CallOptions::new());
    options.max_wait = callers_patience(headers);
    for name in ours {
        read(&name, headers, &mut tags, &mut options)?;
        headers.remove(name);
    }
    Ok((tags, options))
}

/// Each that is in line is looked at to find who is next, so that nobody is to make up any number of them.
const PRIORITIES: RangeInclusive<i32> = -1_000..=1_000;

fn read(
    name: &HeaderName,
    headers: &HeaderMap,
    tags: &mut Tags,
    options: &mut CallOptions,
) -> Result<(), BadHeader> {
    let bad = |reason| BadHeader {
        name: name.clone(),
        reason,
    };
    let value = tags::value_of(name, headers)?;
    if let Some(tag) = tags::tag_of(name) {
        tags.set(tag, value);
        return Ok(());
    }
    match &name.as_str()[PREFIX.len()..] {
        "priority" => {
            let priority: Option<i32> = value.parse().ok();
            let priority = priority.filter(|priority| PRIORITIES.contains(priority));
            let priority =
                priority.ok_or_else(|| bad("is not a whole number from -1000 to 1000"))?;
            *options = options.priority(priority);
        }
        "deadline" => {
            let wait = until(value).ok_or_else(|| {
                bad("is neither a time to wait, as 30s, nor an instant, as 2026-11-26T12:00:00Z")
            })?;
            *options = options.max_wait(options.max_wait.unwrap_or(wait).min(wait));
        }
        _ => {
            return Err(bad(
                "means nothing here; there are -agent, -user, -team, -run, -priority and -deadline",
            ));
        }
    }
    Ok(())
}

/// A span from now, or an instant. One that is over is now.
fn until(value: &str) -> Option<Duration> {
    if let Ok(span) = value.parse::<Span>() {
        return Some(span.into());
    }
    let left: SignedDuration = value
        .parse::<Timestamp>()
        .ok()?
        .duration_since(Timestamp::now());
    Some(left.try_into().unwrap_or(Duration::ZERO))
}

/// How long the caller itself waits, a tenth off: so it hears why, where there is no room in time. A value that makes no
/// sense is somebody else's, and says nothing.
fn callers_patience(headers: &HeaderMap) -> Option<Duration> {
    let seconds = |name: &HeaderName| {
        let value = headers.get(name)?.to_str().ok()?;
        let seconds: f64 = value.parse().ok().filter(|seconds| *seconds > 0.0)?;
        Duration::try_from_secs_f64(seconds * 0.9).ok()
    };
    TIMEOUTS.iter().filter_map(seconds).min()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn taken(of: &[(&'static str, &'static str)]) -> Result<(Tags, CallOptions), String> {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_static("Bearer x"));
        for (name, value) in of {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let taken = take(&mut headers).map_err(|error| error.to_string());
        if taken.is_ok() {
            let ours = headers
                .keys()
                .filter(|name| name.as_str().starts_with(PREFIX));
            assert_eq!(ours.count(), 0, "{headers:?}");
        }
        taken
    }

    fn waits(of: &[(&'static str, &'static str)]) -> Option<Duration> {
        taken(of).unwrap().1.max_wait
    }

    #[test]
    fn reads_every_tag_and_the_priority() {
        let (tags, options) = taken(&[
            ("x-quota-agent", "scout"),
            ("x-quota-user", "Zoë"),
            ("x-quota-team", "a b"),
            ("x-quota-run", "7"),
            ("x-quota-priority", "-2"),
        ])
        .unwrap();
        assert_eq!(tags.to_string(), "agent=scout user=Zoë team=a b run=7");
        assert_eq!(options, CallOptions::new().priority(-2));
    }

    #[test]
    fn needs_none_of_them() {
        let nothing = (Tags::new(), CallOptions::new());
        assert_eq!(taken(&[]), Ok(nothing));
    }

    #[test]
    fn the_longest_wait_is_the_least_that_anybody_says() {
        let span = Duration::from_secs;
        assert_eq!(waits(&[("x-quota-deadline", "30")]), Some(span(30)));
        assert_eq!(waits(&[("x-quota-deadline", "2m")]), Some(span(120)));
        assert_eq!(
            waits(&[("x-quota-deadline", "2000-01-01T00:00:00Z")]),
            Some(Duration::ZERO)
        );
        let far = waits(&[("x-quota-deadline", "2999-01-01T00:00:00Z")]).unwrap();
        assert!(far > span(1_000_000));
        assert_eq!(
            waits(&[("x-stainless-read-timeout", "600")]),
            Some(span(540))
        );
        assert_eq!(waits(&[("x-stainless-timeout", "10")]), Some(span(9)));
        assert_eq!(waits(&[("x-server-timeout", "60")]), Some(span(54)));
        let both = [
            ("x-stainless-read-timeout", "600.0"),
            ("x-quota-deadline", "5s"),
        ];
        assert_eq!(waits(&both), Some(span(5)));
        let both = [
            ("x-stainless-read-timeout", "1"),
            ("x-quota-deadline", "5s"),
        ];
        assert_eq!(waits(&both), Some(Duration::from_millis(900)));
        for nonsense in ["None", "-1", "0", "NaN", "inf", "1e300"] {
            assert_eq!(
                waits(&[("x-stainless-read-timeout", nonsense)]),
                None,
                "{nonsense}"
            );
        }
    }

    #[test]
    fn names_the_header_that_makes_no_sense() {
        for (headers, expected) in [
            (
                &[("x-quota-priority", "high")][..],
                "the header x-quota-priority is not a whole number from -1000 to 1000",
            ),
            (
                &[("x-quota-run", "a"), ("x-quota-run", "b")],
                "the header x-quota-run is there more than once",
            ),
            (
                &[("x-quota-deadline", "soon")],
                "the header x-quota-deadline is neither a time to wait, as 30s, nor an instant, as 2026-11-26T12:00:00Z",
            ),
        ] {
            assert_eq!(taken(headers), Err(expected.to_owned()));
        }
        let error = taken(&[("x-quota-agent", "")]).unwrap_err();
        assert!(error.contains("x-quota-agent is empty"), "{error}");
        let error = taken(&[("x-quota-agnet", "scout")]).unwrap_err();
        assert!(error.contains("x-quota-agnet means nothing"), "{error}");
    }
}
