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

    /// Of an answer in this dialect whose counts of the whole come to so much. Before the last word nobody knows who is to
    /// give the rest of it, and what was seen of it counts.
    pub(super) fn of(reading: &Reading, dialect: Dialect, whole: Usage, is_final: bool) -> Self {
        let mut shares = Shares::whole(whole);
        let is_refused = dialect == Dialect::AnthropicMessages && is_refused(reading, &whole);
        if reading.iterations.is_empty() && !is_refused {
            return shares;
        }
        let fell_back = is_final && fell_back(&reading.iterations);
        let mut own = shares.divide(reading, fell_back, is_refused);
        if fell_back && !is_refused {
            own.served = together(&own.served, &shares.untold(reading, &whole));
        }
        let asked = match fell_back {
            true => together(&whole, &own.asked),
            false => larger(&whole, &own.asked),
        };
        shares.used = together(&asked, &own.beside);
        shares.charged = (fell_back || is_refused).then(|| own.all());
        shares
    }

    /// Gives others what they used, and returns what is left. What a model has refused before it wrote anything may be free.
    fn divide(&mut self, reading: &Reading, fell_back: bool, is_refused: bool) -> Own {
        let mut own = Own::default();
        for iteration in &reading.iterations {
            let is_silent = is_asked(iteration) && iteration.usage.output == 0;
            let is_passed_on = fell_back && !has_served(iteration, reading);
            if is_silent && (is_refused || is_passed_on) {
                continue;
            }
            let other = other(iteration, reading, fell_back);
            if other.is_some_and(|other| self.others.add(other, &iteration.usage)) {
                continue;
            }
            self.is_mixed |= other.is_some();
            let sum = if fell_back && has_served(iteration, reading) {
                &mut own.served
            } else if other.is_some() || is_beside(iteration) {
                &mut own.beside
            } else {
                &mut own.asked
            };
            *sum = together(sum, &iteration.usage);
        }
        own
    }

    /// What the model that took over used by the counts of the whole, and by no iteration: it is given to it. Returned where
    /// there is no room for it.
    fn untold(&mut self, reading: &Reading, whole: &Usage) -> Usage {
        let served = reading.iterations.iter();
        let served = served.filter(|iteration| has_served(iteration, reading));
        let told = served.fold(Usage::default(), |sum, iteration| {
            together(&sum, &iteration.usage)
        });
        let missing = missing(whole, &told);
        let model = served_by(reading).filter(|_| missing.total() > 0);
        let is_given = model.is_some_and(|model| self.others.add(model, &missing));
        self.is_mixed |= model.is_some() && !is_given;
        match is_given {
            true => Usage::default(),
            false => missing,
        }
    }
}

/// What no other model used.
#[derive(Default)]
struct Own {
    /// For the answer itself, which is in the counts of the whole unless another model took over.
    asked: Usage,
    /// For something else, which is not.
    beside: Usage,
    /// By the model that took over, where there is no room for it. That is in the counts of the whole as well.
    served: Usage,
}

impl Own {
    fn all(&self) -> Usage {
        together(&together(&self.asked, &self.beside), &self.served)
    }
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

/// Whether it is the model that took over which was asked there.
fn has_served(iteration: &Iteration, reading: &Reading) -> bool {
    let is_answering = |model| served_by(reading) == Some(model);
    let model = iteration.model.as_deref();
    iteration.is(FALLBACK) || is_asked(iteration) && model.is_some_and(is_answering)
}

/// The model that took over: the one that is named as such, or else the one that the answer names.
fn served_by(reading: &Reading) -> Option<&str> {
    let mut iterations = reading.iterations.iter().rev();
    let named = iterations.find(|iteration| iteration.is(FALLBACK) && iteration.model.is_some());
    let named = named.and_then(|iteration| iteration.model.as_deref());
    named.or(reading.model.as_deref())
}

/// The model whose price an iteration has, where that is not the one that was called.
fn other<'r>(iteration: &'r Iteration, reading: &'r Reading, fell_back: bool) -> Option<&'r str> {
    let Some(model) = iteration.model.as_deref() else {
        let is_served = fell_back && iteration.is(FALLBACK);
        return is_served.then(|| served_by(reading)).flatten();
    };
    // Where nobody takes over it is the one that was called which is asked and compacts, by whatever name.
    let is_own = is_asked(iteration) || iteration.is("compaction");
    let is_answering = reading.model.as_deref() == Some(model);
    (fell_back || !(is_own || is_answering)).then_some(model)
}

/// What both say, by kinds of tokens, as the larger amount: each may leave out what the other has.
fn larger(one: &Usage, other: &Usage) -> Usage {
    by_kinds(one, other, u64::max)
}

/// What is in the whole, by kinds of tokens, and is not told of its parts.
fn missing(whole: &Usage, told: &Usage) -> Usage {
    by_kinds(whole, told, u64::saturating_sub)
}

/// Both, with the tokens of each kind put together so.
fn by_kinds(one: &Usage, other: &Usage, put: fn(u64, u64) -> u64) -> Usage {
    let cached = |usage: &Usage| usage.cache_read.saturating_add(usage.cache_write);
    let fresh = |usage: &Usage| usage.input.saturating_sub(cached(usage));
    let mut usage = *one;
    usage.cache_read = put(one.cache_read, other.cache_read);
    usage.cache_write_long = put(one.cache_write_long, other.cache_write_long);
    let written = put(one.cache_write, other.cache_write);
    usage.cache_write = written.max(usage.cache_write_long);
    usage.input = put(fresh(one), fresh(other)).saturating_add(cached(&usage));
    usage.output = put(one.output, other.output);
    usage
}

#[cfg(test)]
#[path = "shares_tests.rs"]
mod tests;
