//! What Bedrock's APIs have in common.
//!
//! Sources: Amazon Bedrock API reference, "Common errors", "InvokeModel"; AWS, restJson1 protocol,
//! "Operation error serialization".

use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::{
    super::{note::Note, walk::Scalar},
    InUrl,
};

/// The model, or its ARN, or a profile.
pub(super) fn in_url(path: &str, suffix: &str, stream_suffix: &str) -> InUrl {
    let model = |suffix| InUrl::model(path, "/model/", suffix);
    InUrl {
        model: model(suffix).or_else(|| model(stream_suffix)),
        stream: Some(path.ends_with(stream_suffix)),
    }
}

/// The name of an error is in a header only, before the first colon.
pub(in super::super) fn error_type(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get("x-amzn-errortype")?.to_str().ok()?;
    let name = value.split(':').next().unwrap_or(value).trim();
    (!name.is_empty()).then_some(name)
}

pub(super) fn headers(headers: &HeaderMap) -> Box<Note> {
    let mut note = Box::<Note>::default();
    if let Some(name) = error_type(headers) {
        note.code_beside(&Scalar::Text(name));
    }
    note
}

/// The name stands in the body too, where SDKs look for it if no header has it.
pub(super) fn error(status: StatusCode, message: &str) -> (&'static str, Value) {
    let name = match status.as_u16() {
        // SDKs repeat a throttled call, and this one would fail again.
        402 => "ServiceQuotaExceededException",
        429 => "ThrottlingException",
        401 | 403 => "AccessDeniedException",
        404 => "ResourceNotFoundException",
        408 => "ModelTimeoutException",
        400..=499 => "ValidationException",
        503 | 529 => "ServiceUnavailableException",
        _ => "InternalServerException",
    };
    let body = json!({ "__type": name, "message": message });
    ("application/json", body)
}

/// The exception that ends a stream.
pub(super) fn last_event(status: StatusCode, message: &str) -> (Option<&'static str>, Value) {
    let name = match status.as_u16() {
        429 => "throttlingException",
        400..=499 => "validationException",
        503 | 529 => "serviceUnavailableException",
        _ => "internalServerException",
    };
    (Some(name), json!({ "message": message }))
}
