//! What a model costs.

use serde::{Deserialize, Serialize};

use super::rate::{MILLION, Rate};
use crate::{
    money::{Money, scaled},
    usage::Usage,
};

/// What one model costs.
///
/// If the price of cached or written input, or of a long context, is not known, the dearer alternative is used: a
/// budget must not be exceeded because a price list has a gap.
///
/// ```
/// use tower_quota::{Usage, pricing::{Price, ServiceTier}};
///
/// // $2.50 and $10 for a million tokens, $1.25 for those read from a cache.
/// let mut price = Price::new("2.50".parse()?, "10".parse()?);
/// price.standard.cache_read = Some("1.25".parse()?);
/// let mut usage = Usage::new(1_000, 100);
/// usage.cache_read = 400;
/// assert_eq!(price.cost(&usage, ServiceTier::Standard).to_string(), "$0.003");
/// # Ok::<(), tower_quota::money::MoneyError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Price {
    /// What tokens normally cost.
    pub standard: Rates,
    /// What tokens cost in other service tiers.
    pub tiers: Vec<(ServiceTier, Rates)>,
    /// What all tokens of a request cost if its input is long; the shortest length first.
    pub long: Vec<Long>,
    /// The longest input that the model takes, in tokens.
    pub max_input: Option<u64>,
    /// The longest output that the model gives, in tokens.
    pub max_output: Option<u64>,
}

/// What tokens of each kind cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rates {
    /// Input that was not read from a cache.
    pub input: Rate,
    /// Output, including reasoning.
    pub output: Rate,
    /// Reasoning, if it costs something other than the rest of the output.
    pub reasoning: Option<Rate>,
    /// Input that was read from a cache. If not known, it costs the same as other input.
    pub cache_read: Option<Rate>,
    /// Input that was written to a cache, to be kept for the usual time. If not known, it costs the same as other
    /// input.
    pub cache_write: Option<Rate>,
    /// Input that was written to a cache, to be kept longer. If not known, it costs the same as input to be kept for
    /// the usual time.
    pub cache_write_long: Option<Rate>,
}

/// The price of requests with long inputs. It applies to all of their tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Long {
    /// Applies to inputs of more tokens than this, cached ones included.
    pub above: u64,
    /// What tokens cost then.
    pub standard: Rates,
    /// What tokens cost then in other service tiers.
    pub tiers: Vec<(ServiceTier, Rates)>,
}

/// How fast, or how late, a provider serves a request. It changes the price.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ServiceTier {
    /// The usual tier.
    #[default]
    Standard,
    /// In a batch, within a day.
    Batch,
    /// When there is room.
    Flex,
    /// Before others.
    Priority,
    /// Generated faster: Anthropic's fast mode, Bedrock's optimized latency.
    Fast,
    /// Before others and generated faster: OpenAI's `ultrafast`.
    Ultrafast,
}

impl Price {
    /// Whether tokens cost the same, as a rule and in tiers that both have, for inputs of any length. What only one of them
    /// states is no difference.
    pub(super) fn asks_as_much_as(&self, other: &Price) -> bool {
        let long = || {
            let mut both = self.long.iter().zip(&other.long);
            both.all(|(long, other)| {
                long.above == other.above && long.standard.agree_with(&other.standard)
            })
        };
        let tiers = || {
            let mut both = self.tiers_beside(other);
            both.all(|(_, rates, other)| rates.agree_with(other))
        };
        self.standard.agree_with(&other.standard)
            && self.long.len() == other.long.len()
            && long()
            && tiers()
    }

    /// Whether no token costs less than it does by `other`, as a rule, at the lengths of this, and in tiers that both have.
    pub(super) fn costs_no_less_than(&self, other: &Price) -> bool {
        let lengths = self.long.iter().map(|long| long.above.saturating_add(1));
        let standard = lengths
            .chain([0])
            .map(|length| (length, ServiceTier::Standard));
        let tiers = self.tiers_beside(other).map(|(tier, ..)| (0, tier));
        standard.chain(tiers).all(|(length, tier)| {
            let (ours, theirs) = (self.rates(length, tier), other.rates(length, tier));
            let mut kinds = ours.each().into_iter().zip(theirs.each());
            kinds.all(|(ours, theirs)| ours >= theirs)
        })
    }

    /// The tiers that both have, with the rates of this and of `other`.
    fn tiers_beside<'p>(
        &'p self,
        other: &'p Price,
    ) -> impl Iterator<Item = (ServiceTier, &'p Rates, &'p Rates)> {
        self.tiers.iter().filter_map(|(tier, rates)| {
            let (_, theirs) = other.tiers.iter().find(|(known, _)| known == tier)?;
            Some((*tier, rates, theirs))
        })
    }

    /// Creates a price of input and output alone.
    #[must_use]
    pub fn new(input: Rate, output: Rate) -> Self {
        Price {
            standard: Rates {
                input,
                output,
                ..Rates::default()
            },
            ..Price::default()
        }
    }

    /// Returns this price with other standard rates. Rates for long inputs and other tiers change in the same
    /// proportion as these; nothing else changes.
    #[must_use]
    pub fn with_rates(&self, rates: Rates) -> Self {
        let old = self.standard;
        let like = |other: &Rates| Rates {
            input: other.input.changed(old.input, rates.input),
            output: other.output.changed(old.output, rates.output),
            reasoning: other
                .reasoning
                .map(|rate| rate.changed(old.output, rates.output)),
            cache_read: other
                .cache_read
                .map(|rate| rate.changed(old.input, rates.input)),
            cache_write: other
                .cache_write
                .map(|rate| rate.changed(old.input, rates.input)),
            cache_write_long: other
                .cache_write_long
                .map(|rate| rate.changed(old.input, rates.input)),
        };
        let tiers = |tiers: &[(ServiceTier, Rates)]| {
            let tiers = tiers.iter();
            tiers.map(|(tier, rates)| (*tier, like(rates))).collect()
        };
        Price {
            standard: rates,
            tiers: tiers(&self.tiers),
            long: self
                .long
                .iter()
                .map(|long| Long {
                    above: long.above,
                    standard: like(&long.standard),
                    tiers: tiers(&long.tiers),
                })
                .collect(),
            ..self.clone()
        }
    }

    /// Returns whether everything is free.
    #[must_use]
    pub fn is_free(&self) -> bool {
        let tiers =
            |tiers: &'_ [(ServiceTier, Rates)]| tiers.iter().all(|(_, rates)| rates.are_zero());
        let long = |long: &Long| long.standard.are_zero() && tiers(&long.tiers);
        self.standard.are_zero() && tiers(&self.tiers) && self.long.iter().all(long)
    }

    /// Returns what `usage` costs, rounded up to the nano-dollar once. `tier` is the service tier that served it.
    #[must_use]
    pub fn cost(&self, usage: &Usage, tier: ServiceTier) -> Money {
        let [input, cached, write, keep, output, reason] = self.rates(usage.input, tier).each();
        let read = usage.cache_read.min(usage.input);
        let written = usage.cache_write.min(usage.input - read);
        let long = usage.cache_write_long.min(written);
        let reasoning = usage.reasoning.min(usage.output);
        sum([
            (usage.input - read - written, input),
            (read, cached),
            (written - long, write),
            (long, keep),
            (usage.output - reasoning, output),
            (reasoning, reason),
        ])
    }

    /// Returns the most that a request can cost whose input is at most `input` tokens and whose output is at most
    /// `output`, however much of it is read from or written to a cache, and however much of it is reasoning.
    #[must_use]
    pub fn bound(&self, input: u64, output: u64, tier: ServiceTier) -> Money {
        let at = |length| {
            let rates = self.rates(length, tier);
            let caches = [rates.cache_read, rates.cache_write, rates.cache_write_long];
            let dearest = caches.into_iter().flatten().fold(rates.input, Rate::max);
            let generated = rates.reasoning.unwrap_or(rates.output).max(rates.output);
            sum([(input, dearest), (output, generated)])
        };
        // It may also come out shorter than the bound, and a shorter input may be the dearer one.
        let lengths = self.long.iter().map(|long| long.above.saturating_add(1));
        let shorter = lengths.filter(|length| *length <= input).chain([0]);
        shorter.map(at).max().unwrap_or_default()
    }

    /// How many output tokens so much money does for, after an input of so many tokens, whatever of them is reasoning.
    pub(crate) fn output_for(&self, money: Money, input: u64, tier: ServiceTier) -> u64 {
        let rates = self.rates(input, tier);
        let dearest = rates.reasoning.unwrap_or(rates.output).max(rates.output);
        let millionths = u128::from(money.as_nanos()) * u128::from(MILLION);
        let tokens = millionths.checked_div(u128::from(dearest.as_nanos()));
        tokens.map_or(u64::MAX, |tokens| u64::try_from(tokens).unwrap_or(u64::MAX))
    }

    /// Whether it says what a request of this length costs in this tier.
    pub(crate) fn has_rates(&self, input: u64, tier: ServiceTier) -> bool {
        let long = self.long_rates(input).into_iter();
        let mut tiers = self.tiers.iter().chain(long.flat_map(|long| &long.tiers));
        tier == ServiceTier::Standard || tiers.any(|(known, _)| *known == tier)
    }

    /// The rates for long inputs that apply to one of this length.
    fn long_rates(&self, input: u64) -> Option<&Long> {
        self.long.iter().rev().find(|long| input > long.above)
    }

    /// The rates for a request of this length, in this tier.
    fn rates(&self, input: u64, tier: ServiceTier) -> Rates {
        let own = |tiers: &[(ServiceTier, Rates)]| {
            let found = tiers.iter().find(|(other, _)| *other == tier);
            found.map(|(_, rates)| *rates)
        };
        let Some(long) = self.long_rates(input) else {
            return match own(&self.tiers) {
                Some(tier) => tier.filled(&self.standard),
                None => self.standard,
            };
        };
        let standard = long.standard.filled(&self.standard);
        match (own(&long.tiers), own(&self.tiers)) {
            (Some(tier), _) => tier.filled(&standard),
            (None, None) => standard,
            // As much dearer as the tier is for others.
            (None, Some(tier)) => standard.in_tier(&self.standard, &tier).filled(&standard),
        }
    }
}

impl Rates {
    fn are_zero(&self) -> bool {
        let others = [
            self.reasoning,
            self.cache_read,
            self.cache_write,
            self.cache_write_long,
        ];
        let mut all = [self.input, self.output]
            .into_iter()
            .chain(others.into_iter().flatten());
        all.all(|rate| rate == Rate::default())
    }

    /// What a token of each kind comes to: input, read from a cache, written to one, and to be kept there longer; output,
    /// and reasoning.
    pub(super) fn each(&self) -> [Rate; 6] {
        let written = self.cache_write.unwrap_or(self.input);
        [
            self.input,
            self.cache_read.unwrap_or(self.input),
            written,
            self.cache_write_long.unwrap_or(written),
            self.output,
            self.reasoning.unwrap_or(self.output),
        ]
    }

    /// Whether these are no others than `other`, as far as both state them.
    fn agree_with(&self, other: &Rates) -> bool {
        let optional = |rates: &Rates| {
            [
                rates.reasoning,
                rates.cache_read,
                rates.cache_write,
                rates.cache_write_long,
            ]
        };
        let mut both = optional(self).into_iter().zip(optional(other));
        (self.input, self.output) == (other.input, other.output)
            && both.all(|(ours, theirs)| ours.is_none() || theirs.is_none() || ours == theirs)
    }

    /// These, as much dearer as `tier` is beside `like`. What `tier` leaves open is left open.
    fn in_tier(&self, like: &Rates, tier: &Rates) -> Self {
        let (own, from, to) = (self.each(), like.each(), tier.each());
        let [input, read, written, kept, output, reasoning] =
            std::array::from_fn(|kind| own[kind].like(from[kind], to[kind]));
        Rates {
            input,
            output,
            reasoning: tier.reasoning.and(Some(reasoning)),
            cache_read: tier.cache_read.and(Some(read)),
            cache_write: tier.cache_write.and(Some(written)),
            cache_write_long: tier.cache_write_long.and(Some(kept)),
        }
    }

    /// These times a decimal factor.
    pub(super) fn scaled(self, factor: &str) -> Option<Self> {
        let millionths = u64::try_from(scaled(factor, 6)?).ok()?;
        let times = |rate: Rate| rate.times(millionths, MILLION);
        Some(Rates {
            input: times(self.input),
            output: times(self.output),
            reasoning: self.reasoning.map(times),
            cache_read: self.cache_read.map(times),
            cache_write: self.cache_write.map(times),
            cache_write_long: self.cache_write_long.map(times),
        })
    }

    /// These, with what they leave open in the same proportion to the input, or to the output, as `like` has it.
    fn filled(self, like: &Rates) -> Self {
        let fill = |own: Option<Rate>, open: Option<Rate>| {
            own.or(open.map(|rate| rate.like(like.input, self.input)))
        };
        Rates {
            reasoning: self.reasoning.or(like
                .reasoning
                .map(|rate| rate.like(like.output, self.output))),
            cache_read: fill(self.cache_read, like.cache_read),
            cache_write: fill(self.cache_write, like.cache_write),
            cache_write_long: fill(self.cache_write_long, like.cache_write_long),
            ..self
        }
    }
}

/// The cost of these tokens, rounded up once.
fn sum<const N: usize>(kinds: [(u64, Rate); N]) -> Money {
    let parts = kinds.map(|(tokens, rate)| u128::from(tokens) * u128::from(rate.as_nanos()));
    let all = parts.into_iter().fold(0u128, u128::saturating_add);
    let nanos = all.div_ceil(u128::from(MILLION));
    Money::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
#[path = "price_tests.rs"]
mod tests;
