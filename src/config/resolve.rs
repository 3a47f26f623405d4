//! Which limits and which price a name of a model leads to, and by what rule.

use std::fmt;

use super::Stack;
use crate::{
    limit::Limit,
    pricing::{Price, provider_name},
    tags::{Tag, model::limited},
};

/// The limits and the price that a model name leads to, from [`Stack::resolve`]. It prints as lines for people.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resolution {
    /// The name that was asked for.
    pub model: String,
    /// The model that the name is an alias of, by `model_aliases`.
    pub alias_of: Option<String>,
    /// The limits, including budgets, that are now in force for where such calls go. The words of a limit that also looks at
    /// the caller's tags name those tags.
    pub limits: Vec<ResolvedLimit>,
    /// The price, if one is known.
    pub price: Option<ResolvedPrice>,
}

/// A limit that a model name leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResolvedLimit {
    /// The limit in words: `tokens 90000/min for model=gpt-4o`.
    pub limit: String,
    /// The name of the model that the limit is on; `None` if it is on all models.
    pub model: Option<String>,
    /// The steps from the name that was asked for to that name, in words; empty if they are the same.
    pub steps: Vec<&'static str>,
}

/// The price that a model name leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResolvedPrice {
    /// The provider whose price it is; empty if the price was set for whichever provider serves the name.
    pub provider: String,
    /// The name that the price is listed under.
    pub model: String,
    /// The price.
    pub price: Price,
    /// The steps from the name that was asked for to that name, in words; empty if they are the same.
    pub steps: Vec<&'static str>,
}

impl Stack {
    /// Which limits and which price this name of a model leads to, and by what rule. Without a provider limits on any
    /// provider are told, and the price is what all agree on.
    ///
    /// ```
    /// use tower_quota::config::Config;
    ///
    /// let config = Config::from_yaml("rate_limiting: { providers: { openai: { gpt-4: { rpm: 500 } } } }")?;
    /// let found = config.build()?.resolve(Some("openai"), "gpt-4-0613");
    /// assert_eq!(
    ///     found.to_string(),
    ///     "gpt-4-0613
    ///   requests 500/min for provider=openai, model=gpt-4 (without the snapshot's date)
    ///   price of openai gpt-4 (without the snapshot's date): \
    ///      $30.00 per million tokens of input, $60.00 per million tokens of output"
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn resolve(&self, provider: Option<&str>, model: &str) -> Resolution {
        let config = self.running.config();
        let aliases = &config.model_aliases;
        let alias_of = aliases.get(model).cloned();
        let limits = self.limiter.limits();
        let limits = limits.iter().filter_map(|limit| {
            let (name, steps) = leads_to(limit, provider, model)?;
            let steps = match &alias_of {
                Some(_) if name.as_deref() == Some(model) => vec!["an alias"],
                _ => steps,
            };
            Some(ResolvedLimit {
                limit: limit.to_string(),
                model: name,
                steps,
            })
        });
        let prices = self.prices();
        let price = prices.find(provider, model);
        Resolution {
            model: model.to_owned(),
            limits: limits.collect(),
            price: price.map(|found| ResolvedPrice {
                provider: found.provider.to_owned(),
                model: found.model.to_owned(),
                price: found.price.clone(),
                steps: found.steps,
            }),
            alias_of,
        }
    }
}

/// The name that a limit knows the model by, and the steps to it; `None` where the limit is not on such calls.
pub(super) fn leads_to(
    limit: &Limit,
    provider: Option<&str>,
    model: &str,
) -> Option<(Option<String>, Vec<&'static str>)> {
    let of = |tag: &Tag| limit.when.iter().find(|(other, _)| other == tag);
    let is_of_another = |provider: &str| {
        of(&Tag::Provider).is_some_and(|(_, values)| {
            values
                .iter()
                .all(|value| ![provider, provider_name(provider)].contains(&&**value))
        })
    };
    if provider.is_some_and(is_of_another) {
        return None;
    }
    let Some((_, values)) = of(&Tag::Model) else {
        return Some((None, Vec::new()));
    };
    let named = limited(model).into_iter();
    let mut known = named.filter(|(name, _)| values.iter().any(|value| **value == **name));
    known
        .next()
        .map(|(name, steps)| (Some(name.into_owned()), steps))
}

impl fmt::Display for Resolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = |steps: &[&str]| match steps {
            [] => String::new(),
            steps => format!(" ({})", steps.join(", ")),
        };
        f.write_str(&self.model)?;
        if let Some(target) = &self.alias_of {
            write!(f, ", an alias of {target}")?;
        }
        for limit in &self.limits {
            write!(f, "\n  {}{}", limit.limit, by(&limit.steps))?;
        }
        if self.limits.is_empty() {
            f.write_str("\n  no limit")?;
        }
        match &self.price {
            Some(found) => {
                let of = [found.provider.as_str(), found.model.as_str()].join(" ");
                let rates = &found.price.standard;
                write!(
                    f,
                    "\n  price of {}{}: {} of input, {} of output",
                    of.trim_start(),
                    by(&found.steps),
                    rates.input,
                    rates.output
                )
            }
            None => f.write_str("\n  no price: where there is a budget, such calls are refused, unless `unknown_price` is `allow`"),
        }
    }
}
