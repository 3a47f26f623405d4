use std::{any::Any, num::NonZeroU32, time::Duration};

use tower_layer::Layer;

use super::{
    Failure, Retry, RetryBudget, Settings, backoff::Backoff, classifier::Classifier, policy::Policy,
};
use crate::{call::Inspect, event::Observer};

/// Makes [`Retry`] services.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct RetryLayer {
    policy: Policy,
    classifier: Classifier,
    inspect: Inspect,
}

impl RetryLayer {
    /// Three attempts at most, told waits of a minute at most, repeats for a fifth of the calls.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many attempts a call has in all; 1 repeats nothing.
    pub fn max_attempts(mut self, attempts: NonZeroU32) -> Self {
        self.policy.max_attempts = attempts;
        self
    }

    /// The longest told wait that is waited for; a minute where nothing is said. An answer that tells a longer one is
    /// handed on.
    pub fn longest_wait(mut self, wait: Duration) -> Self {
        self.policy.longest_wait = wait;
        self
    }

    /// How long a call waits where nobody tells: before its first repeat anything up to `base`, before each further one
    /// up to twice as much, `cap` at most. Half a second and eight where nothing is said.
    pub fn backoff(mut self, base: Duration, cap: Duration) -> Self {
        self.policy.backoff = Backoff { base, cap };
        self
    }

    /// How many repeats there may be for what is no 429. By default one for each five calls, and ten in reserve.
    pub fn retry_budget(mut self, budget: RetryBudget) -> Self {
        self.policy.budget = Some(budget);
        self
    }

    /// Repeats as many as there are. In an outage that is `max_attempts` times the load.
    pub fn no_retry_budget(mut self) -> Self {
        self.policy.budget = None;
        self
    }

    /// Whether attempts are repeated that may have been billed: their connection broke before the answer, or timed out.
    /// True where nothing is said, as the official SDKs do it; each such attempt is charged what was reserved for it.
    pub fn repeats_uncertain(mut self, repeats: bool) -> Self {
        self.policy.repeats_uncertain = repeats;
        self
    }

    /// Tells what kind of failure an error of the inner service is, where the caller knows better: it is asked first,
    /// with the error itself; `None` leaves it to what is known anyway. That is `std::io::Error`, and with the features
    /// `reqwest` and `gateway` the errors of those clients; boxed errors, by the first cause that is one of these.
    /// All others may have been billed, unless the request's body is a [`RequestBody`](crate::RequestBody) that was
    /// never taken from.
    ///
    /// ```
    /// use std::io;
    /// use tower_quota::{RetryLayer, retry::Failure};
    ///
    /// let layer = RetryLayer::new().classify(|error| {
    ///     let error = error.downcast_ref::<io::Error>()?;
    ///     (error.kind() == io::ErrorKind::PermissionDenied).then_some(Failure::Permanent)
    /// });
    /// # let _ = layer;
    /// ```
    pub fn classify(
        mut self,
        classify: impl Fn(&(dyn Any + 'static)) -> Option<Failure> + Send + Sync + 'static,
    ) -> Self {
        self.classifier = Classifier::new(classify);
        self
    }

    /// What its services go by.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            policy: self.policy.clone(),
            classifier: self.classifier.clone(),
            inspect: self.inspect(),
        }
    }

    /// Reads requests as layers further in are told to, where nothing is said here.
    pub(crate) fn inspects_for(mut self, inside: Inspect) -> Self {
        self.inspect = self.inspect.over(inside);
        self
    }

    pub(crate) fn inspect(&self) -> Inspect {
        self.inspect.clone()
    }

    /// Whether it repeats anything.
    #[cfg(feature = "gateway")]
    pub(crate) fn repeats(&self) -> bool {
        !self.inspect.off && self.policy.max_attempts.get() > 1
    }

    /// Everything passes as it is.
    pub(crate) fn off(mut self) -> Self {
        self.inspect.off = true;
        self
    }

    /// Requests leave as they came. By default a stream in OpenAI's chat dialect is asked for its usage where the caller
    /// does not, and where the provider tells it only if asked (`stream_options.include_usage`); the caller sees nothing
    /// of it. Without, such a stream is settled by an estimate.
    pub fn as_it_came(mut self) -> Self {
        self.inspect.as_is = true;
        self
    }

    /// How many bytes of a request body are kept to be sent again; 32 MiB by default.
    pub fn body_cap(mut self, bytes: usize) -> Self {
        self.inspect.body_cap = Some(bytes);
        self
    }

    /// As [`AdmissionLayer::observe`](crate::AdmissionLayer::observe).
    pub fn observe(mut self, observer: impl Observer) -> Self {
        self.inspect.observers = self.inspect.observers.with(observer);
        self
    }
}

impl<S> Layer<S> for RetryLayer {
    type Service = Retry<S>;

    fn layer(&self, inner: S) -> Retry<S> {
        Retry::new(inner, self.settings())
    }
}
