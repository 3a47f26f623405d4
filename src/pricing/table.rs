//! The prices that are known.

use std::{cmp::Reverse, collections::HashSet};

use hashbrown::HashMap;

use super::{Found, Long, Price, Rate, Rates, ServiceTier, name::provider as plain};
use crate::tags::model::candidates;

/// The day of the built-in prices.
pub const BUILT_IN_DATE: &str = "2026-11-22";

const BUILT_IN: &str = include_str!("prices.tsv");

/// The prices of models, by provider.
///
/// ```
/// use tower_quota::pricing::PriceTable;
///
/// let table = PriceTable::built_in();
/// let found = table.find(Some("openai"), "openai/gpt-4o-2024-08-06").unwrap();
/// assert_eq!(found.model, "gpt-4o");
/// assert_eq!(found.price.standard.input.to_string(), "$2.50 per million tokens");
/// assert!(table.find(Some("openai"), "gpt-99").is_none());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PriceTable {
    /// By provider, by model.
    prices: HashMap<String, HashMap<String, Price>>,
    /// The prices that users set, by model alone.
    set: HashMap<String, Price>,
    /// Providers of whom single prices are known, and no list.
    unlisted: HashSet<String>,
}

impl PriceTable {
    /// Creates a table without prices.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates a table with the prices of about a hundred current models, as of [`BUILT_IN_DATE`].
    ///
    /// The source is LiteLLM's price file, checked against the providers' pages where these could be had. Prices that
    /// depend on hours and tools are not in it, nor those of regions other than Bedrock's in names of models.
    #[must_use]
    pub fn built_in() -> Self {
        let mut table = Self::new();
        let mut lines = BUILT_IN.lines().filter(|line| !line.starts_with('#'));
        let names: Vec<&str> = lines.next().unwrap_or_default().split('\t').collect();
        for line in lines {
            let fields: HashMap<&str, &str> = names.iter().copied().zip(line.split('\t')).collect();
            let (provider, model) = (fields["provider"], fields["model"]);
            table.list(provider, model, built_in(&fields));
        }
        table
    }

    /// Adds a price for this provider's model. A price that is already there is replaced.
    ///
    /// The provider is assumed to have other models whose prices are not here, unless its list is
    /// [built in](Self::built_in) or was [read](Self::read_litellm).
    pub fn insert(&mut self, provider: &str, model: &str, price: Price) {
        if !self.prices.contains_key(plain(provider)) {
            self.unlisted.insert(plain(provider).to_owned());
        }
        self.put(provider, model, price);
    }

    /// One of a provider's list.
    pub(super) fn list(&mut self, provider: &str, model: &str, price: Price) {
        self.unlisted.remove(plain(provider));
        self.put(provider, model, price);
    }

    fn put(&mut self, provider: &str, model: &str, price: Price) {
        let of_provider = self.prices.entry(plain(provider).to_owned()).or_default();
        of_provider.insert(model.to_owned(), price);
    }

    /// Sets a price for this name, whoever serves it. It takes precedence over all others.
    pub fn set(&mut self, model: &str, price: Price) {
        self.set.insert(model.to_owned(), price);
    }

    /// Returns how many prices there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.set.len() + self.prices.values().map(HashMap::len).sum::<usize>()
    }

    /// Returns whether there are no prices.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns every price with its provider, which is empty for prices that were [set](Self::set), and its model.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, &Price)> {
        let set = self
            .set
            .iter()
            .map(|(model, price)| ("", model.as_str(), price));
        let listed = self.prices.iter().flat_map(|(provider, models)| {
            let of_provider = models.iter();
            of_provider.map(move |(model, price)| (provider.as_str(), model.as_str(), price))
        });
        set.chain(listed)
    }

    /// Returns the price of a model by any of its names: as it is, or without a vendor in front, a region, a version,
    /// or a snapshot's date. A name that leads to several prices leads to the most specific one.
    ///
    /// If the provider is not named, or no list of its prices is known, the price under that name is taken if all who
    /// list it agree; if they do not, there is none. What only some of them state, such as the price of cached input, is
    /// no disagreement: the dearest of them counts. A provider whose list is known and does not have the model has no
    /// price for it.
    #[must_use]
    pub fn find(&self, provider: Option<&str>, model: &str) -> Option<Found<'_>> {
        let own = provider.and_then(|provider| self.prices.get_key_value(plain(provider)));
        if self.set.is_empty()
            && let Some((provider, models)) = own
            && let Some((model, price)) = models.get_key_value(model)
        {
            // Most are called by the very name that they are listed by.
            return Some(Found {
                price,
                provider,
                model,
                steps: Vec::new(),
            });
        }
        let names = candidates(model);
        let set = names.iter().find_map(|(name, steps)| {
            let (model, price) = self.set.get_key_value(&**name)?;
            Some(Found {
                price,
                provider: "",
                model,
                steps: steps.clone(),
            })
        });
        let of_provider = || {
            let (provider, models) = own?;
            names.iter().find_map(|(name, steps)| {
                let (model, price) = models.get_key_value(&**name)?;
                Some(Found {
                    price,
                    provider,
                    model,
                    steps: steps.clone(),
                })
            })
        };
        let of_anybody = || {
            let listed = |provider| {
                let provider = plain(provider);
                self.prices.contains_key(provider) && !self.unlisted.contains(provider)
            };
            if provider.is_some_and(listed) {
                // A provider whose prices are known asks its own price, or none that we know.
                return None;
            }
            names
                .iter()
                .find_map(|(name, steps)| self.agreed(name, steps))
        };
        set.or_else(of_provider).or_else(of_anybody)
    }

    /// The price under this name, where all who list it agree: on what tokens cost as a rule and in tiers that both have, not on
    /// how long an input may be, nor on what only some of them state. Of those who agree it is the one with the dearest tier,
    /// then with the dearest tokens, and then with most tiers; none if something is dearer by another one.
    fn agreed(&self, name: &str, steps: &[&'static str]) -> Option<Found<'_>> {
        let listed = self.prices.iter().filter_map(|(provider, models)| {
            let (model, price) = models.get_key_value(name)?;
            Some((provider, model, price))
        });
        let listed: Vec<Listed<'_>> = listed.collect();
        let (provider, model, price) = listed.iter().copied().min_by_key(rank)?;
        let agree = listed.iter().enumerate().all(|(at, (.., one))| {
            let mut before = listed[..at].iter();
            before.all(|(.., other)| one.asks_as_much_as(other))
        });
        let is_dearest = || {
            let mut all = listed.iter();
            all.all(|(.., other)| price.costs_no_less_than(other))
        };
        (agree && is_dearest()).then(|| Found {
            price,
            provider,
            model,
            steps: steps.to_vec(),
        })
    }
}

/// A price, with the provider and the model that it is listed under.
type Listed<'t> = (&'t String, &'t String, &'t Price);

/// How dear a price is: in its dearest tier, in each kind of token, and in how many tiers it has.
type Dear = (Option<Rate>, [Rate; 6], usize);

/// The first of several by this is the dearest.
fn rank<'t>(&(provider, _, price): &Listed<'t>) -> (Reverse<Dear>, &'t String) {
    let dearest = price.tiers.iter().map(|(_, rates)| rates.input).max();
    let dear = (dearest, price.standard.each(), price.tiers.len());
    (Reverse(dear), provider)
}

/// One line of the built-in prices.
fn built_in(fields: &HashMap<&str, &str>) -> Price {
    let text = |name: &str| fields.get(name).copied().filter(|text| !text.is_empty());
    let rate = |name: &str| -> Option<Rate> { text(name).and_then(|text| text.parse().ok()) };
    let count = |name: &str| -> Option<u64> { text(name).and_then(|text| text.parse().ok()) };
    let pair = |name: &str| {
        Some(Rates {
            input: rate(&format!("{name}_input"))?,
            output: rate(&format!("{name}_output")).unwrap_or_default(),
            cache_read: rate(&format!("{name}_cache_read")),
            cache_write: rate(&format!("{name}_cache_write")),
            ..Rates::default()
        })
    };
    let standard = Rates {
        input: rate("input").unwrap_or_default(),
        output: rate("output").unwrap_or_default(),
        cache_read: rate("cache_read"),
        cache_write: rate("cache_write"),
        cache_write_long: rate("cache_write_long"),
        ..Rates::default()
    };
    let long = count("long_above").zip(pair("long"));
    let tiers = [
        (ServiceTier::Batch, pair("batch")),
        (ServiceTier::Flex, pair("flex")),
        (ServiceTier::Priority, pair("priority")),
        (
            ServiceTier::Fast,
            text("fast_times").and_then(|factor| standard.scaled(factor)),
        ),
        (ServiceTier::Ultrafast, pair("ultrafast")),
    ];
    Price {
        standard,
        long: long
            .map(|(above, standard)| Long {
                above,
                standard,
                tiers: Vec::new(),
            })
            .into_iter()
            .collect(),
        tiers: tiers
            .into_iter()
            .filter_map(|(tier, rates)| Some((tier, rates?)))
            .collect(),
        max_input: count("max_input"),
        max_output: count("max_output"),
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
