//! LiteLLM's price file, `model_prices_and_context_window.json`.
//!
//! Its fields are `<kind>[_above_1hr|_above_12hr][_above_<N>k_tokens][_<tier>]`, in dollars a token.

use std::collections::BTreeMap;

use serde::Deserialize as _;
use serde_json::value::RawValue;

use super::{Long, Price, PriceTable, Rate, Rates, ServiceTier, name};

/// What was read of a price file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LiteLlm {
    /// How many models have a price now.
    pub models: usize,
    /// Of models that have one: the prices in the file that are of something else than tokens, or in a form that
    /// is not known. They are not counted.
    pub not_understood: BTreeMap<String, Vec<String>>,
    /// Models without a price of tokens: they are left out, and have none.
    pub left_out: Vec<String>,
}

/// A price file that does not read.
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

const TIERS: [(&str, ServiceTier); 3] = [
    ("_batches", ServiceTier::Batch),
    ("_flex", ServiceTier::Flex),
    ("_priority", ServiceTier::Priority),
];

impl PriceTable {
    /// Reads LiteLLM's price file on top of what is here. Prices are read to the last digit, not as floats.
    ///
    /// A price of 0 is taken for free, as it is meant there. What is priced by the image, the second or the
    /// query is not understood, and said.
    ///
    /// # Errors
    /// Where the text is not an object of objects. Nothing is changed then.
    pub fn read_litellm(&mut self, json: &str) -> Result<LiteLlm, LiteLlmError> {
        let models: BTreeMap<String, BTreeMap<String, &RawValue>> = serde_json::from_str(json)?;
        let mut read = LiteLlm::default();
        for (name, fields) in models {
            if name == "sample_spec" {
                continue;
            }
            let (price, not_understood) = price(&fields);
            let Some(price) = price else {
                read.left_out.push(name);
                continue;
            };
            let text = |raw: &&RawValue| String::deserialize(*raw).ok();
            let provider = fields.get("litellm_provider").and_then(text);
            let provider = provider.as_deref().unwrap_or_default();
            self.list(provider, bare(&name, provider), price);
            read.models += 1;
            if !not_understood.is_empty() {
                read.not_understood.insert(name, not_understood);
            }
        }
        Ok(read)
    }
}

/// The name without its provider in front.
fn bare<'n>(name: &'n str, provider: &str) -> &'n str {
    match name.split_once('/') {
        Some((first, rest)) if name::provider(first) == name::provider(provider) => rest,
        _ => name,
    }
}

/// The price in these fields, if tokens have one, and the prices that are not understood.
fn price(fields: &BTreeMap<String, &RawValue>) -> (Option<Price>, Vec<String>) {
    let mut price = Price::default();
    let (mut said, mut not_understood) = (BTreeMap::<_, Said>::new(), Vec::new());
    let mut is_whole = true;
    for (name, value) in fields {
        let text = value.get();
        let count = || text.parse::<u64>().ok();
        match name.as_str() {
            "max_input_tokens" => price.max_input = count(),
            "max_output_tokens" => price.max_output = count(),
            // Descriptions, and prices that are null.
            _ if !name.contains("cost") || text == "null" => {}
            _ => match (field(name), Rate::per_token(text)) {
                (Some(field), Ok(rate)) => {
                    let rates = said.entry((field.above, field.tier)).or_default();
                    rates.insert(field.kind, rate);
                }
                (field, _) => {
                    // What tokens cost is there, and nobody knows how much.
                    is_whole &= field.is_none();
                    not_understood.push(name.clone());
                }
            },
        }
    }
    let standard = said
        .remove(&(None, ServiceTier::Standard))
        .unwrap_or_default();
    let priced = standard.contains_key(&Kind::Input) || standard.contains_key(&Kind::Output);
    price.standard = rates(&standard, &Rates::default());
    for ((above, tier), said) in said {
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
    ((priced && is_whole).then_some(price), not_understood)
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
mod tests {
    use super::*;

    #[test]
    fn names_of_fields_say_what_of_which_length_and_in_which_tier() {
        let of = |kind, above, tier| Some(Field { kind, above, tier });
        let standard = ServiceTier::Standard;
        for (name, expected) in [
            ("input_cost_per_token", of(Kind::Input, None, standard)),
            (
                "output_cost_per_token_above_272k_tokens_priority",
                of(Kind::Output, Some(272_000), ServiceTier::Priority),
            ),
            (
                "cache_creation_input_token_cost_above_1hr_above_200k_tokens",
                of(Kind::CacheWriteLong, Some(200_000), standard),
            ),
            (
                "cache_creation_input_token_cost_above_12hr_flex",
                of(Kind::CacheWriteLong, None, ServiceTier::Flex),
            ),
            (
                "cache_read_input_token_cost_batches",
                of(Kind::CacheRead, None, ServiceTier::Batch),
            ),
            (
                "input_cost_per_token_cache_hit",
                of(Kind::CacheRead, None, standard),
            ),
            ("input_cost_per_audio_token", None),
            ("output_cost_per_image", None),
            ("input_cost_per_token_balanced", None),
            ("cache_read_input_token_cost_above_1hr", None),
            ("input_cost_per_token_above_xk_tokens", None),
        ] {
            assert_eq!(field(name), expected, "{name}");
        }
    }

    const FILE: &str = r#"{
        "sample_spec": {"input_cost_per_token": 0},
        "azure/gpt-x": {"litellm_provider": "azure", "input_cost_per_token": 2.5e-06, "output_cost_per_token": 1e-05,
            "max_output_tokens": 4096, "input_cost_per_image": 0.1, "cache_read_input_token_cost": null},
        "gpt-x": {"litellm_provider": "openai", "input_cost_per_token": 3e-06, "output_cost_per_token": 1e-05},
        "dall-e": {"litellm_provider": "openai", "input_cost_per_pixel": 1e-08},
        "negative": {"litellm_provider": "openai", "input_cost_per_token": -1e-06, "output_cost_per_token": 1e-05}
    }"#;

    #[test]
    fn each_model_has_its_price_and_what_has_none_is_said() {
        let mut table = PriceTable::new();
        let read = table.read_litellm(FILE).unwrap();
        assert_eq!(
            (read.models, read.left_out),
            (2, vec!["dall-e".to_owned(), "negative".to_owned()])
        );
        assert_eq!(read.not_understood["azure/gpt-x"], ["input_cost_per_image"]);
        let input = |provider| {
            table
                .find(Some(provider), "gpt-x")
                .unwrap()
                .price
                .standard
                .input
        };
        assert_eq!(input("azure"), "2.5".parse().unwrap());
        assert_eq!(input("openai"), "3".parse().unwrap());
        assert!(table.find(Some("openai"), "dall-e").is_none());
    }

    #[test]
    fn what_a_tier_or_a_length_leaves_open_is_not_free() {
        let fields = r#"{"m": {"litellm_provider": "p", "input_cost_per_token": 2e-06, "output_cost_per_token": 4e-06,
            "cache_read_input_token_cost_flex": 1e-07, "output_cost_per_token_above_200k_tokens": 8e-06,
            "input_cost_per_token_above_200k_tokens_flex": 1e-06}}"#;
        let mut table = PriceTable::new();
        table.read_litellm(fields).unwrap();
        let price = table.find(Some("p"), "m").unwrap().price;
        let nanos = |rates: &Rates| {
            (
                rates.input.as_nanos() / 1_000,
                rates.output.as_nanos() / 1_000,
            )
        };
        assert_eq!(nanos(&price.tiers[0].1), (2_000_000, 4_000_000));
        assert_eq!(nanos(&price.long[0].standard), (2_000_000, 8_000_000));
        assert_eq!(nanos(&price.long[0].tiers[0].1), (1_000_000, 8_000_000));
    }

    #[test]
    fn a_file_that_does_not_read_changes_nothing() {
        let mut table = PriceTable::built_in();
        assert!(table.read_litellm("[]").is_err());
        assert!(table.read_litellm(r#"{"m": 5}"#).is_err());
        assert_eq!(table, PriceTable::built_in());
    }
}
