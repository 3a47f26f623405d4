//! Values that read and make no sense.

use super::{
    DegradedConfig, FailoverConfig, KeyConfig, PoolName, ProviderConfig, RouteConfig, TargetConfig,
};
use crate::{
    config::{ConfigError, tree::unknown},
    pricing::provider_name,
};

/// An error at this path under `failover`.
pub(super) fn wrong<T>(path: impl AsRef<str>, reason: impl Into<String>) -> Result<T, ConfigError> {
    Err(ConfigError::Value {
        path: format!("rate_limiting.failover.{}", path.as_ref()),
        reason: reason.into(),
    })
}

impl FailoverConfig {
    pub(in crate::config) fn check(&self) -> Result<(), ConfigError> {
        if self.max_attempts == 0 {
            return wrong(
                "max_attempts",
                "is 0, which sends nothing; 1 tries one target",
            );
        }
        if self.breaker.failures == 0 {
            return wrong(
                "breaker.failures",
                "is 0, so that no target could ever serve; 1 opens it at the first failure",
            );
        }
        if let Some(place) = self.not_on.iter().position(|name| self.on.contains(name)) {
            return wrong(
                format!("not_on[{place}]"),
                "is under `on` as well; say which of the two",
            );
        }
        self.check_labels()?;
        for (model, route) in &self.routes {
            if model.is_empty() {
                return wrong("routes", "has a route for a model without a name");
            }
            self.check_route(model, route)?;
        }
        Ok(())
    }

    fn check_route(&self, model: &str, route: &RouteConfig) -> Result<(), ConfigError> {
        let path = route.path(model);
        if route.targets.is_empty() {
            return wrong(path, "has no target; name at least one, as openai/gpt-5.5");
        }
        if route.weighted && route.targets.iter().all(|target| target.weight == 0) {
            return wrong(path, "has weights of 0 only; give one target at least 1");
        }
        self.check_targets(&path, &route.targets)?;
        let Some(DegradedConfig { from, targets }) = &route.degraded else {
            return Ok(());
        };
        let path = format!("routes.{model}.degraded");
        if !(*from > 0.0 && *from <= 1.0) {
            return wrong(
                format!("{path}.from"),
                "must be more than 0 and at most 1: 0.9 is nine tenths of a budget",
            );
        }
        let path = format!("{path}.targets");
        if targets.is_empty() {
            return wrong(path, "has no target; name at least one that costs less");
        }
        self.check_targets(&path, targets)
    }

    fn check_targets(&self, path: &str, targets: &[TargetConfig]) -> Result<(), ConfigError> {
        for (place, target) in targets.iter().enumerate() {
            let path = format!("{path}[{place}]");
            if !self.providers.contains_key(&target.provider) {
                let names: Vec<&str> = self.providers.keys().map(String::as_str).collect();
                return match names.is_empty() {
                    true => wrong(
                        path,
                        format!(
                            "the provider `{}` is not there; write it and its keys under `failover.providers`",
                            target.provider
                        ),
                    ),
                    false => wrong(path, unknown("provider", &target.provider, &names)),
                };
            }
            if target.sent_as.as_deref() == Some("") {
                return wrong(
                    format!("{path}.sent_as"),
                    "is empty; leave it out where it is the model's own name",
                );
            }
            if target.context == Some(0) {
                return wrong(
                    format!("{path}.context"),
                    "is 0, so that nothing would fit; leave it out where nobody knows",
                );
            }
        }
        Ok(())
    }

    /// Labels tell the keys of a provider apart, those of its other accounts among them.
    fn check_labels(&self) -> Result<(), ConfigError> {
        let mut seen: Vec<(&str, String, &str, usize)> = Vec::new();
        for (name, provider) in &self.providers {
            for (place, key) in provider.keys.iter().enumerate() {
                let (known_as, label) = (provider.known_as(name), provider.label(name, place));
                let clashes =
                    |(other_known, other_label, other, at): &&(&str, String, &str, usize)| {
                        *other_known == known_as
                            && *other_label == label
                            && (*other == name || self.providers[*other].keys[*at].key != key.key)
                    };
                if let Some((_, _, other, at)) = seen.iter().find(clashes) {
                    let field = key.label.as_ref().map_or("", |_| ".label");
                    return wrong(
                        format!("providers.{name}.keys[{place}]{field}"),
                        format!(
                            "`{label}` is the label of `providers.{other}.keys[{at}]` as well; labels tell the keys of a provider apart"
                        ),
                    );
                }
                seen.push((known_as, label, name, place));
            }
        }
        Ok(())
    }

    /// The models of all targets, each with the name by which limits and prices know its provider.
    pub(in crate::config) fn models(&self) -> impl Iterator<Item = (Option<&str>, &str)> {
        let targets = self.routes.values().flat_map(RouteConfig::all);
        targets.filter_map(move |target| {
            let provider = self.providers.get(&target.provider)?;
            Some((
                Some(provider.known_as(&target.provider)),
                target.model.as_str(),
            ))
        })
    }

    /// What is in force, and may not be meant.
    pub(in crate::config) fn doubts(&self, has_budget: bool) -> Vec<String> {
        let mut doubts = Vec::new();
        let mut doubt = |path: String, reason: &str| {
            doubts.push(format!("rate_limiting.failover.{path}: {reason}"));
        };
        for (name, provider) in &self.providers {
            let is_named = |target: &TargetConfig| target.provider == *name;
            if !self
                .routes
                .values()
                .flat_map(RouteConfig::all)
                .any(is_named)
            {
                doubt(format!("providers.{name}"), "no route leads there");
            }
            let weighs = |key: &KeyConfig| key.weight != 1;
            if provider.pool != PoolName::Weighted && provider.keys.iter().any(weighs) {
                doubt(
                    format!("providers.{name}.keys"),
                    "the weights count nothing where `pool` is not `weighted`",
                );
            }
        }
        for (model, route) in &self.routes {
            if !route.weighted && route.targets.iter().any(|target| target.weight != 1) {
                doubt(
                    route.path(model),
                    "the weights count nothing where the route is not `weighted`",
                );
            }
            if route.degraded.is_some() && !has_budget {
                doubt(
                    format!("routes.{model}.degraded"),
                    "there is no budget that it could begin at",
                );
            }
        }
        doubts
    }
}

impl ProviderConfig {
    /// By which name limits and prices know it.
    pub(super) fn known_as<'n>(&'n self, name: &'n str) -> &'n str {
        provider_name(self.provider.as_deref().unwrap_or(name))
    }

    /// What one of its keys is called.
    pub(super) fn label(&self, name: &str, place: usize) -> String {
        if let Some(label) = &self.keys[place].label {
            return label.clone();
        }
        match &self.provider {
            // Another account's first key is not this one's.
            Some(_) => format!("{name}-key-{}", place + 1),
            None => format!("key-{}", place + 1),
        }
    }
}

impl RouteConfig {
    pub(super) fn all(&self) -> impl Iterator<Item = &TargetConfig> {
        let degraded = self.degraded.iter().flat_map(|degraded| &degraded.targets);
        self.targets.iter().chain(degraded)
    }
}
