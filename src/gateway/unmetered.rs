//! Calls of which nothing but their number can be counted.

use http::Method;

use crate::wire::Dialect;

/// Ends of paths that cost nothing, or nothing by the token: what they begin is metered where it is done.
const FREE: [&str; 11] = [
    "/count_tokens",
    ":counttokens",
    // Bedrock, and Anthropic's models on Vertex.
    "/count-tokens",
    "/count-tokens:rawpredict",
    "/cancel",
    "/moderations",
    "/files",
    "/uploads",
    "/parts",
    "/complete",
    "/input_tokens",
];

/// Forms of paths under which something is kept at OpenAI, and no model is asked; `*` is a name. Elsewhere one is, as in Mistral's
/// conversations and in vLLM's `/v1/chat/completions/batch`.
const KEPT: [&str; 8] = [
    "v1/chat/completions/*",
    "v1/threads",
    "v1/threads/*",
    "v1/threads/*/messages",
    "v1/skills",
    "v1/conversations",
    "v1/conversations/*",
    "v1/conversations/*/items",
];

/// Whether a call brings work to a provider whose cost cannot be known here.
pub(super) fn costs_unknown(
    method: &Method,
    path: &str,
    dialect: Dialect,
    provider: Option<&str>,
) -> bool {
    if dialect != Dialect::Generic
        || matches!(
            *method,
            Method::GET | Method::HEAD | Method::DELETE | Method::OPTIONS
        )
    {
        return false;
    }
    let path = path.trim_end_matches('/').to_ascii_lowercase();
    let is_upload_end = path.contains("/uploads/");
    let is_old_completion = path.ends_with("/v1/complete");
    // Files of a store that is searched are paid for.
    let is_free = FREE.iter().any(|end| path.ends_with(end))
        && (!path.ends_with("/complete") || is_upload_end)
        && !path.contains("/vector_stores/");
    let is_kept = matches!(provider, Some("openai" | "azure"))
        && KEPT.iter().any(|form| ends_in(&path, form));
    // Of OpenAI they are free.
    let is_sold = provider == Some("mistral") && path.ends_with("/moderations");
    !(is_free || is_kept) || is_old_completion || is_sold
}

/// Whether a path ends in this form, part by part.
fn ends_in(path: &str, form: &str) -> bool {
    let mut parts = path.rsplit('/');
    form.rsplit('/').all(|form| match (form, parts.next()) {
        ("*", Some(part)) => is_name(part),
        (form, part) => part == Some(form),
    })
}

/// Whether a part of a path is the name of something, however it is read. `/v1/threads/runs` begins a thread and has a
/// model answer in it.
fn is_name(part: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !part.is_empty() && part != "runs" && part.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_is_not_understood_and_nothing_else() {
        let costs = |method: Method, path| costs_unknown(&method, path, Dialect::Generic, None);
        for path in [
            "/v1/images/generations",
            "/v1/audio/speech",
            "/v1/batches",
            "/v1/complete",
            "/v1/vector_stores/s/files",
            "/v1/x",
            "/",
        ] {
            assert!(costs(Method::POST, path), "{path}");
            assert!(!costs(Method::GET, path), "{path}");
        }
        for path in [
            "/v1/files",
            "/v1/uploads/u/complete",
            "/v1/messages/count_tokens",
            "/v1beta/models/m:countTokens",
            "/model/anthropic.claude-opus-5-5/count-tokens",
            "/v1/projects/p/locations/l/publishers/anthropic/models/count-tokens:rawPredict",
            "/v1/responses/r/cancel",
        ] {
            assert!(!costs(Method::POST, path), "{path}");
        }
        for path in [
            "/v1/threads/runs",
            "/v1/threads/Runs/",
            "/v1/threads/%72uns",
            "/v1/threads//runs",
            "/v1/threads/runs;a",
            "/v1/threads/thread_1/runs",
            "/v1/threads/thread_1/runs/run_1/submit_tool_outputs",
            "/v1/responses/resp_1",
            "/v1/chat/completions/chatcmpl-1/x",
            "/v1/chat/completions/a%2f..",
            "/v2/threads",
            "/threads",
            "/xv1/threads",
        ] {
            let openai = Some("openai");
            assert!(
                costs_unknown(&Method::POST, path, Dialect::Generic, openai),
                "{path}"
            );
        }
        for path in [
            "/v1/threads",
            "/v1/threads/thread_1",
            "/v1/threads/thread_1/messages",
            "/v1/skills",
            "/v1/chat/completions/chatcmpl-1",
            "/openai/v1/threads",
            "/v1/conversations",
            "/v1/conversations/conv_1",
            "/v1/conversations/conv_1/items",
        ] {
            let of = |provider| costs_unknown(&Method::POST, path, Dialect::Generic, provider);
            assert!(!of(Some("openai")) && !of(Some("azure")), "{path}");
            assert!(of(Some("mistral")) && of(None), "{path}");
        }
        let of = |provider| {
            let path = "/v1/moderations";
            costs_unknown(&Method::POST, path, Dialect::Generic, provider)
        };
        assert!(of(Some("mistral")) && !of(Some("openai")) && !of(None));
        assert!(!costs_unknown(
            &Method::POST,
            "/v1/chat/completions",
            Dialect::OpenAiChat,
            None
        ));
    }
}
