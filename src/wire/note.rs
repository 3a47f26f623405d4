//! What a dialect reads from one response body or one stream event, and how events add up.

use super::{meter::StreamError, walk::Scalar};
use crate::usage::Usage;

/// The longest error text that is kept, in bytes. The texts of providers take a few hundred.
const MAX_ERROR_TEXT: usize = 2 * 1024;

/// What one body or event said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) counts: Counts,
    /// Bytes of generated text.
    pub(super) text: u64,
    /// Counts in this event, if there are any, are the last of the stream.
    pub(super) closes: bool,
    /// The dialect's end mark.
    pub(super) done: bool,
    pub(super) error: Option<StreamError>,
}

impl Note {
    /// Adds what a later event of the same stream said.
    ///
    /// Counts in streams are cumulative, so a later one replaces an earlier one and is never added
    /// to it. The first error stays, and after it no end mark counts: vLLM sends `[DONE]` even
    /// then.
    pub(super) fn merge(&mut self, later: Note) {
        self.closes |= later.closes && later.counts.output.is_some();
        self.counts.replace(&later.counts);
        self.text = self.text.saturating_add(later.text);
        if self.error.is_none() {
            self.error = later.error;
            self.done |= later.done;
        }
    }

    pub(super) fn add_text(&mut self, value: &Scalar<'_>) {
        if let Some(text) = value.text() {
            self.text = self.text.saturating_add(text.len() as u64);
        }
    }

    pub(super) fn error_kind(&mut self, value: &Scalar<'_>) {
        if let Some(kind) = value.text() {
            self.error().kind = shortened(kind);
        }
    }

    /// A code is a word for most, a number for some (vLLM).
    pub(super) fn error_code(&mut self, value: &Scalar<'_>) {
        match *value {
            Scalar::Text(code) => self.error().code = Some(shortened(code)),
            Scalar::Whole(code) => self.error().code = Some(code.to_string()),
            _ => {}
        }
    }

    pub(super) fn error_message(&mut self, value: &Scalar<'_>) {
        if let Some(message) = value.text() {
            self.error().message = shortened(message);
        }
    }

    fn error(&mut self) -> &mut StreamError {
        self.error.get_or_insert_default()
    }
}

/// The text, or as much of it as is kept.
pub(super) fn shortened(text: &str) -> String {
    let mut end = text.len().min(MAX_ERROR_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// Token counts as reported. `None`: not reported yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// The whole input, from providers that include cached tokens.
    pub(super) input: Option<u64>,
    /// The input without its cached parts, from providers that leave them out.
    pub(super) uncached: Option<u64>,
    pub(super) cache_read: Option<u64>,
    pub(super) cache_write: Option<u64>,
    pub(super) output: Option<u64>,
    pub(super) reasoning: Option<u64>,
}

impl Counts {
    fn replace(&mut self, later: &Counts) {
        self.input = later.input.or(self.input);
        self.uncached = later.uncached.or(self.uncached);
        self.cache_read = later.cache_read.or(self.cache_read);
        self.cache_write = later.cache_write.or(self.cache_write);
        self.output = later.output.or(self.output);
        self.reasoning = later.reasoning.or(self.reasoning);
    }

    /// Whether both sides, input and output, were reported.
    pub(super) fn both(&self) -> bool {
        self.input.or(self.uncached).is_some() && self.output.is_some()
    }

    /// The counts in common terms, if any was reported.
    ///
    /// A whole that is smaller than its parts is raised to them: a report that contradicts itself
    /// is read as the larger amount.
    pub(super) fn usage(&self) -> Option<Usage> {
        // Nothing reported is nothing to convert.
        self.input.or(self.uncached).or(self.output)?;
        let cache_read = self.cache_read.unwrap_or(0);
        let cache_write = self.cache_write.unwrap_or(0);
        let reasoning = self.reasoning.unwrap_or(0);
        let cached = cache_read.saturating_add(cache_write);
        let uncached = self.uncached.unwrap_or(0);
        let input = match self.input {
            Some(whole) => whole.max(cached),
            None => cached.saturating_add(uncached),
        };
        let mut usage = Usage::new(input, self.output.unwrap_or(0).max(reasoning));
        usage.cache_read = cache_read;
        usage.cache_write = cache_write;
        usage.reasoning = reasoning;
        Some(usage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_counts_replace_and_missing_ones_stay() {
        let mut note = Note::default();
        note.counts.uncached = Some(900);
        note.counts.cache_write = Some(1_200);
        note.counts.output = Some(1);
        let mut later = Note::default();
        later.counts.output = Some(64);
        note.merge(later);

        let usage = note.counts.usage().unwrap();
        assert_eq!(
            (usage.input, usage.cache_write, usage.output),
            (2_100, 1_200, 64)
        );
    }

    #[test]
    fn parts_never_pass_the_whole() {
        let counts = Counts {
            input: Some(10),
            cache_read: Some(30),
            output: Some(1),
            reasoning: Some(228),
            ..Counts::default()
        };
        let usage = counts.usage().unwrap();
        assert_eq!((usage.input, usage.output), (30, 228));
    }

    #[test]
    fn parts_alone_are_no_report() {
        let counts = Counts {
            cache_read: Some(30),
            ..Counts::default()
        };
        assert_eq!(counts.usage(), None);
    }

    #[test]
    fn an_end_mark_after_an_error_does_not_count() {
        let done = Note {
            done: true,
            ..Note::default()
        };
        let mut failed = Note::default();
        failed.error_message(&Scalar::Text("broken"));

        let mut note = failed.clone();
        note.merge(done.clone());
        assert!(!note.done);

        let mut note = Note::default();
        note.merge(done);
        assert!(note.done);
    }

    #[test]
    fn error_texts_are_cut_between_characters() {
        let mut note = Note::default();
        note.error_message(&Scalar::Text(&"ü".repeat(MAX_ERROR_TEXT)));
        note.error_kind(&Scalar::Text(&format!("x{}", "ü".repeat(MAX_ERROR_TEXT))));
        let error = note.error.unwrap();
        assert_eq!(error.message.len(), MAX_ERROR_TEXT);
        assert_eq!(error.kind.len(), MAX_ERROR_TEXT - 1);
    }
}
