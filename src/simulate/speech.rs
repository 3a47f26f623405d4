//! Requests and answers, in the API of their provider.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, header::CONTENT_TYPE};
use http_body_util::Full;
use serde_json::{Value, json};

use super::load::{Size, ToCome};
use crate::{
    call::CallOptions,
    error::Rejection,
    tags::Tag,
    wire::{Dialect, error_body},
};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The request that stands for a call: its text is not there, its size goes with it.
pub(super) fn request(call: &ToCome) -> Request<Full<Bytes>> {
    let (size, model) = (call.size, &*call.model);
    let dialect = dialect(call.tags.get(&Tag::Provider), model);
    let cap = size.max_tokens;
    let (url, body) = match dialect {
        Dialect::AnthropicMessages => (
            "https://api.anthropic.com/v1/messages".to_owned(),
            with_cap(json!({ "model": model, "messages": [] }), cap),
        ),
        Dialect::Gemini => (
            format!(
                "https://generativelanguage.googleapis.com/v1beta/models/{}:generateContent",
                percent_encoding::utf8_percent_encode(model, percent_encoding::NON_ALPHANUMERIC)
            ),
            match cap {
                Some(cap) => {
                    json!({ "contents": [], "generationConfig": { "maxOutputTokens": cap } })
                }
                None => json!({ "contents": [] }),
            },
        ),
        Dialect::OpenAiEmbeddings => (
            "https://api.openai.com/v1/embeddings".to_owned(),
            json!({ "model": model, "input": "" }),
        ),
        _ => (
            "https://api.openai.com/v1/chat/completions".to_owned(),
            with_cap(json!({ "model": model, "messages": [] }), cap),
        ),
    };
    let mut request = Request::new(Full::from(body.to_string()));
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = url.parse::<Uri>().unwrap_or_default();
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    if dialect == Dialect::AnthropicMessages {
        headers.insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
    }
    let options = CallOptions::new()
        .priority(call.priority)
        .stands_for(size.input);
    let options = match call.max_wait {
        Some(wait) => options.max_wait(wait),
        None => options,
    };
    let extensions = request.extensions_mut();
    extensions.insert(call.tags.as_ref().clone());
    extensions.insert(options);
    extensions.insert(size);
    request
}

/// In no API a call without a cap is given one, though Anthropic's asks for it: what it was is not known.
fn with_cap(mut body: Value, cap: Option<u64>) -> Value {
    if let Some(cap) = cap {
        body["max_tokens"] = cap.into();
    }
    body
}

/// Whether it might name a cap on its output, and does not.
pub(super) fn is_uncapped(call: &ToCome) -> bool {
    let dialect = dialect(call.tags.get(&Tag::Provider), &call.model);
    call.size.max_tokens.is_none() && dialect != Dialect::OpenAiEmbeddings
}

/// In which API this model is asked.
fn dialect(provider: Option<&str>, model: &str) -> Dialect {
    match (provider, model) {
        (Some("anthropic"), _) => Dialect::AnthropicMessages,
        (Some("gemini" | "google"), _) => Dialect::Gemini,
        (None, model) if model.starts_with("claude") => Dialect::AnthropicMessages,
        (None, model) if model.starts_with("gemini") => Dialect::Gemini,
        (_, model) if model.starts_with("text-embedding") => Dialect::OpenAiEmbeddings,
        _ => Dialect::OpenAiChat,
    }
}

/// In which API a request asks.
pub(super) fn spoken(uri: &Uri, headers: &HeaderMap) -> Dialect {
    Dialect::detect(uri.path(), headers)
}

/// The answer to it, with its usage.
pub(super) fn answer(dialect: Dialect, size: &Size) -> Response<Full<Bytes>> {
    let Size {
        input,
        cached,
        written,
        output,
        ..
    } = *size;
    let body = match dialect {
        Dialect::AnthropicMessages => format!(
            r#"{{"type":"message","role":"assistant","content":[],"stop_reason":"end_turn","usage":{{"input_tokens":{},"cache_read_input_tokens":{cached},"cache_creation_input_tokens":{written},"output_tokens":{output}}}}}"#,
            input - cached - written
        ),
        Dialect::Gemini => format!(
            r#"{{"candidates":[],"usageMetadata":{{"promptTokenCount":{input},"cachedContentTokenCount":{cached},"candidatesTokenCount":{output},"totalTokenCount":{}}}}}"#,
            input.saturating_add(output)
        ),
        Dialect::OpenAiEmbeddings => format!(
            r#"{{"object":"list","data":[],"usage":{{"prompt_tokens":{input},"total_tokens":{input}}}}}"#
        ),
        _ => format!(
            r#"{{"object":"chat.completion","choices":[],"usage":{{"prompt_tokens":{input},"completion_tokens":{output},"total_tokens":{},"prompt_tokens_details":{{"cached_tokens":{cached},"cache_write_tokens":{written}}}}}}}"#,
            input.saturating_add(output)
        ),
    };
    let mut response = Response::new(Full::from(body));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// The provider's no: there is no room under its own limits.
pub(super) fn too_many(dialect: Dialect, why: &Rejection) -> Response<Full<Bytes>> {
    let status = StatusCode::TOO_MANY_REQUESTS;
    let (kind, body) = error_body(dialect, "rate_limit_exceeded", status, &why.to_string());
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, kind);
    let wait = why.shortage().and_then(|shortage| shortage.retry_after);
    if let Some(wait) = wait {
        let millis = wait.as_nanos().div_ceil(1_000_000).to_string();
        let value = HeaderValue::from_str(&millis);
        let headers = response.headers_mut();
        value
            .ok()
            .map(|value| headers.insert("retry-after-ms", value));
    }
    response
}

#[cfg(test)]
#[path = "speech_tests.rs"]
mod tests;
