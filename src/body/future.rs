use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::ResponseBody;
use crate::store::BoxFuture;

/// The response future of this crate's layers around a service `S`, to requests with bodies `B`, which answers with bodies
/// `R`.
///
/// # Cancel safety
/// Dropping it gives back what was claimed for an attempt that had not left, and settles an attempt that had.
// By the service and not by its error: an error that is a boxed trait object has a lifetime in it, and where this type had
// too, compilers would not see that a `Buffer` around it is `Send`.
#[must_use = "futures do nothing unless polled"]
pub struct ResponseFuture<S, B, R>(BoxFuture<Result<Response<ResponseBody<R>>, S::Error>>)
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Body;

impl<S, B, R> ResponseFuture<S, B, R>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Body,
{
    pub(crate) fn new(
        future: impl Future<Output = Result<Response<ResponseBody<R>>, S::Error>> + Send + 'static,
    ) -> Self {
        ResponseFuture(Box::pin(future))
    }
}

impl<S, B, R> Future for ResponseFuture<S, B, R>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Body,
{
    type Output = Result<Response<ResponseBody<R>>, S::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl<S, B, R> fmt::Debug for ResponseFuture<S, B, R>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Body,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseFuture")
    }
}
