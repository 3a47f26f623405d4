//! Answers of slow stores that outlive whoever asked.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::runtime::Handle;

use super::Shared;
use crate::store::BoxFuture;

impl Shared {
    /// Has `work` done by the runtime at hand, or by the next one that uses this limiter.
    pub(super) fn post(self: &Arc<Self>, work: BoxFuture<()>) {
        let work = Posted {
            shared: self.clone(),
            work: Some(work),
        };
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(work)),
            // Dropping it leaves it in the outbox.
            Err(_) => drop(work),
        }
    }

    /// Has done what was left while there was no runtime.
    pub(super) fn flush(self: &Arc<Self>) {
        let left = std::mem::take(&mut *self.outbox());
        left.into_iter().for_each(|work| self.post(work));
    }
}

/// Work on its way. Where its runtime goes down before it is done, it goes back to the outbox. Where it panics it is gone.
struct Posted {
    shared: Arc<Shared>,
    work: Option<BoxFuture<()>>,
}

impl Future for Posted {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // Taken: what has panicked is not to be polled again.
        let Some(mut work) = self.work.take() else {
            return Poll::Ready(());
        };
        let done = work.as_mut().poll(cx);
        if done.is_pending() {
            self.work = Some(work);
        }
        done
    }
}

impl Drop for Posted {
    fn drop(&mut self) {
        match self.work.take() {
            Some(work) => self.shared.outbox().push(work),
            // It panicked, and may have given something back before.
            None if std::thread::panicking() => self.shared.queue().kick_all(),
            None => return,
        }
        // A driver that sleeps, perhaps on another runtime, takes it up.
        self.shared.changed.send_replace(());
    }
}

/// Runs `future` to its end even where whoever polls it goes away: the rest is then the outbox's. A result
/// that nobody takes is dropped, and a permit in it gives everything back. What panics has come to its end.
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
        std::future::poll_fn(|cx| {
            // Taken: what has panicked is not to be polled again.
            let mut future = self.future.take().expect("polled after it was ready");
            let result = future.as_mut().poll(cx);
            if result.is_pending() {
                self.future = Some(future);
            }
            result
        })
        .await
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
