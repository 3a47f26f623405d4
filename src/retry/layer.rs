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
    /// Creates a layer with the defaults: at most three attempts, told waits of up to a minute, and repeats for a fifth
    /// of the calls.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how many attempts a call has in all, or, inside a [`FailoverLayer`](crate::FailoverLayer), at each target.
    /// With 1, nothing is repeated.
    pub fn max_attempts(mut self, attempts: NonZeroU32) -> Self {
        self.policy.max_attempts = attempts;
        self
    }

    /// Sets the longest [told wait](crate::retry#waits) that a call waits out; a minute by default. An answer that
    /// tells a longer one is handed on. While more than that is left of it, an admission layer further in refuses calls to
    /// the same target.
    pub fn longest_wait(mut self, wait: Duration) -> Self {
        self.policy.longest_wait = wait;
        self
    }

    /// Sets how long a call waits when no wait is told: up to `base` before its first repeat, up to twice as much
    /// before each further one, and never more than `cap`. By default half a second and eight seconds.
    pub fn backoff(mut self, base: Duration, cap: Duration) -> Self {
        self.policy.backoff = Backoff { base, cap };
        self
    }

    /// Sets how many repeats there may be for anything but a 429. By default one for every five calls, and ten in
    /// reserve.
    pub fn retry_budget(mut self, budget: RetryBudget) -> Self {
        self.policy.budget = Some(budget);
        self
    }

    /// Removes the limit on repeats. In an outage the load is then multiplied by `max_attempts`.
    pub fn no_retry_budget(mut self) -> Self {
        self.policy.budget = None;
        self
    }

    /// Sets whether attempts that may have been billed are repeated: their connection broke before anything was
    /// generated, or they timed out.
    ///
    /// True by default, as in the official SDKs. Each such attempt is charged what was reserved for it, or, if its answer
    /// had begun, what was seen of that.
    pub fn repeats_uncertain(mut self, repeats: bool) -> Self {
        self.policy.repeats_uncertain = repeats;
        self
    }

    /// Repeats nothing that failed so, where nobody has said what [its errors](Self::classify) are.
    #[cfg(feature = "gateway")]
    pub(crate) fn not_repeating(mut self, is: fn(&(dyn Any + 'static)) -> bool) -> Self {
        if self.classifier.is_default() {
            self.classifier = Classifier::new(move |error| is(error).then_some(Failure::Permanent));
        }
        self
    }

    /// Sets a function that tells what kind of failure an error of the inner service is.
    ///
    /// It is asked first, with the error itself; if it returns `None`, the layer goes by the errors it knows. These are
    /// `std::io::Error` and, with the features `reqwest` and `hyper-util`, the errors of those clients; of a boxed error,
    /// the first cause that is one of these. All other errors may have been billed, unless the request's body is a
    /// [`RequestBody`](crate::RequestBody) from which nothing was taken, and that is gone.
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
        let mut inspect = self.inspect.clone();
        inspect.reads_all |= !inspect.off;
        inspect
    }

    /// The longest told wait that a call waits out at it.
    #[cfg(feature = "gateway")]
    pub(crate) fn waits_out(&self) -> Option<Duration> {
        (!self.inspect.off).then_some(self.policy.longest_wait)
    }

    /// Whether it repeats anything.
    #[cfg(feature = "gateway")]
    pub(crate) fn repeats(&self) -> bool {
        !self.inspect.off && self.policy.max_attempts.get() > 1
    }

    /// Switches the layer off, as [`AdmissionLayer::off`](crate::AdmissionLayer::off) does: every call passes untouched
    /// and unread, and none is repeated.
    ///
    /// ```
    /// use tower::ServiceBuilder;
    /// use tower_quota::RetryLayer;
    ///
    /// # let client = tower::service_fn(|_: http::Request<http_body_util::Full<bytes::Bytes>>| async {
    /// #     Ok::<_, std::convert::Infallible>(http::Response::new(http_body_util::Full::<bytes::Bytes>::default()))
    /// # });
    /// # let repeats = false;
    /// let retry = if repeats { RetryLayer::new() } else { RetryLayer::new().off() };
    /// let client = ServiceBuilder::new().layer(retry).service(client);
    /// # fn is_service<S: tower_service::Service<http::Request<http_body_util::Full<bytes::Bytes>>>>(_: S) {}
    /// # is_service(client);
    /// ```
    pub fn off(mut self) -> Self {
        self.inspect.off = true;
        self
    }

    /// Leaves requests unchanged, but for `Accept-Encoding`.
    ///
    /// By default, a stream in OpenAI's chat dialect is asked for its usage (`stream_options.include_usage`) if the
    /// caller does not ask and the provider reports usage only when asked; the caller does not see the difference.
    /// Without that, such a stream is settled by an estimate.
    ///
    /// If a call's API is known, `Accept-Encoding` is set to `identity` all the same, because what is compressed cannot be
    /// metered. Requests that are signed (AWS SigV4) are left entirely alone, with this or without.
    pub fn as_it_came(mut self) -> Self {
        self.inspect.as_is = true;
        self
    }

    /// Sets how many bytes of a request body are kept to be sent again; 32 MiB by default. It is read whole before the
    /// first attempt, without its trailers, as [`AdmissionLayer::body_cap`](crate::AdmissionLayer::body_cap) says: streams
    /// that go both ways must not go through the layers.
    pub fn body_cap(mut self, bytes: usize) -> Self {
        self.inspect.body_cap = Some(bytes);
        self
    }

    /// Adds an observer, as [`AdmissionLayer::observe`](crate::AdmissionLayer::observe) does.
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
