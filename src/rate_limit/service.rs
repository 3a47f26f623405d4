use std::{
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use smallvec::SmallVec;
use tower_service::Service;

use super::gated::Gated;
use crate::{
    body::{Answered, Out, ResponseBody, ResponseFuture, pass, refuse},
    budget::PricedGate,
    call::{Entered, Gate, Inspect, Refusal, hands_on},
    failover,
    retry::{self, Repeating},
};

/// Failover around retry around budget around admission, as one service.
///
/// It does what these four services do when nested, at a lower cost: a call goes through them in one future. Like them,
/// it is always ready, it refuses by a response with the [`Rejection`](crate::Rejection) in its extensions, and it
/// passes errors of the inner service unchanged.
#[derive(Clone, Debug)]
pub struct RateLimit<S> {
    inner: S,
    layers: Arc<Layers>,
}

#[derive(Debug)]
pub(super) struct Layers {
    pub(super) failover: failover::Settings,
    pub(super) retry: retry::Settings,
    pub(super) budget: PricedGate,
    pub(super) admission: Arc<Gate>,
}

impl<S> RateLimit<S> {
    pub(super) fn new(inner: S, layers: Layers) -> Self {
        let layers = Arc::new(layers);
        RateLimit { inner, layers }
    }
}

impl<S, B, R> Service<Request<B>> for RateLimit<S>
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
        let RateLimit { inner, layers } = self.clone();
        ResponseFuture::new(serve(layers, inner, request))
    }
}

async fn serve<S, B, R>(layers: Arc<Layers>, inner: S, request: Request<B>) -> Answered<R, S::Error>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send,
    S::Future: Send,
    S::Error: Send + 'static,
    B: Body<Data = Bytes> + From<Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    R: Body<Data = Bytes> + Send,
    R::Error: Send,
{
    let gates = layers.gates();
    let Some(inspect) = layers.inspect(&gates) else {
        return Box::pin(pass(inner, request)).await;
    };
    let mut entered = match Entered::enter(request, inspect).await {
        Ok(entered) => entered,
        Err(Refusal { dialect, rejection }) => return Ok(refuse(dialect, rejection)),
    };
    let (failover, retry) = (&layers.failover, &layers.retry);
    let mut gated = Gated {
        gates,
        next: Out(inner),
    };
    let observed = entered.entry.observed_from_here();
    let result = 'sent: {
        if !failover.inspect.off {
            entered = entered.unfitted();
            if let Some(run) = failover::Run::of(failover, &entered) {
                let mut repeating = Repeating {
                    settings: retry,
                    asked: run.asked,
                    next: gated,
                };
                break 'sent run.send(&mut repeating).await;
            }
            if let Some(no) = failover.no_route(&entered.entry) {
                break 'sent Ok(refuse(entered.entry.dialect(), no));
            }
            entered = entered.fitted().inward();
        }
        retry.send(&mut entered, &mut gated).await
    };
    hands_on(observed.as_ref(), &result);
    result
}

impl Layers {
    /// The gates that a call passes which comes now.
    fn gates(&self) -> SmallVec<[Arc<Gate>; 2]> {
        let budget = self.budget.now();
        let budget = Some(budget).filter(|gate| !gate.inspect.off && PricedGate::is_needed(gate));
        let admission = Some(&self.admission).filter(|gate| !gate.inspect.off);
        budget.into_iter().chain(admission.cloned()).collect()
    }

    /// How the first layer looks into requests that is not switched off.
    fn inspect<'i>(&'i self, gates: &'i [Arc<Gate>]) -> Option<&'i Inspect> {
        let repeaters = [&self.failover.inspect, &self.retry.inspect].into_iter();
        let mut all = repeaters.chain(gates.iter().map(|gate| &gate.inspect));
        all.find(|inspect| !inspect.off)
    }
}
