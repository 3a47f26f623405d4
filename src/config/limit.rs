//! A limit in full, for what the short names do not say.

use std::{collections::BTreeMap, fmt};

use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer,
    de::{SeqAccess, Visitor},
};

use super::{
    Span,
    schema::{Counted, Share, TagNames},
};
use crate::{
    limit::{Charge, Count, Limit, Quantity},
    pricing::provider_name,
    tags::Tag,
};

/// One entry of `limits:`.
///
/// ```
/// use tower_quota::config::Config;
///
/// let config = Config::from_yaml(
///     "rate_limiting:
///        limits:
///          - { quantity: tokens, amount: 1000000, every: 6s, when: { model: gpt-4o }, per: [agent], charge: openai }
///     ",
/// )?;
/// let limits = config.build()?.limiter.limits().clone();
/// assert_eq!(limits.iter().next().unwrap().to_string(), "tokens 1000000/6s for model=gpt-4o per agent");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LimitConfig {
    /// What the limit counts: `requests`, `tokens`, `input_tokens`, `output_tokens` or `concurrency`.
    #[schemars(with = "Counted")]
    pub quantity: Quantity,
    /// How much of that quantity is allowed.
    #[schemars(range(min = 1))]
    pub amount: u64,
    /// The period: the limit holds in any interval of this length. Not for concurrency.
    #[serde(default)]
    pub every: Option<Span>,
    /// Only calls whose tags have these values count: one value for a tag, or a list of which any one will do.
    #[serde(default)]
    pub when: BTreeMap<String, OneOrMore>,
    /// The tags that the limit is split by, one or a list: it counts separately for each of their values.
    #[serde(default, deserialize_with = "one_or_more")]
    #[schemars(with = "TagNames")]
    pub per: Vec<String>,
    /// Whose rule tokens are charged by. The default is the rule of the provider in `when`.
    #[serde(default)]
    pub charge: Option<ChargeName>,
    /// Whether requests count once for each call or once for each attempt.
    #[serde(default)]
    pub count: Option<Count>,
    /// A charge counts for one period from when its attempt was sent, and for this much longer.
    #[serde(default)]
    pub margin: Option<Span>,
    /// Whether the limit only watches: it counts, but refuses nothing.
    #[serde(default)]
    pub shadow: bool,
    /// Whether calls that were refused here count as well. For limits on requests.
    #[serde(default)]
    pub count_refused: bool,
    /// Other amounts for some values of the tag in `per`, of which there must be exactly one.
    #[serde(default)]
    pub amounts: BTreeMap<String, u64>,
    /// Shares of the limit that are guaranteed to some values of a tag, and that others may use while these do not:
    /// `{ team: { search: 0.3, support: 0.2 } }`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, BTreeMap<String, Share>>")]
    pub shares: BTreeMap<String, BTreeMap<String, f64>>,
    /// Paces the limit: any interval of this shorter length, such as `1s`, holds no more than its share of the amount.
    #[serde(default)]
    pub slice: Option<Span>,
    /// The share of the amount that may be used: `0.9`.
    #[serde(default)]
    #[schemars(extend("exclusiveMinimum" = 0, "maximum" = 1))]
    pub headroom: Option<f64>,
    /// Lets the limit learn from 429s how much is really allowed, down to this share of the amount: `0.25`.
    #[serde(default)]
    #[schemars(extend("exclusiveMinimum" = 0, "maximum" = 1))]
    pub adaptive: Option<f64>,
}

/// A value, or a list of values of which any will do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OneOrMore(pub Vec<String>);

impl OneOrMore {
    /// The value, where there is just one.
    fn only(&self) -> Option<&str> {
        match self.0.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for OneOrMore {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Values;

        impl<'de> Visitor<'de> for Values {
            type Value = OneOrMore;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value, or a list of values")
            }

            fn visit_str<E>(self, value: &str) -> Result<OneOrMore, E> {
                Ok(OneOrMore(vec![value.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<OneOrMore, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = list.next_element()? {
                    values.push(value);
                }
                Ok(OneOrMore(values))
            }
        }

        deserializer.deserialize_any(Values)
    }
}

/// Reads a name, a list of names, or nothing.
pub(super) fn one_or_more<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<String>, D::Error> {
    let names = Option::<OneOrMore>::deserialize(deserializer)?;
    Ok(names.unwrap_or_default().0)
}

/// The provider whose rule tokens are charged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ChargeName {
    /// [`Charge::openai`].
    Openai,
    /// [`Charge::azure`].
    Azure,
    /// [`Charge::anthropic`].
    Anthropic,
    /// [`Charge::bedrock`], with the output weight of the models that count most.
    Bedrock,
    /// [`Charge::groq`].
    Groq,
}

impl LimitConfig {
    /// A limit on calls with these tags; all else as where nothing is said.
    pub(super) fn on(
        quantity: Quantity,
        amount: u64,
        every: Option<Span>,
        when: BTreeMap<String, OneOrMore>,
    ) -> Self {
        LimitConfig {
            quantity,
            amount,
            every,
            when,
            per: Vec::new(),
            charge: None,
            count: None,
            margin: None,
            shadow: false,
            count_refused: false,
            amounts: BTreeMap::new(),
            shares: BTreeMap::new(),
            slice: None,
            headroom: None,
            adaptive: None,
        }
    }

    pub(super) fn limit(&self) -> Limit {
        let mut limit = Limit::new(self.quantity, self.amount).charge(self.charge());
        if let Some(every) = self.every {
            limit = limit.every(every.into());
        }
        for (tag, values) in &self.when {
            let values = values.0.iter().map(String::as_str);
            limit = limit.when_any(Tag::from(tag.as_str()), values);
        }
        for tag in &self.per {
            limit = limit.per(Tag::from(tag.as_str()));
        }
        if let Some(count) = self.count {
            limit = limit.count(count);
        }
        if let Some(margin) = self.margin {
            limit = limit.margin(margin.into());
        }
        limit.shadow = self.shadow;
        limit.count_refused = self.count_refused;
        for (value, amount) in &self.amounts {
            limit = limit.amount_for(value.as_str(), *amount);
        }
        for (tag, parts) in &self.shares {
            for (value, part) in parts {
                limit = limit.share(Tag::from(tag.as_str()), value.as_str(), *part);
            }
        }
        if let Some(slice) = self.slice {
            limit = limit.slice(slice.into());
        }
        if let Some(share) = self.headroom {
            limit = limit.headroom(share);
        }
        if let Some(floor) = self.adaptive {
            limit = limit.adaptive(floor);
        }
        limit
    }

    fn charge(&self) -> Charge {
        match self.charge {
            Some(ChargeName::Openai) => Charge::openai(),
            Some(ChargeName::Azure) => Charge::azure(),
            Some(ChargeName::Anthropic) => Charge::anthropic(),
            Some(ChargeName::Bedrock) => Charge::bedrock(5),
            Some(ChargeName::Groq) => Charge::groq(),
            None => self
                .when
                .get("provider")
                .and_then(OneOrMore::only)
                .map_or_else(Charge::default, |name| Charge::of(provider_name(name))),
        }
    }
}
