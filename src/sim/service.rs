//! The simulator as a service: routes a request, reads it, has it decided, answers it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Request, Response};
use http_body::Body;
use http_body_util::BodyExt as _;
use tower_service::Service;

use super::answer;
use super::ask::Ask;
use super::body::{SimBody, SimError};
use super::core::Core;
use super::faults::Faults;
use super::route::{Place, Route, api_key, route};

/// The simulator without a socket; always ready.
///
/// A call fails with [`SimError::Dropped`] where a server would close the connection, and with
/// [`SimError::Request`] if the body of the request fails. Everything else is a response.
#[derive(Clone, Debug)]
pub struct SimService {
    core: Arc<Core>,
}

impl SimService {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }
}

impl<B> Service<Request<B>> for SimService
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: fmt::Display,
{
    type Response = Response<SimBody>;
    type Error = SimError;
    type Future = SimFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), SimError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> SimFuture {
        let core = Arc::clone(&self.core);
        let (parts, body) = request.into_parts();
        SimFuture(match route(&parts) {
            Route::Answer(place) => Box::pin(attempt(core, place, parts, body)),
            Route::Count(place) => Box::pin(count(core, place, body)),
            Route::Models(provider) => ready(answer::models(&core, provider)),
            Route::Nowhere(provider) => ready(answer::not_found(&core, provider)),
        })
    }
}

/// The answer of a [`SimService`] to come. Dropping it gives the attempt up.
pub struct SimFuture(Pin<Box<dyn Future<Output = Result<Response<SimBody>, SimError>> + Send>>);

impl fmt::Debug for SimFuture {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("SimFuture").finish_non_exhaustive()
    }
}

impl Future for SimFuture {
    type Output = Result<Response<SimBody>, SimError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

fn ready(
    response: Response<SimBody>,
) -> Pin<Box<dyn Future<Output = Result<Response<SimBody>, SimError>> + Send>> {
    Box::pin(std::future::ready(Ok(response)))
}

async fn attempt<B>(
    core: Arc<Core>,
    place: Place,
    parts: Parts,
    body: B,
) -> Result<Response<SimBody>, SimError>
where
    B: Body<Data = Bytes>,
    B::Error: fmt::Display,
{
    let body = read(body).await?;
    let key = api_key(&parts);
    let read = asked(&parts.headers).and_then(|asked| Ok((asked, Ask::read(&place, key, &body)?)));
    let (asked, ask) = match read {
        Ok(read) => read,
        Err(why) => {
            let open = core.malformed(place.dialect, key);
            let provider = place.dialect.provider();
            return Ok(answer::malformed(&core, provider, open, why));
        }
    };
    let decision = core.arrive(&ask, &asked);
    if !decision.delay.is_zero() {
        tokio::time::sleep(decision.delay).await;
    }
    if decision.faults.dropped && decision.refusal.is_none() {
        decision.open.close(super::Outcome::Spoilt);
        return Err(SimError::Dropped);
    }
    Ok(answer::answer(&core, ask, decision))
}

/// A request that asks for nothing but its tokens.
async fn count<B>(core: Arc<Core>, place: Place, body: B) -> Result<Response<SimBody>, SimError>
where
    B: Body<Data = Bytes>,
    B::Error: fmt::Display,
{
    let counted = Ask::count(&place, &read(body).await?);
    Ok(answer::count(&core, place.dialect.provider(), counted))
}

async fn read<B>(body: B) -> Result<Bytes, SimError>
where
    B: Body<Data = Bytes>,
    B::Error: fmt::Display,
{
    match body.collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) => Err(SimError::Request(error.to_string())),
    }
}

/// The faults that the request asks for.
fn asked(headers: &HeaderMap) -> Result<Faults, String> {
    let mut asked = Faults::default();
    for value in headers.get_all("x-sim-fault") {
        let text = value.to_str().map_err(|error| error.to_string())?;
        let faults: Faults = text
            .parse()
            .map_err(|error: super::UnknownFault| format!("x-sim-fault: {error}"))?;
        asked.add(&faults);
    }
    Ok(asked)
}
