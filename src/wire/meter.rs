//! What a response consumed, read while it passes.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::{
    Dialect, ProviderError,
    alike::Alike,
    framing::{Framing, is_encoded},
    note::{First, Note},
    read::read_event,
    reading::{Extras, Reading},
    request::tokens,
};

/// Reads the usage of one response from its body, chunk by chunk, without changing it.
///
/// - `text/event-stream`, NDJSON and `application/vnd.amazon.eventstream` are parsed as they pass, and so is JSON that
///   begins with `[` in [`Dialect::Gemini`]. An event of more than 1 MiB (8 MiB where events may contain images:
///   [`Dialect::Gemini`], [`Dialect::OpenAiChat`] and [`Dialect::OpenAiResponses`]), or with a wrong checksum, is not read; its bytes count as
///   text.
/// - `application/json` (and `+json`) is kept, and read as soon as it is complete. Of a body of more than 1 MiB, strings of
///   more than 256 bytes and what stands in more than five brackets are left out. If the rest is still more than 256 KiB,
///   only the last 64 KiB are read; usage is found if it is in there, as it is in all known dialects, but an error is not,
///   nor are the tools that were used.
/// - Anything else, anything with a `content-encoding`, and every [`Dialect::Generic`] response is only counted. What has a
///   `content-encoding` is never complete, unless its headers told the usage: how long it is says nothing of its text.
///
/// Memory stays below a few times these caps. A meter holds text of the answer, which its `Debug` does not show.
///
/// ```
/// use http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE};
/// use tower_quota::{usage::Usage, wire::{Dialect, Meter}};
///
/// let mut headers = HeaderMap::new();
/// headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
/// let mut meter = Meter::new(Dialect::OpenAiChat, StatusCode::OK, &headers);
/// meter.push(br#"{"choices":[],"usage":{"prompt_tokens":"#);
/// assert!(!meter.reading().complete);
/// meter.push(br#"7,"completion_tokens":2}}"#);
/// meter.end();
/// assert_eq!(meter.reading().usage, Some(Usage::new(7, 2)));
/// ```
pub struct Meter {
    dialect: Dialect,
    is_success: bool,
    bytes: u64,
    is_ended: bool,
    /// What was read so far, if anything. Apart, as it is large: a meter stands in the futures of those who read a body.
    note: Option<Box<Note>>,
    pub(super) alike: Alike,
    framing: Framing,
    /// Whether its content is encoded, so that nothing of it can be read.
    is_encoded: bool,
}

/// How far a stream has come; see [`Meter::stage`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// Nothing was generated yet: there were only events such as `message_start`, `ping`, `response.created`, or a
    /// chunk that names the role.
    Preamble,
    /// Something was generated, or was dropped unread and may have been just that.
    Content,
    /// An error came before anything was generated.
    Error(ProviderError),
    /// The stream ended without either.
    End,
}

impl Meter {
    /// Creates a meter for a response with this status and these headers.
    #[must_use]
    pub fn new(dialect: Dialect, status: StatusCode, headers: &HeaderMap) -> Meter {
        let spec = dialect.spec();
        Meter {
            dialect,
            is_success: status.is_success(),
            bytes: 0,
            is_ended: false,
            note: spec.headers(headers),
            alike: Alike::default(),
            framing: Framing::of(spec, headers),
            is_encoded: is_encoded(headers),
        }
    }

    /// Takes the next chunk of the body. Chunks after the end are ignored.
    pub fn push(&mut self, chunk: &[u8]) {
        if self.is_ended {
            return;
        }
        self.bytes = self.bytes.saturating_add(chunk.len() as u64);
        if let Framing::Json(kept) = &mut self.framing {
            // Read when it is whole.
            return kept.push(chunk);
        }
        let (spec, alike) = (self.dialect.spec(), &mut self.alike);
        let note = self.note.get_or_insert_default();
        self.framing
            .push(spec, chunk, |frame| read_event(spec, &frame, note, alike));
        self.first_dropped();
        let is_closed = self.framing.is_closed();
        if let Some(note) = &mut self.note {
            note.done |= is_closed && note.may_end && note.error.is_none();
        }
    }

    /// Tells the meter that the body ended cleanly. For a body that broke off, just stop pushing.
    pub fn end(&mut self) {
        if !std::mem::replace(&mut self.is_ended, true) {
            let (spec, alike) = (self.dialect.spec(), &mut self.alike);
            let Some(note) = &mut self.note else {
                return;
            };
            self.framing
                .end(|frame| read_event(spec, &frame, note, alike));
            self.first_dropped();
            if let Some(note) = &mut self.note {
                note.done |= note.may_end && note.error.is_none();
            }
        }
    }

    /// Returns what is known so far. This can be called at any moment, even if the body is never read to its end.
    ///
    /// For streams this costs next to nothing. A JSON body is parsed by each call, so call it once, when no more of the
    /// body is to come.
    #[must_use]
    pub fn reading(&self) -> Reading {
        self.read(true)
    }

    /// The same to count by: the names of the model and of the end may be left out.
    pub(crate) fn reading_to_count(&self) -> Reading {
        self.read(false)
    }

    fn read(&self, wanted: bool) -> Reading {
        match &self.framing {
            Framing::Json(kept) => match kept.read(self.dialect, wanted) {
                Some(mut found) => {
                    found.done = true;
                    let text = if kept.is_cut() {
                        self.bytes
                    } else {
                        found.text
                    };
                    match &self.note {
                        None => {
                            found.alone();
                            self.report(found, text, true)
                        }
                        Some(head) => {
                            found.complete_error(&head.beside);
                            let mut note = Note::clone(head);
                            note.merge(found);
                            self.report(note, text, true)
                        }
                    }
                }
                None => self.report(self.note(), self.bytes, self.is_ended && kept.is_cut()),
            },
            Framing::Counted => {
                let note = self.note();
                // Of what is compressed, its length says nothing.
                let is_read = !self.is_encoded || note.counts.usage().is_some();
                self.report(note, self.bytes, self.is_ended && is_read)
            }
            _ => self.report(self.note(), self.streamed_text(), self.is_done()),
        }
    }

    /// Returns the output tokens of a stream so far: what was reported, or what was seen if that is more; see
    /// [`Reading::output_seen`]. 0 if the body is not a stream. Costs next to nothing.
    #[must_use]
    pub fn output_streamed(&self) -> u64 {
        if !self.is_stream() || !self.is_success {
            return 0;
        }
        let Some(note) = &self.note else {
            return 0;
        };
        let reported = note.counts.usage().map_or(0, |usage| usage.output);
        self.output_of(note, self.streamed_text()).max(reported)
    }

    /// Returns whether the body comes in events, while the answer is generated.
    ///
    /// JSON of [`Dialect::Gemini`] is not known to be a stream before its first byte.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        self.framing.is_stream()
    }

    /// Returns how far the stream has come. Once this is not [`Stage::Preamble`] any more, it does not change.
    ///
    /// During the preamble, nothing is lost if what has passed is thrown away and the call goes elsewhere. How long to
    /// hold it back, and how much of it, is for the caller to decide. `provider` is that of
    /// [`classify`](super::classify). A body that is not a stream is content.
    ///
    /// ```
    /// use http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE};
    /// use tower_quota::wire::{Dialect, ErrorClass, Meter, Stage};
    ///
    /// let mut headers = HeaderMap::new();
    /// headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    /// let mut meter = Meter::new(Dialect::AnthropicMessages, StatusCode::OK, &headers);
    /// meter.push(b"event: ping\ndata: {\"type\":\"ping\"}\n\n");
    /// assert_eq!(meter.stage("anthropic"), Stage::Preamble);
    /// meter.push(b"event: error\ndata: {\"error\":{\"type\":\"overloaded_error\"}}\n\n");
    /// let Stage::Error(error) = meter.stage("anthropic") else { panic!() };
    /// assert_eq!(error.class, ErrorClass::Overloaded);
    /// ```
    #[must_use]
    pub fn stage(&self, provider: &str) -> Stage {
        let undecided = matches!(self.framing, Framing::Undecided);
        if !self.is_stream() && !undecided {
            return Stage::Content;
        }
        let note = self.note.as_ref();
        let (first, error) = note.map_or((None, &None), |note| (note.first, &note.error));
        match (first, error) {
            (Some(First::Content), _) => Stage::Content,
            (Some(First::Error), Some(error)) => {
                Stage::Error(ProviderError::in_stream(provider, error))
            }
            (Some(First::End), _) => Stage::End,
            _ if self.is_ended => Stage::End,
            _ => Stage::Preamble,
        }
    }

    /// Returns whether the stream may be [ended](Self::last_event) here: the body is a stream, it has not ended, and no
    /// event is incomplete.
    #[must_use]
    pub fn is_between(&self) -> bool {
        !self.is_ended && !self.is_done() && self.framing.is_between()
    }

    /// Returns the bytes that end the stream here with an error, as an SDK of the dialect shows it to its user. `kind`
    /// and `status` are those of [`error_body`](super::error_body).
    ///
    /// Returns `None` if there is no valid way to do so: the body is not a stream, it has ended, or an event is
    /// incomplete. After the next chunk it may be possible.
    ///
    /// | stream | what ends it |
    /// |---|---|
    /// | OpenAI chat | a chunk with `error`, and `[DONE]` |
    /// | OpenAI responses, Anthropic | an event `error` |
    /// | Gemini, Ollama | an object with `error`; in a list also the last bracket |
    /// | Cohere | `message-end` with the reason `ERROR` |
    /// | Bedrock | an exception |
    ///
    /// It is not what providers send when an answer is full (`length`, `max_tokens`): SDKs take that for an answer that
    /// is merely long, and show no reason. `kind` is in all of them but Bedrock's, whose names are fixed.
    #[must_use]
    pub fn last_event(&self, kind: &str, status: StatusCode, message: &str) -> Option<Bytes> {
        if !self.is_between() {
            return None;
        }
        let spec = self.dialect.spec();
        let (name, event) = spec.last_event(kind, status, message);
        self.framing
            .last_event(name, &event.to_string(), spec.end_mark())
    }

    /// What was dropped unread may have been content, and after content nothing is the first any more.
    fn first_dropped(&mut self) {
        if self.framing.dropped_bytes() > 0 {
            let note = self.note.get_or_insert_default();
            note.first = note.first.or(Some(First::Content));
        }
    }

    fn is_done(&self) -> bool {
        self.note.as_ref().is_some_and(|note| note.done)
    }

    fn streamed_text(&self) -> u64 {
        let read = self.note.as_ref().map_or(0, |note| note.text);
        read.saturating_add(self.framing.dropped_bytes())
    }

    fn output_of(&self, note: &Note, text_bytes: u64) -> u64 {
        let generates = self.dialect != Dialect::Generic && self.dialect.spec().generates();
        if self.is_success && generates {
            tokens(text_bytes).max(note.has_content.into())
        } else {
            0
        }
    }

    /// Whether a stream of this kind begins with counts that are none yet: that it ends does not make them the last ones.
    fn counts_first(&self) -> bool {
        self.is_stream() && self.dialect == Dialect::AnthropicMessages
    }

    fn note(&self) -> Note {
        self.note.as_deref().cloned().unwrap_or_default()
    }

    fn report(&self, note: Note, text_bytes: u64, complete: bool) -> Reading {
        let is_last = note.closes || (note.done && !self.counts_first());
        let output_seen = self.output_of(&note, text_bytes);
        let compacted = note.iterations.compacted();
        Reading {
            text_bytes: if output_seen > 0 { text_bytes } else { 0 },
            usage: note.counts.usage(),
            usage_is_final: is_last && note.counts.both() && note.error.is_none(),
            output_seen,
            complete,
            error: note.error,
            bytes: self.bytes,
            model: note.model,
            finish: note.finish,
            served: note.served,
            cost: note.cost,
            extras: Extras {
                compaction_input: compacted.input,
                compaction_output: compacted.output,
                ..note.counts.extras(&note.extras)
            },
            iterations: note.iterations.into_told(),
        }
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter")
            .field("dialect", &self.dialect)
            .field("bytes", &self.bytes)
            .field("is_ended", &self.is_ended)
            .field("counts", &self.note().counts)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "meter_tests.rs"]
mod tests;
