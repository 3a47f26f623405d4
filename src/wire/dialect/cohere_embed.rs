//! Cohere "Embed" and "Rerank", version 2.
//!
//! Source: Cohere's API reference, "Embed", "Rerank".

use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::{
    super::{note::Note, walk::Scalar},
    Field, Spec,
    cohere_chat::{CohereChat, usage},
};

pub(super) struct CohereEmbed;

impl Spec for CohereEmbed {
    fn provider(&self) -> Option<&'static str> {
        Some("cohere")
    }

    fn serves(&self, path: &str, _headers: &HeaderMap) -> bool {
        path.ends_with("/v2/embed") || path.ends_with("/v2/rerank")
    }

    fn request(&self) -> &'static [(&'static [&'static str], Field)] {
        &[
            (&["model"], Field::Model),
            (&["texts"], Field::Text),
            (&["inputs"], Field::Text),
            (&["images"], Field::Text),
            (&["query"], Field::Text),
            (&["documents"], Field::Text),
        ]
    }

    fn generates(&self) -> bool {
        false
    }

    fn usage_key(&self) -> &'static [u8] {
        b"\"meta\""
    }

    /// The input is all there is; rerank is charged in units of searches.
    fn response(&self, path: &[&str], value: &Scalar<'_>, note: &mut Note) {
        match path {
            ["meta", rest @ ..] => {
                note.counts.output_may_be_absent = true;
                usage(rest, value, note);
            }
            ["message"] => note.error_message(value),
            _ => {}
        }
    }

    fn error(&self, kind: &str, status: StatusCode, message: &str) -> (&'static str, Value) {
        CohereChat.error(kind, status, message)
    }
}
