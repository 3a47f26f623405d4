//! The limits that providers publish for their tiers, so that nobody has to copy them.

use std::{collections::HashMap, fmt, time::Duration};

use crate::{
    limit::{CalendarUnit, Charge, Limit, Quantity},
    tags::Tag,
};

const TABLE: &str = include_str!("presets.tsv");

/// Where the days of a limit by the calendar end, by provider; elsewhere any 24 hours count.
const DAYS: [(&str, &str); 1] = [("gemini", "America/Los_Angeles")];

/// The limits that a provider publishes for one of its tiers: `openai/tier-1`, for [`presets`].
///
/// The limits are those that the providers' pages and consoles showed on [its day](Self::date). Limits change: look up
/// which ones your account has, and configure what differs. A preset leaves out what a window cannot hold: how many
/// tokens a batch may queue, what a month may cost, and separate limits for inputs of hundreds of thousands of tokens.
///
/// ```
/// use tower_quota::config::{Config, Preset};
///
/// let preset = Preset::find("anthropic/start").unwrap();
/// assert_eq!(preset.date(), "2026-Q3");
/// let limits: Vec<String> = preset.limits().map(|(limit, _)| limit.to_string()).collect();
/// assert!(limits.contains(&"requests 1000/min for provider=anthropic, model=claude-haiku-4-5".to_owned()));
///
/// let config = Config::from_yaml("rate_limiting: { presets: [anthropic/start] }")?;
/// assert_eq!(config.build()?.limiter.limits().iter().count(), limits.len());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [`presets`]: super::RateLimiting::presets
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preset {
    provider: &'static str,
    tier: &'static str,
    lines: Vec<Line>,
}

/// Where a published limit comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// When the limit was read: a day, a month or a quarter.
    pub date: &'static str,
    /// The source that showed it.
    pub source: &'static str,
    /// Whether the source is a page of the provider. Otherwise it is numbers that the provider's console showed to
    /// somebody, or a page of somebody else.
    pub by_provider: bool,
}

/// Models with the same limits.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    models: Vec<&'static str>,
    /// Whether the models share these limits.
    are_shared: bool,
    amounts: Vec<(Quantity, Over, u64)>,
    /// Whether tokens that were read from a cache count as input.
    counts_cached: bool,
    published: Published,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    Minute,
    Day,
    Flight,
}

impl Preset {
    /// Every preset.
    #[must_use]
    pub fn all() -> Vec<Preset> {
        let mut lines = TABLE.lines().filter(|line| !line.starts_with('#'));
        let names: Vec<&str> = lines.next().unwrap_or_default().split('\t').collect();
        let mut all: Vec<Preset> = Vec::new();
        for line in lines {
            let fields: HashMap<_, _> = names.iter().copied().zip(line.split('\t')).collect();
            let (provider, tier) = (fields["provider"], fields["tier"]);
            let same = all
                .iter()
                .position(|one| (one.provider, one.tier) == (provider, tier));
            let place = same.unwrap_or_else(|| {
                all.push(Preset {
                    provider,
                    tier,
                    lines: Vec::new(),
                });
                all.len() - 1
            });
            all[place].lines.push(Line::of(&fields));
        }
        all
    }

    /// The preset of this name: `openai/tier-1`.
    #[must_use]
    pub fn find(name: &str) -> Option<Preset> {
        let mut all = Self::all().into_iter();
        all.find(|preset| preset.to_string() == name)
    }

    /// Whose limits they are.
    #[must_use]
    pub fn provider(&self) -> &'static str {
        self.provider
    }

    /// The name of the tier.
    #[must_use]
    pub fn tier(&self) -> &'static str {
        self.tier
    }

    /// When its limits were read; of several days the first.
    #[must_use]
    pub fn date(&self) -> &'static str {
        let dates = self.lines.iter().map(|line| line.published.date);
        dates.min().unwrap_or_default()
    }

    /// Its limits, each with where it is from.
    pub fn limits(&self) -> impl Iterator<Item = (Limit, Published)> {
        self.lines.iter().flat_map(move |line| {
            let groups: Vec<&[&str]> = if line.are_shared {
                vec![&line.models]
            } else {
                line.models.chunks(1).collect()
            };
            groups.into_iter().flat_map(move |models| {
                let amounts = line.amounts.iter();
                amounts.map(move |(quantity, over, amount)| {
                    let limit = self.limit(*quantity, *over, *amount, line.counts_cached);
                    let limit = match models {
                        [] => limit,
                        models => limit.when_any(Tag::Model, models.iter().copied()),
                    };
                    (limit, line.published)
                })
            })
        })
    }

    fn limit(&self, quantity: Quantity, over: Over, amount: u64, counts_cached: bool) -> Limit {
        let mut charge = Charge::of(self.provider);
        charge.cache_reads |= counts_cached;
        let limit = Limit::new(quantity, amount).charge(charge);
        let limit = match (over, zone_of_days(self.provider)) {
            (Over::Minute, _) => limit.every(Duration::from_secs(60)),
            (Over::Day, Some(zone)) => limit.every_calendar(CalendarUnit::Day, zone),
            (Over::Day, None) => limit.every(Duration::from_secs(86_400)),
            (Over::Flight, _) => limit,
        };
        limit.when(Tag::Provider, self.provider)
    }
}

/// Where the days end over which this provider counts; `None`: any 24 hours count.
pub(super) fn zone_of_days(provider: &str) -> Option<&'static str> {
    let found = DAYS.iter().find(|(name, _)| *name == provider);
    found.map(|(_, zone)| *zone)
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.provider, self.tier)
    }
}

impl Line {
    fn of(fields: &HashMap<&str, &'static str>) -> Self {
        let amounts = [
            ("rpm", Quantity::Requests, Over::Minute),
            ("tpm", Quantity::Tokens, Over::Minute),
            ("itpm", Quantity::InputTokens, Over::Minute),
            ("otpm", Quantity::OutputTokens, Over::Minute),
            ("rpd", Quantity::Requests, Over::Day),
            ("concurrent", Quantity::Concurrency, Over::Flight),
        ];
        let amounts = amounts.into_iter().filter_map(|(name, quantity, over)| {
            Some((quantity, over, fields[name].parse().ok()?))
        });
        let models = fields["models"]
            .split(',')
            .filter(|model| !model.is_empty());
        Line {
            models: models.collect(),
            are_shared: fields["shared"] == "yes",
            amounts: amounts.collect(),
            counts_cached: fields["cached"] == "yes",
            published: Published {
                date: fields["date"],
                source: fields["source"],
                by_provider: fields["kind"] == "docs",
            },
        }
    }
}

#[cfg(test)]
#[path = "preset_tests.rs"]
mod tests;
