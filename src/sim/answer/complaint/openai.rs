//! What OpenAI says of an error.

use std::time::Duration;

use serde_json::{Value, json};

use super::Complaint;
use crate::sim::clock::go_duration;
use crate::sim::enforce::{Refusal, Wait};
use crate::sim::limit::{SimLimit, SimQuantity};

pub(super) fn body(complaint: &Complaint) -> Value {
    let Complaint {
        kind,
        code,
        message,
        ..
    } = complaint;
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}

/// The type and the code.
pub(super) fn of_status(status: u16) -> (&'static str, Option<&'static str>) {
    match status {
        401 => ("invalid_request_error", Some("invalid_api_key")),
        429 => ("requests", Some("rate_limit_exceeded")),
        503 => ("service_unavailable_error", Some("server_is_overloaded")),
        300..500 => ("invalid_request_error", None),
        _ => ("server_error", None),
    }
}

pub(super) fn refused(
    model: &str,
    limit: &SimLimit,
    refusal: &Refusal,
    (period, amount): (Duration, u64),
) -> Complaint {
    let requests = matches!(
        limit.quantity,
        SimQuantity::Requests | SimQuantity::Concurrency
    );
    let kind = if requests { "requests" } else { "tokens" };
    let message = message(model, limit, refusal, period, amount);
    Complaint::new(kind, Some("rate_limit_exceeded"), message)
}

fn message(
    model: &str,
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
    format!("{grade} for {model} in organization org-sim on {what}{per}: {numbers}.{then}")
}
