//! OpenRouter's own limit of a day, on all models together that are free.
//!
//! Source: "Limits"; what it is called is known from reports.

use super::{super::ObservedQuantity::Requests, gemini::DAY, said::Said, text::Stated};

/// Its name.
const DAILY: &str = "openrouter_free_tier_daily";

/// What the text calls it. For accounts that have paid before, more is behind it.
const PER_DAY: &str = "free-models-per-day";

/// Whether an error is about the limit.
pub(super) fn is_about(said: &Said) -> bool {
    said.has(DAILY) || said.message.contains(PER_DAY)
}

/// What is known of the limit.
pub(super) fn stated() -> Stated {
    Stated {
        quantity: Some(Requests),
        window: Some(DAY),
        ..Stated::default()
    }
}
