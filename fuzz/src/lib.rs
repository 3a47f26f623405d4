//! What is promised of whatever bytes come, one file a target. `run` panics where a promise is broken.
//!
//! The fuzz targets beside this folder call it with what libFuzzer finds, and `tests/fuzz_corpus.rs` of the crate with
//! what was found before. Both count memory by `stats_alloc`, which has to be their allocator.

mod chunks;
pub mod event_stream;
mod input;
mod memory;
mod metered;
pub mod ndjson;
pub mod rate_headers;
pub mod request_facts;
mod request_reference;
pub mod retry_after;
pub mod sse;

/// Panics where a promise is broken on this input.
pub type Target = fn(&[u8]);

/// Every target, by the name of its corpus.
pub const TARGETS: [(&str, Target); 6] = [
    ("event_stream", event_stream::run),
    ("ndjson", ndjson::run),
    ("rate_headers", rate_headers::run),
    ("request_facts", request_facts::run),
    ("retry_after", retry_after::run),
    ("sse", sse::run),
];
