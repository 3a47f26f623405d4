//! Values that read and make no sense. Those of limits are checked where limits are put together.

use super::{ConfigError, LimitConfig, Preset, Quota, RateLimiting, tree::unknown};
use crate::{
    limit::{Calendar, CalendarUnit, Quantity},
    money::Money,
};

const SHARE: &str = "must be more than 0 and at most 1: 0.9 is nine tenths";
const IDLE: &str = "is for the limits that stand beside it, and there are none; write their amounts, as `rpm: 500`, also \
                    where a preset has them";
const MONEY: &str = "must be more than 0; leave it out where there is no budget";

impl RateLimiting {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        self.check_queue()?;
        self.check_tags()?;
        self.retry.check()?;
        self.failover.check()?;
        if self.max_counts == 0 {
            return wrong(
                "max_counts",
                "is 0, so that no tag value could have a count of its own; leave it out, or raise it",
            );
        }
        if self.cap_output == Some(0) {
            return wrong(
                "cap_output",
                "is 0, with which no call would be answered; leave it out, or raise it",
            );
        }
        for (provider, models) in &self.prices {
            if let Some((model, _)) = models.iter().find(|(_, price)| price.max_output == Some(0)) {
                return wrong(
                    &format!("prices.{provider}.{model}.max_output"),
                    "is 0, so that nothing would be reserved for an answer; leave it out",
                );
            }
        }
        self.check_presets()?;
        for (alias, model) in &self.model_aliases {
            let path = format!("model_aliases.{alias}");
            if model.is_empty() || model == alias {
                return wrong(
                    &path,
                    "leads nowhere; write the model's name: gpt-4o, azure/gpt-4o",
                );
            }
            if self.model_aliases.contains_key(model) {
                return wrong(
                    &path,
                    &format!("leads to `{model}`, which is an alias as well; name the model"),
                );
            }
        }
        share("headroom", self.headroom)?;
        self.check_limits()?;
        self.check_money()
    }

    fn check_limits(&self) -> Result<(), ConfigError> {
        let counts_tokens = |limit: &LimitConfig| {
            !matches!(limit.quantity, Quantity::Requests | Quantity::Concurrency)
        };
        let mut limits = self.limits.iter();
        if let Some(place) =
            limits.position(|limit| limit.charge.is_some() && !counts_tokens(limit))
        {
            return wrong(
                &format!("limits[{place}].charge"),
                "means something for tokens alone; leave it out",
            );
        }
        check_quota("global", &self.global)?;
        for (provider, models) in &self.providers {
            for (model, quota) in models {
                check_quota(&format!("providers.{provider}.{model}"), quota)?;
            }
        }
        let mut agents = self.agents.iter();
        agents.try_for_each(|(agent, quota)| check_quota(&format!("agents.{agent}"), quota))
    }

    fn check_presets(&self) -> Result<(), ConfigError> {
        for (place, name) in self.presets.iter().enumerate() {
            let path = format!("presets[{place}]");
            let Some(preset) = Preset::find(name) else {
                let all: Vec<String> = Preset::all().iter().map(ToString::to_string).collect();
                let names: Vec<&str> = all.iter().map(String::as_str).collect();
                let mut reason = unknown("preset", name, &names);
                if reason.ends_with('?') {
                    reason += &format!(" There are {}", names.join(", "));
                }
                return wrong(&path, &reason);
            };
            let same = |other: &&String| other.split('/').next() == Some(preset.provider());
            if let Some(other) = self.presets[..place].iter().find(same) {
                return wrong(
                    &path,
                    &format!("`{other}` is there already; an account has one tier"),
                );
            }
        }
        Ok(())
    }

    fn check_queue(&self) -> Result<(), ConfigError> {
        if self.queue.max_waiting == 0 {
            return wrong(
                "queue.max_waiting",
                "is 0, so that nothing could ever wait; leave it out, or raise it",
            );
        }
        if self.queue.share_by.is_empty() {
            return wrong("queue.share_by", "is empty; name a tag: `agent`, `team`");
        }
        if let Some((party, _)) = self.queue.weights.iter().find(|(_, weight)| **weight == 0) {
            return wrong(
                &format!("queue.weights.{party}"),
                "is 0, a share of nothing; 1 is that of a party without a weight",
            );
        }
        Ok(())
    }

    fn check_money(&self) -> Result<(), ConfigError> {
        money("max_hourly_spend", self.max_hourly_spend)?;
        money("max_daily_spend", self.max_daily_spend)?;
        money("max_weekly_spend", self.max_weekly_spend)?;
        money("max_monthly_spend", self.max_monthly_spend)?;
        share("alert_threshold", self.alert_threshold)?;
        if let Err(error) = Calendar::new(CalendarUnit::Day, &self.time_zone) {
            return wrong("time_zone", &error.to_string());
        }
        if let Some(currency) = self.currency.as_deref().filter(|other| *other != "USD") {
            let reason = format!("is `{currency}`; prices are in USD, and nothing is converted");
            return wrong("currency", &reason);
        }
        let cost = |limit: &LimitConfig| limit.quantity == Quantity::Cost;
        if let Some(place) = self.limits.iter().position(cost) {
            return wrong(
                &format!("limits[{place}].quantity"),
                "is `cost`; write it under `budgets`",
            );
        }
        for (place, budget) in self.budgets.iter().enumerate() {
            let path = |field: &str| format!("budgets[{place}].{field}");
            money(&path("amount"), Some(budget.amount))?;
            for (value, amount) in &budget.amounts {
                money(&path(&format!("amounts.{value}")), Some(*amount))?;
            }
            for (place, part) in budget.thresholds.iter().flatten().enumerate() {
                share(&path(&format!("thresholds[{place}]")), Some(*part))?;
            }
            if let Some(Err(error)) = budget
                .time_zone
                .as_deref()
                .map(|zone| Calendar::new(CalendarUnit::Day, zone))
            {
                return wrong(&path("time_zone"), &error.to_string());
            }
        }
        Ok(())
    }
}

fn check_quota(path: &str, quota: &Quota) -> Result<(), ConfigError> {
    share(&format!("{path}.headroom"), quota.headroom)?;
    share(&format!("{path}.adaptive"), quota.adaptive)?;
    for (field, is_idle) in [
        ("headroom", quota.has_idle_headroom()),
        ("adaptive", quota.has_idle_adaptive()),
    ] {
        if is_idle {
            return wrong(&format!("{path}.{field}"), IDLE);
        }
    }
    money(&format!("{path}.max_cost_per_run"), quota.max_cost_per_run)?;
    money(
        &format!("{path}.max_cost_per_hour"),
        quota.max_cost_per_hour,
    )?;
    money(&format!("{path}.max_cost_per_day"), quota.max_cost_per_day)
}

fn share(path: &str, share: Option<f64>) -> Result<(), ConfigError> {
    match share {
        Some(share) if !(share > 0.0 && share <= 1.0) => wrong(path, SHARE),
        _ => Ok(()),
    }
}

fn money(path: &str, amount: Option<Money>) -> Result<(), ConfigError> {
    match amount {
        Some(Money::ZERO) => wrong(path, MONEY),
        _ => Ok(()),
    }
}

fn wrong(path: &str, reason: &str) -> Result<(), ConfigError> {
    Err(ConfigError::Value {
        path: format!("rate_limiting.{path}"),
        reason: reason.to_owned(),
    })
}
