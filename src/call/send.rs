//! How an attempt leaves: claims and readiness together, neither held while waiting for the other.

use std::{
    any::Any,
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use http::{Request, Response};
use tokio::time::{Instant, timeout_at};
use tower_service::Service;

use super::{
    Entry, NotSent, Outcome, RequestBody, Unfinished, attempt::Attempt, failure::says_unsent,
};
use crate::{
    error::{Rejection, Shortage, Unit},
    event::AttemptOutcome,
};

/// Makes the request of an attempt, as the layer passes it on that sends it: called once for each attempt. By reference, as
/// every future on the way would be larger by it.
pub(crate) type MakeRequest<'r, B> = &'r mut (dyn FnMut(&Entry) -> Request<B> + Send);

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
    /// Claims, brings a clone of `inner` to readiness, dates the claims and sends. The request is made only then.
    ///
    /// A waiting call holds no readiness, and a call whose service is not ready holds no claim. It waits for either until
    /// its deadline.
    pub(crate) async fn send<S, B, R>(
        &self,
        inner: &mut S,
        request: MakeRequest<'_, B>,
    ) -> Sent<R, S::Error>
    where
        S: Service<Request<B>, Response = Response<R>, Error: 'static> + Clone,
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
                self.refused(unfinished, &rejection);
                return Sent::Refused(rejection);
            }
        };
        let (attempt, mut request) = (self.attempt(), request(self));
        let body_tells = watch(&mut request, &attempt);
        let now = Instant::now();
        attempt.send(self.depth(), &self.facts().tags, body_tells, now);
        if let Some(progress) = self.progress() {
            attempt.shows(progress, &self.facts().tags);
        }
        self.watch(&attempt);
        self.note_left(now);
        let answer = match self.hand_down(&attempt) {
            None => self.inside(|| ready.call(request)).await,
            // Not within one future: it would keep the request's place for as long as the answer takes.
            Some(inside) => {
                let called = inside.sync_scope(|| self.inside(|| ready.call(request)));
                inside.scope(called).await
            }
        };
        if answer.is_ok() {
            attempt.left();
        }
        let ours = self.is_sender(&attempt);
        if let (true, Some(progress)) = (ours, self.progress()) {
            progress.was_answered();
        }
        match answer {
            // Whoever is further in has it.
            Ok(response) if !ours => Sent::Answer(response, None),
            Ok(response) if response.extensions().get::<NotSent>().is_some() => {
                attempt.came_to(AttemptOutcome::NotSent);
                unfinished.release();
                Sent::Answer(response, None)
            }
            Ok(response) => {
                self.note_outcome(Outcome::answered(response.status(), None));
                let status = response.status().as_u16();
                attempt.came_to(AttemptOutcome::Answered {
                    status,
                    error: None,
                });
                Sent::Answer(response, Some(unfinished))
            }
            Err(error) => {
                if ours {
                    // Nothing of its body was ever taken to be written, and nobody has it any more; or there was no connection to
                    // write it to.
                    let sent = attempt.may_leave() && !says_unsent(&error);
                    self.note_outcome(Outcome::Failed { sent });
                    attempt.came_to(AttemptOutcome::Failed { sent });
                    if !sent {
                        unfinished.release();
                    }
                }
                // Else dropping what is unfinished counts what was reserved: it may have been billed.
                Sent::Failed(error)
            }
        }
    }

    /// The attempt ends with a local no.
    pub(super) fn refused(&self, unfinished: Unfinished, rejection: &Rejection) {
        unfinished.release();
        self.record_refusal(rejection);
        self.note_refusal(rejection);
        self.tell_refusal(rejection);
    }

    async fn claim_and_ready<S, B>(&self, inner: &mut S) -> Result<Result<S, S::Error>, Rejection>
    where
        S: Service<Request<B>> + Clone,
    {
        self.claim().await?;
        let mut ready = inner.clone();
        match is_ready(&mut ready) {
            Poll::Ready(Ok(())) => Ok(Ok(ready)),
            Poll::Ready(Err(error)) => Ok(Err(error)),
            // On the heap: most services are ready.
            Poll::Pending => Box::pin(self.claim_when_ready(inner, ready)).await,
        }
    }

    /// The same of a service that was not ready.
    async fn claim_when_ready<S, B>(
        &self,
        inner: &mut S,
        mut ready: S,
    ) -> Result<Result<S, S::Error>, Rejection>
    where
        S: Service<Request<B>> + Clone,
    {
        let deadline = self.turn().deadline;
        loop {
            self.attempt().release();
            let until_ready = poll_fn(|cx| ready.poll_ready(cx));
            match by(deadline, until_ready).await {
                None => return Err(not_ready()),
                Some(Err(error)) => return Ok(Err(error)),
                // Both may have come before anybody looked.
                Some(Ok(())) if is_over(deadline) => return Err(not_ready()),
                Some(Ok(())) => {}
            }
            if self.try_claim().await? {
                return Ok(Ok(ready));
            }
            ready = inner.clone();
            self.claim().await?;
            match is_ready(&mut ready) {
                Poll::Ready(Ok(())) => return Ok(Ok(ready)),
                Poll::Ready(Err(error)) => return Ok(Err(error)),
                Poll::Pending => {}
            }
        }
    }
}

/// What comes of a future; `None` where it is not there by the deadline.
async fn by<F: Future>(deadline: Option<Instant>, future: F) -> Option<F::Output> {
    match deadline {
        Some(deadline) => timeout_at(deadline, future).await.ok(),
        None => Some(future.await),
    }
}

/// Whether a call that waited is too late now.
fn is_over(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| Instant::now() > deadline)
}

/// The refusal of a call whose service was not ready in time: as of one that those before it have left no room. It is the
/// same service for every target.
fn not_ready() -> Rejection {
    let name = "readiness of the inner service";
    Rejection::DeadlineExceeded(Shortage {
        limit: name.to_owned(),
        unit: Unit::Number,
        in_use: 0,
        reserved: 0,
        needed: 0,
        retry_after: None,
        amount: None,
        period: None,
        of_target: false,
        rule: name.to_owned().into(),
    })
}

/// Whether a service is ready now.
fn is_ready<S: Service<Request<B>>, B>(service: &mut S) -> Poll<Result<(), S::Error>> {
    service.poll_ready(&mut Context::from_waker(Waker::noop()))
}

/// Has the request's body say when it leaves, where it can: only a body of our own does.
fn watch<B: 'static>(request: &mut Request<B>, attempt: &Arc<Attempt>) -> bool {
    let body: &mut dyn Any = request.body_mut();
    body.downcast_mut::<RequestBody>()
        .is_some_and(|body| body.watch(attempt))
}
