//! Prices in a configuration.

use std::fs;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{ConfigError, RateLimiting};
use crate::pricing::{LiteLlm, Price, PriceTable, Rate};

/// What a model costs, in dollars per million tokens. If the model has a built-in price, or one in the price file, its
/// prices in other service tiers and for long inputs change in proportion, and its longest output stays as it is unless
/// `max_output` is set.
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
    /// Input that was read from a cache. The default is the price of other input.
    pub cache_read: Option<Rate>,
    /// Input that was written to a cache. The default is the price of other input.
    pub cache_write: Option<Rate>,
    /// Input that was written to a cache to be kept there longer than usual.
    pub cache_write_long: Option<Rate>,
    /// Dollars per thousand tokens, for input and output alike. Use it instead of `input` and `output`.
    pub cost_per_1k: Option<Rate>,
    /// The longest output that the model gives, in tokens. A budget reserves this much for a call that names no cap.
    #[schemars(range(min = 1))]
    pub max_output: Option<u64>,
}

impl PriceConfig {
    /// In place of the one that is known.
    fn price(&self, known: Option<&Price>) -> Result<Price, &'static str> {
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
        if let Some(known) = known {
            price = known.with_rates(price.standard);
        }
        price.max_output = self.max_output.or(price.max_output);
        Ok(price)
    }
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
            let of_provider = model.split_once('/');
            let found = of_provider.and_then(|(provider, model)| table.find(Some(provider), model));
            match found.or_else(|| table.find(None, model)) {
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
                let price = price.price(own).map_err(|reason| ConfigError::Value {
                    path: path.clone(),
                    reason: reason.to_owned(),
                })?;
                if let Some(doubt) = known.doubt(&provider, model, &price) {
                    doubts.push(format!("{path}: {doubt}"));
                }
                table.insert(&provider, model, price);
            }
        }
        self.price_aliases(&mut table, doubts);
        Ok((table, read))
    }
}
