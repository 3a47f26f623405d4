use std::time::Duration;

use tower_layer::Layer;

use super::Admission;
use crate::{
    call::{Gate, Inspect},
    event::Observer,
    limit::Quantities,
    limiter::Limiter,
    statistics::Statistics,
};

/// Makes [`Admission`] services, which all share the limiter.
#[derive(Clone, Debug)]
#[must_use]
pub struct AdmissionLayer {
    gate: Gate,
    inspect: Inspect,
}

impl AdmissionLayer {
    /// Creates a layer that admits calls under `limiter`. A call that finds no room waits.
    pub fn new(limiter: Limiter) -> Self {
        AdmissionLayer {
            gate: Gate::new(limiter, Quantities::ADMISSION, true),
            inspect: Inspect::default(),
        }
    }

    /// Refuses a call that finds no room at once with 429, as a server does with its callers.
    pub fn reject_when_full(mut self) -> Self {
        self.gate.wait = false;
        self
    }

    /// Sets the longest [told wait](crate::retry#waits) of its target that a call waits out in line. While more than that
    /// is left of one, calls are [refused](crate::Rejection::RateLimited), also those that waited for room before.
    ///
    /// It bounds told waits and nothing else. How long a call waits for *room* is bounded by
    /// [`QueueOptions::max_wait`](crate::limiter::QueueOptions::max_wait) for all calls and by
    /// [`CallOptions::max_wait`](crate::CallOptions::max_wait) for one; if neither is set, a call waits for room for as
    /// long as it takes.
    ///
    /// If it is not set, it is what the retry and failover layers around this one wait out, or a minute if there are none.
    pub fn longest_wait(mut self, wait: Duration) -> Self {
        self.gate = self.gate.waiting_out(wait);
        self
    }

    pub(crate) fn limiter(&self) -> &Limiter {
        &self.gate.limiter
    }

    /// The gate of its services.
    pub(crate) fn gate(&self) -> Gate {
        self.gate.clone().inspecting(self.inspect())
    }

    pub(crate) fn inspect(&self) -> Inspect {
        self.inspect.clone()
    }

    /// Tells those too who are told further in.
    pub(crate) fn inspects_for(mut self, inside: Inspect) -> Self {
        self.inspect = self.inspect.over(inside);
        self
    }

    /// Records there too.
    pub(crate) fn recording(mut self, statistics: Statistics) -> Self {
        self.gate = self.gate.recording(statistics);
        self
    }

    /// Switches the layer off: every request passes untouched and unread, waits for nothing, is counted under no limit,
    /// and is told to no observer of this layer. Whatever else is set, before or after, has no effect.
    ///
    /// This is how a configuration switches a layer off: the type stays the same. (`option_layer` of tower's
    /// `ServiceBuilder` does not compile, because this layer wraps the bodies of answers.) All four layers have it, and
    /// [`RateLimitLayer`](crate::RateLimitLayer::off) as a whole.
    ///
    /// ```
    /// use tower::ServiceBuilder;
    /// use tower_quota::{AdmissionLayer, Limiter, limit::{Limit, Limits}};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let client = tower::service_fn(|_: http::Request<http_body_util::Full<bytes::Bytes>>| async {
    /// #     Ok::<_, std::convert::Infallible>(http::Response::new(http_body_util::Full::<bytes::Bytes>::default()))
    /// # });
    /// let is_limited = std::env::var_os("UNLIMITED").is_none();
    /// let admission = AdmissionLayer::new(Limiter::new(Limits::new([Limit::concurrency(8)])?));
    /// let admission = if is_limited { admission } else { admission.off() };
    /// let client = ServiceBuilder::new().layer(admission).service(client);
    /// # fn is_service<S: tower_service::Service<http::Request<http_body_util::Full<bytes::Bytes>>>>(_: S) {}
    /// # is_service(client);
    /// # Ok(())
    /// # }
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

    /// Adds an observer, which is told what becomes of the calls for which this layer is the first of this crate's
    /// layers; see [`event`](crate::event). Observers that were added before stay.
    pub fn observe(mut self, observer: impl Observer) -> Self {
        self.inspect.observers = self.inspect.observers.with(observer);
        self
    }

    /// Sets how many bytes of a request body are read into memory; 32 MiB by default.
    ///
    /// A body whose known length is greater passes unread, and only limits that need no knowledge of it apply. A body
    /// of unknown length that grows beyond the cap is refused with 413.
    ///
    /// Any other body is read whole before the inner service is called, and its trailers are dropped. A request in no API
    /// that is known here passes this layer as it comes, whatever its length; layers that may send it again, or that look
    /// at cost, read it all the same. Streams that go both ways, such as client streaming in gRPC, must not go through
    /// those: the call would not leave before the caller's side of it has ended.
    pub fn body_cap(mut self, bytes: usize) -> Self {
        self.inspect.body_cap = Some(bytes);
        self
    }
}

impl<S> Layer<S> for AdmissionLayer {
    type Service = Admission<S>;

    fn layer(&self, inner: S) -> Admission<S> {
        Admission::new(inner, self.gate())
    }
}
