//! Metrics as text.

use prometheus::TextEncoder;

use super::Metrics;

impl Metrics {
    /// The content type of what [`render`](Self::render) returns.
    pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

    /// All metrics as they are now, in Prometheus' text format, version 0.0.4.
    ///
    /// # Cancel safety
    /// If it is dropped, nothing is lost: the next call shows the same.
    pub async fn render(&self) -> String {
        self.gather().await;
        let families = self.shared.registry.gather();
        let mut text = String::new();
        // What is written into a text fails for a name that makes no sense, and these are ours.
        let written = TextEncoder::new().encode_utf8(&families, &mut text);
        debug_assert!(written.is_ok(), "{written:?}");
        text
    }
}
