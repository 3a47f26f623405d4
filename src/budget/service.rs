use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::prices::Prices;
use crate::{
    admission::admit,
    body::{ResponseBody, ResponseFuture},
    call::{Gate, Inspect},
};

/// Refuses calls whose worst-case cost does not fit the money left, and charges the others what they cost.
///
/// Always ready. A refusal is a response, with the [`Rejection`](crate::Rejection) in its extensions; the inner
/// service's error passes untouched.
#[derive(Clone, Debug)]
pub struct Budget<S> {
    inner: S,
    gate: Gate,
    prices: Prices,
    inspect: Inspect,
}

impl<S> Budget<S> {
    pub(super) fn new(inner: S, gate: Gate, prices: Prices, inspect: Inspect) -> Self {
        Budget {
            inner,
            gate,
            prices,
            inspect,
        }
    }
}

impl<S, B, R> Service<Request<B>> for Budget<S>
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
        let Budget {
            inner,
            gate,
            prices,
            mut inspect,
        } = self.clone();
        // Where there is no budget, nothing is to be claimed.
        inspect.off |= !gate.is_recording() && !gate.limiter.limits().count_cost();
        ResponseFuture::new(admit(inner, gate.priced(prices.now()), inspect, request))
    }
}
