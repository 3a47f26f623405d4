//! The paved way: one layer that is all of them, outermost first retry, then admission.

use tower_layer::Layer;

use crate::{
    admission::{Admission, AdmissionLayer},
    limiter::Limiter,
    retry::{Retry, RetryLayer},
};

/// All layers in the order that serves most: retry around admission.
///
/// It has no logic of its own; what it does, [`RetryLayer`] and [`AdmissionLayer`] do.
#[derive(Clone, Debug)]
#[must_use]
pub struct RateLimitLayer {
    retry: RetryLayer,
    admission: AdmissionLayer,
}

impl RateLimitLayer {
    /// Admission under `limiter`, and retries as [`RetryLayer::new`] has them.
    pub fn new(limiter: Limiter) -> Self {
        Self::of(RetryLayer::new(), AdmissionLayer::new(limiter))
    }

    /// Layers with settings of their own.
    pub fn of(retry: RetryLayer, admission: AdmissionLayer) -> Self {
        RateLimitLayer { retry, admission }
    }

    /// Switched off: everything passes as it is, unread and uncounted.
    pub fn off(self) -> Self {
        RateLimitLayer {
            retry: self.retry.off(),
            admission: self.admission.off(),
        }
    }
}

impl<S> Layer<S> for RateLimitLayer {
    type Service = Retry<Admission<S>>;

    fn layer(&self, inner: S) -> Self::Service {
        self.retry.layer(self.admission.layer(inner))
    }
}
