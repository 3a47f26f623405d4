//! An attempt that ends by itself, where nobody ends it.

use std::sync::Arc;

use super::{Ended, attempt::Attempt};
use crate::{error::Rejection, store::BoxFuture, wire::ProviderError};

/// Ends an attempt when it is dropped, unless somebody has ended it before or a layer further in has it.
#[derive(Debug)]
pub(crate) struct Unfinished {
    /// Taken when it is ended.
    attempt: Option<Arc<Attempt>>,
    depth: u32,
}

impl Unfinished {
    pub(super) fn new(attempt: Arc<Attempt>, depth: u32) -> Self {
        Unfinished {
            attempt: Some(attempt),
            depth,
        }
    }

    /// So many output tokens have come by now.
    pub(crate) fn streamed(&self, output: u64) {
        if let Some(attempt) = &self.attempt {
            attempt.streamed(output);
        }
    }

    /// What its answer turned out to be, for those who observe it.
    pub(crate) fn says(
        &self,
        failed: Option<ProviderError>,
        model: impl FnOnce() -> Option<Box<str>>,
    ) {
        if let Some(attempt) = &self.attempt {
            attempt.says(failed, model);
        }
    }

    /// Whether there are budgets that may refuse it more money.
    pub(crate) fn has_budgets(&self) -> bool {
        let attempt = self.attempt.as_ref();
        attempt.is_some_and(|attempt| attempt.has_budgets())
    }

    /// See [`Attempt::cover`].
    pub(crate) fn cover(&self, ended: Ended) -> BoxFuture<Result<u64, Rejection>> {
        let attempt = self.attempt.clone();
        Box::pin(async move {
            match attempt {
                Some(attempt) => attempt.cover(ended).await,
                None => Ok(u64::MAX),
            }
        })
    }

    /// Ends it with a settlement.
    pub(crate) fn end(mut self, ended: Ended) {
        if let Some(attempt) = self.attempt.take() {
            attempt.end(ended);
        }
    }

    /// It goes on, and whoever sends it will end it.
    pub(super) fn goes_on(mut self) {
        self.attempt = None;
    }

    /// Gives back every claim: it was not sent.
    pub(crate) fn release(mut self) {
        if let Some(attempt) = self.attempt.take() {
            attempt.release();
            attempt.abandon(self.depth);
        }
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(attempt) = self.attempt.take() {
            attempt.abandon(self.depth);
        }
    }
}
