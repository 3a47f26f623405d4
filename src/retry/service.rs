use std::{
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, request::Parts};
use http_body::Body;
use tokio::time::Instant;
use tower_service::Service;

use super::policy::Policy;
use crate::{
    body::{ResponseBody, ResponseFuture, finish, keep, pass, refuse},
    call::{Ended, Entered, Entry, Inspect, ReadBody, Refusal},
    clock::time_of_day,
    error::Rejection,
    store::Settlement,
    usage::Usage,
};

/// Repeats an attempt when the provider says when it may be repeated; see the [module](super).
///
/// Always ready. Each attempt is claimed for and settled by itself, whether the gates stand inside or
/// outside; a call that waits to be repeated holds nothing.
#[derive(Clone, Debug)]
pub struct Retry<S> {
    inner: S,
    policy: Policy,
    inspect: Inspect,
}

impl<S> Retry<S> {
    pub(super) fn new(inner: S, policy: Policy, inspect: Inspect) -> Self {
        Retry {
            inner,
            policy,
            inspect,
        }
    }
}

impl<S, B, R> Service<Request<B>> for Retry<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send + 'static,
    B: Body<Data = Bytes> + From<Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Send,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<R, S::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Retry {
            mut inner,
            policy,
            inspect,
        } = self.clone();
        ResponseFuture::new(async move {
            if inspect.off {
                return pass(inner, request).await;
            }
            let entered = match Entered::enter(request, inspect).await {
                Ok(entered) => entered,
                Err(Refusal { dialect, rejection }) => return Ok(refuse(dialect, rejection)),
            };
            match entered {
                Entered {
                    entry,
                    parts,
                    body: ReadBody::Whole(body),
                } => send_again(&mut inner, policy, &entry, &parts, &body).await,
                unread => {
                    let (entry, request) = unread.into_request();
                    let sent = entry.send(&mut inner, request).await;
                    finish(&entry, sent).await
                }
            }
        })
    }
}

/// How long a refusal's body may take to come: until then its attempt is open.
const LONGEST_READ: Duration = Duration::from_secs(1);

async fn send_again<S, B, R>(
    inner: &mut S,
    policy: Policy,
    entry: &Entry,
    parts: &Parts,
    body: &Bytes,
) -> Result<Response<ResponseBody<R>>, S::Error>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    B: From<Bytes> + 'static,
    R: Body<Data = Bytes>,
{
    let mut answered = None;
    for attempt in 1.. {
        let sent = entry.send(inner, entry.request(parts, body)).await;
        let response = finish(entry, sent).await?;
        let refused = response.extensions().get::<Rejection>().is_some();
        if let (true, Some(answered)) = (refused, answered) {
            // The provider has spoken; that there is no room to ask again, here or further in, is not its
            // answer.
            return Ok(answered);
        }
        let Some(at) = policy.again(attempt, &response, entry.turn().deadline, time_of_day())
        else {
            return Ok(response);
        };
        // Whoever sent it, it is over as soon as its answer is read: nothing is held during the wait.
        entry.note_counted();
        let response = keep(response, at.min(Instant::now() + LONGEST_READ)).await;
        entry
            .attempt()
            .end(Ended::with(Settlement::Usage(Usage::default())));
        tokio::time::sleep_until(at).await;
        entry.next_attempt();
        answered = Some(response);
    }
    unreachable!("an endless loop ends by returning")
}
