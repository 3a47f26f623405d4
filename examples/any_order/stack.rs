//! Layers by the letter, outermost first: `FRBA` is the paved order.

use std::{error::Error, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt as _, combinators::UnsyncBoxBody};
use tower::{
    Layer as _, Service, ServiceExt as _, buffer::BufferLayer, service_fn, timeout::TimeoutLayer,
    util::BoxCloneService,
};
use tower_quota::{
    AdmissionLayer, BudgetLayer, FailoverLayer, Limiter, RequestBody, RetryLayer,
    failover::{BreakerOptions, Routes},
    pricing::PriceTable,
    retry::RetryBudget,
};

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;
pub(crate) type AnyBody = UnsyncBoxBody<Bytes, BoxError>;
pub(crate) type Client<B = RequestBody> = BoxCloneService<Request<B>, Response<AnyBody>, BoxError>;

/// Every order of every subset of the four layers, but that of none: 64.
pub(crate) fn orders() -> Vec<String> {
    let mut orders = vec![String::new()];
    let mut place = 0;
    while place < orders.len() {
        for letter in "FRBA".chars() {
            if !orders[place].contains(letter) {
                orders.push(format!("{}{letter}", orders[place]));
            }
        }
        place += 1;
    }
    orders.remove(0);
    orders
}

/// What the layers are made of.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) limiter: Limiter,
    pub(crate) prices: Arc<PriceTable>,
    pub(crate) routes: Routes,
}

/// The layers of `order` around `client`.
pub(crate) fn stack(order: &str, parts: &Parts, client: Client) -> Client {
    let around = |inner, letter| layer(letter, parts, inner);
    order.chars().rev().fold(client, around)
}

/// The layer of that letter around `inner`: in large letters ours, in small ones a buffer, a timeout, one that moves calls
/// to another task, and layers that clear the request's extensions and the response's.
pub(crate) fn layer<B>(letter: char, parts: &Parts, inner: Client<B>) -> Client<B>
where
    B: Body<Data = Bytes> + From<Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let millis = Duration::from_millis;
    match letter {
        'A' => erase(AdmissionLayer::new(parts.limiter.clone()).layer(inner)),
        'B' => erase(BudgetLayer::new(parts.limiter.clone(), parts.prices.clone()).layer(inner)),
        'R' => {
            // Everything here goes in hundredths of the time that it takes elsewhere.
            let retry = RetryLayer::new()
                .backoff(millis(10), millis(80))
                .retry_budget(RetryBudget::percent(50));
            erase(retry.layer(inner))
        }
        'F' => {
            let failover = FailoverLayer::new(parts.routes.clone())
                .patience(millis(100))
                .park_for(millis(10))
                .breaker(BreakerOptions::new().open_for(millis(100)));
            erase(failover.layer(inner))
        }
        // Somebody else's.
        'b' => erase(BufferLayer::new(16).layer(inner)),
        't' => erase(TimeoutLayer::new(Duration::from_secs(600)).layer(inner)),
        'q' => erase(inner.map_request(|mut request: Request<B>| {
            request.extensions_mut().clear();
            request
        })),
        'p' => erase(inner.map_response(|mut response: Response<AnyBody>| {
            response.extensions_mut().clear();
            response
        })),
        's' => erase(service_fn(move |request| {
            let moved = tokio::spawn(inner.clone().oneshot(request));
            async { moved.await? }
        })),
        _ => panic!(
            "no such layer: {letter}; there are F, R, B and A, and b, t, s, q and p between them"
        ),
    }
}

pub(crate) fn erase<B, S, R>(service: S) -> Client<B>
where
    S: Service<Request<B>, Response = Response<R>, Error = BoxError> + Clone + Send + 'static,
    B: 'static,
    S::Future: Send + 'static,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    let boxed =
        |response: Response<R>| response.map(|body| body.map_err(Into::into).boxed_unsync());
    BoxCloneService::new(service.map_response(boxed))
}
