//! The parts of an error body that anything is made of, whoever wrote it.

use std::time::Duration;

use super::{
    super::{
        note::shortened,
        reading::StreamError,
        retry_after::go_duration,
        walk::{Scalar, Sink, walk},
    },
    gemini::Violation,
};

/// How many words, and how many violations, are kept.
const MANY: usize = 8;

#[derive(Debug, Default)]
pub(super) struct Said {
    /// Types and codes, at any place where providers have them.
    pub(super) words: Vec<String>,
    /// The message for people.
    pub(super) message: String,
    /// Google's `RetryInfo`.
    pub(super) retry_delay: Option<Duration>,
    /// Google's `QuotaFailure`.
    pub(super) violations: Vec<Violation>,
}

impl Said {
    /// What `body` says, as far as it is JSON.
    pub(super) fn read(body: &[u8]) -> Said {
        let mut said = Said::default();
        // An error means that the text ends early; what came before was seen.
        let _ = walk(body, &mut said);
        said
    }

    pub(super) fn of(error: &StreamError) -> Said {
        let words = [Some(&error.kind), error.code.as_ref()];
        Said {
            words: words.into_iter().flatten().cloned().collect(),
            message: error.message.clone(),
            ..Said::default()
        }
    }

    pub(super) fn has(&self, word: &str) -> bool {
        // Bedrock's names begin small in streams.
        self.words
            .iter()
            .any(|said| said.eq_ignore_ascii_case(word))
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
            | ["error", "metadata", "limit_source"] => self.add_word(&value),
            ["error", "details", "retryDelay"] => {
                self.retry_delay = value.text().and_then(proto_duration).or(self.retry_delay);
            }
            ["error", "details", "violations", key] => {
                if let Some(text) = value.text() {
                    self.violation(key, text);
                }
            }
            _ => {}
        }
    }
}

impl Said {
    /// Lists add nothing to a path, so a key that is there already begins the next violation.
    fn violation(&mut self, key: &str, text: &str) {
        let last = self.violations.last();
        let begins = last.is_none_or(|last| match key {
            "quotaId" => last.id.is_some(),
            "quotaValue" => last.value.is_some(),
            _ => false,
        });
        if begins && self.violations.len() < MANY {
            self.violations.push(Violation::default());
        } else if begins {
            return;
        }
        if let Some(last) = self.violations.last_mut() {
            match key {
                "quotaId" => last.id = Some(shortened(text)),
                "quotaValue" => last.value = Some(shortened(text)),
                _ => {}
            }
        }
    }
}

/// A `google.protobuf.Duration` as JSON: decimal seconds with an `s`, and no other unit.
fn proto_duration(text: &str) -> Option<Duration> {
    let digits = text.strip_suffix('s')?;
    let is_decimal = digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    is_decimal.then(|| go_duration(text)).flatten()
}
