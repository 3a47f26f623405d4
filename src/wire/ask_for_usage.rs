//! Asking OpenAI chat streams for their usage.

use bytes::Bytes;

use super::{cap_output::with, object::Members};

/// Providers that say what a stream used only if they are asked to.
const SILENT: [&str; 10] = [
    "openai",
    "azure",
    "vllm",
    "llamacpp",
    "ollama",
    // The same servers by LiteLLM's names, and further ones.
    "hosted_vllm",
    "ollama_chat",
    "llamafile",
    "lm_studio",
    "sglang",
];

/// Returns whether `provider` reports the usage of an OpenAI chat stream only if the request asks for it, as `openai`,
/// `azure`, `vllm`, `llamacpp`, `ollama`, `lm_studio` and `sglang` do, also by LiteLLM's names (`hosted_vllm`, `ollama_chat`,
/// `llamafile`). Others report it anyway, or are not known: some servers refuse requests with fields that they do not know.
///
/// Sources: OpenAI's API reference, "Create chat completion"; Azure OpenAI's reference; vLLM, "OpenAI-Compatible
/// Server"; llama.cpp, server; Ollama, "OpenAI compatibility"; LM Studio, "OpenAI compatibility"; SGLang, "OpenAI APIs".
#[must_use]
pub fn streams_usage_only_if_asked(provider: &str) -> bool {
    SILENT
        .iter()
        .any(|name| provider.eq_ignore_ascii_case(name))
}

/// What [`ask_for_usage`] makes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UsageAsk {
    /// The answer is not asked for as a stream, and contains its usage.
    NotStreamed,
    /// The request already asks. Its caller knows what to do with the usage.
    Asked,
    /// The body that asks. [`HideUsage`](super::HideUsage) hides the answer to it from the caller.
    Added(Bytes),
    /// The caller says that it does not want to know. The body is the one that asks nevertheless; with
    /// [`HideUsage`](super::HideUsage) the caller would not notice. Whether to send it is up to whoever has to know
    /// what is used.
    Declined(Bytes),
    /// The request is not understood: it is not JSON, has a key twice, or has a value of another type.
    NotUnderstood,
}

/// Adds `"stream_options":{"include_usage":true}` to the body of a request in the shape of OpenAI chat, if it asks for
/// a stream but not for its usage.
///
/// Every byte of the body stays, and some are inserted; other stream options stay too. A `null` in place of the options
/// or of `include_usage` is treated as absent, and is replaced.
///
/// ```
/// use tower_quota::wire::{UsageAsk, ask_for_usage};
///
/// let body = br#"{"model":"gpt-5.5", "stream":true}"#;
/// let UsageAsk::Added(asking) = ask_for_usage(body) else { panic!() };
/// assert_eq!(
///     &asking[..],
///     br#"{"model":"gpt-5.5", "stream":true,"stream_options":{"include_usage":true}}"#,
/// );
/// ```
#[must_use]
pub fn ask_for_usage(body: &[u8]) -> UsageAsk {
    look(body).unwrap_or(UsageAsk::NotUnderstood)
}

fn look(body: &[u8]) -> Option<UsageAsk> {
    let request = Members::read(body)?;
    match request.only("stream")? {
        None => return Some(UsageAsk::NotStreamed),
        Some(stream) => match stream.get() {
            "true" => {}
            "false" | "null" => return Some(UsageAsk::NotStreamed),
            _ => return None,
        },
    }
    let Some(options) = request.only("stream_options")? else {
        let end = body.trim_ascii_end().len().checked_sub(1)?;
        let added = r#","stream_options":{"include_usage":true}"#;
        return Some(UsageAsk::Added(with(body, end..end, added)));
    };
    let options_at = request.span(options)?;
    if options.get() == "null" {
        let options = r#"{"include_usage":true}"#;
        return Some(UsageAsk::Added(with(body, options_at, options)));
    }
    let members = Members::read(options.get().as_bytes())?;
    let Some(include) = members.only("include_usage")? else {
        let start = options_at.start + 1;
        let comma = if members.is_empty() { "" } else { "," };
        let added = format!(r#""include_usage":true{comma}"#);
        return Some(UsageAsk::Added(with(body, start..start, &added)));
    };
    let at = request.span(include)?;
    match include.get() {
        "true" => Some(UsageAsk::Asked),
        "null" => Some(UsageAsk::Added(with(body, at, "true"))),
        "false" => Some(UsageAsk::Declined(with(body, at, "true"))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(body: &str) -> String {
        match ask_for_usage(body.as_bytes()) {
            UsageAsk::Added(body) => String::from_utf8(body.to_vec()).unwrap(),
            other => panic!("{body}: {other:?}"),
        }
    }

    #[test]
    fn puts_it_in_and_changes_nothing_else() {
        for (body, expected) in [
            (
                r#"{"stream":true}"#,
                r#"{"stream":true,"stream_options":{"include_usage":true}}"#,
            ),
            (
                "{ \"stream\" : true ,\n \"n\": 1e0 }\n ",
                "{ \"stream\" : true ,\n \"n\": 1e0 ,\"stream_options\":{\"include_usage\":true}}\n ",
            ),
            (
                r#"{"stream_options":null,"stream":true}"#,
                r#"{"stream_options":{"include_usage":true},"stream":true}"#,
            ),
            (
                r#"{"stream":true,"stream_options":{}}"#,
                r#"{"stream":true,"stream_options":{"include_usage":true}}"#,
            ),
            (
                r#"{"stream":true,"stream_options":{"include_obfuscation":false},"x":1}"#,
                r#"{"stream":true,"stream_options":{"include_usage":true,"include_obfuscation":false},"x":1}"#,
            ),
            (
                r#"{"stream":true,"stream_options":{"include_usage": null}}"#,
                r#"{"stream":true,"stream_options":{"include_usage": true}}"#,
            ),
            (
                r#"{"str\u0065am":true,"user":"{\"stream_options\":1}"}"#,
                r#"{"str\u0065am":true,"user":"{\"stream_options\":1}","stream_options":{"include_usage":true}}"#,
            ),
        ] {
            assert_eq!(added(body), expected);
            // Once is enough.
            assert_eq!(ask_for_usage(expected.as_bytes()), UsageAsk::Asked);
        }
    }

    #[test]
    fn leaves_alone_what_does_not_need_it() {
        for body in [
            "{}",
            r#"{"stream":false}"#,
            r#"{"stream":null,"stream_options":5}"#,
        ] {
            assert_eq!(
                ask_for_usage(body.as_bytes()),
                UsageAsk::NotStreamed,
                "{body}"
            );
        }
        let asked = br#"{"stream":true,"stream_options":{"x":1,"include_usage":true}}"#;
        assert_eq!(ask_for_usage(asked), UsageAsk::Asked);
    }

    #[test]
    fn a_caller_that_does_not_want_to_know_is_told_apart() {
        let body = br#"{"stream":true,"stream_options":{"include_usage":false}}"#;
        let asking = br#"{"stream":true,"stream_options":{"include_usage":true}}"#;
        assert_eq!(
            ask_for_usage(body),
            UsageAsk::Declined(Bytes::from_static(asking))
        );
    }

    #[test]
    fn refuses_what_it_does_not_understand() {
        for body in [
            "",
            "[]",
            r#"[{"stream":true}]"#,
            r#"{"stream":true"#,
            r#"{"stream":true} {}"#,
            r#"{"stream":"true"}"#,
            r#"{"stream":1}"#,
            r#"{"stream":true,"stream":true}"#,
            r#"{"stream":true,"str\u0065am":false}"#,
            r#"{"stream":true,"stream_options":[]}"#,
            r#"{"stream":true,"stream_options":{},"stream_options":{}}"#,
            r#"{"stream":true,"stream_options":{"include_usage":1}}"#,
            r#"{"stream":true,"stream_options":{"include_usage":false,"include_usage":true}}"#,
        ] {
            assert_eq!(
                ask_for_usage(body.as_bytes()),
                UsageAsk::NotUnderstood,
                "{body}"
            );
        }
    }

    #[test]
    fn whom_to_ask() {
        for provider in SILENT.into_iter().chain(["Azure"]) {
            assert!(streams_usage_only_if_asked(provider), "{provider}");
        }
        for provider in [
            "",
            "mistral",
            "groq",
            "xai",
            "deepseek",
            "openrouter",
            "together",
        ] {
            assert!(!streams_usage_only_if_asked(provider), "{provider}");
        }
    }
}
