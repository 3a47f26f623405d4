use std::{num::NonZeroU32, time::Duration};

use tower_layer::Layer;

use super::{Retry, policy::Policy};
use crate::call::Inspect;

/// Makes [`Retry`] services.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct RetryLayer {
    policy: Policy,
    inspect: Inspect,
}

impl RetryLayer {
    /// Three attempts at most, waits of a minute at most.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many attempts a call has in all; 1 repeats nothing.
    pub fn max_attempts(mut self, attempts: NonZeroU32) -> Self {
        self.policy.max_attempts = attempts;
        self
    }

    /// The longest told wait that is waited for. An answer that tells a longer one is handed on.
    pub fn longest_wait(mut self, wait: Duration) -> Self {
        self.policy.longest_wait = wait;
        self
    }

    /// Reads requests as layers further in are told to, where nothing is said here.
    pub(crate) fn inspects_for(mut self, inside: Inspect) -> Self {
        self.inspect = self.inspect.over(inside);
        self
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
}

impl<S> Layer<S> for RetryLayer {
    type Service = Retry<S>;

    fn layer(&self, inner: S) -> Retry<S> {
        Retry::new(inner, self.policy, self.inspect)
    }
}
