//! The store that a limiter counts in, however it is handed over.

use std::sync::Arc;

use crate::store::Store;

/// A store for a [limiter](super::Limiter::with_store) to count in: by itself, or shared in an [`Arc`].
pub trait IntoStore {
    /// Returns the store, shared.
    fn into_store(self) -> Arc<dyn Store>;
}

impl<S: Store> IntoStore for S {
    fn into_store(self) -> Arc<dyn Store> {
        Arc::new(self)
    }
}

impl<S: Store> IntoStore for Arc<S> {
    fn into_store(self) -> Arc<dyn Store> {
        self
    }
}

impl IntoStore for Arc<dyn Store> {
    fn into_store(self) -> Arc<dyn Store> {
        self
    }
}
