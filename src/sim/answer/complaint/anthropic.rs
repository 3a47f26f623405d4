//! What Anthropic says of an error.

use std::time::Duration;

use serde_json::{Value, json};

use super::Complaint;
use crate::sim::clock::go_duration;
use crate::sim::limit::{SimLimit, SimQuantity};

pub(super) fn body(complaint: &Complaint, request_id: &str) -> Value {
    let Complaint {
        kind,
        code,
        message,
        ..
    } = complaint;
    let mut error = json!({"type": kind, "message": message});
    if let Some(code) = code {
        error["details"] = json!({"error_code": code});
    }
    json!({"type": "error", "error": error, "request_id": request_id})
}

pub(super) fn of_status(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        409 => "conflict_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        300..500 => "invalid_request_error",
        _ => "api_error",
    }
}

pub(super) fn refused(limit: &SimLimit, (period, amount): (Duration, u64)) -> Complaint {
    Complaint::new("rate_limit_error", None, message(limit, period, amount))
}

fn message(limit: &SimLimit, period: Duration, amount: u64) -> String {
    let what = match limit.quantity {
        SimQuantity::Requests => "requests",
        SimQuantity::Tokens => "tokens",
        SimQuantity::InputTokens => "input tokens",
        SimQuantity::OutputTokens => "output tokens",
        SimQuantity::Concurrency => {
            return "Number of concurrent connections has exceeded your rate limit.".to_owned();
        }
    };
    let per = match period.as_secs() {
        60 => "minute".to_owned(),
        86_400 => "day".to_owned(),
        _ => go_duration(period),
    };
    let amount = grouped(amount);
    format!(
        "This request would exceed your organization's rate limit of {amount} {what} per {per}."
    )
}

/// A number with a comma before each three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_digits_by_three() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(123), "123");
        assert_eq!(grouped(1_234), "1,234");
        assert_eq!(grouped(2_000_000), "2,000,000");
    }
}
