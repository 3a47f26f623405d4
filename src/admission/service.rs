use std::{
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::{
    body::{Out, ResponseBody, ResponseFuture, pass, refuse, send_once},
    call::{Entered, Gate, Refusal},
};

/// Holds calls back until every limit that they touch has room, then sends them.
///
/// It is always ready: waiting happens in the response future, where each call waits for itself. A refusal is a
/// response with the [`Rejection`](crate::Rejection) in its extensions; errors of the inner service pass unchanged.
#[derive(Clone, Debug)]
pub struct Admission<S> {
    inner: S,
    gate: Arc<Gate>,
}

impl<S> Admission<S> {
    pub(super) fn new(inner: S, gate: Gate) -> Self {
        let gate = Arc::new(gate);
        Admission { inner, gate }
    }
}

impl<S, B, R> Service<Request<B>> for Admission<S>
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
    type Future = ResponseFuture<S, B, R>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Admission { inner, gate } = self.clone();
        ResponseFuture::new(admit(inner, gate, false, request))
    }
}

/// Passes a request through a gate, or past it where that is `off`.
pub(crate) async fn admit<S, B, R>(
    inner: S,
    gate: Arc<Gate>,
    off: bool,
    request: Request<B>,
) -> Result<Response<ResponseBody<R>>, S::Error>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send,
    S::Future: Send,
    S::Error: Send + 'static,
    B: Body<Data = Bytes> + From<Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    R: Body<Data = Bytes> + Send,
    R::Error: Send,
{
    if off || gate.inspect.off {
        return Box::pin(pass(inner, request)).await;
    }
    let mut entered = match Entered::enter(request, &gate.inspect).await {
        Ok(entered) => entered,
        Err(Refusal { dialect, rejection }) => return Ok(refuse(dialect, rejection)),
    };
    entered.entry.register(gate);
    let result = send_once(&mut entered, &mut Out(inner)).await;
    entered.entry.hands_on(&result);
    result
}
