//! Input tokens, counted by the model's own tokenizer.
//!
//! Source for what is around messages: OpenAI's cookbook, "How to count tokens with tiktoken".

use memchr::memmem;
use tiktoken_rs::{
    CoreBPE, bpe_for_tokenizer,
    tokenizer::{Tokenizer, get_tokenizer},
};

use super::{
    Dialect, FactsError, RequestFacts,
    quoted::Quoted,
    request::{self, with_texts},
    texts,
};

/// Longer texts are estimated: whoever counts does nothing else meanwhile.
const LONGEST: usize = 64 << 10;
/// Counted at a time, escapes and all: two that say the same in other escapes may differ by a token where they are cut. The
/// tokenizer's pattern goes back and forth over white space, and gives up where that is long.
const PIECE: usize = 8 << 10;
/// What a message has besides its role and its content, and besides that where it has a name.
const MESSAGE: u64 = 3;
const NAME: u64 = 1;
/// What the answer begins with.
const ANSWER: u64 = 3;

/// The facts of a request, and its input; none of that where its model is not known, or its texts are too long. `in_url`:
/// the model that is named there.
pub(super) fn inspect(
    dialect: Dialect,
    in_url: Option<&str>,
    body: &[u8],
) -> Result<(RequestFacts, Option<u64>), FactsError> {
    if body.len() > 4 * LONGEST {
        // Most of it is text, or a file that is not to be gone through twice.
        return Ok((request::inspect(dialect, body)?, None));
    }
    // Most name their model where it seems, so that once is enough.
    let presumed = in_url.or_else(|| seems(body));
    let presumed = presumed.and_then(|model| tokenizer(dialect, model));
    let (facts, counted) = match presumed {
        Some(presumed) => count_all(dialect, presumed, body)?,
        None => (request::inspect(dialect, body)?, None),
    };
    let model = in_url.or(facts.model.as_deref());
    match model.and_then(|model| tokenizer(dialect, model)) {
        None => Ok((facts, None)),
        Some(real) if presumed.is_some_and(|(presumed, _)| presumed == real.0) => {
            Ok((facts, counted))
        }
        Some(real) => count_all(dialect, real, body),
    }
}

/// What may be the model: the text that the first key of this name has, wherever it stands.
fn seems(body: &[u8]) -> Option<&str> {
    const KEY: &[u8] = b"\"model\"";
    let at = memmem::find(body, KEY)?;
    let value = body[at + KEY.len()..].trim_ascii_start();
    let value = value.strip_prefix(b":")?.trim_ascii_start();
    let value = value.strip_prefix(b"\"")?;
    let end = memchr::memchr(b'"', value)?;
    std::str::from_utf8(&value[..end]).ok()
}

fn count_all(
    dialect: Dialect,
    tokenizer: (Tokenizer, &CoreBPE),
    body: &[u8],
) -> Result<(RequestFacts, Option<u64>), FactsError> {
    let (mut tokens, mut length, mut messages) = (0, 0, 0);
    let found = with_texts(dialect, body, &mut |path, text| {
        length = text.bytes.saturating_add(length);
        if length > LONGEST as u64 {
            return;
        }
        tokens += count(tokenizer, text);
        match path {
            ["messages" | "input", "role"] => messages += 1,
            ["messages" | "input", "name"] => tokens += NAME,
            _ => {}
        }
    });
    let (facts, others) = found?;
    let around = match messages {
        0 => 0,
        _ => messages * MESSAGE + ANSWER,
    };
    let counted = (length <= LONGEST as u64).then(|| others.saturating_add(tokens + around));
    Ok((facts, counted))
}

fn tokenizer(dialect: Dialect, model: &str) -> Option<(Tokenizer, &'static CoreBPE)> {
    let speaks = matches!(
        dialect,
        Dialect::OpenAiChat | Dialect::OpenAiResponses | Dialect::OpenAiEmbeddings
    );
    // Some have the vendor before it.
    let model = model.rsplit('/').next().filter(|_| speaks)?;
    let of = get_tokenizer(model)?;
    Some((of, bpe_for_tokenizer(of).ok()?))
}

fn count(tokenizer: (Tokenizer, &CoreBPE), text: Quoted<'_>) -> u64 {
    let parts = text.parts(PIECE);
    parts.map(|part| texts::count(tokenizer, part)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::inspect_call;

    fn counted(path: &str, body: &str) -> u64 {
        let dialect = Dialect::detect(path, &http::HeaderMap::new());
        let facts = inspect_call(dialect, path, body.as_bytes()).unwrap();
        facts.input_estimate
    }

    fn chat(model: &str, content: &str) -> u64 {
        let body = format!(
            r#"{{"model":"{model}","messages":[{{"role":"user","content":"{content}"}}]}}"#
        );
        counted("/v1/chat/completions", &body)
    }

    /// The messages of OpenAI's cookbook, and what its API says that they are.
    #[test]
    fn as_the_api_counts() {
        for (model, tokens) in [
            ("gpt-4", 129),
            ("gpt-3.5-turbo-0125", 129),
            ("gpt-4o", 124),
            ("openai/gpt-4o-mini", 124),
        ] {
            let body = format!(
                r#"{{"model":"{model}","messages":[
                {{"role":"system","content":"You are a helpful, pattern-following assistant that translates corporate jargon into plain English."}},
                {{"role":"system","name":"example_user","content":"New synergies will help drive top-line growth."}},
                {{"role":"system","name":"example_assistant","content":"Things working well together will increase revenue."}},
                {{"role":"system","name":"example_user","content":"Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage."}},
                {{"role":"system","name":"example_assistant","content":"Let's talk later when we're less busy about how to do better."}},
                {{"role":"user","content":"This late pivot means we don't have time to boil the ocean for the client deliverable."}}
                ]}}"#
            );
            assert_eq!(counted("/v1/chat/completions", &body), tokens, "{model}");
        }
    }

    #[test]
    fn texts_of_other_shapes() {
        let responses = r#"{"model":"gpt-5.5","input":"hello world"}"#;
        assert_eq!(counted("/v1/responses", responses), 2);
        let embeddings = r#"{"model":"text-embedding-3-small","input":["hello world","hello"]}"#;
        assert_eq!(counted("/v1/embeddings", embeddings), 3);
        let ids = r#"{"model":"text-embedding-3-small","input":[1,2,3]}"#;
        assert_eq!(counted("/v1/embeddings", ids), 3);
        // Azure has the model in the URL.
        let azure = "/openai/deployments/gpt-4o/chat/completions";
        let body = r#"{"messages":[{"role":"user","content":"hello world"}]}"#;
        assert_eq!(counted(azure, body), 2 + 1 + MESSAGE + ANSWER);
    }

    /// The first that is called so need not be it.
    #[test]
    fn the_model_that_counts_is_the_one_at_its_place() {
        let plain = chat("gpt-4", "Grundstücksverkehr");
        assert_ne!(plain, chat("gpt-4o", "Grundstücksverkehr"));
        let message = r#""messages":[{"role":"user","content":"Grundstücksverkehr"}]"#;
        for body in [
            format!(r#"{{{message}, "model" : "gpt-4"}}"#),
            format!(r#"{{"x":{{"model":"gpt-4o"}},"model":"gpt-4",{message}}}"#),
            format!(r#"{{"x":"\"model\":","model":"gpt-4",{message}}}"#),
            format!(r#"{{"x":{{"model":"nobody's"}},"model":"gpt\u002d4",{message}}}"#),
        ] {
            assert_eq!(counted("/v1/chat/completions", &body), plain, "{body}");
        }
        let others = format!(r#"{{"x":{{"model":"gpt-4"}},"model":"mistral",{message}}}"#);
        assert_eq!(counted("/v1/chat/completions", &others), 6);
    }

    #[test]
    fn models_that_nobody_knows_and_long_texts_are_estimated() {
        let text = "hello world ".repeat(100);
        let estimate = (text.len() as u64 + 4).div_ceil(4);
        assert_eq!(chat("mistral-large", &text), estimate);
        assert!(chat("gpt-4o", &text) < estimate);
        let long = "hello world ".repeat(LONGEST / 12 + 1);
        assert_eq!(chat("gpt-4o", &long), (long.len() as u64 + 4).div_ceil(4));
        let body = format!(
            r#"{{"model":"gpt-4o","max_tokens":1,"messages":[{{"role":"user","content":"{text}"}}]}}"#
        );
        assert_eq!(counted("/v1/messages", &body), 0, "another dialect");
    }

    #[test]
    fn a_file_in_base64_is_no_text_here_either() {
        let image = "QUJD".repeat(10_000);
        let body = format!(
            r#"{{"model":"gpt-4o","messages":[{{"role":"user","content":[{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{image}"}}}}]}}]}}"#
        );
        let tokens = counted("/v1/chat/completions", &body);
        assert!((1_000..1_020).contains(&tokens), "{tokens}");
    }

    /// Texts on which tokenizers have been seen to give up, or to take for ever.
    #[test]
    fn nothing_makes_it_fail() {
        for text in [
            " ".repeat(LONGEST - 100),
            "a".repeat(LONGEST - 100),
            r"\u000b \n".repeat(LONGEST / 8),
            "ü".repeat(LONGEST / 2 - 100),
            "<|endoftext|>".repeat(100),
        ] {
            assert!(chat("gpt-4o", &text) > 0);
        }
    }
}
