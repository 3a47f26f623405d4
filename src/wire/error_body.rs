//! A refusal in words that the caller's SDK understands.

use bytes::Bytes;
use http::{HeaderValue, StatusCode};

use super::Dialect;

/// Returns the content type and the body of an error answer in the error shape of `dialect`, so that any SDK of that
/// API shows `message` to its user.
///
/// `kind` is a short name such as `rate_limit_exceeded`. It becomes OpenAI's `code`, Anthropic's `details.error_code`,
/// Google's `reason`, or the extension member `code` of a problem document, whose `error` repeats it with the message
/// for SDKs that look there; Bedrock's errors have no room for it. If `kind` is one of a
/// [`Rejection`](crate::Rejection), the problem's type is the guide's entry on it, and otherwise `about:blank`. The
/// error type beside it is the provider's own for `status`. Headers such as `retry-after` are not made here.
///
/// ```
/// use http::StatusCode;
/// use tower_quota::wire::{Dialect, error_body};
///
/// let (content_type, body) = error_body(
///     Dialect::OpenAiChat,
///     "rate_limit_exceeded",
///     StatusCode::TOO_MANY_REQUESTS,
///     "agent a: 90 000 tokens per minute are used up",
/// );
/// assert_eq!(content_type, "application/json");
/// let body: serde_json::Value = serde_json::from_slice(&body)?;
/// assert_eq!(body["error"]["code"], "rate_limit_exceeded");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[must_use]
pub fn error_body(
    dialect: Dialect,
    kind: &str,
    status: StatusCode,
    message: &str,
) -> (HeaderValue, Bytes) {
    let (content_type, body) = dialect.spec().error(kind, status, message);
    let content_type = HeaderValue::from_static(content_type);
    (content_type, Bytes::from(body.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn body(dialect: Dialect, status: u16) -> (String, Value) {
        let status = StatusCode::from_u16(status).unwrap();
        let (content_type, body) = error_body(dialect, "kind", status, "say \"why\"\n");
        let content_type = content_type.to_str().unwrap().to_owned();
        (content_type, serde_json::from_slice(&body).unwrap())
    }

    #[test]
    fn openai_shape() {
        let (content_type, body) = body(Dialect::OpenAiChat, 429);
        assert_eq!(content_type, "application/json");
        let expected = json!({"error": {
            "message": "say \"why\"\n", "type": "rate_limit_error", "param": null, "code": "kind",
        }});
        assert_eq!(body, expected);
    }

    #[test]
    fn openai_types_by_status() {
        for (status, expected) in [
            (400, "invalid_request_error"),
            (402, "insufficient_quota"),
            (413, "invalid_request_error"),
            (503, "server_error"),
        ] {
            let (_, body) = body(Dialect::OpenAiChat, status);
            assert_eq!(body["error"]["type"], expected, "{status}");
        }
    }

    #[test]
    fn anthropic_shape() {
        let (content_type, body) = body(Dialect::AnthropicMessages, 429);
        assert_eq!(content_type, "application/json");
        let expected = json!({"type": "error", "error": {
            "type": "rate_limit_error", "message": "say \"why\"\n",
            "details": {"error_code": "kind"},
        }});
        assert_eq!(body, expected);
    }

    #[test]
    fn anthropic_types_by_status() {
        for (status, expected) in [
            (400, "invalid_request_error"),
            (402, "billing_error"),
            (413, "request_too_large"),
            (529, "overloaded_error"),
            (500, "api_error"),
            (418, "api_error"),
        ] {
            let (_, body) = body(Dialect::AnthropicMessages, status);
            assert_eq!(body["error"]["type"], expected, "{status}");
        }
    }

    #[test]
    fn shapes_of_others() {
        for (dialect, status, expected) in [
            (
                Dialect::OpenAiResponses,
                429,
                json!({"error": {
                    "message": "say \"why\"\n", "type": "rate_limit_error", "param": null, "code": "kind",
                }}),
            ),
            (
                Dialect::Gemini,
                402,
                json!({"error": {
                    "code": 402, "message": "say \"why\"\n", "status": "RESOURCE_EXHAUSTED",
                    "details": [{
                        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                        "reason": "kind", "domain": "tower-quota",
                    }],
                }}),
            ),
            (
                Dialect::BedrockConverse,
                429,
                json!({"__type": "ThrottlingException", "message": "say \"why\"\n"}),
            ),
            (
                Dialect::BedrockInvoke,
                402,
                json!({"__type": "ServiceQuotaExceededException", "message": "say \"why\"\n"}),
            ),
            (
                Dialect::CohereChat,
                429,
                json!({"message": "say \"why\"\n", "code": "kind"}),
            ),
            (
                Dialect::Ollama,
                429,
                json!({"error": "say \"why\"\n", "code": "kind"}),
            ),
        ] {
            let (content_type, body) = body(dialect, status);
            assert_eq!(
                (&*content_type, body),
                ("application/json", expected),
                "{dialect:?}"
            );
        }
    }

    /// What we say is an error where it is read, by us as by an SDK.
    #[test]
    fn errors_of_every_dialect_read_as_errors() {
        for dialect in [
            Dialect::OpenAiChat,
            Dialect::OpenAiResponses,
            Dialect::OpenAiEmbeddings,
            Dialect::AnthropicMessages,
            Dialect::Gemini,
            Dialect::GeminiEmbed,
            Dialect::BedrockConverse,
            Dialect::BedrockInvoke,
            Dialect::CohereChat,
            Dialect::CohereEmbed,
            Dialect::Ollama,
        ] {
            let status = StatusCode::TOO_MANY_REQUESTS;
            let (content_type, body) = error_body(dialect, "kind", status, "why");
            let headers = [(http::header::CONTENT_TYPE, content_type)];
            let mut meter =
                super::super::Meter::new(dialect, status, &headers.into_iter().collect());
            meter.push(&body);
            let reading = meter.reading();
            assert_eq!(reading.error.unwrap().message, "why", "{dialect:?}");
            assert_eq!(
                (reading.usage, reading.output_seen),
                (None, 0),
                "{dialect:?}"
            );
        }
    }

    #[test]
    fn problem_details() {
        let (content_type, known) = body(Dialect::Generic, 402);
        assert_eq!(content_type, "application/problem+json");
        let expected = json!({
            "type": "about:blank", "title": "Payment Required", "status": 402,
            "detail": "say \"why\"\n", "code": "kind",
            "error": { "message": "say \"why\"\n", "code": "kind" },
        });
        assert_eq!(known, expected);
        assert_eq!(body(Dialect::Generic, 599).1["title"], "Error");
        let status = StatusCode::FORBIDDEN;
        let (_, ours) = error_body(Dialect::Generic, "paused", status, "agent=scout is paused");
        let ours: Value = serde_json::from_slice(&ours).unwrap();
        let entry = ours["type"].as_str().unwrap();
        assert!(entry.starts_with("https://") && entry.ends_with("#paused"));
    }
}
