//! Faults on demand: what can go wrong, how it is asked for, and when it comes unasked.

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

/// A set of faults for one attempt, read from text: `NAME[=ARG]`, several separated by `;`.
///
/// | text | effect |
/// |---|---|
/// | `status=N` | answers with this status, 300 to 599, and the dialect's error body |
/// | `retry-after=SECONDS` | with `status`: sends this header |
/// | `retry-after-ms=MS` | with `status`: sends this header |
/// | `code=NAME` | with `status`: the error has this code |
/// | `message=TEXT` | with `status`: the error has this text |
/// | `insufficient-quota` | answers with a 429 that no waiting cures |
/// | `drop` | closes the connection before the answer |
/// | `slow-headers=MS` | sends the headers that much later |
/// | `missing-headers` | leaves out the rate headers and `retry-after` |
/// | `no-usage` | leaves out the usage |
/// | `garbage` | answers 200 with a body that is not JSON |
/// | `broken-stream` | ends the body with an error, midway |
/// | `error-event[=PLACE]` | ends a stream with an error event: `first` (default), `opened` (after the opening events, before content) or `late` (after content) |
///
/// A fault answered with 429 is charged like a refused attempt, all others like any attempt.
/// `error-event` does nothing to an answer that is not streamed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    pub(crate) status: Option<u16>,
    pub(crate) retry_after: Option<u64>,
    pub(crate) retry_after_ms: Option<u64>,
    pub(crate) code: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) insufficient_quota: bool,
    pub(crate) dropped: bool,
    pub(crate) slow_headers: Duration,
    pub(crate) missing_headers: bool,
    pub(crate) no_usage: bool,
    pub(crate) garbage: bool,
    pub(crate) broken: bool,
    pub(crate) error_event: Option<Place>,
}

/// Where in a stream an error event stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    First,
    Opened,
    Late,
}

/// A text that names no fault, or a fault with an argument that it cannot have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such fault: {0:?}")]
pub struct UnknownFault(String);

impl FromStr for Faults {
    type Err = UnknownFault;

    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        let mut faults = Self::default();
        for item in text
            .split(';')
            .map(str::trim)
            .filter(|item| !item.is_empty())
        {
            let (name, argument) = match item.split_once('=') {
                Some((name, argument)) => (name.trim(), Some(argument.trim())),
                None => (item, None),
            };
            faults
                .set(name, argument)
                .ok_or_else(|| UnknownFault(item.to_owned()))?;
        }
        Ok(faults)
    }
}

impl Faults {
    fn set(&mut self, name: &str, argument: Option<&str>) -> Option<()> {
        match (name, argument) {
            ("status", Some(status)) => {
                let status = status.parse().ok()?;
                self.status = (300..600).contains(&status).then_some(status);
                self.status?;
            }
            ("retry-after", Some(seconds)) => self.retry_after = Some(seconds.parse().ok()?),
            ("retry-after-ms", Some(millis)) => self.retry_after_ms = Some(millis.parse().ok()?),
            ("code", Some(code)) => self.code = Some(code.to_owned()),
            ("message", Some(text)) => self.message = Some(text.to_owned()),
            ("slow-headers", Some(millis)) => {
                self.slow_headers = Duration::from_millis(millis.parse().ok()?);
            }
            ("error-event", None | Some("first")) => self.error_event = Some(Place::First),
            ("error-event", Some("opened")) => self.error_event = Some(Place::Opened),
            ("error-event", Some("late")) => self.error_event = Some(Place::Late),
            ("insufficient-quota", None) => self.insufficient_quota = true,
            ("drop", None) => self.dropped = true,
            ("missing-headers", None) => self.missing_headers = true,
            ("no-usage", None) => self.no_usage = true,
            ("garbage", None) => self.garbage = true,
            ("broken-stream", None) => self.broken = true,
            _ => return None,
        }
        Some(())
    }

    /// Adds the faults of another set; where both name a value, that one's counts.
    pub(crate) fn add(&mut self, other: &Self) {
        self.status = other.status.or(self.status);
        self.retry_after = other.retry_after.or(self.retry_after);
        self.retry_after_ms = other.retry_after_ms.or(self.retry_after_ms);
        self.code = other.code.clone().or(self.code.take());
        self.message = other.message.clone().or(self.message.take());
        self.insufficient_quota |= other.insufficient_quota;
        self.dropped |= other.dropped;
        self.slow_headers = self.slow_headers.max(other.slow_headers);
        self.missing_headers |= other.missing_headers;
        self.no_usage |= other.no_usage;
        self.garbage |= other.garbage;
        self.broken |= other.broken;
        self.error_event = other.error_event.or(self.error_event);
    }

    /// Whether the attempt is to be answered 429, whatever the limits say.
    pub(crate) fn refuses(&self) -> bool {
        !self.dropped && (self.insufficient_quota || self.status == Some(429))
    }
}

impl<'de> Deserialize<'de> for Faults {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Faults that occur unasked: in a random share of the attempts, in one particular attempt, or both.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// What goes wrong; a text in JSON and YAML.
    pub fault: Faults,
    /// The probability for each attempt, 0.0 to 1.0. Default: 0.
    #[serde(default)]
    pub probability: f64,
    /// The attempt, counted from 1 over all arrivals, in which the fault certainly occurs.
    #[serde(default)]
    pub nth: Option<u64>,
}

impl FaultRule {
    /// Whether the rule strikes the attempt with this number, counted from 1.
    pub(crate) fn strikes(&self, number: u64, random: &mut fastrand::Rng) -> bool {
        self.nth == Some(number) || (self.probability > 0.0 && random.f64() < self.probability)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_several_faults_and_their_arguments() {
        let faults: Faults = " status=429; retry-after=3 ;slow-headers=20;"
            .parse()
            .unwrap();
        assert_eq!(faults.status, Some(429));
        assert_eq!(faults.retry_after, Some(3));
        assert_eq!(faults.slow_headers, Duration::from_millis(20));
        assert_eq!("".parse(), Ok(Faults::default()));
    }

    #[test]
    fn names_the_text_that_is_no_fault() {
        for wrong in [
            "meteor",
            "status",
            "status=99",
            "drop=1",
            "error-event=soon",
        ] {
            let error = format!("drop;{wrong}").parse::<Faults>().unwrap_err();
            assert_eq!(error, UnknownFault(wrong.to_owned()));
        }
    }

    #[test]
    fn strikes_the_nth_and_about_the_told_share() {
        let mut random = fastrand::Rng::with_seed(7);
        let rule = FaultRule {
            nth: Some(3),
            ..FaultRule::default()
        };
        let struck: Vec<u64> = (1..=9).filter(|n| rule.strikes(*n, &mut random)).collect();
        assert_eq!(struck, [3]);
        let rule = FaultRule {
            probability: 0.25,
            ..FaultRule::default()
        };
        let struck = (0..10_000)
            .filter(|n| rule.strikes(*n, &mut random))
            .count();
        assert!((2_300..2_700).contains(&struck), "{struck}");
    }
}
