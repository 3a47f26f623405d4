//! Permits that were granted ahead, handed over when they may leave.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::{
    runtime::{Handle, Id},
    time::{Sleep, sleep},
};

use super::{Shared, permit::Permit, waiter::Waiter};
use crate::limit::Tick;

impl Shared {
    /// Answers one that waits when the store's time has come to `at`. Where it has gone away by then, everything is given
    /// back.
    pub(super) fn hand_over(self: &Arc<Self>, waiter: &Arc<Waiter>, permit: Permit, at: Tick) {
        let (waiter, until) = (waiter.clone(), Until::new(self.clone(), at));
        self.post(Box::pin(async move {
            until.await;
            drop(waiter.answer(Ok(permit)));
        }));
    }
}

/// Until the store's time has come to an instant, on whichever runtime that is waited for: it may end before.
struct Until {
    shared: Arc<Shared>,
    at: Tick,
    sleep: Option<(Id, Pin<Box<Sleep>>)>,
}

impl Until {
    fn new(shared: Arc<Shared>, at: Tick) -> Self {
        Until {
            shared,
            at,
            sleep: None,
        }
    }
}

impl Future for Until {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let now = self.shared.store.now();
            if now >= self.at {
                return Poll::Ready(());
            }
            let (here, rest) = (Handle::current().id(), self.at.since(now));
            let known = self.sleep.take().filter(|(runtime, _)| *runtime == here);
            let (_, mut timer) = known.unwrap_or_else(|| (here, Box::pin(sleep(rest))));
            if timer.as_mut().poll(cx).is_pending() {
                self.sleep = Some((here, timer));
                return Poll::Pending;
            }
        }
    }
}
