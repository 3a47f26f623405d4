//! One layer that is all of them in the recommended order: failover around retry around budget around admission.

mod gated;
mod listeners;
mod put_together;
mod service;

use std::sync::Arc;

#[cfg(feature = "gateway")]
use http::HeaderName;

use self::listeners::Listeners;
pub use self::service::RateLimit;
#[cfg(feature = "gateway")]
use crate::failover::ApiKey;
use crate::{
    admission::AdmissionLayer,
    budget::BudgetLayer,
    call::Places,
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
/// [`AdmissionLayer`]. How requests are read (`as_it_came`, `body_cap`, `cap_output`) may be set on any of them. Observers
/// and statistics may be given to any of them, or to this layer: all are told of all of its calls, each once.
///
/// The order in which its parts and settings are given makes no difference.
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
    statistics: Places,
    observers: Observers,
    /// Who hears of targets, of whichever failover layer.
    listeners: Listeners,
    routed_only: bool,
    off: bool,
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
            statistics: Places::default(),
            observers: Observers::default(),
            listeners: Listeners::default(),
            routed_only: false,
            off: false,
        }
    }

    /// Sets routes to other targets. Unless `failover` [watches](FailoverLayer::watch) another limiter, it watches that
    /// of the admission. It is listened to by those that were [added](Self::on_failover) here before, too.
    pub fn failover(mut self, failover: FailoverLayer) -> Self {
        let failover = failover.watching(self.admission.limiter());
        self.failover = self.listeners.listen_to(failover);
        self
    }

    /// Adds a listener, as [`FailoverLayer::on_event`] does, whichever failover layer is set.
    pub fn on_failover(
        mut self,
        listener: impl Fn(&FailoverEvent) + Send + Sync + 'static,
    ) -> Self {
        let listener = Listeners::of(listener);
        self.failover = listener.listen_to(self.failover);
        self.listeners.add(listener);
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
        self.routed_only = true;
        self
    }

    /// Returns whether any call goes to a target of a route.
    #[must_use]
    pub fn has_routes(&self) -> bool {
        !self.off && self.failover.reroutes()
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
        let reroutes = self.has_routes();
        let models = self.failover.models().filter(|_| reroutes);
        models.map(str::to_owned).collect()
    }

    /// The keys that targets of routes are sent.
    #[cfg(feature = "gateway")]
    pub(crate) fn keys(&self) -> impl Iterator<Item = &ApiKey> {
        self.failover.keys()
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

    /// Records what attempts use, as [`BudgetLayer::statistics`] does. What admission refuses is recorded as well. Where
    /// it was told to record before, it goes on to.
    ///
    /// If the budget layer alone is switched [off](BudgetLayer::off), nobody knows what attempts cost: they are recorded
    /// as [unpriced](crate::statistics::Figures::unpriced).
    pub fn statistics(mut self, statistics: Statistics) -> Self {
        self.statistics = self.statistics.with(statistics);
        self
    }

    /// Where attempts are recorded, if they are: of several places the first.
    #[cfg(feature = "gateway")]
    pub(crate) fn recorded(&self) -> Option<&Statistics> {
        self.statistics.iter().next()
    }

    /// Adds an observer, which is told what becomes of the calls that come to these layers; see
    /// [`event`](crate::event). Observers that were added before stay.
    pub fn observe(mut self, observer: impl Observer) -> Self {
        self.observers = self.observers.with(observer);
        self
    }

    /// Switches the layer off: everything passes unchanged, unread and uncounted, and goes to no other target. Whatever
    /// else is set, before or after, has no effect.
    ///
    /// To switch off one of its parts, give it one that is [off](AdmissionLayer::off).
    pub fn off(mut self) -> Self {
        self.off = true;
        self
    }
}
