//! Tower layers that keep programs calling LLM APIs inside their rate limits.

#[cfg(feature = "sim")]
pub mod sim;
