//! Error bodies of both dialects.

use std::{borrow::Cow, time::Duration};

use bytes::Bytes;
use serde_json::{Value, json};

use crate::sim::ask::{Ask, Dialect};
use crate::sim::clock::go_duration;
use crate::sim::enforce::{Refusal, Wait};
use crate::sim::faults::Faults;
use crate::sim::limit::{SimLimit, SimQuantity};

/// What an error answer says.
#[derive(Debug)]
pub(super) struct Complaint {
    pub(super) kind: &'static str,
    pub(super) code: Option<Cow<'static, str>>,
    pub(super) message: String,
}

impl Complaint {
    pub(super) fn body(&self, dialect: Dialect, request_id: &str) -> Bytes {
        self.value(dialect, request_id).to_string().into()
    }

    fn value(&self, dialect: Dialect, request_id: &str) -> Value {
        let Self {
            kind,
            code,
            message,
        } = self;
        match (dialect, code) {
            (Dialect::OpenAi, code) => json!({
                "error": {"message": message, "type": kind, "param": null, "code": code}
            }),
            (Dialect::Anthropic, None) => json!({
                "type": "error",
                "error": {"type": kind, "message": message},
                "request_id": request_id
            }),
            (Dialect::Anthropic, Some(code)) => json!({
                "type": "error",
                "error": {"type": kind, "message": message, "details": {"error_code": code}},
                "request_id": request_id
            }),
        }
    }
}

/// What a provider says with this status, where it says nothing more particular.
pub(super) fn of_status(dialect: Dialect, status: u16) -> Complaint {
    let (kind, code) = match dialect {
        Dialect::OpenAi => match status {
            401 => ("invalid_request_error", Some("invalid_api_key")),
            429 => ("requests", Some("rate_limit_exceeded")),
            503 => ("service_unavailable_error", Some("server_is_overloaded")),
            300..500 => ("invalid_request_error", None),
            _ => ("server_error", None),
        },
        Dialect::Anthropic => {
            let kind = match status {
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
            };
            (kind, None)
        }
    };
    let message = match status {
        404 => "Not found",
        429 => "Too many requests",
        503 | 529 => "Overloaded",
        300..500 => "The request was refused",
        _ => "The server had an error while processing your request",
    };
    Complaint {
        kind,
        code: code.map(Cow::Borrowed),
        message: message.to_owned(),
    }
}

impl Complaint {
    /// With the words that a fault has for it.
    pub(super) fn saying(self, faults: &Faults) -> Self {
        let code = faults.code.clone().map(Cow::Owned);
        Complaint {
            code: code.or(self.code),
            message: faults.message.clone().unwrap_or(self.message),
            ..self
        }
    }
}

/// The 429 that no waiting helps: nothing is left to pay with.
pub(super) fn insufficient_quota(dialect: Dialect) -> Complaint {
    let (kind, code) = match dialect {
        Dialect::OpenAi => ("insufficient_quota", "insufficient_quota"),
        Dialect::Anthropic => ("rate_limit_error", "enforced_spend_limit_reached"),
    };
    Complaint {
        kind,
        code: Some(Cow::Borrowed(code)),
        message: "You exceeded your current quota, please check your plan and billing details."
            .to_owned(),
    }
}

/// The 429 of a limit.
pub(super) fn refused(ask: &Ask<'_>, limit: &SimLimit, refusal: &Refusal) -> Complaint {
    let (period, amount) = match refusal.wait {
        // A slice may be what it is too large for.
        Wait::Never => limit.window(),
        _ => (limit.period, limit.amount),
    };
    let requests = matches!(
        limit.quantity,
        SimQuantity::Requests | SimQuantity::Concurrency
    );
    let (kind, code, message) = match ask.dialect {
        Dialect::OpenAi => {
            let kind = if requests { "requests" } else { "tokens" };
            let message = openai_message(ask, limit, refusal, period, amount);
            (kind, Some("rate_limit_exceeded"), message)
        }
        Dialect::Anthropic => (
            "rate_limit_error",
            None,
            anthropic_message(limit, period, amount),
        ),
    };
    Complaint {
        kind,
        code: code.map(Cow::Borrowed),
        message,
    }
}

fn openai_message(
    ask: &Ask<'_>,
    limit: &SimLimit,
    refusal: &Refusal,
    period: Duration,
    amount: u64,
) -> String {
    let Refusal {
        used, requested, ..
    } = *refusal;
    let what = match limit.quantity {
        SimQuantity::Requests => "requests",
        SimQuantity::Concurrency => "concurrent requests",
        _ => "tokens",
    };
    let per = match (limit.quantity, period.as_secs()) {
        (SimQuantity::Concurrency, _) => String::new(),
        (SimQuantity::Requests, 60) => " per min (RPM)".to_owned(),
        (SimQuantity::Requests, 86_400) => " per day (RPD)".to_owned(),
        (_, 60) => " per min (TPM)".to_owned(),
        (_, 86_400) => " per day (TPD)".to_owned(),
        _ => format!(" per {}", go_duration(period)),
    };
    let (grade, numbers, then) = match refusal.wait {
        Wait::Never => (
            "Request too large",
            format!("Limit {amount}, Requested {requested}"),
            " The input or output tokens must be reduced in order to run successfully.".to_owned(),
        ),
        wait => (
            "Rate limit reached",
            format!("Limit {amount}, Used {used}, Requested {requested}"),
            match wait {
                Wait::After(wait) => format!(" Please try again in {}.", go_duration(wait)),
                _ => String::new(),
            },
        ),
    };
    let model = &ask.model;
    format!("{grade} for {model} in organization org-sim on {what}{per}: {numbers}.{then}")
}

fn anthropic_message(limit: &SimLimit, period: Duration, amount: u64) -> String {
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
