//! How an attempt leaves: claims and readiness together, neither held while waiting for the other.

use std::{
    any::Any,
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use http::{Request, Response};
use tower_service::Service;

use super::{Entry, NotSent, Outcome, RequestBody, Unfinished, attempt::Attempt};
use crate::error::Rejection;

/// What came of an attempt.
pub(crate) enum Sent<R, E> {
    /// An answer. The layer that sent it has it to meter and to end.
    Answer(Response<R>, Option<Unfinished>),
    /// The inner service's error.
    Failed(E),
    /// A local no.
    Refused(Rejection),
}

impl Entry {
    /// Claims, brings a clone of `inner` to readiness, dates the claims and sends.
    ///
    /// A waiting call holds no readiness, and a call whose service is not ready holds no claim.
    pub(crate) async fn send<S, B, R>(
        &self,
        inner: &mut S,
        mut request: Request<B>,
    ) -> Sent<R, S::Error>
    where
        S: Service<Request<B>, Response = Response<R>> + Clone,
        B: 'static,
    {
        let unfinished = self.unfinished();
        let mut ready = match self.claim_and_ready::<S, B>(inner).await {
            Ok(Ok(ready)) => ready,
            Ok(Err(error)) => {
                unfinished.release();
                return Sent::Failed(error);
            }
            Err(rejection) => {
                unfinished.release();
                self.record_refusal(&rejection);
                self.note_refusal(&rejection);
                return Sent::Refused(rejection);
            }
        };
        let attempt = self.attempt();
        let body_tells = watch(&mut request, &attempt);
        attempt.send(self.depth(), body_tells);
        self.note_left();
        let answer = match self.hand_down(&attempt) {
            None => ready.call(request).await,
            Some(inside) => inside.scope(async { ready.call(request).await }).await,
        };
        if answer.is_ok() {
            attempt.left();
        }
        let ours = self.is_sender(&attempt);
        match answer {
            // Whoever is further in has it.
            Ok(response) if !ours => Sent::Answer(response, None),
            Ok(response) if response.extensions().get::<NotSent>().is_some() => {
                unfinished.release();
                Sent::Answer(response, None)
            }
            Ok(response) => {
                self.note_outcome(Outcome::answered(response.status(), None));
                Sent::Answer(response, Some(unfinished))
            }
            Err(error) => {
                if ours {
                    let sent = attempt.has_left();
                    self.note_outcome(Outcome::Failed { sent });
                }
                if ours && !attempt.has_left() {
                    // Nothing of its body was ever taken to be written: no connection, for one.
                    unfinished.release();
                }
                // Else dropping what is unfinished counts what was reserved: it may have been billed.
                Sent::Failed(error)
            }
        }
    }

    async fn claim_and_ready<S, B>(&self, inner: &mut S) -> Result<Result<S, S::Error>, Rejection>
    where
        S: Service<Request<B>> + Clone,
    {
        loop {
            let mut ready = inner.clone();
            self.claim().await?;
            match ready.poll_ready(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(Ok(())) => return Ok(Ok(ready)),
                Poll::Ready(Err(error)) => return Ok(Err(error)),
                Poll::Pending => self.attempt().release(),
            }
            if let Err(error) = poll_fn(|cx| ready.poll_ready(cx)).await {
                return Ok(Err(error));
            }
            if self.try_claim().await? {
                return Ok(Ok(ready));
            }
        }
    }
}

/// Has the request's body say when it leaves, where it can: only a body of our own does.
fn watch<B: 'static>(request: &mut Request<B>, attempt: &Arc<Attempt>) -> bool {
    let body: &mut dyn Any = request.body_mut();
    body.downcast_mut::<RequestBody>()
        .is_some_and(|body| body.watch(attempt))
}
