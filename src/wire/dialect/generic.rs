//! Any HTTP API. Its bodies are passed over; refusals are problem details (RFC 9457).

use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::{
    super::{note::Note, walk::Scalar},
    Field, Spec,
};
use crate::error::help;

pub(super) struct Generic;

impl Spec for Generic {
    fn provider(&self) -> Option<&'static str> {
        None
    }

    fn serves(&self, _path: &str, _headers: &HeaderMap) -> bool {
        true
    }

    fn request(&self) -> &'static [(&'static [&'static str], Field)] {
        &[]
    }

    fn response(&self, _path: &[&str], _value: &Scalar<'_>, _note: &mut Note) {}

    /// The type is the guide's entry on the kind, where it is one of ours; else `about:blank`, which says that the problem
    /// is what the status says. The title is the status's own phrase. `code` and `error` are extension members: what official SDKs ask for besides answers (a list
    /// of models, a count of tokens) comes here too, and they look for a message in `error`.
    fn error(&self, kind: &str, status: StatusCode, message: &str) -> (&'static str, Value) {
        let problem = json!({
            "type": help::entry_of(kind).as_deref().unwrap_or("about:blank"),
            "title": status.canonical_reason().unwrap_or("Error"),
            "status": status.as_u16(),
            "detail": message,
            "code": kind,
            "error": { "message": message, "code": kind },
        });
        ("application/problem+json", problem)
    }
}
