use std::{
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use parking_lot::RwLock;
use tower_service::Service;

use super::prices::Prices;
use crate::{
    admission::admit,
    body::{ResponseBody, ResponseFuture},
    call::{Gate, Inspect},
};

/// Refuses calls whose worst-case cost does not fit the money left, and charges the others what they cost.
///
/// It is always ready. A refusal is a response with the [`Rejection`](crate::Rejection) in its extensions; errors of
/// the inner service pass unchanged.
#[derive(Clone, Debug)]
pub struct Budget<S> {
    inner: S,
    gate: Arc<PricedGate>,
}

impl<S> Budget<S> {
    pub(super) fn new(inner: S, gate: PricedGate) -> Self {
        let gate = Arc::new(gate);
        Budget { inner, gate }
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
    type Future = ResponseFuture<S, B, R>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (inner, gate) = (self.inner.clone(), self.gate.now());
        let off = !PricedGate::is_needed(&gate);
        ResponseFuture::new(admit(inner, gate, off, request))
    }
}

/// The gate with the prices that it has now.
#[derive(Debug)]
pub(crate) struct PricedGate {
    prices: Prices,
    /// With those that it had last.
    made: RwLock<Arc<Gate>>,
}

impl PricedGate {
    pub(super) fn new(gate: Gate, prices: Prices, inspect: Inspect) -> Self {
        let gate = Arc::new(gate.inspecting(inspect).priced(prices.now()));
        let made = RwLock::new(gate);
        PricedGate { prices, made }
    }

    /// Whether there is anything to claim, to record or to tell.
    pub(crate) fn is_needed(gate: &Gate) -> bool {
        let is_told = gate.is_recording() || gate.inspect.observers.are_there();
        is_told || gate.limiter.limits().count_cost()
    }

    pub(crate) fn now(&self) -> Arc<Gate> {
        let prices = self.prices.now();
        let made = self.made.read().clone();
        if made.is_priced_by(&prices) {
            return made;
        }
        let gate = Arc::new(Gate::clone(&made).priced(prices));
        *self.made.write() = gate.clone();
        gate
    }
}
