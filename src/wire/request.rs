//! What a request asks for.

use std::borrow::Cow;

use thiserror::Error;

use super::{
    Dialect,
    dialect::Field,
    prompts::prompts,
    quoted::Quoted,
    scan::{Look, scan},
    walk::{Scalar, Step},
};

/// Bytes of text to a token. English runs at about four.
const BYTES_PER_TOKEN: u64 = 4;

/// Tokens for an image, a sound or a document that is sent as base64, whatever its size: of the
/// order of a large image with Anthropic ("Vision": about 1 600) and of a mid-sized one with
/// OpenAI ("Images and vision": 765).
const PAYLOAD_TOKENS: u64 = 1_000;

/// So many keys may a body have itself: what is made of each takes memory, and no API has more than some dozens.
const MOST_KEYS: u32 = 4_096;

/// Tokens for this many bytes of text, rounded up.
pub(super) const fn tokens(text_bytes: u64) -> u64 {
    text_bytes.div_ceil(BYTES_PER_TOKEN)
}

/// About how many bytes of text so many tokens are.
#[cfg(feature = "simulate")]
pub(crate) const fn text_bytes(tokens: u64) -> u64 {
    tokens.saturating_mul(BYTES_PER_TOKEN)
}

/// What [`inspect`] found in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestFacts {
    /// The model, as the caller spelled it.
    pub model: Option<String>,
    /// The cap on output tokens that the caller set, for each of its choices.
    pub max_output: Option<u64>,
    /// Whether the answer is asked for as a stream.
    pub stream: bool,
    /// How many answers are asked for, each of them billed; at least 1.
    pub choices: u64,
    /// The input tokens, estimated; see [`inspect`].
    pub input_estimate: u64,
    /// Whether the model stands in the URL, and not in the body.
    pub(crate) model_in_url: bool,
    /// Whether the answer is generated to its end, whoever reads it.
    pub(crate) background: bool,
}

impl Default for RequestFacts {
    fn default() -> Self {
        Self {
            model: None,
            max_output: None,
            stream: false,
            choices: 1,
            input_estimate: 0,
            model_in_url: false,
            background: false,
        }
    }
}

/// Why the facts of a request cannot be determined.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FactsError {
    /// The body is not one JSON object.
    #[error("the request body is not a JSON object")]
    Malformed,
    /// A key that decides what the call costs is there twice. Parsers differ in which of the two they take, so what is
    /// counted here might not be what is billed.
    #[error("the request body has the key `{key}` twice")]
    DuplicateKey {
        /// The key.
        key: &'static str,
    },
    /// A key is one that decides what the call costs, but for capitals. Some servers take it for that one (those that are
    /// written in Go or C#, for example), so what is counted here might not be what is billed.
    #[error(
        "the request body has a key that is `{key}` but for capitals, which some servers take for the same: write it \
         as `{key}`"
    )]
    OtherCapitals {
        /// The key as it is to be written.
        key: &'static str,
    },
}

/// Reads the facts of a request from its body.
///
/// The input estimate is the text of the messages, the system prompt and the tools at four bytes per token, rounded up,
/// plus 1 000 tokens for each payload in base64 (`data:` URLs, the data of images, sounds and files), whose bytes are
/// not text. Only values are counted, not keys, and nothing that is nested deeper than 64 levels. For embeddings, the
/// texts are counted, and each number in their place is one token; their output is capped at 0.
///
/// A fact of the wrong type (`"model": 5`) is treated as absent; refusing it is the provider's job. So is an empty
/// body. [`Dialect::Generic`] bodies are not read. Text that is only counted is not examined further: it need not be
/// UTF-8.
///
/// # Errors
///
/// [`FactsError::Malformed`] if the body is not a JSON object, or one of more than 4 096 keys;
/// [`FactsError::DuplicateKey`] if a key that is read, or one that leads there, occurs twice;
/// [`FactsError::OtherCapitals`] if there is one that differs from it only in capitals.
///
/// ```
/// use tower_quota::wire::{Dialect, inspect};
///
/// let body = br#"{"model":"gpt-5.5","max_tokens":256,"messages":[{"role":"user","content":"Hi"}]}"#;
/// let facts = inspect(Dialect::OpenAiChat, body)?;
/// assert_eq!(facts.model.as_deref(), Some("gpt-5.5"));
/// assert_eq!(facts.max_output, Some(256));
/// assert_eq!(facts.input_estimate, 2); // "user" and "Hi"
/// # Ok::<(), tower_quota::wire::FactsError>(())
/// ```
pub fn inspect(dialect: Dialect, body: &[u8]) -> Result<RequestFacts, FactsError> {
    look_through(dialect, body, None).map(|(facts, _)| facts)
}

/// Who is shown each text, with its path.
type OnText<'t> = &'t mut dyn FnMut(&[&str], Quoted<'_>);

/// The facts of a request, of which each text is shown with its path; and how much of its input is no text.
#[cfg(feature = "tiktoken")]
pub(super) fn with_texts(
    dialect: Dialect,
    body: &[u8],
    on_text: OnText<'_>,
) -> Result<(RequestFacts, u64), FactsError> {
    look_through(dialect, body, Some(on_text))
}

fn look_through(
    dialect: Dialect,
    body: &[u8],
    on_text: Option<OnText<'_>>,
) -> Result<(RequestFacts, u64), FactsError> {
    let spec = dialect.spec();
    let fields = spec.request();
    let facts = RequestFacts {
        stream: spec.streams_unasked(),
        max_output: (!spec.generates()).then_some(0),
        ..RequestFacts::default()
    };
    if fields.is_empty() || body.is_empty() {
        return Ok((facts, 0));
    }
    let mut facts = Facts {
        fields,
        seen: 0,
        blocks: 0,
        keys: 0,
        refused: None,
        is_malformed: false,
        within: None,
        found: facts,
        old_max_output: None,
        text_bytes: 0,
        on_text,
        token_ids: 0,
        payloads: 0,
    };
    let scanned = scan(body, &mut facts);
    if let Some(refused) = facts.refused {
        return Err(refused);
    }
    // The scan makes no difference between an object and a list of them.
    let is_object = body.trim_ascii_start().starts_with(b"{");
    match scanned {
        Ok(()) if is_object && !facts.is_malformed => Ok(facts.finish()),
        _ => Err(FactsError::Malformed),
    }
}

/// Reads the facts of a request from its body and the path of its URL (without its query).
///
/// Gemini, Bedrock and Azure have the model in the path, and the first two also say there whether the answer is a
/// stream. What is in the path counts, not what the body says. The model is percent-decoded; on Bedrock it may be an
/// ARN.
///
/// With the feature `tiktoken`, the texts of OpenAI's chat, responses and embeddings are counted by the tokenizer of
/// the model, if it is a known model of OpenAI's and the texts are no longer than 64 KiB. This takes about two
/// milliseconds; the first time, loading the tokenizer takes a third of a second. Tools and formats are counted by
/// their texts, because nobody knows how the models see them.
///
/// # Errors
///
/// As for [`inspect`].
///
/// ```
/// use tower_quota::wire::{Dialect, inspect_call};
///
/// let path = "/v1beta/models/gemini-3.8-flash:streamGenerateContent";
/// let facts = inspect_call(Dialect::Gemini, path, br#"{"contents":[]}"#)?;
/// assert_eq!(facts.model.as_deref(), Some("gemini-3.8-flash"));
/// assert!(facts.stream);
/// # Ok::<(), tower_quota::wire::FactsError>(())
/// ```
pub fn inspect_call(dialect: Dialect, path: &str, body: &[u8]) -> Result<RequestFacts, FactsError> {
    let url = dialect.spec().in_url(path);
    #[cfg(feature = "tiktoken")]
    let (mut facts, counted) = super::exact::inspect(dialect, url.model.as_deref(), body)?;
    #[cfg(not(feature = "tiktoken"))]
    let mut facts = inspect(dialect, body)?;
    facts.model_in_url = url.model.is_some();
    facts.model = url.model.or(facts.model);
    facts.stream = url.stream.unwrap_or(facts.stream);
    if dialect == Dialect::OpenAiChat && !path.ends_with("/chat/completions") {
        facts.choices = facts.choices.saturating_mul(prompts(body));
    }
    #[cfg(feature = "tiktoken")]
    if let Some(counted) = counted {
        facts.input_estimate = counted;
    }
    Ok(facts)
}

struct Facts<'t> {
    fields: &'static [(&'static [&'static str], Field)],
    /// One bit for each of `fields` that was met.
    seen: u64,
    /// The same for the objects that they stand in, each under the first field that does.
    blocks: u64,
    /// So many keys does the body itself have.
    keys: u32,
    refused: Option<FactsError>,
    /// A string that matters is none.
    is_malformed: bool,
    /// The text that the values are in which come now, and how many keys lead to it.
    within: Option<(Field, usize)>,
    found: RequestFacts,
    old_max_output: Option<u64>,
    text_bytes: u64,
    /// Who is shown them.
    on_text: Option<OnText<'t>>,
    token_ids: u64,
    payloads: u64,
}

impl Facts<'_> {
    /// What was found, and how much of the input is no text.
    fn finish(mut self) -> (RequestFacts, u64) {
        // Which of two the provider goes by, it alone knows: the larger is a bound.
        self.found.max_output = self.found.max_output.max(self.old_max_output);
        let payloads = self.payloads.saturating_mul(PAYLOAD_TOKENS);
        let others = self.token_ids.saturating_add(payloads);
        self.found.input_estimate = tokens(self.text_bytes).saturating_add(others);
        (self.found, others)
    }

    fn field(&self, path: &[&str]) -> Option<(usize, Field)> {
        let is_at = |(keys, field): &(&[&str], Field)| match field {
            Field::Text | Field::TextOrTokens => path.starts_with(keys),
            _ => path == *keys,
        };
        let index = self.fields.iter().position(is_at)?;
        Some((index, self.fields[index].1))
    }

    /// Enters what is no field, but may have fields in it.
    fn enter_block(&mut self, path: &[&str]) -> Step {
        let leads_there = |(keys, _): &(&[&str], Field)| keys.starts_with(path);
        if let Some(index) = self.fields.iter().position(leads_there) {
            // No field is deeper than in one object.
            return match path.len() > 1 || first_of(&mut self.blocks, index) {
                true => Step::Read,
                false => self.refuse_twice(path),
            };
        }
        let same = |(a, b): (&&str, &&str)| a.eq_ignore_ascii_case(b);
        let is_it = |keys: &[&str]| keys.len() >= path.len() && keys.iter().zip(path).all(same);
        let meant = self.fields.iter().find(|(keys, _)| is_it(keys));
        match meant.map(|(keys, _)| keys[path.len() - 1]) {
            Some(key) => self.refused = Some(FactsError::OtherCapitals { key }),
            None if path.last() == Some(&IN_CAPITALS) => {
                self.refused = Some(FactsError::Malformed);
            }
            None => return Step::Skip,
        }
        Step::Stop
    }

    fn refuse_twice(&mut self, path: &[&str]) -> Step {
        let mut keys = self
            .fields
            .iter()
            .filter_map(|(keys, _)| keys.get(path.len() - 1));
        let key = keys.find(|key| Some(*key) == path.last());
        self.refused = key.map(|key| FactsError::DuplicateKey { key });
        Step::Stop
    }

    /// The field of a value, whose key was entered.
    fn field_of(&self, path: &[&str]) -> Option<Field> {
        let within = self.within.map(|(field, _)| field);
        within.or_else(|| self.field(path).map(|(_, field)| field))
    }
}

impl Look for Facts<'_> {
    fn enter(&mut self, path: &[&str]) -> Step {
        if self.within.is_some_and(|(_, keys)| path.len() > keys) {
            return Step::Read;
        }
        self.within = None;
        self.keys += u32::from(path.len() == 1);
        if self.keys > MOST_KEYS {
            self.refused = Some(FactsError::Malformed);
            return Step::Stop;
        }
        let Some((index, field)) = self.field(path) else {
            return self.enter_block(path);
        };
        let keys = self.fields[index].0;
        if path.len() == keys.len() && !first_of(&mut self.seen, index) {
            return self.refuse_twice(path);
        }
        if let Field::Text | Field::TextOrTokens = field {
            self.within = Some((field, path.len()));
        }
        Step::Read
    }

    fn text(&mut self, path: &[&str], text: Quoted<'_>) {
        let Some(field) = self.field_of(path) else {
            return;
        };
        match field {
            Field::Model => {
                self.found.model = text.read().map(Cow::into_owned);
                self.is_malformed |= self.found.model.is_none();
            }
            Field::Text | Field::TextOrTokens if is_payload(path, &text) => self.payloads += 1,
            Field::Text | Field::TextOrTokens => {
                self.text_bytes = self.text_bytes.saturating_add(text.bytes);
                if let Some(on_text) = &mut self.on_text {
                    on_text(path, text);
                }
            }
            // Google reads such numbers.
            Field::Choices => match text.read().and_then(|text| text.parse().ok()) {
                Some(choices) => self.scalar(path, Scalar::Whole(choices)),
                None => self.is_malformed = true,
            },
            _ => self.scalar(path, Scalar::Null),
        }
    }

    fn scalar(&mut self, path: &[&str], value: Scalar<'_>) {
        let Some(field) = self.field_of(path) else {
            return;
        };
        match field {
            Field::Model => self.found.model = None,
            Field::MaxOutput => self.found.max_output = value.count(),
            // It may have several names, too.
            Field::OldMaxOutput => self.old_max_output = value.count().max(self.old_max_output),
            Field::Stream => {
                if let Scalar::Bool(stream) = value {
                    self.found.stream = stream;
                }
            }
            Field::Background => self.found.background = value == Scalar::Bool(true),
            // What some read as a number is none here: so many would be billed, and one be reserved.
            Field::Choices => match (value.count(), value) {
                (Some(choices), _) => self.found.choices = choices.max(self.found.choices),
                (None, Scalar::Null) => {}
                (None, _) => self.is_malformed = true,
            },
            Field::TextOrTokens if value.count().is_some() => {
                self.token_ids = self.token_ids.saturating_add(1);
            }
            Field::Text | Field::TextOrTokens => {}
        }
    }

    fn known(&self, key: &str) -> Option<&'static str> {
        let fields = || self.fields.iter().flat_map(|(keys, _)| keys.iter());
        let all = fields().chain(&PAYLOAD_KEYS);
        let exactly = all.copied().find(|known| *known == key);
        let in_capitals = || fields().any(|known| known.eq_ignore_ascii_case(key));
        exactly.or_else(|| in_capitals().then_some(IN_CAPITALS))
    }
}

/// Stands for a key with escapes in it that is a field's but for capitals.
const IN_CAPITALS: &str = "\0";

/// Notes that a field was met. Returns whether that is the first time.
fn first_of(met: &mut u64, field: usize) -> bool {
    let bit = 1 << field;
    let is_first = *met & bit == 0;
    *met |= bit;
    is_first
}

/// The keys that [`is_payload`] knows.
const PAYLOAD_KEYS: [&str; 8] = [
    "source",
    "input_audio",
    "inline_data",
    "inlineData",
    "data",
    "bytes",
    "file_data",
    "images",
];

/// Whether a text is a file in base64: a `data:` URL, or what looks like base64 in a place made for
/// it. A look at the beginning is enough, and needed: Anthropic's `source.data` may be plain text.
fn is_payload(path: &[&str], text: &Quoted<'_>) -> bool {
    const LOOK_AT: usize = 256;
    let is_url = text.may_start_with(b'd') && text.starts_with(b"data:");
    let made_for_it = matches!(
        path,
        [
            ..,
            "source" | "input_audio" | "inline_data" | "inlineData",
            "data"
        ] | [.., "source", "bytes"]
            | [.., "file_data" | "images"]
    );
    if !is_url && !made_for_it {
        return false;
    }
    let head = text.head(LOOK_AT);
    let head = &head[..head.len().min(LOOK_AT)];
    if is_url {
        return head.windows(8).any(|part| part == b";base64,");
    }
    let in_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=-_".contains(byte);
    !head.is_empty() && head.iter().all(in_base64)
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "request_keys_tests.rs"]
mod keys_tests;
