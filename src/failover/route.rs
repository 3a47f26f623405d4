//! Which targets serve a model.

use std::{collections::HashMap, sync::Arc};

use http::HeaderName;

#[cfg(feature = "gateway")]
use super::ApiKey;
use super::Provider;

/// A model of a provider that calls can go to. It makes one target with each of the provider's keys.
#[derive(Clone, Debug)]
#[must_use]
pub struct Target {
    pub(super) provider: Arc<Provider>,
    /// As limits and prices know it.
    pub(super) model: Arc<str>,
    /// As the provider does.
    pub(super) sent_as: Arc<str>,
    pub(super) weight: u32,
    pub(super) context: Option<u64>,
}

/// The targets for a model name, in the order in which they are tried.
#[derive(Clone, Debug)]
#[must_use]
pub struct Route {
    pub(super) targets: Vec<Target>,
    pub(super) is_weighted: bool,
    /// What is used from such a share of a budget on.
    pub(super) degraded: Option<Degraded>,
}

#[derive(Clone, Debug)]
pub(super) struct Degraded {
    pub(super) from: f64,
    pub(super) targets: Vec<Target>,
}

/// A route for each model name that has one. Calls for any other model go on unchanged.
///
/// ```
/// use tower_quota::failover::{ApiKey, Provider, Route, Routes, Target};
///
/// let openai = Provider::new("openai", "https://api.openai.com/v1")?.key(ApiKey::new("main", "sk-…")?);
/// let azure = Provider::new("azure", "https://mine.openai.azure.com/openai/v1")?.key(ApiKey::new("west", "…")?);
/// let routes = Routes::new([
///     ("gpt-5.5", Route::ordered([Target::new(&openai, "gpt-5.5"), Target::new(&azure, "gpt-5.5")])),
///     // From nine tenths of a budget on, the cheaper one is used.
///     ("gpt-5.4", Route::ordered([Target::new(&openai, "gpt-5.4")])
///         .degraded(0.9, [Target::new(&openai, "gpt-5.4-mini")])),
/// ])?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Routes(pub(super) HashMap<Arc<str>, Route>);

/// Why something cannot be a route.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RouteError {
    /// An API key makes no sense. The error names its label, never the key.
    #[error("the API key `{label}` {reason}")]
    Key {
        /// The key's label.
        label: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A provider makes no sense.
    #[error("provider `{name}`: {reason}")]
    Provider {
        /// The provider's name.
        name: String,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// A route makes no sense.
    #[error("route `{model}`: {reason}")]
    Route {
        /// The model that the route is for.
        model: String,
        /// What is wrong, and what would be right.
        reason: String,
    },
}

impl Target {
    /// Creates a target from a provider and the name that limits and prices have for the model.
    pub fn new(provider: &Provider, model: impl Into<Arc<str>>) -> Self {
        let model = model.into();
        Target {
            provider: Arc::new(provider.clone()),
            sent_as: model.clone(),
            model,
            weight: 1,
            context: None,
        }
    }

    /// Sets the provider's own name for the model, if it differs: an Azure deployment, a fine-tune.
    pub fn sent_as(mut self, name: impl Into<Arc<str>>) -> Self {
        self.sent_as = name.into();
        self
    }

    /// Sets how often the target is tried first, if the route goes by weights; 1 by default. A target of weight 0 is
    /// never tried first, only after all those with a higher weight.
    pub fn weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// Sets how many tokens the model takes at most, input and output together. A call that was too long for another
    /// model goes only to targets that are known to take more, or of which this is not known.
    pub fn context(mut self, tokens: u64) -> Self {
        self.context = Some(tokens);
        self
    }
}

impl Target {
    /// Whether it is one model at one place, whatever the key.
    pub(super) fn is_same_model(&self, other: &Target) -> bool {
        let (one, two) = (&self.provider, &other.provider);
        self.sent_as == other.sent_as && one.name == two.name && one.base == two.base
    }
}

impl Route {
    /// Creates a route whose targets are tried in this order: the first that can serve does.
    pub fn ordered(targets: impl IntoIterator<Item = Target>) -> Self {
        Route {
            targets: targets.into_iter().collect(),
            is_weighted: false,
            degraded: None,
        }
    }

    /// Creates a route in which each target is tried first as often as its weight says; the others follow.
    pub fn weighted(targets: impl IntoIterator<Item = Target>) -> Self {
        Route {
            is_weighted: true,
            ..Self::ordered(targets)
        }
    }

    /// Sets targets that serve instead once this share is used of any budget that the call counts in, reserved money
    /// included: a cheaper model rather than none.
    ///
    /// Below that share they serve when no other target can. This needs a limiter to
    /// [watch](super::FailoverLayer::watch).
    pub fn degraded(mut self, from: f64, targets: impl IntoIterator<Item = Target>) -> Self {
        self.degraded = Some(Degraded {
            from,
            targets: targets.into_iter().collect(),
        });
        self
    }

    fn check(&self, model: &str) -> Result<(), RouteError> {
        let wrong = |reason: &str| {
            Err(RouteError::Route {
                model: model.to_owned(),
                reason: reason.to_owned(),
            })
        };
        if model.is_empty() {
            return wrong("its model has no name");
        }
        if self.targets.is_empty() {
            return wrong("it has no target; name at least one");
        }
        if self.is_weighted && self.targets.iter().all(|target| target.weight == 0) {
            return wrong("all its weights are 0; give one target at least 1");
        }
        if let Some(degraded) = &self.degraded {
            if !(degraded.from > 0.0 && degraded.from <= 1.0) {
                return wrong(
                    "`degraded` begins at a share of a budget, more than 0 and at most 1",
                );
            }
            if degraded.targets.is_empty() {
                return wrong("`degraded` has no target; name at least one that costs less");
            }
        }
        let mut seen = Vec::new();
        for target in self.all() {
            if target.model.is_empty() || target.sent_as.is_empty() {
                return wrong("one of its targets has a model without a name");
            }
            let this = (
                &target.provider.name,
                &target.provider.base,
                &target.sent_as,
            );
            if seen.contains(&this) {
                let twice = format!("`{}/{}` is there twice", target.provider.name, target.model);
                return wrong(&twice);
            }
            seen.push(this);
        }
        Ok(())
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Target> {
        let degraded = self.degraded.iter().flat_map(|degraded| &degraded.targets);
        self.targets.iter().chain(degraded)
    }
}

impl Routes {
    /// Creates the routes, by the names that callers have for the models.
    ///
    /// # Errors
    /// If a route has no targets, a target is there twice, a model has two routes, all weights are 0, a share is not
    /// valid, or a label stands for two keys of one provider.
    pub fn new<M: Into<Arc<str>>>(
        routes: impl IntoIterator<Item = (M, Route)>,
    ) -> Result<Self, RouteError> {
        let mut all: HashMap<Arc<str>, Route> = HashMap::new();
        for (model, route) in routes {
            let model = model.into();
            route.check(&model)?;
            if all.insert(model.clone(), route).is_some() {
                return Err(RouteError::Route {
                    model: model.to_string(),
                    reason: "it is there twice; put all its targets into one".to_owned(),
                });
            }
        }
        let providers = all.values().flat_map(Route::all);
        let providers: Vec<&Provider> = providers.map(|target| &*target.provider).collect();
        for (number, provider) in providers.iter().enumerate() {
            provider.check()?;
            for other in &providers[..number] {
                provider.check_beside(other)?;
            }
        }
        Ok(Routes(all))
    }

    /// The headers that any of the providers takes its keys in.
    pub(super) fn key_headers(&self) -> Vec<HeaderName> {
        let mut all: Vec<HeaderName> = Vec::new();
        for target in self.0.values().flat_map(Route::all) {
            let name = target.provider.auth.name();
            if !all.contains(name) {
                all.push(name.clone());
            }
        }
        all
    }

    /// The keys that any target is sent.
    #[cfg(feature = "gateway")]
    pub(super) fn keys(&self) -> impl Iterator<Item = &ApiKey> {
        let targets = self.0.values().flat_map(Route::all);
        targets.flat_map(|target| &target.provider.keys)
    }

    /// Returns the models that have a route.
    pub fn models(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(|model| &**model)
    }
}

impl Provider {
    /// Of two at one address the keys of one label are the same: else they would be taken for one account.
    fn check_beside(&self, other: &Provider) -> Result<(), RouteError> {
        if (&self.name, &self.base) != (&other.name, &other.base) {
            return Ok(());
        }
        for key in &self.keys {
            let mut same = other.keys.iter().filter(|one| one.label() == key.label());
            if same.any(|one| !one.is_same(key)) {
                return Err(RouteError::Key {
                    label: key.label().to_owned(),
                    reason: "stands for two secrets; labels tell the keys of a provider apart",
                });
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), RouteError> {
        for (number, key) in self.keys.iter().enumerate() {
            if self.keys[..number]
                .iter()
                .any(|other| other.label() == key.label())
            {
                return Err(RouteError::Key {
                    label: key.label().to_owned(),
                    reason: "is there twice; labels tell the keys of a provider apart",
                });
            }
        }
        Ok(())
    }
}
