//! Tower layers that keep programs calling LLM APIs inside their rate limits.

pub mod usage;
pub mod wire;
