//! What is left of a call's answer, where an operator can give it up.
//!
//! Whoever sends an answer asks for more of it when there is place to write it. Of a caller that reads no more there never is: so
//! the rest is not theirs alone.

use std::{
    mem::replace,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use parking_lot::Mutex;

/// A call was cut off by hand.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("this call was cancelled: an operator ended it, or its key is good no more")]
pub(super) struct Cancelled;

/// What is left of a call's answer. All clones are of the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Rest(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    is_cancelled: bool,
    /// Whoever asked last.
    asks: Option<Waker>,
    /// None before there is an answer, and when it is over.
    body: Option<Body>,
}

impl Rest {
    /// Gives it up, now and for good.
    pub(super) fn cancel(&self) {
        let (asks, body) = {
            let mut state = self.0.lock();
            state.is_cancelled = true;
            (state.asks.take(), state.body.take())
        };
        // Whoever meters it settles it then, and takes locks.
        drop(body);
        if let Some(asks) = asks {
            asks.wake();
        }
    }

    /// Has whoever asked last ask again.
    pub(super) fn wake(&self) {
        let asks = self.0.lock().asks.take();
        if let Some(asks) = asks {
            asks.wake();
        }
    }

    /// The answer is there.
    pub(super) fn begin(&self, body: Body) {
        let over = {
            let mut state = self.0.lock();
            match state.is_cancelled {
                true => Some(body),
                false => state.body.replace(body),
            }
        };
        drop(over);
    }

    /// Ready when it is given up.
    pub(super) fn poll_cancelled(&self, cx: &mut Context<'_>) -> Poll<Cancelled> {
        let mut state = self.0.lock();
        if state.is_cancelled {
            return Poll::Ready(Cancelled);
        }
        let before = state.awaits(cx);
        drop(state);
        drop(before);
        Poll::Pending
    }

    /// What comes next.
    pub(super) fn poll_frame(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let mut state = self.0.lock();
        if state.is_cancelled {
            return Poll::Ready(Some(Err(axum::Error::new(Cancelled))));
        }
        let Some(body) = state.body.as_mut() else {
            return Poll::Ready(None);
        };
        let frame = Pin::new(body).poll_frame(cx);
        let (before, over) = match &frame {
            Poll::Pending => (state.awaits(cx), None),
            Poll::Ready(Some(Ok(_))) => (None, None),
            Poll::Ready(_) => (None, state.body.take()),
        };
        drop(state);
        drop((before, over));
        frame
    }

    pub(super) fn is_end_stream(&self) -> bool {
        let state = self.0.lock();
        // One that is given up ends with an error.
        !state.is_cancelled && state.body.as_ref().is_none_or(Body::is_end_stream)
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        let state = self.0.lock();
        state.body.as_ref().map(Body::size_hint).unwrap_or_default()
    }
}

impl State {
    /// Who is to be woken. Returns who was.
    fn awaits(&mut self, cx: &Context<'_>) -> Option<Waker> {
        match &mut self.asks {
            Some(asks) if asks.will_wake(cx.waker()) => None,
            Some(asks) => Some(replace(asks, cx.waker().clone())),
            asks @ None => {
                *asks = Some(cx.waker().clone());
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_after_it_was_given_up_is_not_kept() {
        let rest = Rest::default();
        rest.begin(Body::from("a"));
        assert_eq!(rest.size_hint().exact(), Some(1));
        rest.cancel();
        assert!(rest.0.lock().body.is_none());
        rest.begin(Body::from("b"));
        assert!(rest.0.lock().body.is_none());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(!rest.is_end_stream());
        assert!(matches!(
            rest.poll_frame(&mut cx),
            Poll::Ready(Some(Err(_)))
        ));
        assert!(rest.poll_cancelled(&mut cx).is_ready());
    }

    #[test]
    fn one_that_ends_by_itself_is_over() {
        let rest = Rest::default();
        rest.begin(Body::from("a"));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(matches!(rest.poll_frame(&mut cx), Poll::Ready(Some(Ok(_)))));
        assert!(rest.is_end_stream());
        assert!(matches!(rest.poll_frame(&mut cx), Poll::Ready(None)));
        assert!(rest.0.lock().body.is_none());
        assert!(rest.poll_cancelled(&mut cx).is_pending());
    }
}
