//! The parts of an error body that anything is made of, whoever wrote it.

use std::time::{Duration, SystemTime};

use super::{
    super::{
        note::shortened,
        reading::StreamError,
        retry_after::{number, since_1970},
        walk::{Scalar, Sink, walk},
    },
    gemini::Details,
    text,
};

/// How many words are kept.
const MANY: usize = 8;

#[derive(Debug, Default)]
pub(super) struct Said {
    /// Types and codes, at any place where providers have them.
    pub(super) words: Vec<String>,
    /// The message for people.
    pub(super) message: String,
    /// Google's, beside it.
    pub(super) details: Details,
    /// When what is used up is there again, in milliseconds since 1970: OpenRouter's metadata.
    reset: Option<u64>,
    /// In how long a quota is there again: Codex.
    resets_in: Option<Duration>,
    /// When it is, in seconds since 1970: Codex.
    resets_at: Option<u64>,
    /// Whether it says what was found in the content: OpenRouter's metadata.
    pub(super) is_flagged: bool,
    /// Whether there is nothing of it. What cannot be read may say anything: a firewall's page speaks of one call.
    pub(super) is_blank: bool,
}

impl Said {
    /// What `body` says, as far as it is JSON.
    pub(super) fn read(body: &[u8]) -> Said {
        let mut said = Said {
            is_blank: body.trim_ascii().is_empty(),
            ..Said::default()
        };
        // An error means that the text ends early; what came before was seen.
        let _ = walk(body, &mut said);
        said
    }

    pub(super) fn of(error: &StreamError) -> Said {
        let words = [Some(&error.kind), error.code.as_ref()];
        Said {
            words: words.into_iter().flatten().cloned().collect(),
            message: error.message.clone(),
            details: error.details.clone(),
            ..Said::default()
        }
    }

    pub(super) fn has(&self, word: &str) -> bool {
        // Bedrock's names begin small in streams.
        self.words
            .iter()
            .any(|said| said.eq_ignore_ascii_case(word))
    }

    /// In how long what is used up is there again, by the body. A reset that is over tells nothing.
    pub(super) fn reset(&self, now: SystemTime) -> Option<Duration> {
        let reset = since_1970(Duration::from_millis(self.reset?), now)?;
        Some(reset).filter(|reset| !reset.is_zero())
    }

    /// In how long a quota is there again, by fields of the error or by its text.
    pub(super) fn regained(&self, now: SystemTime) -> Option<Duration> {
        let at = || since_1970(Duration::from_secs(self.resets_at?), now);
        let told = self.resets_in.or_else(at);
        told.or_else(|| text::regained(&self.message, now))
            .or_else(|| text::resets(&self.message, now))
    }

    fn add_word(&mut self, value: &Scalar<'_>) {
        if let Some(word) = value.text()
            && self.words.len() < MANY
        {
            self.words.push(shortened(word));
        }
    }
}

impl Sink for Said {
    /// Most wrap the error in `error`, some in a list of one (Gemini's compatible API); Mistral has
    /// it bare; xAI has a text for `error`, and the code beside it.
    fn scalar(&mut self, path: &[&str], value: Scalar<'_>) {
        match path {
            ["error" | "message"] | ["error", "message"] => {
                if let Some(message) = value.text()
                    && self.message.is_empty()
                {
                    self.message = shortened(message);
                }
            }
            ["type" | "code"]
            | ["error", "type" | "code" | "status"]
            | ["error", "details", "error_code"]
            | ["error", "innererror", "code"]
            | ["error", "metadata", "limit_source" | "error_type"] => self.add_word(&value),
            ["error", "metadata", "headers", name]
                if name.eq_ignore_ascii_case("x-ratelimit-reset") =>
            {
                let millis = value.text().and_then(|text| text.parse().ok());
                self.reset = millis.or(self.reset);
            }
            ["error", "resets_in_seconds"] => self.resets_in = seconds(&value),
            ["error", "resets_at"] => self.resets_at = value.count(),
            ["error", "metadata", "reasons" | "flagged_input"] => {
                self.is_flagged |= value.text().is_some();
            }
            ["error", "details", rest @ ..] => self.details.read(rest, &value),
            _ => {}
        }
    }
}

/// Seconds as JSON has them.
fn seconds(value: &Scalar<'_>) -> Option<Duration> {
    match value {
        Scalar::Whole(whole) => number(&whole.to_string(), 1.0),
        Scalar::OtherNumber(other) => number(&other.to_string(), 1.0),
        _ => None,
    }
}
