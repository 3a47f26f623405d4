//! What was used, summed.

use std::{borrow::Cow, collections::BTreeMap, ops::AddAssign};

use serde::{Deserialize, Serialize};

use crate::{limit::Demand, money::Money, usage::Usage};

/// Sums over attempts. `input` and `output` are whole amounts, as in [`Usage`]; the other token counts are parts of
/// them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Figures {
    /// Attempts that left, whatever became of them. A repeat is another attempt.
    pub requests: u64,
    /// Those of them whose usage the provider did not report. It was estimated from what was seen; if nothing was seen,
    /// it is what was reserved.
    pub estimated: u64,
    /// Those of them that cost more than `cost` contains, or may have: their model has no price, or they were charged
    /// for something that tokens do not show (searches and other tools, images, audio, where it was computed), or
    /// served in a dearer tier for which their price has no rates, and the provider did not say how much.
    pub unpriced: u64,
    /// Input tokens.
    pub input: u64,
    /// The part of the input that was read from a cache.
    pub cache_read: u64,
    /// The part of the input that was written to a cache.
    pub cache_write: u64,
    /// Output tokens.
    pub output: u64,
    /// The part of the output that was spent on reasoning.
    pub reasoning: u64,
    /// What the attempts cost.
    pub cost: Money,
    /// Attempts that were refused here and never left, by [kind](crate::Rejection::kind).
    pub refused: BTreeMap<Cow<'static, str>, u64>,
}

impl Figures {
    /// One attempt that used this.
    pub(crate) fn used(usage: &Usage, is_reported: bool, is_priced: bool) -> Self {
        Figures {
            requests: 1,
            estimated: (!is_reported).into(),
            unpriced: (!is_priced).into(),
            input: usage.input,
            cache_read: usage.cache_read,
            cache_write: usage.cache_write,
            output: usage.output,
            reasoning: usage.reasoning,
            cost: usage.cost.unwrap_or_default(),
            refused: BTreeMap::new(),
        }
    }

    /// One attempt of which nobody knows what it used: what was reserved.
    pub(crate) fn reserved(demand: &Demand, is_priced: bool) -> Self {
        let mut usage = Usage::new(demand.input, demand.output);
        usage.cost = Some(Money::from_nanos(demand.cost));
        Self::used(&usage, false, is_priced)
    }

    /// One attempt that was refused here.
    pub(crate) fn refused(kind: &'static str) -> Self {
        Figures {
            refused: BTreeMap::from([(kind.into(), 1)]),
            ..Figures::default()
        }
    }

    /// Returns input and output together.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.input.saturating_add(self.output)
    }

    /// Returns how many attempts were refused here, of any kind.
    #[must_use]
    pub fn all_refused(&self) -> u64 {
        let all = self.refused.values();
        all.fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Returns whether nothing happened.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Figures::default()
    }
}

impl AddAssign<&Figures> for Figures {
    /// Stays at the largest amounts instead of wrapping around.
    fn add_assign(&mut self, more: &Figures) {
        for (mine, more) in [
            (&mut self.requests, more.requests),
            (&mut self.estimated, more.estimated),
            (&mut self.unpriced, more.unpriced),
            (&mut self.input, more.input),
            (&mut self.cache_read, more.cache_read),
            (&mut self.cache_write, more.cache_write),
            (&mut self.output, more.output),
            (&mut self.reasoning, more.reasoning),
        ] {
            *mine = mine.saturating_add(more);
        }
        self.cost = self.cost + more.cost;
        for (kind, count) in &more.refused {
            let mine = self.refused.entry(kind.clone()).or_default();
            *mine = mine.saturating_add(*count);
        }
    }
}
