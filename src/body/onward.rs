//! Where a layer's attempts go.

use std::future::Future;

use bytes::Bytes;
use http::Response;
use http_body::Body;
use tower_service::Service;

use super::{ResponseBody, exchange};
use crate::call::{Entry, MakeRequest};

/// What an attempt comes to: an answer, or the inner service's error, untouched.
pub(crate) type Answered<R, E> = Result<Response<ResponseBody<R>>, E>;

/// Where a layer's attempts go: to a service, or, within one service, through what the next layer does.
pub(crate) trait Onward<B>: Send {
    /// What the service behind it answers with.
    type Body: Body<Data = Bytes, Error: Send> + Send;
    /// Its error.
    type Error: Send + 'static;

    /// Sends the present attempt of a call, of which `entry` is the view of the layer outside, with the request that is made
    /// then. May be called again for its next attempts.
    ///
    /// # Errors
    /// The inner service's error, untouched.
    fn send(
        &mut self,
        entry: &Entry,
        request: MakeRequest<'_, B>,
    ) -> impl Future<Output = Answered<Self::Body, Self::Error>> + Send;
}

/// To a service, whatever it is.
pub(crate) struct Out<S>(pub(crate) S);

impl<S, B, R> Onward<B> for Out<S>
where
    S: Service<http::Request<B>, Response = Response<R>> + Clone + Send,
    S::Future: Send,
    S::Error: Send + 'static,
    B: Send + 'static,
    R: Body<Data = Bytes> + Send,
    R::Error: Send,
{
    type Body = R;
    type Error = S::Error;

    async fn send(&mut self, entry: &Entry, request: MakeRequest<'_, B>) -> Answered<R, S::Error> {
        exchange(entry, &mut self.0, request).await
    }
}
