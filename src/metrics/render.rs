//! Metrics as text.

use prometheus::TextEncoder;

use super::Metrics;

impl Metrics {
    /// What [`render`](Self::render) is, as a content type.
    pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

    /// All metrics as they are now, in Prometheus' text format, version 0.0.4.
    ///
    /// # Cancel safety
    /// Nothing is lost: the next one shows the same.
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
