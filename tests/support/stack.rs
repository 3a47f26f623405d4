//! Layers by the letter, outermost first: `"RA"` is a retry around an admission.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt as _, combinators::UnsyncBoxBody};
use tower::{
    BoxError, Layer, Service, ServiceExt as _, buffer::BufferLayer, retry::RetryLayer as Again,
    timeout::TimeoutLayer, util::BoxCloneService,
};
use tower_quota::{AdmissionLayer, Limiter, RetryLayer};

use super::{
    Broken,
    foreign::{
        OnceMore, between, clear_request, clear_response, delay, hedge, honest_cache, silent_cache,
        spawn,
    },
};

pub(crate) type Stack<B> = BoxCloneService<Request<B>, Response<AnyBody>, Broken>;
pub(crate) type AnyBody = UnsyncBoxBody<Bytes, Broken>;

/// How long the timeout waits.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// Its error.
pub(crate) const TIMED_OUT: Broken = Broken(408);

/// Every order of admissions and retries that is tried.
pub(crate) const ORDERS: [&str; 6] = ["A", "R", "AR", "RA", "ARA", "RAR"];

/// The layers of `order` around `inner`. Ours are `A`, which waits, `F`, which refuses when full, and `R`;
/// those in small letters, and `C`, are somebody else's.
pub(crate) fn stack<B, S, R>(order: &str, limiter: &Limiter, inner: S) -> Stack<B>
where
    S: Service<Request<B>, Response = Response<R>, Error = Broken> + Clone + Send + 'static,
    S::Future: Send + 'static,
    R: Body<Data = Bytes, Error = Broken> + Send + 'static,
    B: Body<Data = Bytes> + From<Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let around = |inner, letter| layer(letter, limiter, inner);
    order.chars().rev().fold(erase(inner), around)
}

/// As [`stack`], with `h` and `r` as well, which clone the request.
pub(crate) fn cloning_stack<B, S, R>(order: &str, limiter: &Limiter, inner: S) -> Stack<B>
where
    S: Service<Request<B>, Response = Response<R>, Error = Broken> + Clone + Send + 'static,
    S::Future: Send + 'static,
    R: Body<Data = Bytes, Error = Broken> + Send + 'static,
    B: Body<Data = Bytes> + From<Bytes> + Clone + Send + 'static,
    B::Error: Into<BoxError>,
{
    let around = |inner, letter| match letter {
        'h' => erase(between(inner, hedge)),
        'r' => erase(Again::new(OnceMore { may: true }).layer(inner)),
        _ => layer(letter, limiter, inner),
    };
    order.chars().rev().fold(erase(inner), around)
}

fn layer<B>(letter: char, limiter: &Limiter, inner: Stack<B>) -> Stack<B>
where
    B: Body<Data = Bytes> + From<Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let admission = AdmissionLayer::new(limiter.clone());
    match letter {
        'A' => erase(admission.layer(inner)),
        'F' => erase(admission.reject_when_full().layer(inner)),
        'R' => erase(RetryLayer::new().layer(inner)),
        'b' => erase(BufferLayer::new(1).layer(inner).map_err(broken)),
        't' => erase(TimeoutLayer::new(PATIENCE).layer(inner).map_err(broken)),
        'q' => erase(between(inner, clear_request)),
        'p' => erase(between(inner, clear_response)),
        'c' => erase(between(inner, silent_cache)),
        'C' => erase(between(inner, honest_cache)),
        'd' => erase(between(inner, delay)),
        's' => erase(between(inner, spawn)),
        _ => panic!("no such layer: {letter}"),
    }
}

fn erase<B, S, R>(service: S) -> Stack<B>
where
    S: Service<Request<B>, Response = Response<R>, Error = Broken> + Clone + Send + 'static,
    S::Future: Send + 'static,
    R: Body<Data = Bytes, Error = Broken> + Send + 'static,
    B: 'static,
{
    let erased = service.map_response(|response| response.map(boxed));
    BoxCloneService::new(erased)
}

pub(crate) fn boxed<R>(body: R) -> AnyBody
where
    R: Body<Data = Bytes, Error = Broken> + Send + 'static,
{
    body.boxed_unsync()
}

/// The error inside a boxed one; a timeout is one of its own.
fn broken(error: BoxError) -> Broken {
    if error.is::<tower::timeout::error::Elapsed>() {
        return TIMED_OUT;
    }
    *error.downcast().expect("an error of the inner service")
}
