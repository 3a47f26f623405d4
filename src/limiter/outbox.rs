//! Answers of slow stores that outlive whoever asked.

use std::{future::Future, sync::Arc};

use tokio::runtime::Handle;

use super::Shared;
use crate::store::BoxFuture;

impl Shared {
    /// Has `work` done by the runtime at hand, or by the next one that uses this limiter.
    pub(super) fn post(&self, work: BoxFuture<()>) {
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(work)),
            Err(_) => self.outbox().push(work),
        }
    }

    /// Has done what was left while there was no runtime.
    pub(super) fn flush(&self) {
        let left = std::mem::take(&mut *self.outbox());
        left.into_iter().for_each(|work| self.post(work));
    }
}

/// Runs `future` to its end even where whoever polls it goes away: the rest is then the outbox's. A result
/// that nobody takes is dropped, and a permit in it gives everything back.
pub(super) struct RunToEnd<T: Send + 'static> {
    shared: Arc<Shared>,
    future: Option<BoxFuture<T>>,
}

impl<T: Send + 'static> RunToEnd<T> {
    pub(super) fn new(
        shared: Arc<Shared>,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Self {
        RunToEnd {
            shared,
            future: Some(Box::pin(future)),
        }
    }

    pub(super) async fn get(mut self) -> T {
        let result = std::future::poll_fn(|cx| {
            let future = self.future.as_mut().expect("polled after it was ready");
            Future::poll(future.as_mut(), cx)
        })
        .await;
        self.future = None;
        result
    }
}

impl<T: Send + 'static> Drop for RunToEnd<T> {
    fn drop(&mut self) {
        if let Some(future) = self.future.take() {
            self.shared
                .post(Box::pin(async move { drop(future.await) }));
        }
    }
}
