//! One layer that is all of them in the recommended order: failover around retry around budget around admission.

mod gated;
mod service;

use std::sync::Arc;

#[cfg(feature = "gateway")]
use http::HeaderName;
use tower_layer::Layer;

use self::service::Layers;
pub use self::service::RateLimit;
use crate::{
    admission::AdmissionLayer,
    budget::BudgetLayer,
    event::{Observer, Observers},
    failover::{FailoverEvent, FailoverLayer, Routes},
    limiter::Limiter,
    pricing::PriceTable,
    retry::RetryLayer,
    statistics::Statistics,
    tags::Tags,
};

/// All layers in the order that suits most programs: failover around retry around budget around admission.
///
/// It has no logic of its own; what it does is done by [`FailoverLayer`], [`RetryLayer`], [`BudgetLayer`] and
/// [`AdmissionLayer`]. How requests are read (`as_it_came`, `body_cap`, `cap_output`) may be set on any of them.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use tower_quota::{
///     BudgetLayer, FailoverLayer, Limiter, Money, RateLimitLayer, RetryLayer, Tag,
///     failover::{ApiKey, Provider, Route, Routes, Target},
///     limit::{Limit, Limits},
///     pricing::PriceTable,
/// };
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let minute = Duration::from_secs(60);
/// let limiter = Limiter::new(Limits::new([
///     Limit::requests(500).every(minute).when(Tag::Provider, "openai"),
///     Limit::cost(Money::from_dollars(10)).every(minute * 60).per(Tag::Agent),
/// ])?);
/// let openai = Provider::new("openai", "https://api.openai.com/v1")?.key(ApiKey::new("main", "sk-…")?);
/// let groq = Provider::new("groq", "https://api.groq.com/openai/v1")?.key(ApiKey::new("main", "gsk-…")?);
/// let route = Route::ordered([
///     Target::new(&openai, "gpt-oss-120b"),
///     Target::new(&groq, "gpt-oss-120b").sent_as("openai/gpt-oss-120b"),
/// ]);
/// let layer = RateLimitLayer::new(limiter)
///     .failover(FailoverLayer::new(Routes::new([("gpt-oss-120b", route)])?))
///     .retry(RetryLayer::new().longest_wait(minute));
/// # let _ = layer;
/// # Ok(())
/// # }
/// ```
///
/// # The inner service
/// The service that this layer wraps must be
/// `Service<http::Request<B>, Response = http::Response<R>> + Clone + Send + 'static`,
/// with a future that is `Send` and an error that is `Send + 'static`.
///
/// - The request body `B` must be `Body<Data = Bytes> + From<Bytes> + Send + 'static`, as `Full<Bytes>`,
///   `reqwest::Body` and `axum::body::Body` are, with an error that converts into `Box<dyn Error + Send + Sync>`. Other
///   bodies come in through [`RequestBody`](crate::RequestBody).
/// - The response body `R` must be `Body<Data = Bytes> + Send + 'static`, with an error that is `Send`.
///
/// The same holds for each of the four layers.
#[derive(Clone, Debug)]
#[must_use]
pub struct RateLimitLayer {
    failover: FailoverLayer,
    retry: RetryLayer,
    budget: BudgetLayer,
    admission: AdmissionLayer,
    statistics: Option<Statistics>,
    observers: Observers,
}

impl RateLimitLayer {
    /// Creates a layer with admission under `limiter`, its budgets at the built-in prices, retries as in
    /// [`RetryLayer::new`], and no route to another target.
    pub fn new(limiter: Limiter) -> Self {
        Self::of(RetryLayer::new(), AdmissionLayer::new(limiter))
    }

    /// Creates a layer from a retry layer and an admission layer with settings of their own.
    pub fn of(retry: RetryLayer, admission: AdmissionLayer) -> Self {
        let limiter = admission.limiter().clone();
        RateLimitLayer {
            failover: FailoverLayer::new(Routes::default()),
            retry,
            budget: BudgetLayer::new(limiter, Arc::new(PriceTable::built_in())),
            admission,
            statistics: None,
            observers: Observers::default(),
        }
    }

    /// Sets routes to other targets. Unless `failover` [watches](FailoverLayer::watch) another limiter, it watches that
    /// of the admission.
    pub fn failover(mut self, failover: FailoverLayer) -> Self {
        self.failover = failover.watching(self.admission.limiter());
        self
    }

    /// Adds a listener, as [`FailoverLayer::on_event`] does.
    pub fn on_failover(
        mut self,
        listener: impl Fn(&FailoverEvent) + Send + Sync + 'static,
    ) -> Self {
        self.failover = self.failover.on_event(listener);
        self
    }

    /// Uses parked targets with these tags again, as [`FailoverLayer::unpark`] does. Returns how many are parked no more.
    ///
    /// As there, it has to be the layer that made the services, or a clone of it.
    pub fn unpark(&self, tags: &Tags) -> usize {
        self.failover.unpark(tags)
    }

    /// Refuses calls without a route, as [`FailoverLayer::routed_only`] does.
    pub fn routed_only(mut self) -> Self {
        self.failover = self.failover.routed_only();
        self
    }

    /// Returns whether any call goes to a target of a route.
    #[must_use]
    pub fn has_routes(&self) -> bool {
        self.failover.reroutes()
    }

    /// Headers that go to no target of a route.
    #[cfg(feature = "gateway")]
    pub(crate) fn hiding(mut self, headers: impl IntoIterator<Item = HeaderName>) -> Self {
        self.failover = self.failover.hiding(headers);
        self
    }

    /// Retries nothing that failed so, where it is not told otherwise: what may come of it elsewhere, failover decides.
    #[cfg(feature = "gateway")]
    pub(crate) fn not_repeating(mut self, is: fn(&(dyn std::any::Any + 'static)) -> bool) -> Self {
        self.retry = self.retry.not_repeating(is);
        self
    }

    /// The models that have a route, in order.
    #[cfg(feature = "gateway")]
    pub(crate) fn models(&self) -> Vec<String> {
        let reroutes = self.failover.reroutes();
        let models = self.failover.models().filter(|_| reroutes);
        models.map(str::to_owned).collect()
    }

    /// Replaces the settings of retries.
    pub fn retry(mut self, retry: RetryLayer) -> Self {
        self.retry = retry;
        self
    }

    /// Replaces the budget layer, for budgets other than those of the admission's limiter, or for other prices.
    pub fn budget(mut self, budget: BudgetLayer) -> Self {
        self.budget = budget;
        self
    }

    /// Replaces the prices, as [`BudgetLayer::set_prices`] does.
    pub fn set_prices(&self, prices: Arc<PriceTable>) {
        self.budget.set_prices(prices);
    }

    /// Returns the prices of the calls that come now, as [`BudgetLayer::prices`] does.
    #[must_use]
    pub fn prices(&self) -> Arc<PriceTable> {
        self.budget.prices()
    }

    /// Has everything that records its calls, or those of its clones, know the budgets that there are now.
    #[cfg(feature = "config")]
    pub(crate) fn watch_budgets(&self) {
        self.budget.watch_budgets();
    }

    /// Records what attempts use, as [`BudgetLayer::statistics`] does. What admission refuses is recorded as well.
    pub fn statistics(mut self, statistics: Statistics) -> Self {
        self.statistics = Some(statistics);
        self
    }

    /// Where attempts are recorded, if they are.
    #[cfg(feature = "gateway")]
    pub(crate) fn recorded(&self) -> Option<&Statistics> {
        self.statistics.as_ref()
    }

    /// Adds an observer, which is told what becomes of the calls that come to these layers; see
    /// [`event`](crate::event). Observers that were added before stay.
    pub fn observe(mut self, observer: impl Observer) -> Self {
        self.observers = self.observers.with(observer);
        self
    }

    /// Who is told of its calls, and where they are recorded; of what is claimed beside it they are told the same.
    #[cfg(feature = "gateway")]
    pub(crate) fn watched_by(&self) -> (Observers, Option<Statistics>) {
        match self.keeps_bodies() {
            true => (self.observers.clone(), self.statistics.clone()),
            // Switched off: whoever was added since hears of no calls either.
            false => Default::default(),
        }
    }

    /// Whether a call may have more than one attempt.
    #[cfg(feature = "gateway")]
    pub(crate) fn repeats(&self) -> bool {
        self.retry.repeats() || self.failover.reroutes()
    }

    /// Whether the bodies of calls are kept in memory until they are answered; all its layers are switched off together.
    #[cfg(feature = "gateway")]
    pub(crate) fn keeps_bodies(&self) -> bool {
        !self.admission.inspect().off
    }

    /// Switches the layer off: everything passes unchanged, unread and uncounted, and goes to no other target.
    pub fn off(self) -> Self {
        RateLimitLayer {
            failover: self.failover.off(),
            retry: self.retry.off(),
            budget: self.budget.off(),
            admission: self.admission.off(),
            statistics: None,
            observers: Observers::default(),
        }
    }
}

impl<S> Layer<S> for RateLimitLayer {
    type Service = RateLimit<S>;

    fn layer(&self, inner: S) -> RateLimit<S> {
        let budget = self.budget.clone().observed_by(&self.observers);
        let inside = budget.inspect().over(self.admission.inspect());
        let retry = self.retry.clone().inspects_for(inside);
        let failover = self.failover.clone().inspects_for(retry.inspect());
        let budget = match &self.statistics {
            Some(statistics) => budget.statistics(statistics.clone()),
            None => budget,
        };
        let budget = budget.around(&self.admission);
        let layers = Layers {
            failover: failover.settings(),
            retry: retry.settings(),
            budget: budget.gate(),
            admission: Arc::new(self.admission.gate()),
        };
        RateLimit::new(inner, layers)
    }
}
