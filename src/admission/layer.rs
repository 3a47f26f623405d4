use tower_layer::Layer;

use super::Admission;
use crate::{
    call::{Gate, Inspect},
    limit::Quantities,
    limiter::Limiter,
};

/// Makes [`Admission`] services. All of them share the limiter.
#[derive(Clone, Debug)]
#[must_use]
pub struct AdmissionLayer {
    gate: Gate,
    inspect: Inspect,
}

impl AdmissionLayer {
    /// Admits under `limiter`; a call that finds no room waits.
    pub fn new(limiter: Limiter) -> Self {
        AdmissionLayer {
            gate: Gate::new(limiter, Quantities::ADMISSION, true),
            inspect: Inspect::default(),
        }
    }

    /// A call that finds no room is refused at once with 429, as a server does with its callers.
    pub fn reject_when_full(mut self) -> Self {
        self.gate.wait = false;
        self
    }

    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    pub(crate) fn limiter(&self) -> &Limiter {
        &self.gate.limiter
    }

    pub(crate) fn inspect(&self) -> Inspect {
        self.inspect
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

    /// How many bytes of a request body are read into memory; 32 MiB by default. A body of known length
    /// above it passes unread, and only limits that need no knowledge of it apply. One of unknown length
    /// that grows above it is refused with 413.
    pub fn body_cap(mut self, bytes: usize) -> Self {
        self.inspect.body_cap = Some(bytes);
        self
    }
}

impl<S> Layer<S> for AdmissionLayer {
    type Service = Admission<S>;

    fn layer(&self, inner: S) -> Admission<S> {
        Admission::new(inner, self.gate.clone(), self.inspect)
    }
}
