//! What there is to know of a dialect.

use std::borrow::Cow;

use http::{HeaderMap, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::super::{note::Note, walk::Scalar};

/// Events larger than this are dropped. The largest known ones repeat a whole answer.
const EVENT_CAP: usize = 1024 * 1024;

/// What a dialect knows. All of it is data or a `match`; nothing here keeps state.
pub(in super::super) trait Spec: Sync {
    /// See [`Dialect::provider`](super::Dialect::provider).
    fn provider(&self) -> Option<&'static str>;

    /// Whether a request with this path and these headers is written in this dialect.
    fn serves(&self, path: &str, headers: &HeaderMap) -> bool;

    /// What the path of such a request says.
    fn in_url(&self, _path: &str) -> InUrl {
        InUrl::default()
    }

    /// Where the facts of a request stand. A dialect without fields is never parsed, neither its
    /// requests nor its responses.
    fn request(&self) -> &'static [(&'static [&'static str], Field)];

    /// Whether the answer is a stream where the request does not say.
    fn streams_unasked(&self) -> bool {
        false
    }

    /// Whether the model writes anything.
    fn generates(&self) -> bool {
        true
    }

    /// Takes from a response what one value says. Called for each value of a JSON body, and of
    /// each event of a stream. Paths are those of [`Sink`](super::super::walk::Sink).
    fn response(&self, path: &[&str], value: &Scalar<'_>, note: &mut Note);

    /// An object of a response was read to its end: in a list, the values that come next are of another one.
    fn leave(&self, _path: &[&str], _note: &mut Note) {}

    /// Where values of events stand that [`response`](Spec::response) passes over, and that differ from one event to
    /// the next. Nothing else need be named.
    fn idle(&self) -> &'static [&'static [&'static str]] {
        &[]
    }

    /// What the headers of a response say of its usage, or of its error; nothing where they never do.
    fn headers(&self, _headers: &HeaderMap) -> Option<Box<Note>> {
        None
    }

    /// The JSON in an event, where it is wrapped; nothing if it is wrapped wrongly.
    fn unwrapped<'d>(&self, data: &'d [u8]) -> Option<Cow<'d, [u8]>> {
        Some(Cow::Borrowed(data))
    }

    /// Larger events are not read.
    fn event_cap(&self) -> usize {
        EVENT_CAP
    }

    /// How the key that has the usage in a body begins.
    fn usage_key(&self) -> &'static [u8] {
        b"\"usage"
    }

    /// Whether a JSON list is a stream of its elements.
    fn streams_lists(&self) -> bool {
        false
    }

    /// The data of the event that ends a stream, where that is not JSON.
    fn end_mark(&self) -> Option<&'static [u8]> {
        None
    }

    /// The content type and the content of an error answer.
    fn error(&self, kind: &str, status: StatusCode, message: &str) -> (&'static str, Value);

    /// The event that ends a stream with an error, with its name if events have names.
    fn last_event(
        &self,
        kind: &str,
        status: StatusCode,
        message: &str,
    ) -> (Option<&'static str>, Value) {
        (None, self.error(kind, status, message).1)
    }
}

/// What stands in the URL of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct InUrl {
    pub(in super::super) model: Option<String>,
    pub(in super::super) stream: Option<bool>,
}

impl InUrl {
    /// The model that stands in `path` between `before` and the suffix; percent-encoded there.
    pub(super) fn model(path: &str, before: &str, suffix: &str) -> Option<String> {
        // The cheaper questions first: most paths are of another API, and too short for this one.
        let path = path.strip_suffix(suffix)?;
        if path.len() <= before.len() {
            return None;
        }
        let (_, model) = path.rsplit_once(before)?;
        let model = percent_decode_str(model).decode_utf8_lossy();
        (!model.is_empty()).then(|| model.into_owned())
    }
}

/// What a field of a request means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Field {
    Model,
    /// The cap on output tokens.
    MaxOutput,
    /// An older name of the cap; counts where [`Field::MaxOutput`] is absent.
    OldMaxOutput,
    Stream,
    /// Whether it is generated to its end, whoever reads it.
    Background,
    /// How many answers are asked for.
    Choices,
    /// All text below is input.
    Text,
    /// The same, and each number is a token.
    TextOrTokens,
}
