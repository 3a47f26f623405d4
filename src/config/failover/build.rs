//! From a configuration to a layer.

use std::{collections::BTreeMap, num::NonZeroU32};

use http::HeaderName;

use super::{
    AuthConfig, FailoverConfig, ProviderConfig, RouteConfig, TargetConfig, check::wrong, known,
    route::Written,
};
use crate::{
    config::ConfigError,
    failover::{
        ApiKey, Auth, BreakerOptions, FailoverLayer, Provider, Route, RouteError, Routes, Target,
    },
};

impl FailoverConfig {
    /// The layer, of values that were checked.
    pub(in crate::config) fn layer(&self) -> Result<FailoverLayer, ConfigError> {
        let attempts = NonZeroU32::new(self.max_attempts).unwrap_or(NonZeroU32::MIN);
        let layer = FailoverLayer::new(self.routes()?)
            .patience(self.patience.into())
            .longest_wait(self.longest_wait.into())
            .max_attempts(attempts)
            .park_for(self.park_for.into());
        let breaker = BreakerOptions::new()
            .failures(self.breaker.failures)
            .open_for(self.breaker.open_for.into());
        let (on, not_on) = (self.on.iter(), self.not_on.iter());
        let layer = on.fold(layer.breaker(breaker), |layer, name| {
            layer.on(name.trigger())
        });
        Ok(not_on.fold(layer, |layer, name| layer.not_on(name.trigger())))
    }

    /// The routes, of values that were checked.
    pub(in crate::config) fn routes(&self) -> Result<Routes, ConfigError> {
        let mut providers = BTreeMap::new();
        for (name, provider) in &self.providers {
            let built = provider.build(name)?;
            let built = match self.label_without_keys(name, provider) {
                Some(label) => built.label(label),
                None => built,
            };
            providers.insert(name.as_str(), built);
        }
        let target = |target: &TargetConfig| {
            let provider = providers.get(target.provider.as_str())?;
            Some(target.build(provider))
        };
        let routes = self.routes.iter().map(|(model, config)| {
            let targets = config.targets.iter().filter_map(target);
            let route = match config.weighted {
                true => Route::weighted(targets),
                false => Route::ordered(targets),
            };
            let route = match &config.degraded {
                Some(other) => route.degraded(other.from, other.targets.iter().filter_map(target)),
                None => route,
            };
            (model.as_str(), route)
        });
        Routes::new(routes).or_else(|error| match error {
            RouteError::Route { model, reason } => wrong(format!("routes.{model}"), reason),
            RouteError::Provider { name, reason } => wrong(format!("providers.{name}"), reason),
            other @ RouteError::Key { .. } => wrong("providers", other.to_string()),
        })
    }

    /// What the targets of a provider have in place of a key's label if it has no keys: what was said; or else its name here,
    /// if limits could not tell it from another one.
    fn label_without_keys<'n>(
        &self,
        name: &'n str,
        provider: &'n ProviderConfig,
    ) -> Option<&'n str> {
        let has_twin = || provider.keys.is_empty() && self.has_twins(provider.known_as(name));
        let said = provider.label.as_deref();
        said.or_else(|| has_twin().then_some(name))
    }

    /// Whether a model is served at several addresses without a key, all of them known by this name.
    fn has_twins(&self, known_as: &str) -> bool {
        let mut served = BTreeMap::new();
        let mut targets = self.routes.values().flat_map(RouteConfig::all);
        targets.any(|target| {
            let name = &target.provider;
            let provider = self.providers.get(name);
            let is_one =
                |one: &&ProviderConfig| one.keys.is_empty() && one.known_as(name) == known_as;
            let Some(provider) = provider.filter(is_one) else {
                return false;
            };
            let address = provider.address(name);
            let address = address.map(|url| url.trim_end_matches('/'));
            let before = served.insert(target.model.as_str(), address);
            before.is_some_and(|before| before != address)
        })
    }
}

impl ProviderConfig {
    /// Its base URL: what was said, or else the usual one.
    fn address(&self, name: &str) -> Option<&str> {
        let said = self.base_url.as_deref();
        said.or_else(|| known::address(self.known_as(name)))
    }

    fn build(&self, name: &str) -> Result<Provider, ConfigError> {
        let path = |field: &str| format!("providers.{name}.{field}");
        if name.is_empty() {
            return wrong("providers", "has a provider without a name");
        }
        if self.provider.as_deref() == Some("") {
            return wrong(
                path("provider"),
                "is empty; leave it out where it is its own name",
            );
        }
        let known_as = self.known_as(name);
        let Some(base_url) = self.address(name) else {
            return wrong(
                path("base_url"),
                format!("is missing; it is known only of {}", known::names()),
            );
        };
        let reason = |error: RouteError| match error {
            RouteError::Provider { reason, .. } | RouteError::Route { reason, .. } => reason,
            RouteError::Key { reason, .. } => reason.to_owned(),
        };
        let mut provider = match Provider::new(known_as, base_url) {
            Ok(provider) => provider.pool(self.pool.pool()),
            Err(error) => return wrong(path("base_url"), reason(error)),
        };
        match &self.auth {
            Some(AuthConfig::Bearer) => provider = provider.auth(Auth::Bearer),
            Some(AuthConfig::Header(header)) => match header.parse::<HeaderName>() {
                Ok(header) => provider = provider.auth(Auth::Header(header)),
                Err(_) => {
                    return wrong(
                        path("auth.header"),
                        "is no name of a header; write it as api-key",
                    );
                }
            },
            None if known::takes_bearer(known_as, base_url) => {
                provider = provider.auth(Auth::Bearer);
            }
            None => {}
        }
        for (place, key) in self.keys.iter().enumerate() {
            let label = self.label(name, place);
            let has_label = !label.is_empty();
            match ApiKey::new(label, key.key.expose()) {
                Ok(built) => provider = provider.key(built.weight(key.weight)),
                Err(error) => {
                    let field = if has_label { "key" } else { "label" };
                    let path = match key.label {
                        Some(_) => path(&format!("keys[{place}].{field}")),
                        None => path(&format!("keys[{place}]")),
                    };
                    return wrong(path, reason(error));
                }
            }
        }
        Ok(provider)
    }
}

impl TargetConfig {
    fn build(&self, provider: &Provider) -> Target {
        let target = Target::new(provider, self.model.as_str()).weight(self.weight);
        let target = match &self.sent_as {
            Some(name) => target.sent_as(name.as_str()),
            None => target,
        };
        match self.context {
            Some(tokens) => target.context(tokens),
            None => target,
        }
    }
}

impl RouteConfig {
    /// Where its targets stand, under `failover`.
    pub(super) fn path(&self, model: &str) -> String {
        match self.written {
            Written::List => format!("routes.{model}"),
            Written::Key(key) => format!("routes.{model}.{key}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_as_the_layer_has_it() {
        let built = FailoverConfig::default().layer().unwrap();
        let own = FailoverLayer::new(Routes::default()).breaker(BreakerOptions::new());
        assert_eq!(format!("{built:?}"), format!("{own:?}"));
    }
}
