//! What each model used of an answer that several had a part in (Anthropic).
//!
//! Sources: Anthropic's documentation, "Compaction", "Advisor tool", "Refusals and fallback"; its SDK on `usage.iterations`.
//! What compaction and advisors use is in no other count. Where another model takes over from one that has refused, the
//! counts of the whole are its own.

use crate::{
    usage::Usage,
    wire::{Dialect, Iteration, Others, REFUSAL, Reading, together},
};

/// The type of the iteration by which another model has given the answer.
const FALLBACK: &str = "fallback_message";

/// Who has used what.
pub(super) struct Shares {
    /// What counts as used by the call.
    pub(super) used: Usage,
    /// What is charged at the price of the model that was called, where that is not what it used.
    pub(super) charged: Option<Usage>,
    /// What is charged at the prices of others.
    pub(super) others: Others,
    /// Whether there were more of them than are told apart: what these used is in the rest.
    pub(super) is_mixed: bool,
}

impl Shares {
    /// All of it was used by the model that was called.
    fn whole(used: Usage) -> Self {
        Shares {
            used,
            charged: None,
            others: Others::default(),
            is_mixed: false,
        }
    }

    /// Of an answer in this dialect whose counts of the whole come to so much.
    pub(super) fn of(reading: &Reading, dialect: Dialect, whole: Usage) -> Self {
        let mut shares = Shares::whole(whole);
        let is_refused = dialect == Dialect::AnthropicMessages && is_refused(reading, &whole);
        if reading.iterations.is_empty() && !is_refused {
            return shares;
        }
        let fell_back = fell_back(&reading.iterations);
        let Own { asked, beside } = shares.divide(reading, fell_back, is_refused);
        let own = together(&asked, &beside);
        shares.used = match fell_back {
            true => together(&whole, &own),
            false => together(&larger(&whole, &asked), &beside),
        };
        shares.charged = (fell_back || is_refused).then_some(own);
        shares
    }

    /// Gives others what they used, and returns what is left. What a model has refused before it wrote anything may be free.
    fn divide(&mut self, reading: &Reading, fell_back: bool, is_refused: bool) -> Own {
        let mut own = Own::default();
        for iteration in &reading.iterations {
            let is_silent = is_asked(iteration) && iteration.usage.output == 0;
            if is_silent && (fell_back || is_refused) {
                continue;
            }
            let other = other(iteration, reading, fell_back);
            if other.is_some_and(|other| self.others.add(other, &iteration.usage)) {
                continue;
            }
            self.is_mixed |= other.is_some();
            let sum = match other.is_some() || is_beside(iteration) {
                true => &mut own.beside,
                false => &mut own.asked,
            };
            *sum = together(sum, &iteration.usage);
        }
        own
    }
}

/// What no other model used.
#[derive(Default)]
struct Own {
    /// For the answer itself, which is in the counts of the whole.
    asked: Usage,
    /// For something else, which is not.
    beside: Usage,
}

/// Whether it was refused before anything was generated. That is not charged:
/// <https://platform.claude.com/docs/en/test-and-evaluate/strengthen-guardrails/handle-streaming-refusals>.
fn is_refused(reading: &Reading, whole: &Usage) -> bool {
    let is_refusal = reading.finish.as_deref() == Some(REFUSAL);
    is_refusal && reading.usage_is_final && whole.output == 0 && reading.output_seen == 0
}

/// Whether the model was asked for the answer itself.
fn is_asked(iteration: &Iteration) -> bool {
    iteration.is("message") || iteration.is(FALLBACK)
}

/// Whether it was asked for a summary, or for advice.
fn is_beside(iteration: &Iteration) -> bool {
    iteration.is("compaction") || iteration.is("advisor_message")
}

/// Whether another model has taken over.
fn fell_back(iterations: &[Iteration]) -> bool {
    let asked = iterations.iter().filter(|iteration| is_asked(iteration));
    let mut models = asked.filter_map(|iteration| iteration.model.as_deref());
    let first = models.next();
    models.any(|model| Some(model) != first)
        || iterations.iter().any(|iteration| iteration.is(FALLBACK))
}

/// The model whose price an iteration has, where that is not the one that was called.
fn other<'r>(iteration: &'r Iteration, reading: &Reading, fell_back: bool) -> Option<&'r str> {
    let model = iteration.model.as_deref()?;
    // Where nobody takes over it is the one that was called which is asked and compacts, by whatever name.
    let is_own = is_asked(iteration) || iteration.is("compaction");
    let is_answering = reading.model.as_deref() == Some(model);
    (fell_back || !(is_own || is_answering)).then_some(model)
}

/// What both say, by kinds of tokens, as the larger amount: each may leave out what the other has.
fn larger(one: &Usage, other: &Usage) -> Usage {
    let cached = |usage: &Usage| usage.cache_read.saturating_add(usage.cache_write);
    let fresh = |usage: &Usage| usage.input.saturating_sub(cached(usage));
    let mut usage = *one;
    usage.cache_read = one.cache_read.max(other.cache_read);
    usage.cache_write = one.cache_write.max(other.cache_write);
    usage.cache_write_long = one.cache_write_long.max(other.cache_write_long);
    usage.input = fresh(one).max(fresh(other)).saturating_add(cached(&usage));
    usage.output = one.output.max(other.output);
    usage
}

#[cfg(test)]
#[path = "shares_tests.rs"]
mod tests;
