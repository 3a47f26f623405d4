//! Putting a cap on output into a request that names none.

use std::ops::Range;

use bytes::Bytes;

use super::{Dialect, dialect::Field, object::Members};

/// Returns the body of a request with a cap of this many output tokens, as its dialect expresses it.
///
/// Returns `None` if the body already has a cap, under whatever name and with whatever value, if it cannot be
/// understood, or if the dialect has no cap or one that depends on the model (Bedrock's `InvokeModel`), or the path is
/// one that takes no cap (`/responses/compact`). This function does not know whether the provider keeps to the cap, or
/// accepts one that is larger than the model's own.
///
/// Every byte of the body stays, and some are inserted. In OpenAI chat the cap is `max_completion_tokens` with OpenAI
/// and Azure, whose newer models accept no other, and `max_tokens` with everybody else, some of whom know no other; in
/// the older completions it is always `max_tokens`. It applies to each of the choices that are asked for.
///
/// ```
/// use tower_quota::wire::{Dialect, cap_output};
///
/// let body = br#"{"contents":[],"generationConfig":{"topK":5}}"#;
/// let path = "/v1beta/models/gemini-3.8-flash:generateContent";
/// assert_eq!(
///     &cap_output(Dialect::Gemini, path, Some("gemini"), body, 900).unwrap()[..],
///     br#"{"contents":[],"generationConfig":{"maxOutputTokens":900,"topK":5}}"#,
/// );
/// ```
#[must_use]
pub fn cap_output(
    dialect: Dialect,
    path: &str,
    provider: Option<&str>,
    body: &[u8],
    cap: u64,
) -> Option<Bytes> {
    // What is not understood is refused, or passes: as it came.
    super::inspect_call(dialect, path, body).ok()?;
    let members = Members::read(body)?;
    let names = dialect.spec().request().iter();
    let caps = names.filter(|(_, field)| matches!(field, Field::MaxOutput | Field::OldMaxOutput));
    let caps: Vec<&[&str]> = caps.map(|(keys, _)| *keys).collect();
    let takes_one = !(dialect == Dialect::OpenAiResponses && path.ends_with("/compact"));
    let known = dialect != Dialect::BedrockInvoke && dialect.spec().generates() && takes_one;
    if !known || names_one(&members, &caps) {
        return None;
    }
    let is_there =
        |keys: &&&[&str]| keys.len() > 1 && matches!(members.only(keys[0]), Some(Some(_)));
    if let Some(keys) = caps.iter().find(is_there) {
        // Beside other settings, under the name that these have.
        return put(body, keys, cap);
    }
    let theirs = ["openai", "azure", "azure_openai", "azure_ai"];
    let theirs = |name: &str| theirs.iter().any(|known| known.eq_ignore_ascii_case(name));
    let knows_newest = dialect != Dialect::OpenAiChat
        || (provider.is_some_and(theirs) && path.ends_with("/chat/completions"));
    let keys = caps.get(usize::from(!knows_newest))?;
    put(body, keys, cap)
}

/// Whether a cap is named, in any spelling that some server may take for one: whatever its value, which others may read
/// otherwise. Also where nobody can tell.
fn names_one(members: &Members<'_>, caps: &[&[&str]]) -> bool {
    members.iter().any(|(name, value)| {
        let mut same = caps.iter().filter(|keys| plain(keys[0]) == plain(name));
        let is_null = value.get() == "null";
        let inner: Vec<&[&str]> = same.clone().filter_map(|keys| keys.get(1..)).collect();
        match same.next() {
            Some([_]) => !is_null,
            Some(_) if !is_null => Members::read(value.get().as_bytes())
                .is_none_or(|members| names_one(&members, &inner)),
            _ => false,
        }
    })
}

/// A name without what servers pass over in it.
fn plain(name: &str) -> String {
    name.replace('_', "").to_ascii_lowercase()
}

/// The body with a number under these keys, which are not there, or are `null`.
fn put(body: &[u8], keys: &[&str], number: u64) -> Option<Bytes> {
    let members = Members::read(body)?;
    let (key, rest) = keys.split_first()?;
    let value = match rest {
        [] => number.to_string(),
        [inner] => format!(r#"{{"{inner}":{number}}}"#),
        _ => return None,
    };
    let Some(known) = members.only(key)? else {
        let start = body.iter().position(|byte| *byte == b'{')? + 1;
        let comma = if members.is_empty() { "" } else { "," };
        return Some(with(
            body,
            start..start,
            &format!(r#""{key}":{value}{comma}"#),
        ));
    };
    let at = members.span(known)?;
    if known.get() == "null" {
        return Some(with(body, at, &value));
    }
    if rest.is_empty() {
        return None;
    }
    let inner = put(known.get().as_bytes(), rest, number)?;
    Some(with(body, at, std::str::from_utf8(&inner).ok()?))
}

/// The body with `text` in the place of `span`.
pub(super) fn with(body: &[u8], span: Range<usize>, text: &str) -> Bytes {
    [&body[..span.start], text.as_bytes(), &body[span.end..]]
        .concat()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAT: &str = "/v1/chat/completions";

    fn capped(dialect: Dialect, path: &str, provider: &str, body: &str) -> Option<String> {
        let capped = cap_output(dialect, path, Some(provider), body.as_bytes(), 7)?;
        // What it says is what is read, and once is enough.
        let facts = super::super::inspect_call(dialect, path, &capped).unwrap();
        assert_eq!(facts.max_output, Some(7), "{body}");
        assert_eq!(cap_output(dialect, path, Some(provider), &capped, 7), None);
        Some(String::from_utf8(capped.to_vec()).unwrap())
    }

    #[test]
    fn each_dialect_has_its_own_words() {
        use Dialect::*;
        for (dialect, path, provider, body, expected) in [
            (
                OpenAiChat,
                CHAT,
                "openai",
                "{}",
                r#"{"max_completion_tokens":7}"#,
            ),
            (
                OpenAiChat,
                CHAT,
                "Azure",
                r#"{"n":2}"#,
                r#"{"max_completion_tokens":7,"n":2}"#,
            ),
            (
                OpenAiChat,
                CHAT,
                "groq",
                r#" { "n":2}"#,
                r#" {"max_tokens":7, "n":2}"#,
            ),
            (
                OpenAiChat,
                "/v1/completions",
                "openai",
                "{}",
                r#"{"max_tokens":7}"#,
            ),
            (
                OpenAiChat,
                CHAT,
                "openai",
                r#"{"max_completion_tokens":null}"#,
                r#"{"max_completion_tokens":7}"#,
            ),
            (
                OpenAiResponses,
                "/v1/responses",
                "openai",
                "{}",
                r#"{"max_output_tokens":7}"#,
            ),
            (
                AnthropicMessages,
                "/v1/messages",
                "anthropic",
                "{}",
                r#"{"max_tokens":7}"#,
            ),
            (
                Gemini,
                "/v1beta/models/m:generateContent",
                "gemini",
                r#"{"generationConfig":{}}"#,
                r#"{"generationConfig":{"maxOutputTokens":7}}"#,
            ),
            (
                Gemini,
                "/v1beta/models/m:generateContent",
                "gemini",
                r#"{"generationConfig":null}"#,
                r#"{"generationConfig":{"maxOutputTokens":7}}"#,
            ),
            (
                Gemini,
                "/v1beta/models/m:generateContent",
                "gemini",
                r#"{"generation_config":{"top_k":1}}"#,
                r#"{"generation_config":{"max_output_tokens":7,"top_k":1}}"#,
            ),
            (
                Ollama,
                "/api/chat",
                "ollama",
                "{}",
                r#"{"options":{"num_predict":7}}"#,
            ),
            (
                BedrockConverse,
                "/model/m/converse",
                "bedrock",
                r#"{"inferenceConfig":{"topP":0.5}}"#,
                r#"{"inferenceConfig":{"maxTokens":7,"topP":0.5}}"#,
            ),
        ] {
            assert_eq!(
                capped(dialect, path, provider, body).as_deref(),
                Some(expected)
            );
        }
    }

    #[test]
    fn a_cap_of_the_callers_stays_whatever_it_is_called() {
        for body in [
            r#"{"max_tokens":5}"#,
            r#"{"max_completion_tokens":5}"#,
            r#"{"max_tokens":5,"max_completion_tokens":null}"#,
            r#"{"max_completion_tokens":1e5}"#,
            r#"{"max_tokens":"100000"}"#,
            r#"{"max_tokens":5.0}"#,
            r#"{"MaxTokens":100000}"#,
        ] {
            for provider in ["openai", "vllm"] {
                assert_eq!(capped(Dialect::OpenAiChat, CHAT, provider, body), None);
            }
        }
        for body in [
            r#"{"generationConfig":{"max_output_tokens":100000}}"#,
            r#"{"generation_config":{"maxOutputTokens":1e5}}"#,
            r#"{"generationConfig":{},"generation_config":{"maxOutputTokens":9}}"#,
            r#"{"generationConfig":{"topK":1},"GenerationConfig":{"MAXOUTPUTTOKENS":9}}"#,
        ] {
            let path = "/v1beta/models/m:generateContent";
            assert_eq!(
                capped(Dialect::Gemini, path, "gemini", body),
                None,
                "{body}"
            );
        }
    }

    #[test]
    fn what_has_no_cap_or_is_not_understood_is_left_alone() {
        let no = |dialect, path, body| capped(dialect, path, "openai", body);
        assert_eq!(
            no(
                Dialect::OpenAiEmbeddings,
                "/v1/embeddings",
                r#"{"input":"a"}"#
            ),
            None
        );
        assert_eq!(no(Dialect::Generic, "/v1/images", "{}"), None);
        let compact = "/v1/responses/compact";
        assert_eq!(no(Dialect::OpenAiResponses, compact, "{}"), None);
        assert_eq!(no(Dialect::BedrockInvoke, "/model/m/invoke", "{}"), None);
        for body in ["", "[]", "{", r#"{"n":1,"n":2}"#] {
            assert_eq!(no(Dialect::OpenAiChat, CHAT, body), None, "{body}");
        }
        let odd = r#"{"generationConfig":[]}"#;
        assert_eq!(
            no(Dialect::Gemini, "/v1beta/models/m:generateContent", odd),
            None
        );
    }
}
