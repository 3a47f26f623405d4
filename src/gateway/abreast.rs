//! Calls that go abreast: those that are ready at one time are brought to the same point before any goes on.
//!
//! On its way a call has some 400 KB of code fetched into the nearest cache of a processor, which holds 32: much of it more than
//! once. Where many go a part of the way one after another, that is fetched once for all. And whoever they write to is woken once
//! for several. It saves up to a fifth of a call's time, on one thread and on two. Where nobody else is ready it is a turn of the
//! queue, and with several threads one of them may be woken for nothing.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

/// Lets all go first that are ready now. Dropped, it is as if it had not been.
pub(super) fn abreast() -> Abreast {
    Abreast { has_let_go: false }
}

/// See [`abreast`].
#[derive(Debug)]
#[must_use]
pub(super) struct Abreast {
    has_let_go: bool,
}

impl Future for Abreast {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.has_let_go {
            return Poll::Ready(());
        }
        self.has_let_go = true;
        // Who is woken while it runs stands behind all that are ready.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;
    use tokio::task::JoinSet;

    use super::*;

    #[tokio::test]
    async fn those_that_are_ready_come_to_each_point_together() {
        let points: Arc<Mutex<Vec<u32>>> = Arc::default();
        let mut calls = JoinSet::new();
        for _ in 0..3 {
            let points = points.clone();
            calls.spawn(async move {
                for point in 0..3 {
                    points.lock().push(point);
                    abreast().await;
                }
            });
        }
        calls.join_all().await;
        assert_eq!(*points.lock(), [0, 0, 0, 1, 1, 1, 2, 2, 2]);
    }

    #[tokio::test]
    async fn one_that_is_alone_goes_on() {
        abreast().await;
    }
}
