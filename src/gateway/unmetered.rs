//! Calls of which nothing but their number can be counted.

use http::Method;

use crate::wire::Dialect;

/// Ends of paths that cost nothing, or nothing by the token: what they begin is metered where it is done.
const FREE: [&str; 9] = [
    "/count_tokens",
    ":counttokens",
    "/cancel",
    "/moderations",
    "/files",
    "/uploads",
    "/parts",
    "/complete",
    "/input_tokens",
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
    // Of OpenAI they are free.
    let is_sold = provider == Some("mistral") && path.ends_with("/moderations");
    !is_free || is_old_completion || is_sold
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
            "/v1/responses/r/cancel",
        ] {
            assert!(!costs(Method::POST, path), "{path}");
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
