use std::{num::NonZeroU32, sync::Arc, time::Duration};

use http::HeaderName;
use tower_layer::Layer;

#[cfg(feature = "gateway")]
use super::ApiKey;
use super::{
    BreakerOptions, Failover, FailoverEvent, Routes, Trigger,
    candidate::{Way, ways},
    event::Listener,
    health::Health,
    service::{Options, Settings, Shared},
};
use crate::{
    call::Inspect,
    event::Observer,
    limiter::Limiter,
    retry::{Failure, RetryBudget, classifier::Classifier},
    tags::Tags,
};

/// Makes [`Failover`] services. All of them, and those of the layer's clones, share what is known of the targets.
#[derive(Clone, Debug)]
#[must_use]
pub struct FailoverLayer {
    options: Options,
    /// Taken from here as long as nothing was made.
    breaker: BreakerOptions,
    listener: Listener,
    routes: Arc<Routes>,
    /// Headers that have keys of others in them.
    hidden: Vec<HeaderName>,
    shared: Arc<std::sync::OnceLock<Arc<Shared>>>,
    inspect: Inspect,
}

impl FailoverLayer {
    /// Creates a layer that sends calls for models with a route to the targets of that route.
    pub fn new(routes: Routes) -> Self {
        FailoverLayer {
            options: Options::default(),
            breaker: BreakerOptions::new(),
            listener: Listener::default(),
            routes: Arc::new(routes),
            hidden: Vec::new(),
            shared: Arc::default(),
            inspect: Inspect::default(),
        }
    }

    /// Sets how long a call waits for one target (for room here, or for a told wait) while there are others that were
    /// not tried, or whose told waits are waited out; a second by default. If none has room within that time, the call waits
    /// for the one that has room first, as long as it may.
    pub fn patience(mut self, span: Duration) -> Self {
        self.options.patience = span;
        self
    }

    /// Sets the longest [told wait](crate::retry#waits) that a call waits out when no target serves sooner; a minute by
    /// default.
    pub fn longest_wait(mut self, wait: Duration) -> Self {
        self.options.longest_wait = wait;
        self
    }

    /// Sets how many attempts a call has in all, by all layers together; 10 by default.
    pub fn max_attempts(mut self, attempts: NonZeroU32) -> Self {
        self.options.max_attempts = attempts.get();
        self
    }

    /// Sets how often calls may come back to a target that failed and told a wait, so that an outage of all targets is
    /// not multiplied; see [`RetryBudget`]. The first attempt at each target is free, and so is coming back after a
    /// 429.
    pub fn retry_budget(mut self, budget: RetryBudget) -> Self {
        self.options.budget = Some(budget);
        self
    }

    /// Lets calls come back as often as [`max_attempts`](Self::max_attempts) allows.
    pub fn no_retry_budget(mut self) -> Self {
        self.options.budget = None;
        self
    }

    /// Sets how long an account whose money or quota is used up is parked if the provider names no time; an hour by
    /// default.
    pub fn park_for(mut self, span: Duration) -> Self {
        self.options.park_for = span;
        self
    }

    /// Lets calls go on to the next target for this reason too. All reasons but [`Trigger::ContentFilter`] are on by
    /// default.
    pub fn on(mut self, trigger: Trigger) -> Self {
        self.options.triggers = self.options.triggers.with(trigger);
        self
    }

    /// Keeps calls from going on to the next target for this reason: the answer, error or refusal is handed on instead.
    pub fn not_on(mut self, trigger: Trigger) -> Self {
        self.options.triggers = self.options.triggers.without(trigger);
        self
    }

    /// Sets when the breaker of a target opens and closes.
    pub fn breaker(mut self, options: BreakerOptions) -> Self {
        self.breaker = options;
        self.anew()
    }

    /// Sets whether attempts that may have been billed are repeated elsewhere; see
    /// [`RetryLayer::repeats_uncertain`](crate::RetryLayer::repeats_uncertain).
    pub fn repeats_uncertain(mut self, repeats: bool) -> Self {
        self.options.repeats_uncertain = repeats;
        self
    }

    /// Sets a function that tells what kind of failure an error is, as
    /// [`RetryLayer::classify`](crate::RetryLayer::classify) does.
    pub fn classify(
        mut self,
        classify: impl Fn(&(dyn std::any::Any + 'static)) -> Option<Failure> + Send + Sync + 'static,
    ) -> Self {
        self.options.classifier = Classifier::new(classify);
        self
    }

    /// Sets the limiter whose budgets [degrade](super::Route::degraded) routes, and whose limits tell which key has the
    /// [most headroom](super::Pool::MostHeadroom). No call waits for a target for longer than its
    /// [queue](crate::limiter::QueueOptions::max_wait) allows.
    pub fn watch(mut self, limiter: Limiter) -> Self {
        self.options.limiter = Some(limiter);
        self
    }

    /// Watches this one where nothing was said.
    pub(crate) fn watching(mut self, limiter: &Limiter) -> Self {
        self.options.limiter.get_or_insert_with(|| limiter.clone());
        self
    }

    /// Adds a listener, which is told of breakers and parked accounts. Listeners that were added before stay.
    ///
    /// It is called on the call's own task, or by whoever [unparks](Self::unpark), with no lock held, and should not
    /// block.
    pub fn on_event(mut self, listener: impl Fn(&FailoverEvent) + Send + Sync + 'static) -> Self {
        self.listener = self.listener.with(listener);
        self.anew()
    }

    /// Uses parked targets again before their time is over: after their account was topped up, or their key put right.
    /// The next call may go there. Returns how many targets are parked no more, each of which
    /// [listeners](Self::on_event) are told of; 0 if none of them was parked.
    ///
    /// The targets are those that have all of these tags: of `provider`, `model` and `api_key`, which may be left out.
    /// An account is parked as a whole: if that of one of them is, all targets that share its key are used again.
    ///
    /// Breakers that are open and waits that providers asked for are left alone, as they end by themselves. An attempt
    /// that is on its way may park its target anew. Other processes learn nothing of it.
    ///
    /// It has to be the layer that made the services, or a clone of it. One that was given a listener or a breaker
    /// since is another layer, and knows nothing of their targets.
    ///
    /// ```
    /// use tower_quota::{FailoverLayer, Tag, Tags, failover::Routes};
    ///
    /// let layer = FailoverLayer::new(Routes::default());
    /// let topped_up = Tags::new().with(Tag::Provider, "openai").with(Tag::ApiKey, "main");
    /// assert_eq!(layer.unpark(&topped_up), 0);
    /// ```
    pub fn unpark(&self, tags: &Tags) -> usize {
        let Some(shared) = self.shared.get() else {
            return 0;
        };
        let all = shared.ways.values().flat_map(Way::all);
        shared.health.unpark(all, |candidate| candidate.has(tags))
    }

    /// Refuses calls that have no route with [`NoRoute`](crate::Rejection::NoRoute), instead of letting them go on
    /// unchanged: calls for other models, calls whose body was too long to read, and calls that are signed.
    pub fn routed_only(mut self) -> Self {
        self.options.routed_only = true;
        self
    }

    /// Returns the models that have a route, sorted by name.
    pub fn models(&self) -> impl Iterator<Item = &str> {
        let mut models: Vec<&str> = self.routes.models().collect();
        models.sort_unstable();
        models.into_iter()
    }

    /// The keys that targets are sent.
    #[cfg(feature = "gateway")]
    pub(crate) fn keys(&self) -> impl Iterator<Item = &ApiKey> {
        self.routes.keys()
    }

    /// Leaves requests unchanged, as [`AdmissionLayer::as_it_came`](crate::AdmissionLayer::as_it_came) does. The model,
    /// the address and the credentials are changed all the same.
    pub fn as_it_came(mut self) -> Self {
        self.inspect.as_is = true;
        self
    }

    /// Adds an observer, as [`AdmissionLayer::observe`](crate::AdmissionLayer::observe) does.
    pub fn observe(mut self, observer: impl Observer) -> Self {
        self.inspect.observers = self.inspect.observers.with(observer);
        self
    }

    /// Sets how many bytes of a request body are read, as [`AdmissionLayer::body_cap`](crate::AdmissionLayer::body_cap)
    /// does. A call whose body passes unread goes where it was addressed.
    pub fn body_cap(mut self, bytes: usize) -> Self {
        self.inspect.body_cap = Some(bytes);
        self
    }

    pub(crate) fn inspect(&self) -> Inspect {
        self.inspect.clone()
    }

    /// Reads requests as layers further in are told to, where nothing is said here.
    pub(crate) fn inspects_for(mut self, inside: Inspect) -> Self {
        self.inspect = self.inspect.over(inside);
        self
    }

    /// Headers that go to no target, beside those that are known to have keys.
    #[cfg(feature = "gateway")]
    pub(crate) fn hiding(mut self, headers: impl IntoIterator<Item = HeaderName>) -> Self {
        self.hidden.extend(headers);
        self.anew()
    }

    /// Whether calls may go to further targets.
    pub(crate) fn reroutes(&self) -> bool {
        !self.inspect.off && self.routes.models().next().is_some()
    }

    /// Switches the layer off, as [`AdmissionLayer::off`](crate::AdmissionLayer::off) does: every call passes untouched
    /// and unread, and goes where it was addressed, with or without a route.
    ///
    /// ```
    /// use tower::ServiceBuilder;
    /// use tower_quota::{FailoverLayer, failover::Routes};
    ///
    /// # let client = tower::service_fn(|_: http::Request<http_body_util::Full<bytes::Bytes>>| async {
    /// #     Ok::<_, std::convert::Infallible>(http::Response::new(http_body_util::Full::<bytes::Bytes>::default()))
    /// # });
    /// # let is_on = false;
    /// let failover = FailoverLayer::new(Routes::default()).routed_only();
    /// let failover = if is_on { failover } else { failover.off() };
    /// let client = ServiceBuilder::new().layer(failover).service(client);
    /// # fn is_service<S: tower_service::Service<http::Request<http_body_util::Full<bytes::Bytes>>>>(_: S) {}
    /// # is_service(client);
    /// ```
    pub fn off(mut self) -> Self {
        self.inspect.off = true;
        self
    }

    /// What its services go by.
    pub(crate) fn settings(&self) -> Settings {
        let shared = self.shared.get_or_init(|| {
            Arc::new(Shared {
                ways: ways(&self.routes),
                health: Health::new(self.breaker, self.listener.clone()),
                headers: [self.routes.key_headers(), self.hidden.clone()].concat(),
            })
        });
        let mut inspect = Inspect {
            reroutes: true,
            reads_all: true,
            ..self.inspect.clone()
        };
        // Without a route there is nothing to do.
        inspect.off |= shared.ways.is_empty() && !self.options.routed_only;
        Settings {
            options: self.options.clone(),
            shared: shared.clone(),
            inspect,
        }
    }

    /// What is shared is made with these settings.
    fn anew(mut self) -> Self {
        self.shared = Arc::default();
        self
    }
}

impl<S> Layer<S> for FailoverLayer {
    type Service = Failover<S>;

    fn layer(&self, inner: S) -> Failover<S> {
        Failover::new(inner, self.settings())
    }
}
