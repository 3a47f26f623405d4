//! What a dialect reads from one response body or one stream event, and how events add up.

use super::{
    alike::More,
    counts::{Counts, Entry},
    iterations::Iterations,
    reading::{Extras, Served, StreamError},
    walk::Scalar,
};
use crate::money::Money;

/// The longest error text that is kept, in bytes. The texts of providers take a few hundred.
const MAX_ERROR_TEXT: usize = 2 * 1024;

/// The longest name that is kept, in bytes: of a model, a tier, a reason.
const MAX_NAME: usize = 256;

/// How an answer has ended that the model did not give, in Anthropic's word.
pub(crate) const REFUSAL: &str = "refusal";

/// What one body or event said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) counts: Counts,
    /// Bytes of generated text.
    pub(super) text: u64,
    /// Something was generated, whether it is text or not.
    pub(super) has_content: bool,
    /// Counts in this event, if there are any, are the last of the stream.
    pub(super) closes: bool,
    /// The dialect's end mark.
    pub(super) done: bool,
    /// The end mark counts after an error too: it says that the answer failed.
    pub(super) tells_failure: bool,
    /// If the stream ends cleanly now, it is complete, though nothing marks the end.
    pub(super) may_end: bool,
    pub(super) error: Option<StreamError>,
    /// The type and the code that stand beside an error's text, if there is one.
    pub(super) beside: StreamError,
    pub(super) model: Option<String>,
    pub(super) finish: Option<String>,
    pub(super) served: Served,
    pub(super) cost: Option<Money>,
    pub(super) extras: Extras,
    pub(super) iterations: Iterations,
    /// The entry that is being read of a list of modalities (Gemini).
    pub(super) modality: Entry<Modality>,
    /// What came first. Stays as it was found.
    pub(super) first: Option<First>,
}

/// What tokens stand for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Modality {
    Audio,
    Image,
    #[default]
    Other,
}

/// What ends the beginning of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum First {
    Content,
    Error,
    End,
}

impl Note {
    /// Adds what a later event of the same stream said.
    ///
    /// Counts in streams are cumulative, so a later one replaces an earlier one and is never added
    /// to it. The first error stays, and after it an end mark counts only if it says that the
    /// answer failed: vLLM sends `[DONE]` even then.
    pub(super) fn merge(&mut self, later: Note) {
        self.first = self.first.or_else(|| later.first());
        self.closes |= later.closes && later.counts.output.is_some();
        self.counts.replace(&later.counts);
        self.text = self.text.saturating_add(later.text);
        self.has_content |= later.has_content;
        self.may_end |= later.may_end;
        if self.error.is_none() {
            self.error = later.error;
        }
        self.done |= later.done && (self.error.is_none() || later.tells_failure);
        self.model = later.model.or_else(|| self.model.take());
        self.finish = later.finish.or_else(|| self.finish.take());
        self.cost = later.cost.or(self.cost);
        self.extras.raise(&later.extras);
        if !later.iterations.is_empty() {
            self.iterations = later.iterations;
        }
        for (mine, later) in [
            (&mut self.served.tier, later.served.tier),
            (&mut self.served.speed, later.served.speed),
            (&mut self.served.geography, later.served.geography),
        ] {
            *mine = later.or_else(|| mine.take());
        }
    }

    /// Adds what an event said that is like the one that was added last, which had text: something came first.
    pub(super) fn more(&mut self, more: &More) {
        self.text = self.text.saturating_add(more.text);
        self.counts.renew(&more.counts);
    }

    /// As if it were added to nothing.
    pub(super) fn alone(&mut self) {
        self.first = self.first();
        self.closes &= self.counts.output.is_some();
        self.done &= self.error.is_none() || self.tells_failure;
    }

    /// This, of a body that is like the one which said it; with names that nothing is counted by only if they are `wanted`.
    pub(super) fn with(&self, more: &More, wanted: bool) -> Note {
        // What several models had a part in is counted by their names, and a refusal may cost nothing.
        let by_model = wanted || !self.iterations.is_empty();
        let by_finish = wanted || self.finish.as_deref() == Some(REFUSAL);
        let mut note = Note {
            model: if by_model { self.model.clone() } else { None },
            finish: if by_finish { self.finish.clone() } else { None },
            error: self.error.clone(),
            beside: self.beside.clone(),
            served: self.served.clone(),
            iterations: self.iterations.clone(),
            text: 0,
            ..*self
        };
        note.more(more);
        note
    }

    fn first(&self) -> Option<First> {
        if self.has_content || self.text > 0 {
            Some(First::Content)
        } else if self.error.is_some() {
            Some(First::Error)
        } else {
            self.done.then_some(First::End)
        }
    }

    /// All of an event, or of a body, was read: gives its error what stood beside it.
    pub(super) fn complete_error(&mut self, beside: &StreamError) {
        if let Some(error) = &mut self.error {
            if error.kind.is_empty() {
                error.kind.clone_from(&beside.kind);
            }
            if error.code.is_none() {
                error.code.clone_from(&beside.code);
            }
        }
    }

    pub(super) fn add_text(&mut self, value: &Scalar<'_>) {
        if let Some(text) = value.text() {
            self.text = self.text.saturating_add(text.len() as u64);
        }
    }

    /// Something was generated that is no text, unless there is nothing.
    pub(super) fn add_other(&mut self, value: &Scalar<'_>) {
        self.has_content |= value.text().is_some_and(|text| !text.is_empty());
    }

    pub(super) fn error_kind(&mut self, value: &Scalar<'_>) {
        if let Some(kind) = value.text() {
            self.error().kind = shortened(kind);
        }
    }

    pub(super) fn error_code(&mut self, value: &Scalar<'_>) {
        if let Some(code) = code(value) {
            self.error().code = Some(code);
        }
    }

    pub(super) fn error_message(&mut self, value: &Scalar<'_>) {
        if let Some(message) = value.text() {
            self.error().message = shortened(message);
        }
    }

    /// A value of Google's `error.details`.
    pub(super) fn error_detail(&mut self, path: &[&str], value: &Scalar<'_>) {
        if value.text().is_some() {
            self.error().details.read(path, value);
        }
    }

    pub(super) fn kind_beside(&mut self, value: &Scalar<'_>) {
        if let Some(kind) = value.text() {
            self.beside.kind = shortened(kind);
        }
    }

    pub(super) fn code_beside(&mut self, value: &Scalar<'_>) {
        self.beside.code = code(value).or(self.beside.code.take());
    }

    fn error(&mut self) -> &mut StreamError {
        self.error.get_or_insert_default()
    }
}

/// A code is a word for most, a number for some (vLLM).
fn code(value: &Scalar<'_>) -> Option<String> {
    match *value {
        Scalar::Text(code) => Some(shortened(code)),
        Scalar::Whole(code) => Some(code.to_string()),
        _ => None,
    }
}

/// Puts a name into its place, unless there is none.
pub(super) fn name(place: &mut Option<String>, value: &Scalar<'_>) {
    if let Some(name) = value.text().filter(|name| !name.is_empty()) {
        *place = Some(cut(name, MAX_NAME).to_owned());
    }
}

/// Puts a count into its place, unless it makes no sense.
pub(super) fn count(place: &mut Option<u64>, value: &Scalar<'_>) {
    *place = value.count().or(*place);
}

/// The text, or as much of it as is kept.
pub(super) fn shortened(text: &str) -> String {
    cut(text, MAX_ERROR_TEXT).to_owned()
}

/// As much of a text as fits, cut between characters.
pub(super) fn cut(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
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
    fn an_end_mark_after_an_error_does_not_count_unless_it_tells_of_it() {
        let done = Note {
            done: true,
            ..Note::default()
        };
        let mut failed = Note::default();
        failed.error_message(&Scalar::Text("broken"));

        let mut note = failed.clone();
        note.merge(done.clone());
        assert!(!note.done);
        note.merge(Note {
            tells_failure: true,
            ..done.clone()
        });
        assert!(note.done);

        let mut note = Note::default();
        note.merge(done);
        assert!(note.done);
    }

    #[test]
    fn what_came_first_stays() {
        let mut text = Note::default();
        text.add_text(&Scalar::Text("x"));
        let mut error = Note::default();
        error.error_message(&Scalar::Text("broken"));

        let mut note = Note::default();
        note.merge(Note::default());
        assert_eq!(note.first, None);
        note.merge(error.clone());
        note.merge(text.clone());
        assert_eq!(note.first, Some(First::Error));

        let mut note = Note::default();
        note.merge(text);
        note.merge(error);
        assert_eq!(note.first, Some(First::Content));
    }

    #[test]
    fn texts_are_cut_between_characters() {
        let mut note = Note::default();
        note.error_message(&Scalar::Text(&"ü".repeat(MAX_ERROR_TEXT)));
        note.error_kind(&Scalar::Text(&format!("x{}", "ü".repeat(MAX_ERROR_TEXT))));
        name(
            &mut note.model,
            &Scalar::Text(&format!("x{}", "ü".repeat(MAX_NAME))),
        );
        let error = note.error.unwrap();
        assert_eq!(error.message.len(), MAX_ERROR_TEXT);
        assert_eq!(error.kind.len(), MAX_ERROR_TEXT - 1);
        assert_eq!(note.model.unwrap().len(), MAX_NAME - 1);
    }

    #[test]
    fn an_error_takes_what_stands_beside_it() {
        let mut note = Note::default();
        note.kind_beside(&Scalar::Text("rate_limited"));
        note.code_beside(&Scalar::Whole(1300));
        let beside = note.beside.clone();
        note.complete_error(&beside);
        assert_eq!(note.error, None, "nothing beside nothing");
        note.error_message(&Scalar::Text("m"));
        note.complete_error(&beside);
        let error = note.error.unwrap();
        assert_eq!(
            (&*error.kind, error.code.as_deref()),
            ("rate_limited", Some("1300"))
        );
    }
}
