//! Google's `embedContent` and `batchEmbedContents`, of the Gemini API and of Vertex.
//!
//! Source: Gemini API reference, "Embeddings". That usage is in `usageMetadata` where it is told is known from Google's SDK.

use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::{
    super::{note::Note, walk::Scalar},
    Field, InUrl, Spec,
    gemini::Gemini,
};

pub(super) struct GeminiEmbed;

impl Spec for GeminiEmbed {
    fn provider(&self) -> Option<&'static str> {
        Gemini.provider()
    }

    fn serves(&self, path: &str, _headers: &HeaderMap) -> bool {
        self.in_url(path).model.is_some()
    }

    fn in_url(&self, path: &str) -> InUrl {
        let model = |suffix| InUrl::model(path, "/models/", suffix);
        InUrl {
            model: model(":embedContent").or_else(|| model(":batchEmbedContents")),
            stream: Some(false),
        }
    }

    /// Each of the requests names the model once more, which counts as text.
    fn request(&self) -> &'static [(&'static [&'static str], Field)] {
        &[(&["content"], Field::Text), (&["requests"], Field::Text)]
    }

    fn generates(&self) -> bool {
        false
    }

    /// The input is all there is.
    fn response(&self, path: &[&str], value: &Scalar<'_>, note: &mut Note) {
        if let ["usageMetadata" | "error", ..] = path {
            Gemini.response(path, value, note);
        }
    }

    fn error(&self, kind: &str, status: StatusCode, message: &str) -> (&'static str, Value) {
        Gemini.error(kind, status, message)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::read::read, *};

    #[test]
    fn the_input_is_all_that_is_used() {
        let json = r#"{"embeddings":[{"values":[0.5,-1]}],"usageMetadata":{"promptTokenCount":9}}"#;
        let note = read(&GeminiEmbed, json.as_bytes()).unwrap();
        let usage = note.counts.usage().unwrap();
        assert_eq!((usage.input, usage.output), (9, 0));
        assert!(note.counts.both());
        assert_eq!((note.text, note.has_content), (0, false));
    }

    #[test]
    fn an_error_is_googles() {
        let json = r#"{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED"}}"#;
        let error = read(&GeminiEmbed, json.as_bytes()).unwrap().error.unwrap();
        assert_eq!((&*error.kind, &*error.message), ("RESOURCE_EXHAUSTED", "m"));
    }
}
