//! LiteLLM's price file, `model_prices_and_context_window.json`.
//!
//! Its fields are `<kind>[_above_1hr|_above_12hr][_above_<N>k_tokens][_<tier>]`, in dollars a token. Some models have
//! a list of lengths instead, `tiered_pricing`, with the same fields in it.

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize as _;
use serde_json::value::RawValue;

use super::{Long, Price, PriceTable, Rate, Rates, ServiceTier, name};
use crate::money::scaled;

/// What was read of a price file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LiteLlm {
    /// How many models have a price now.
    pub models: usize,
    /// For models that have a price: prices in the file that are for something other than tokens, or in a form that is
    /// not known, and what regions cost more. These are not counted.
    pub not_understood: BTreeMap<String, Vec<String>>,
    /// Models without a usable price for tokens: they are left out, and have no price.
    pub left_out: Vec<String>,
    /// Models whose price is not taken because another one has the same name here: `azure_ai/gpt-x` beside
    /// `azure/gpt-x`.
    pub same_name: Vec<String>,
}

/// The error for a price file that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the price file is not an object of models: {0}")]
pub struct LiteLlmError(#[from] serde_json::Error);

/// A field of a price in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Field {
    kind: Kind,
    /// More input than so many tokens.
    above: Option<u64>,
    tier: ServiceTier,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Input,
    Output,
    Reasoning,
    CacheRead,
    CacheWrite,
    CacheWriteLong,
}

const KINDS: [(&str, Kind); 6] = [
    ("input_cost_per_token_cache_hit", Kind::CacheRead),
    ("input_cost_per_token", Kind::Input),
    ("output_cost_per_token", Kind::Output),
    ("output_cost_per_reasoning_token", Kind::Reasoning),
    ("cache_read_input_token_cost", Kind::CacheRead),
    ("cache_creation_input_token_cost", Kind::CacheWrite),
];

const TIERS: [(&str, ServiceTier); 4] = [
    ("_batches", ServiceTier::Batch),
    ("_flex", ServiceTier::Flex),
    ("_priority", ServiceTier::Priority),
    ("_ultrafast", ServiceTier::Ultrafast),
];

/// In the names of factors on all rates of a region.
const OF_REGION: &str = "_uplift_multiplier";

impl PriceTable {
    /// Reads LiteLLM's price file on top of what is here.
    ///
    /// Prices are read as decimals, not as floats, and rounded up to what a [`Rate`] can be. A price of 0 means free,
    /// as it does in that file. Prices by the image, the second or the query are not understood, and are reported as
    /// such.
    ///
    /// # Errors
    /// If the text is not an object of objects. Nothing has changed then.
    pub fn read_litellm(&mut self, json: &str) -> Result<LiteLlm, LiteLlmError> {
        let models: BTreeMap<String, Fields<'_>> = serde_json::from_str(json)?;
        let (mut read, mut listed) = (LiteLlm::default(), Vec::new());
        for (name, fields) in models {
            if name == "sample_spec" {
                continue;
            }
            let text = |raw: &&RawValue| String::deserialize(*raw).ok();
            let provider = fields.get("litellm_provider").and_then(text);
            let provider = provider.unwrap_or_default();
            let (price, not_understood) = price(&provider, &fields);
            match price {
                Some(price) => listed.push((name, provider, price, not_understood)),
                None => read.left_out.push(name),
            }
        }
        // Of two with one name the one goes first whose provider has that name with us as well, and then the one with
        // the provider in front, as LiteLLM looks it up.
        listed.sort_by_key(|(name, provider, ..)| {
            let is_short = bare(name, provider) == name;
            (name::provider(provider) != provider, is_short)
        });
        let mut taken = HashSet::new();
        for (name, provider, price, not_understood) in listed {
            let model = bare(&name, &provider).to_owned();
            if !taken.insert((name::provider(&provider).to_owned(), model.clone())) {
                read.same_name.push(name);
                continue;
            }
            self.list(&provider, &model, price);
            read.models += 1;
            if !not_understood.is_empty() {
                read.not_understood.insert(name, not_understood);
            }
        }
        Ok(read)
    }
}

/// What the file says of one model, or of one length of its inputs.
type Fields<'j> = BTreeMap<String, &'j RawValue>;

/// The name without its provider in front.
fn bare<'n>(name: &'n str, provider: &str) -> &'n str {
    match name.split_once('/') {
        Some((first, rest)) if name::provider(first) == name::provider(provider) => rest,
        _ => name,
    }
}

/// The price in these fields, if tokens have one, and the prices that are not understood.
fn price(provider: &str, fields: &Fields<'_>) -> (Option<Price>, Vec<String>) {
    let mut price = Price::default();
    let mut all = All::default();
    for (name, value) in fields {
        let count = || value.get().parse::<u64>().ok();
        match name.as_str() {
            "max_input_tokens" => price.max_input = count(),
            "max_output_tokens" => price.max_output = count(),
            "tiered_pricing" => all.lengths(value),
            "off_peak_pricing" => all.not_understood.push(name.clone()),
            "provider_specific_entry" => all.factors(name, value),
            _ if value.get() == "null" => {}
            _ if name.contains(OF_REGION) => all.not_understood.push(name.clone()),
            // Descriptions.
            _ if !name.contains("cost") => {}
            _ => all.rate(name, value, None),
        }
    }
    let standard = all
        .said
        .remove(&(None, ServiceTier::Standard))
        .unwrap_or_default();
    let priced = standard.contains_key(&Kind::Input) || standard.contains_key(&Kind::Output);
    price.standard = rates(&standard, &Rates::default());
    for ((above, tier), said) in all.said {
        match (above, tier) {
            (None, tier) => price.tiers.push((tier, rates(&said, &price.standard))),
            (Some(above), ServiceTier::Standard) => {
                price.long_of(above).standard = rates(&said, &price.standard);
            }
            (Some(above), tier) => {
                let like = price.long_of(above).standard;
                price.long_of(above).tiers.push((tier, rates(&said, &like)));
            }
        }
    }
    let fast = fields.get("provider_specific_entry").and_then(factor);
    let fast = fast.and_then(|factor| price.standard.scaled(factor));
    price
        .tiers
        .extend(fast.map(|rates| (ServiceTier::Fast, rates)));
    if provider == "xai" {
        // There the longer length begins with its first token, as it is named, and not behind it.
        for long in &mut price.long {
            long.above = long.above.saturating_sub(1);
        }
    }
    (
        (priced && all.is_whole).then_some(price),
        all.not_understood,
    )
}

/// How much dearer it is to be served fast.
fn factor<'j>(entry: &&'j RawValue) -> Option<&'j str> {
    let entry: Fields<'j> = serde_json::from_str(entry.get()).ok()?;
    entry.get("fast").map(|factor| factor.get())
}

/// All rates of one model.
struct All {
    said: BTreeMap<(Option<u64>, ServiceTier), Said>,
    not_understood: Vec<String>,
    /// What tokens cost is there, and everything of it is understood.
    is_whole: bool,
}

impl Default for All {
    fn default() -> Self {
        All {
            said: BTreeMap::new(),
            not_understood: Vec::new(),
            is_whole: true,
        }
    }
}

impl All {
    /// A field, for inputs of more tokens than `above`.
    fn rate(&mut self, name: &str, value: &RawValue, above: Option<u64>) {
        match (field(name), rate(value.get())) {
            (Some(field), Some(rate)) => {
                let rates = self.said.entry((field.above.or(above), field.tier));
                rates.or_default().insert(field.kind, rate);
            }
            (field, _) => {
                self.is_whole &= field.is_none();
                self.not_understood.push(name.to_owned());
            }
        }
    }

    /// Factors on all rates. Only that of being served fast is understood; the others are of regions.
    fn factors(&mut self, entry: &str, factors: &RawValue) {
        let factors: Fields<'_> = serde_json::from_str(factors.get()).unwrap_or_default();
        for (name, factor) in factors {
            if name != "fast" && factor.get().parse::<f64>().is_ok() {
                self.not_understood.push(format!("{entry}.{name}"));
            }
        }
    }

    /// A list of lengths, each with its rates. What the first one says goes before what stands outside.
    fn lengths(&mut self, list: &RawValue) {
        let lengths: Result<Vec<Fields<'_>>, _> = serde_json::from_str(list.get());
        for fields in lengths.unwrap_or_default() {
            let Some(above) = fields.get("range").and_then(start) else {
                self.not_understood.push("tiered_pricing".to_owned());
                return;
            };
            for (name, value) in &fields {
                if name != "range" {
                    self.rate(name, value, (above > 0).then_some(above));
                }
            }
        }
    }
}

/// A price, rounded up where it is finer than a rate is: some are quotients, and sums of floats.
fn rate(text: &str) -> Option<Rate> {
    if let Ok(rate) = Rate::per_token(text) {
        return Some(rate);
    }
    let (number, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let fraction = number.find('.')?;
    let shorter = (fraction + 1..number.len()).rev().find_map(|length| {
        let digits = number.get(..length)?;
        Rate::per_token(&format!("{digits}e{exponent}")).ok()
    });
    shorter.map(|rate| Rate::from_nanos(rate.as_nanos().saturating_add(1)))
}

/// Where a range begins, in whole tokens.
fn start(range: &&RawValue) -> Option<u64> {
    let [start, _]: [&RawValue; 2] = serde_json::from_str(range.get()).ok()?;
    u64::try_from(scaled(start.get(), 0)?).ok()
}

/// The rates that are said of one length and tier.
type Said = BTreeMap<Kind, Rate>;

/// These rates; input and output that are not said cost as `like` has them.
fn rates(said: &Said, like: &Rates) -> Rates {
    let rate = |kind| said.get(&kind).copied();
    Rates {
        input: rate(Kind::Input).unwrap_or(like.input),
        output: rate(Kind::Output).unwrap_or(like.output),
        reasoning: rate(Kind::Reasoning),
        cache_read: rate(Kind::CacheRead),
        cache_write: rate(Kind::CacheWrite),
        cache_write_long: rate(Kind::CacheWriteLong),
    }
}

/// What a field's name says; `None` where it is of something else.
fn field(name: &str) -> Option<Field> {
    let (kind, mut rest) = KINDS
        .iter()
        .find_map(|(prefix, kind)| Some((*kind, name.strip_prefix(prefix)?)))?;
    let mut field = Field {
        kind,
        above: None,
        tier: ServiceTier::Standard,
    };
    for kept_longer in ["_above_1hr", "_above_12hr"] {
        if let (Kind::CacheWrite, Some(further)) = (field.kind, rest.strip_prefix(kept_longer)) {
            field.kind = Kind::CacheWriteLong;
            rest = further;
        }
    }
    if let Some((thousands, further)) = rest
        .strip_prefix("_above_")
        .and_then(|further| further.split_once("k_tokens"))
    {
        field.above = Some(thousands.parse::<u64>().ok()?.checked_mul(1_000)?);
        rest = further;
    }
    if let Some((_, tier)) = TIERS.iter().find(|(suffix, _)| *suffix == rest) {
        field.tier = *tier;
        rest = "";
    }
    rest.is_empty().then_some(field)
}

impl Price {
    /// The price of inputs of more tokens than this; as that of others where it is new. Lengths come in order.
    fn long_of(&mut self, above: u64) -> &mut Long {
        if self.long.last().is_none_or(|long| long.above != above) {
            self.long.push(Long {
                above,
                standard: self.standard,
                tiers: Vec::new(),
            });
        }
        self.long.last_mut().expect("pushed just above")
    }
}

#[cfg(test)]
#[path = "litellm_tests.rs"]
mod tests;
