//! What Google says of an error. It has no rate headers: what there is to wait for stands in the body.

use std::time::Duration;

use serde_json::{Value, json};

use super::Complaint;
use crate::sim::enforce::{Refusal, Wait};
use crate::sim::limit::{SimLimit, SimQuantity};

pub(super) fn body(complaint: &Complaint, status: u16) -> Value {
    let Complaint {
        kind,
        code,
        message,
        details,
    } = complaint;
    let mut error = json!({"code": status, "message": message, "status": kind});
    let mut details = details.clone();
    if let Some(code) = code {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": code, "domain": "googleapis.com"
        }));
    }
    if !details.is_empty() {
        error["details"] = Value::from(details);
    }
    json!({"error": error})
}

pub(super) fn of_status(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        402 | 429 => "RESOURCE_EXHAUSTED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        300..500 => "INVALID_ARGUMENT",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        _ => "INTERNAL",
    }
}

pub(super) fn refused(
    model: &str,
    limit: &SimLimit,
    refusal: &Refusal,
    (period, amount): (Duration, u64),
) -> Complaint {
    let (metric, quota) = match limit.quantity {
        SimQuantity::Requests => ("generate_requests", "GenerateRequests"),
        SimQuantity::Concurrency => ("concurrent_requests", "ConcurrentRequests"),
        SimQuantity::Tokens => ("generate_content_tokens", "GenerateContentTokens"),
        SimQuantity::InputTokens => (
            "generate_content_input_token_count",
            "GenerateContentInputTokens",
        ),
        SimQuantity::OutputTokens => (
            "generate_content_output_token_count",
            "GenerateContentOutputTokens",
        ),
    };
    let per = match (limit.quantity, period.as_secs()) {
        (SimQuantity::Concurrency, _) => "",
        (_, 86_400) => "PerDay",
        _ => "PerMinute",
    };
    let metric = format!("generativelanguage.googleapis.com/{metric}");
    let mut message = format!(
        "You exceeded your current quota, please check your plan and billing details.\n* Quota exceeded for metric: {metric}, limit: {amount}, model: {model}"
    );
    let mut details = vec![json!({
        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
        "violations": [{
            "quotaMetric": metric,
            "quotaId": format!("{quota}PerProjectPerModel{per}"),
            "quotaDimensions": {"location": "global", "model": model},
            "quotaValue": amount.to_string()
        }]
    })];
    if let Wait::After(wait) = refusal.wait {
        let wait = format!("{}.{:09}s", wait.as_secs(), wait.subsec_nanos());
        message.push_str(&format!("\nPlease retry in {wait}."));
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": wait
        }));
    }
    Complaint {
        details,
        ..Complaint::new("RESOURCE_EXHAUSTED", None, message)
    }
}
