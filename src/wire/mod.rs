//! What providers say on the wire: the facts of a request, the usage and errors of a response, and waits.
//!
//! Everything here is a pure function of bytes and headers. Nothing takes a lock, waits, or does I/O. Where the
//! time matters it is an argument, except that a date in an error within a stream is compared with the time of day. Whatever a peer sends, nothing panics, and what is kept of it is capped.
//!
//! | question | answer |
//! |---|---|
//! | which API is this call for? | [`Dialect::detect`] |
//! | what does the request ask for? | [`inspect`], with its URL [`inspect_call`] |
//! | what did the response consume? | [`Meter`], as a [`Reading`] |
//! | was anything generated yet? | [`Meter::stage`] |
//! | how is a stream ended with an error? | [`Meter::last_event`] |
//! | how is a stream made to report its usage without the caller noticing? | [`ask_for_usage`], [`HideUsage`] |
//! | how long does the provider want its caller to wait? | [`retry_after`], [`should_retry`], [`go_duration`] |
//! | what do the provider's own counters say? | [`rate_limits`] |
//! | what went wrong, and is it worth repeating? | [`classify`], [`ProviderError::in_stream`] |
//! | how does the same call go elsewhere, to another model? | [`endpoint`], [`with_model`] |
//! | how is a call refused in the caller's API? | [`error_body`] |
//!
//! # One dialect, one file
//!
//! A dialect is a table of request fields and one `match` over the JSON paths of its responses (`dialect/`). Events
//! that differ from the one before only in text, in counts, and in values that the dialect declares idle are not parsed
//! (`alike`). Framing (`framing/`), buffering, caps and the merging of cumulative counts are shared. A new dialect is a
//! new file, a variant of [`Dialect`], and a line in each of the two lists beside it.
//!
//! # One provider, one table
//!
//! Several providers speak one dialect and differ in three ways. What they report is recognized by its shape: nobody
//! has to name the provider to read a response. Their headers and the wording of their errors are rows in
//! `limits/providers.rs` and `classify/rules.rs`, both looked up by the provider's name.
//!
//! # What is not here
//!
//! Prices, limits, and the decision to repeat a call: this module reports what was said, and others decide what to do
//! about it. Compressed bodies are not decoded.

mod alike;
mod ask_for_usage;
mod cap_output;
mod classify;
mod counts;
mod dialect;
mod error_body;
#[cfg(feature = "tiktoken")]
mod exact;
mod framing;
mod hide_usage;
mod iterations;
mod kept;
#[cfg(feature = "tiktoken")]
mod lately;
mod limits;
mod meter;
mod note;
mod object;
mod others;
mod prompts;
mod quoted;
mod read;
mod readdress;
mod reading;
mod request;
mod retry_after;
mod scan;
mod shapes;
pub mod sse;
mod surrogates;
#[cfg(feature = "tiktoken")]
mod texts;
mod timestamp;
mod walk;
#[cfg(feature = "tiktoken")]
mod words;

#[cfg(feature = "simulate")]
pub(crate) use self::request::text_bytes;
pub use self::{
    ask_for_usage::{UsageAsk, ask_for_usage, streams_usage_only_if_asked},
    cap_output::cap_output,
    classify::{ErrorClass, ProviderError, classify},
    dialect::Dialect,
    error_body::error_body,
    hide_usage::HideUsage,
    iterations::Iteration,
    limits::{Observed, ObservedQuantity, rate_limits},
    meter::{Meter, Stage},
    readdress::{endpoint, with_model},
    reading::{Extras, Reading, Served, StreamError},
    request::{FactsError, RequestFacts, inspect, inspect_call},
    retry_after::{go_duration, retry_after, should_retry},
};
pub(crate) use self::{
    iterations::together, limits::may_show_limits, note::REFUSAL, others::Others,
    readdress::path_end,
};
