//! The fields `RateLimit-Policy` and `RateLimit` of a refusal.
//!
//! Source: IETF, draft-ietf-httpapi-ratelimit-headers-10. Both are lists of quoted names with parameters: `q` is
//! the quota, `w` its window in whole seconds, `r` what remains, `t` the seconds until there is more.

use std::{fmt::Write as _, time::Duration};

use http::HeaderValue;

use crate::error::{Shortage, Unit};

/// The policy and the state, where the limit is one of ours.
pub(super) fn fields(shortage: &Shortage) -> Option<(HeaderValue, HeaderValue)> {
    if shortage.unit != Unit::Number {
        // The fields are for whole numbers of requests and the like.
        return None;
    }
    let amount = shortage.amount?;
    let name = quoted(&shortage.limit);
    let mut policy = format!("{name};q={amount}");
    // A window that is no whole number of seconds cannot be said.
    if let Some(window) = shortage.period.filter(|window| window.subsec_nanos() == 0) {
        let _ = write!(policy, ";w={}", window.as_secs());
    }
    let mut state = format!("{name};r={}", amount.saturating_sub(shortage.in_use));
    if let Some(wait) = shortage.retry_after {
        let _ = write!(state, ";t={}", seconds(wait));
    }
    let value = |text: String| HeaderValue::try_from(text).ok();
    Some((value(policy)?, value(state)?))
}

/// Whole seconds, rounded up: a wait that is read and obeyed must not come out short.
fn seconds(wait: Duration) -> u64 {
    u64::try_from(wait.as_nanos().div_ceil(1_000_000_000)).unwrap_or(u64::MAX)
}

/// A string of RFC 9651: printable ASCII in quotes. Anything else becomes a question mark.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            ' '..='~' => quoted.push(c),
            _ => quoted.push('?'),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shortage() -> Shortage {
        Shortage {
            limit: "requests 100/min for user=a\"é".into(),
            unit: Unit::Number,
            in_use: 98,
            reserved: 0,
            needed: 5,
            retry_after: Some(Duration::from_millis(2_001)),
            amount: Some(100),
            period: Some(Duration::from_secs(60)),
            of_target: false,
            rule: "requests 100/min per user".to_owned().into(),
        }
    }

    fn said(shortage: &Shortage) -> Option<(String, String)> {
        let (policy, state) = fields(shortage)?;
        let text = |value: HeaderValue| value.to_str().unwrap().to_owned();
        Some((text(policy), text(state)))
    }

    #[test]
    fn the_policy_and_what_remains_of_it_are_said() {
        let (policy, state) = said(&shortage()).unwrap();
        assert_eq!(policy, r#""requests 100/min for user=a\"?";q=100;w=60"#);
        assert_eq!(state, r#""requests 100/min for user=a\"?";r=2;t=3"#);
    }

    #[test]
    fn what_cannot_be_said_is_left_out() {
        let half = Shortage {
            period: Some(Duration::from_millis(500)),
            retry_after: None,
            unit: Unit::Number,
            in_use: 130,
            reserved: 0,
            ..shortage()
        };
        let (policy, state) = said(&half).unwrap();
        assert!(policy.ends_with(";q=100"), "{policy}");
        assert!(state.ends_with(";r=0"), "{state}");
        let not_ours = Shortage {
            amount: None,
            ..shortage()
        };
        assert_eq!(said(&not_ours), None);
    }
}
