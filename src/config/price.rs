//! Prices in a configuration.

use std::fs;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{ConfigError, RateLimiting};
use crate::pricing::{Found, LiteLlm, Price, PriceTable, Rate, Rates};

/// What a model costs, in dollars per million tokens. If the model has a built-in price, or one in the price file, its
/// prices in other service tiers and for long inputs change in proportion, and its longest output stays as it is unless
/// `max_output` is set.
///
/// Prices of caches that are not set keep their proportion to `input` as well: that of the known price, or, for a Claude
/// model of which none is known, that of Anthropic's price list. With `cost_per_1k`, they are the price of other input.
///
/// ```
/// use tower_quota::config::Config;
///
/// let config = Config::from_yaml(
///     "rate_limiting:
///        max_daily_spend: 5
///        prices:
///          openai: { our-fine-tune: { input: 3, output: 12, cache_read: 1.5, max_output: 16384 } }
///          vllm: { llama: { cost_per_1k: 0 } }
///     ",
/// )?;
/// assert!(config.build().is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct PriceConfig {
    /// Input that was not read from a cache.
    pub input: Option<Rate>,
    /// Output, including reasoning.
    pub output: Option<Rate>,
    /// Reasoning, if it costs something else than other output.
    pub reasoning: Option<Rate>,
    /// Input that was read from a cache. The default is in proportion to `input` if the model has a known price or is a
    /// Claude, and otherwise the price of other input.
    pub cache_read: Option<Rate>,
    /// Input that was written to a cache. The default is in proportion to `input` if the model has a known price or is a
    /// Claude, and otherwise the price of other input.
    pub cache_write: Option<Rate>,
    /// Input that was written to a cache to be kept there longer than usual. The default is in proportion to `input` if
    /// the model has a known price or is a Claude, and otherwise `cache_write`.
    pub cache_write_long: Option<Rate>,
    /// Dollars per thousand tokens, for input and output alike. Use it instead of `input` and `output`.
    pub cost_per_1k: Option<Rate>,
    /// The longest output that the model gives, in tokens. A budget reserves this much for a call that names no cap.
    #[schemars(range(min = 1))]
    pub max_output: Option<u64>,
}

impl PriceConfig {
    /// What is said, and nothing else.
    fn said(&self) -> Result<Price, &'static str> {
        let mut price = match (self.input, self.output, self.cost_per_1k) {
            (Some(input), Some(output), None) => Price::new(input, output),
            (None, None, Some(both)) => {
                let both = Rate::from_nanos(both.as_nanos().saturating_mul(1_000));
                Price::new(both, both)
            }
            _ => {
                return Err(
                    "say `input` and `output`, in dollars for a million tokens, or `cost_per_1k` alone",
                );
            }
        };
        price.standard.reasoning = self.reasoning;
        price.standard.cache_read = self.cache_read;
        price.standard.cache_write = self.cache_write;
        price.standard.cache_write_long = self.cache_write_long;
        price.max_output = self.max_output;
        Ok(price)
    }

    /// What is said, in place of the price that is `known` under this name, with caches as `like` has them where nothing is
    /// said of these.
    fn whole(&self, mut said: Price, known: Option<&Price>, like: Option<Rates>) -> Price {
        // One price for all tokens is that of cached ones too.
        if let Some(like) = like.filter(|_| self.cost_per_1k.is_none()) {
            fill_caches(&mut said.standard, &like);
        }
        let Some(known) = known else {
            return said;
        };
        let mut price = known.with_rates(said.standard);
        price.max_output = said.max_output.or(price.max_output);
        price
    }
}

/// What caches cost where that is not said: in the proportion to other input that it has there.
fn fill_caches(rates: &mut Rates, like: &Rates) {
    let input = rates.input;
    let filled = |known: Option<Rate>| in_proportion(known?, like.input, input);
    rates.cache_read = rates.cache_read.or_else(|| filled(like.cache_read));
    // What is kept for longer is to what is said of the rest as it is there.
    let long = || match rates.cache_write {
        None => filled(like.cache_write_long),
        Some(said) if said == Rate::default() => Some(said),
        Some(said) => like
            .cache_write
            .and_then(|write| in_proportion(like.cache_write_long?, write, said))
            .or_else(|| filled(like.cache_write_long).map(|long| long.max(said))),
    };
    rates.cache_write_long = rates.cache_write_long.or_else(long);
    rates.cache_write = rates.cache_write.or_else(|| filled(like.cache_write));
}

/// What is to `input` as a known rate is to that of other input there, rounded up; nothing where that is free.
fn in_proportion(known: Rate, other_input: Rate, input: Rate) -> Option<Rate> {
    let whole = u128::from(other_input.as_nanos());
    if whole == 0 {
        return None;
    }
    let product = u128::from(known.as_nanos()) * u128::from(input.as_nanos());
    let nanos = u64::try_from(product.div_ceil(whole)).unwrap_or(u64::MAX);
    Some(Rate::from_nanos(nanos))
}

/// How Anthropic's rates for caches are to that of other input: a tenth of it for what is read, a quarter more for what is
/// written, and twice as much for what is kept for an hour.
fn anthropics() -> Rates {
    let rate = Rate::from_nanos;
    Rates {
        input: rate(20),
        cache_read: Some(rate(2)),
        cache_write: Some(rate(25)),
        cache_write_long: Some(rate(40)),
        ..Rates::default()
    }
}

/// Whether they say what a cache costs.
fn say_caches(rates: &Rates) -> bool {
    rates.cache_read.or(rates.cache_write).is_some()
}

/// The price that is known of the model that an alias leads to.
fn behind<'t>(table: &'t PriceTable, model: &str) -> Option<Found<'t>> {
    let of_provider = model.split_once('/');
    let found = of_provider.and_then(|(provider, model)| table.find(Some(provider), model));
    found.or_else(|| table.find(None, model))
}

/// Whether a model is a Claude, as its name has it.
fn is_claude(model: &str) -> bool {
    model.to_lowercase().contains("claude")
}

impl RateLimiting {
    /// Aliases have their model's price, where they have none of their own.
    fn price_aliases(&self, table: &mut PriceTable, doubts: &mut Vec<String>) {
        for (alias, model) in &self.model_aliases {
            if self
                .prices
                .values()
                .any(|models| models.contains_key(alias))
            {
                continue;
            }
            match behind(table, model) {
                Some(found) => {
                    let price = found.price.clone();
                    table.set(alias, price);
                }
                None => doubts.push(format!(
                    "rate_limiting.model_aliases.{alias}: no price is known for `{model}`, or providers ask different \
                     ones; write it as provider/model, or set a price"
                )),
            }
        }
    }

    /// Rates that say what caches cost beside other input: those that are known of the model under any of its names, or of
    /// the one that it is an alias of; of a Claude of which nothing is known, those of the list.
    fn like(&self, known: &PriceTable, provider: &str, model: &str) -> Option<Rates> {
        let alias_of = self.model_aliases.get(model).map(String::as_str);
        let found = known.find(Some(provider), model);
        let found = found.or_else(|| behind(known, alias_of?));
        let rates = found.map(|found| found.price.standard);
        let claude = || {
            let mut names = [Some(model), alias_of].into_iter().flatten();
            names.any(is_claude).then(anthropics)
        };
        rates.filter(say_caches).or_else(claude)
    }

    /// The built-in prices, those of the file over them, and those of the configuration over all; and what was read
    /// of the file. What is doubtful of the configuration's own is said.
    pub(super) fn price_table(
        &self,
        doubts: &mut Vec<String>,
    ) -> Result<(PriceTable, Option<LiteLlm>), ConfigError> {
        let mut table = PriceTable::built_in();
        let mut read = None;
        if let Some(path) = &self.price_file {
            let wrong = |reason: String| ConfigError::Value {
                path: "rate_limiting.price_file".to_owned(),
                reason: format!("`{}`: {reason}", path.display()),
            };
            let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
            let file = table.read_litellm(&text);
            read = Some(file.map_err(|error| wrong(error.to_string()))?);
        }
        // All beside what is known without them: of several that are wrong in the same way none may vouch for another.
        let known = table.clone();
        for (provider, models) in &self.prices {
            let provider = provider.to_lowercase();
            for (model, price) in models {
                let path = format!("rate_limiting.prices.{provider}.{model}");
                let found = known.find(Some(&provider), model);
                let own = found
                    .filter(|found| found.model == model)
                    .map(|found| found.price);
                let said = price.said().map_err(|reason| ConfigError::Value {
                    path: path.clone(),
                    reason: reason.to_owned(),
                })?;
                if let Some(doubt) = known.doubt(&provider, model, &said) {
                    doubts.push(format!("{path}: {doubt}"));
                }
                let like = self.like(&known, &provider, model);
                table.insert(&provider, model, price.whole(said, own, like));
            }
        }
        self.price_aliases(&mut table, doubts);
        Ok((table, read))
    }
}
