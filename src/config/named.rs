//! Every limit of a configuration, with the path it stands under.

use std::{sync::Arc, time::Duration};

use super::{Preset, RateLimiting, preset::zone_of_days};
use crate::{
    limit::{CalendarUnit, Charge, Identity, Limit, Period, Quantity},
    pricing::provider_name,
    tags::{Tag, bounded, model::limited},
};

const DAY: Duration = Duration::from_secs(86_400);

impl RateLimiting {
    /// Every limit, with the path it stands under.
    pub(super) fn named(&self) -> Vec<(String, Limit)> {
        let mut limits: Vec<(String, Limit)> = Vec::new();
        for (key, limit) in self.global.limits() {
            limits.push((format!("global.{key}"), limit));
        }
        for (provider, models) in &self.providers {
            let zone = self.zone_beside_preset(provider);
            for (model, quota) in models {
                for (key, limit) in quota.limits_by(zone) {
                    let limit = limit.charge(Charge::of(provider_name(provider)));
                    let limit = limit
                        .when(Tag::Provider, provider.as_str())
                        .when(Tag::Model, model.as_str());
                    limits.push((format!("providers.{provider}.{model}.{key}"), limit));
                }
            }
        }
        let agents = limits.len();
        for (agent, quota) in &self.agents {
            for (key, limit) in quota.limits() {
                limits.push((
                    format!("agents.{agent}.{key}"),
                    limit.when(Tag::Agent, agent.as_str()),
                ));
            }
        }
        for (place, limit) in self.limits.iter().enumerate() {
            limits.push((format!("limits[{place}]"), limit.limit()));
        }
        let published = self.published(&limits);
        limits.splice(agents..agents, published);
        for (key, limit) in self.spends() {
            limits.push((key.to_owned(), limit));
        }
        let budgets = limits.iter_mut().map(|(_, limit)| limit);
        for budget in budgets.filter(|limit| limit.quantity == Quantity::Cost) {
            budget.thresholds.extend(self.alert_threshold);
        }
        for (place, budget) in self.budgets.iter().enumerate() {
            let limit = budget.limit(&self.time_zone, self.alert_threshold);
            limits.push((format!("budgets[{place}]"), limit));
        }
        for (path, limit) in &mut limits {
            path.insert_str(0, "rate_limiting.");
            self.name_aliases(limit);
            if limit.quantity == Quantity::Cost {
                continue;
            }
            if limit.margin.is_none() && matches!(limit.period, Some(Period::Sliding(_))) {
                limit.margin = self.margin.map(Into::into);
            }
            limit.headroom = limit.headroom.or(self.headroom);
        }
        limits
    }

    /// Where the days of a provider end, if there is a preset of it that goes by them.
    fn zone_beside_preset(&self, provider: &str) -> Option<&'static str> {
        let ours = provider_name(provider);
        let mut presets = self.presets.iter().filter_map(|name| name.split_once('/'));
        let has_preset = presets.any(|(name, _)| name == ours);
        zone_of_days(ours).filter(|_| has_preset)
    }

    /// The limits of presets, without what is said otherwise.
    fn published(&self, said: &[(String, Limit)]) -> Vec<(String, Limit)> {
        let presets = self.presets.iter().enumerate();
        let found = presets.filter_map(|(place, name)| Some((place, Preset::find(name)?)));
        let limits = found.flat_map(|(place, preset)| {
            let path = format!("presets[{place}]");
            let limits: Vec<Limit> = preset.limits().map(|(limit, _)| limit).collect();
            limits.into_iter().map(move |limit| (path.clone(), limit))
        });
        let left = limits.filter_map(|(path, limit)| Some((path, said_otherwise(limit, said)?)));
        left.collect()
    }

    /// Has a limit on models be on their aliases, too, and one on a provider on the name that calls have of it.
    fn name_aliases(&self, limit: &mut Limit) {
        for (tag, values) in &mut limit.when {
            match tag {
                Tag::Model => {
                    for (alias, model) in &self.model_aliases {
                        let mut names = limited(model).into_iter();
                        if names.any(|(name, _)| values.iter().any(|value| **value == *name)) {
                            values.push(bounded(alias.as_str().into()));
                        }
                    }
                }
                Tag::Provider => {
                    let ours = values.iter().map(|value| provider_name(value).into());
                    let ours: Vec<Arc<str>> = ours.collect();
                    values.extend(ours);
                }
                _ => continue,
            }
            values.sort();
            values.dedup();
        }
    }

    /// The budgets over all calls.
    fn spends(&self) -> impl Iterator<Item = (&'static str, Limit)> {
        let of =
            |unit| move |amount| Limit::cost(amount).every_calendar(unit, self.time_zone.as_str());
        [
            (
                "max_hourly_spend",
                self.max_hourly_spend.map(of(CalendarUnit::Hour)),
            ),
            (
                "max_daily_spend",
                self.max_daily_spend.map(of(CalendarUnit::Day)),
            ),
            (
                "max_weekly_spend",
                self.max_weekly_spend.map(of(CalendarUnit::Week)),
            ),
            (
                "max_monthly_spend",
                self.max_monthly_spend.map(of(CalendarUnit::Month)),
            ),
        ]
        .into_iter()
        .filter_map(|(key, limit)| Some((key, limit?)))
    }
}

/// A published limit without the models that have a limit of their own on the same; `None` where all of them have,
/// or another limit is on just the same calls.
fn said_otherwise(mut limit: Limit, said: &[(String, Limit)]) -> Option<Limit> {
    // In the place of a published day of the calendar any 24 hours will do.
    let by_days = limit.period == Some(Period::Calendar(CalendarUnit::Day));
    let said = said.iter().map(|(_, limit)| identity(limit, by_days));
    let said: Vec<Identity> = said.collect();
    let is_said = |limit: &Limit| {
        let identity = identity(limit, by_days);
        said.iter().any(|other| other.same(&identity))
    };
    if is_said(&limit) {
        return None;
    }
    let Some(at) = limit.when.iter().position(|(tag, _)| *tag == Tag::Model) else {
        return Some(limit);
    };
    let mut alone = limit.clone();
    limit.when[at].1.retain(|model| {
        alone.when[at].1 = [model.clone()].into();
        !is_said(&alone)
    });
    (!limit.when[at].1.is_empty()).then_some(limit)
}

/// What a limit is on, with our name of the provider. `by_days`: a day is a day, whether of a calendar or any 24 hours.
fn identity(limit: &Limit, by_days: bool) -> Identity {
    let mut limit = limit.clone();
    if by_days && limit.period == Some(Period::Calendar(CalendarUnit::Day)) {
        limit.zone = None;
        limit = limit.every(DAY);
    }
    let providers = limit
        .when
        .iter_mut()
        .filter(|(tag, _)| *tag == Tag::Provider);
    for value in providers.flat_map(|(_, values)| values) {
        *value = provider_name(value).into();
    }
    Identity::of(&limit)
}
