//! The same call for another address: what of its path is the API's, and how its model is changed.

use std::borrow::Cow;

use bytes::Bytes;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::{Dialect, object::Members};

/// What may not stand in a segment of a path as it is (RFC 3986, 3.3), and the percent sign.
const SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Where a dialect has the model.
enum Place {
    /// In the body; and these are the ends of its paths, the longer before the shorter.
    Body(&'static [&'static str]),
    /// In the path, between this and that.
    Path(&'static str, char),
}

fn place(dialect: Dialect) -> Option<Place> {
    Some(match dialect {
        Dialect::OpenAiChat => Place::Body(&[
            "/chat/completions",
            "/fim/completions",
            "/agents/completions",
            "/completions",
        ]),
        Dialect::OpenAiResponses => Place::Body(&["/responses/compact", "/responses"]),
        Dialect::OpenAiEmbeddings => Place::Body(&["/embeddings"]),
        Dialect::AnthropicMessages => Place::Body(&["/messages"]),
        Dialect::CohereChat => Place::Body(&["/chat"]),
        Dialect::CohereEmbed => Place::Body(&["/embed", "/rerank"]),
        Dialect::Ollama => Place::Body(&["/chat", "/generate"]),
        Dialect::Gemini | Dialect::GeminiEmbed => Place::Path("/models/", ':'),
        Dialect::BedrockConverse | Dialect::BedrockInvoke => Place::Path("/model/", '/'),
        Dialect::Generic => return None,
    })
}

/// Returns the part of a call's path that follows a base URL, for this model: `/chat/completions`,
/// `/models/gemini-3-flash:generateContent`.
///
/// The base URL is what the provider's SDK is given: `https://api.openai.com/v1`,
/// `https://generativelanguage.googleapis.com/v1beta`. Returns `None` for a path that no other provider has: with a
/// dialect that is not known, and for Vertex's `rawPredict`.
///
/// ```
/// use tower_quota::wire::{Dialect, endpoint};
///
/// let path = "/openai/deployments/mine/chat/completions";
/// assert_eq!(endpoint(Dialect::OpenAiChat, path, "gpt-5.5").as_deref(), Some("/chat/completions"));
/// let path = "/v1beta/models/gemini-3-pro:streamGenerateContent";
/// assert_eq!(
///     endpoint(Dialect::Gemini, path, "gemini-3-flash").as_deref(),
///     Some("/models/gemini-3-flash:streamGenerateContent")
/// );
/// ```
#[must_use]
pub fn endpoint(dialect: Dialect, path: &str, model: &str) -> Option<String> {
    path_end(dialect, path, model).map(Cow::into_owned)
}

/// As [`endpoint`].
pub(crate) fn path_end(dialect: Dialect, path: &str, model: &str) -> Option<Cow<'static, str>> {
    match place(dialect)? {
        Place::Body(ends) => {
            let end = ends.iter().find(|end| path.ends_with(*end))?;
            Some(Cow::Borrowed(end))
        }
        Place::Path(before, after) => {
            let (_, rest) = path.rsplit_once(before)?;
            let method = &rest[rest.rfind(after)?..];
            let model = utf8_percent_encode(model, SEGMENT);
            Some(Cow::Owned(format!("{before}{model}{method}")))
        }
    }
}

/// Returns a request body that asks for this model: the same bytes except for the name. If the model is in the path, or
/// the body already names it, it is the same body.
///
/// Returns `None` if the body cannot be changed: it is not a JSON object, or has two models.
///
/// ```
/// use bytes::Bytes;
/// use tower_quota::wire::{Dialect, with_model};
///
/// let body = Bytes::from(r#"{"model" : "gpt-5.5", "n": 1}"#);
/// let changed = with_model(Dialect::OpenAiChat, &body, "gpt-5.5-mini").unwrap();
/// assert_eq!(changed, r#"{"model" : "gpt-5.5-mini", "n": 1}"#);
/// ```
#[must_use]
pub fn with_model(dialect: Dialect, body: &Bytes, model: &str) -> Option<Bytes> {
    if let Place::Path(..) = place(dialect)? {
        return Some(body.clone());
    }
    let members = Members::read(body)?;
    let name = serde_json::to_string(model).ok()?;
    let Some(said) = members.only("model")? else {
        // Azure's callers need not say it: it stands in the path there.
        let open = body.iter().position(|byte| *byte == b'{')? + 1;
        let comma = if members.is_empty() { "" } else { "," };
        let added = format!("\"model\":{name}{comma}");
        return Some(
            [&body[..open], added.as_bytes(), &body[open..]]
                .concat()
                .into(),
        );
    };
    if said.get() == name {
        return Some(body.clone());
    }
    let span = members.span(said)?;
    Some(
        [&body[..span.start], name.as_bytes(), &body[span.end..]]
            .concat()
            .into(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_path_is_the_apis() {
        use Dialect::*;
        for (dialect, path, expected) in [
            (
                OpenAiChat,
                "/v1/chat/completions",
                Some("/chat/completions"),
            ),
            (
                OpenAiChat,
                "/api/v1/chat/completions",
                Some("/chat/completions"),
            ),
            (OpenAiChat, "/v1/completions", Some("/completions")),
            (OpenAiChat, "/v1/fim/completions", Some("/fim/completions")),
            (OpenAiResponses, "/v1/responses", Some("/responses")),
            (
                OpenAiResponses,
                "/v1/responses/compact",
                Some("/responses/compact"),
            ),
            (
                OpenAiEmbeddings,
                "/openai/deployments/x/embeddings",
                Some("/embeddings"),
            ),
            (AnthropicMessages, "/v1/messages", Some("/messages")),
            (
                AnthropicMessages,
                "/publishers/anthropic/models/c:rawPredict",
                None,
            ),
            (
                Gemini,
                "/v1beta/models/a:generateContent",
                Some("/models/m:generateContent"),
            ),
            (
                GeminiEmbed,
                "/v1beta/models/a:batchEmbedContents",
                Some("/models/m:batchEmbedContents"),
            ),
            (
                BedrockConverse,
                "/model/a%3A0/converse-stream",
                Some("/model/m/converse-stream"),
            ),
            (BedrockInvoke, "/model/a/invoke", Some("/model/m/invoke")),
            (CohereEmbed, "/v2/rerank", Some("/rerank")),
            (Ollama, "/api/generate", Some("/generate")),
            (Generic, "/v1/models", None),
        ] {
            assert_eq!(endpoint(dialect, path, "m").as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn a_model_in_a_path_is_one_segment_whatever_it_is_called() {
        let path = "/model/a/converse";
        let arn = "arn:aws:bedrock:us-east-1:1:inference-profile/x y?%";
        assert_eq!(
            endpoint(Dialect::BedrockConverse, path, arn).unwrap(),
            "/model/arn:aws:bedrock:us-east-1:1:inference-profile%2Fx%20y%3F%25/converse"
        );
    }

    #[test]
    fn nothing_but_the_model_is_changed() {
        for (body, expected) in [
            (
                r#" {"n":1,"model":"a"} "#,
                Some(r#" {"n":1,"model":"b\"c"} "#),
            ),
            (
                r#"{"x":{"model":"a"},"model":"a"}"#,
                Some(r#"{"x":{"model":"a"},"model":"b\"c"}"#),
            ),
            (r#"{"\u006dodel":"a"}"#, Some(r#"{"\u006dodel":"b\"c"}"#)),
            (r#"{"n":1}"#, Some(r#"{"model":"b\"c","n":1}"#)),
            ("{}", Some(r#"{"model":"b\"c"}"#)),
            (r#"{"model":"a","model":"a"}"#, None),
            ("[]", None),
            ("", None),
            (r#"{"model":"#, None),
        ] {
            let changed = with_model(Dialect::OpenAiChat, &Bytes::from(body), "b\"c");
            assert_eq!(changed.as_deref(), expected.map(str::as_bytes), "{body}");
        }
        let same = Bytes::from(r#"{"model":"a"}"#);
        let unchanged = with_model(Dialect::OpenAiChat, &same, "a").unwrap();
        assert_eq!(unchanged.as_ptr(), same.as_ptr());
    }
}
