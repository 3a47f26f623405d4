//! Refusals as data, and how spans of time stand in data.

use std::time::Duration;

use serde::{Serialize, Serializer};

use super::{Rejection, Shortage, Unit};

/// Whole milliseconds, rounded up: a wait that is read and obeyed must not come out short.
pub(crate) fn millis<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    let millis = span.as_nanos().div_ceil(1_000_000);
    serializer.serialize_u64(u64::try_from(millis).unwrap_or(u64::MAX))
}

/// The same of a span that may be none.
pub(crate) fn millis_if<S: Serializer>(
    span: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match span {
        Some(span) => millis(span, serializer),
        None => serializer.serialize_none(),
    }
}

impl Serialize for Rejection {
    /// Writes an object with the [kind](Rejection::kind), the text, the address of the guide's
    /// [entry](Rejection::help), how long until another try is worthwhile, and what is short. What cannot be said is
    /// `null`.
    ///
    /// ```
    /// let rejection = tower_quota::Rejection::BodyTooLarge { cap: 1_024 };
    /// let json = serde_json::to_value(&rejection)?;
    /// assert_eq!(json["kind"], "body_too_large");
    /// assert_eq!(json["message"], rejection.to_string());
    /// assert_eq!(json["help"], rejection.help());
    /// assert!(json["retry_after_ms"].is_null() && json["shortage"].is_null());
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shown<'r> {
            kind: &'static str,
            message: String,
            help: String,
            #[serde(serialize_with = "millis_if")]
            retry_after_ms: Option<Duration>,
            shortage: Option<&'r Shortage>,
        }

        let shown = Shown {
            kind: self.kind(),
            message: self.to_string(),
            help: self.help(),
            retry_after_ms: self.retry_after(),
            shortage: self.shortage(),
        };
        shown.serialize(serializer)
    }
}

impl Serialize for Shortage {
    /// Writes an object with all fields under their names, spans in milliseconds: `retry_after_ms`, `period_ms`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shown<'s> {
            limit: &'s str,
            unit: Unit,
            in_use: u64,
            reserved: u64,
            needed: u64,
            #[serde(serialize_with = "millis_if")]
            retry_after_ms: Option<Duration>,
            amount: Option<u64>,
            #[serde(serialize_with = "millis_if")]
            period_ms: Option<Duration>,
            of_target: bool,
            rule: &'s str,
        }

        let Shortage {
            limit,
            unit,
            in_use,
            reserved,
            needed,
            retry_after,
            amount,
            period,
            of_target,
            rule,
        } = self;
        let shown = Shown {
            limit,
            unit: *unit,
            in_use: *in_use,
            reserved: *reserved,
            needed: *needed,
            retry_after_ms: *retry_after,
            amount: *amount,
            period_ms: *period,
            of_target: *of_target,
            rule,
        };
        shown.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{json, to_value};

    use super::*;

    fn shortage() -> Shortage {
        Shortage {
            limit: "tokens 90000/min for agent=scout".into(),
            unit: Unit::Number,
            in_use: 88_200,
            reserved: 1_200,
            needed: 2_500,
            retry_after: Some(Duration::from_micros(3_200_001)),
            amount: Some(90_000),
            period: Some(Duration::from_secs(60)),
            of_target: false,
            rule: "tokens 90000/min per agent".to_owned().into(),
        }
    }

    #[test]
    fn a_shortage_has_every_field_and_waits_are_rounded_up() {
        let expected = json!({
            "limit": "tokens 90000/min for agent=scout", "unit": "number",
            "in_use": 88_200, "reserved": 1_200, "needed": 2_500, "retry_after_ms": 3_201,
            "amount": 90_000, "period_ms": 60_000, "of_target": false,
            "rule": "tokens 90000/min per agent",
        });
        assert_eq!(to_value(shortage()).unwrap(), expected);
        let unknown = Shortage {
            unit: Unit::NanoDollar,
            retry_after: None,
            amount: None,
            period: None,
            ..shortage()
        };
        let unknown = to_value(unknown).unwrap();
        assert_eq!(unknown["unit"], "nano_dollar");
        for field in ["retry_after_ms", "amount", "period_ms"] {
            assert!(unknown[field].is_null(), "{field}");
        }
    }

    #[test]
    fn a_refusal_says_its_kind_why_and_what_is_short() {
        let rejection = Rejection::RateLimited(shortage());
        let expected = json!({
            "kind": "rate_limited",
            "message": rejection.to_string(),
            "help": rejection.help(),
            "retry_after_ms": 3_201,
            "shortage": to_value(shortage()).unwrap(),
        });
        assert_eq!(to_value(rejection).unwrap(), expected);
        let nowhere = Rejection::NoTarget {
            model: "m".into(),
            reasons: "none".into(),
            waits: false,
            retry_after: Some(Duration::MAX),
        };
        let nowhere = to_value(nowhere).unwrap();
        assert_eq!(nowhere["retry_after_ms"], u64::MAX);
        assert!(nowhere["shortage"].is_null());
    }
}
