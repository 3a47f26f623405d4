use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::Response;
use http_body::Body;

use super::ResponseBody;
use crate::store::BoxFuture;

/// The response future of this crate's layers.
///
/// # Cancel safety
/// Dropping it gives back what was claimed for an attempt that had not left, and settles an attempt that had.
#[must_use = "futures do nothing unless polled"]
pub struct ResponseFuture<R: Body, E>(BoxFuture<Result<Response<ResponseBody<R>>, E>>);

impl<R: Body, E> ResponseFuture<R, E> {
    pub(crate) fn new(
        future: impl Future<Output = Result<Response<ResponseBody<R>>, E>> + Send + 'static,
    ) -> Self {
        ResponseFuture(Box::pin(future))
    }
}

impl<R: Body, E> Future for ResponseFuture<R, E> {
    type Output = Result<Response<ResponseBody<R>>, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl<R: Body, E> fmt::Debug for ResponseFuture<R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseFuture")
    }
}
