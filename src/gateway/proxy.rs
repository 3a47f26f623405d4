//! What every call passes through, from the caller and back.

use std::{future::poll_fn, sync::Arc, time::Duration};

use axum::{body::Body, extract::Request, response::Response};
use http::{
    HeaderName, HeaderValue, Version,
    header::{EXPECT, LOCATION},
    request::Parts,
};
use http_body::Body as _;
use tokio::time::sleep;
use tower_layer::Layer;
use tower_service::Service;

use super::{
    abreast::abreast,
    bodies::{Bodies, Cut, Share},
    calls::{Calls, Open, OpenBody},
    client::Client,
    headers, heartbeat,
    incoming::Incoming,
    key_refused::unless_key_refused,
    page,
    refusal::Refusal,
    state::State,
    told,
    upstreams::{Place, Upstreams},
};
use crate::{
    call::{BODY_CAP, RequestBody},
    failover::ApiKey,
    limiter::{Limiter, Progress},
    metrics::Metrics,
    rate_limit::RateLimitLayer,
    retry::asked::repeats_by_itself,
    tags::PREFIX,
    wire::Dialect,
};

type Layered = <RateLimitLayer as Layer<Client>>::Service;

/// What every call passes through.
#[derive(Debug)]
pub(super) struct Proxy {
    /// Through the layers, to a target or to where it says.
    pub(super) open: Layered,
    /// The same, to targets alone, where there are any.
    pub(super) routed: Option<Layered>,
    pub(super) upstreams: Upstreams,
    pub(super) state: Option<State>,
    pub(super) limiter: Limiter,
    /// The models that have a route.
    pub(super) models: Vec<String>,
    pub(super) calls: Calls,
    pub(super) bodies: Bodies,
    pub(super) metrics: Metrics,
    /// How long a stream waits until comments begin, and then until the next one; none, where that is zero.
    pub(super) heartbeat: Duration,
    /// Whether the layers repeat what fails where it went to.
    pub(super) repeats: bool,
    /// Whether they keep bodies in memory.
    pub(super) keeps_bodies: bool,
}

/// What is to be done with a call.
pub(super) enum Ready {
    Send(Box<Sending>),
    Answer(Response),
}

/// A call that is to be sent on.
pub(super) struct Sending {
    pub(super) service: Layered,
    pub(super) parts: Parts,
    pub(super) dialect: Dialect,
    /// The upstream, where it is for one.
    pub(super) place: Option<Place>,
    /// Whether that is a provider of models, or the call is one of theirs.
    pub(super) is_known: bool,
    pub(super) open: Open,
    pub(super) progress: Progress,
    /// What is left is asked of it.
    pub(super) limiter: Limiter,
    /// The keys that targets of routes are sent.
    pub(super) routed_keys: Arc<[ApiKey]>,
}

impl Proxy {
    /// Answers a call, whatever comes of it.
    pub(super) async fn answer(self: Arc<Self>, request: Request) -> Response {
        let spoken = self.spoken(&request);
        let by_itself = repeats_by_itself(request.headers());
        let (parts, body) = request.into_parts();
        // Who asks first hears it before it sends anything.
        let asks_first = parts.headers.contains_key(EXPECT);
        let body = Incoming::new(body);
        let length = body.size_hint();
        let share = self.bodies.share();
        let ready = self.prepare(parts, length.lower(), &share);
        // A longer one passes as it comes, and where nothing is kept, all do.
        let is_kept = self.keeps_bodies && length.lower() <= BODY_CAP as u64;
        let ready = ready.and_then(|ready| {
            let said = length.exact().and_then(|said| usize::try_from(said).ok());
            let is_taken = match said {
                _ if !is_kept => true,
                Some(said) => share.reserve(said)?,
                None => false,
            };
            Ok((ready, is_taken))
        });
        let (ready, is_taken) = match ready {
            Ok(ready) => ready,
            Err(refusal) => {
                // Who still writes would not read the answer.
                if !asks_first {
                    match refusal {
                        Refusal::NoMemory(_) => body.drain_soon().await,
                        _ => body.drain(matches!(refusal, Refusal::TooLarge)).await,
                    }
                }
                // It is no call: it has no number.
                return self.refuse(&refusal, (spoken, by_itself), None);
            }
        };
        let answered = match ready {
            Ready::Send(sending) => {
                let progress = sending.progress.clone();
                let body = match is_taken {
                    false => body.kept(share.clone()),
                    true if is_kept => body,
                    true => body.passed_on(),
                };
                let answered = sending.answered((body, share), self.heartbeat).await;
                abreast().await;
                answered.map_err(|refusal| (refusal, progress))
            }
            Ready::Answer(response) => Ok(response),
        };
        answered.unwrap_or_else(|(refusal, progress)| {
            self.refuse(&refusal, (spoken, by_itself), Some(&progress))
        })
    }

    /// The answer that says no, in this API and to a caller that repeats by itself or does not; with what is known of the call,
    /// where there is one.
    fn refuse(
        &self,
        refusal: &Refusal,
        (spoken, by_itself): (Dialect, bool),
        progress: Option<&Progress>,
    ) -> Response {
        self.count(refusal);
        let mut response = refusal.answer(spoken, by_itself && self.is_repeated(progress));
        if let Some(progress) = progress {
            told::tell(&mut response, progress);
        }
        response
    }

    /// Whether the layers repeat a call, at the target that it went to or, as they have done, at another one.
    fn is_repeated(&self, progress: Option<&Progress>) -> bool {
        self.repeats || progress.is_some_and(|progress| progress.answers() > 1)
    }

    /// Whoever runs this sees what it lacks.
    fn count(&self, refusal: &Refusal) {
        if matches!(refusal, Refusal::NoMemory(_)) {
            self.metrics.refused(refusal.kind().1);
        }
    }
}

/// Why there is no answer to hand on.
enum Unanswered {
    Refused(Refusal),
    /// There was no memory for all of its body.
    Cut(Cut),
}

impl From<Refusal> for Unanswered {
    fn from(refusal: Refusal) -> Self {
        Unanswered::Refused(refusal)
    }
}

impl Sending {
    /// Its answer; or the beginning of one, where it is a stream that waits.
    async fn answered(
        self,
        body: (Incoming, Share),
        heartbeat: Duration,
    ) -> Result<Response, Refusal> {
        let (progress, dialect) = (self.progress.clone(), self.dialect);
        let mut answering: heartbeat::Answering = Box::pin(self.sent(body));
        if heartbeat.is_zero() {
            return answering.await;
        }
        loop {
            tokio::select! {
                answer = &mut answering => return answer,
                () = sleep(heartbeat) => {}
            }
            if heartbeat::may_begin(&progress, dialect) {
                let mut begun = heartbeat::begin(answering, dialect, heartbeat);
                told::tell(&mut begun, &progress);
                return Ok(begun);
            }
        }
    }

    async fn sent(self, (body, share): (Incoming, Share)) -> Result<Response, Refusal> {
        let Sending {
            service,
            parts,
            open,
            progress,
            place,
            is_known,
            limiter,
            dialect,
            routed_keys,
        } = self;
        let request = http::Request::from_parts(parts, RequestBody::new(body));
        let answered = async {
            let sent = sent(service, request).await;
            if let Some(cut) = share.take_cut() {
                return Err(Unanswered::Cut(cut));
            }
            // What is answered now is not sent again.
            drop(share);
            abreast().await;
            let of_place = (place.as_ref(), is_known);
            let mut response = unless_key_refused(sent?, of_place, &routed_keys).await?;
            let at = response
                .headers()
                .get(LOCATION)
                .map(|at| at.to_str().unwrap_or_default());
            if let Some(at) = at {
                let here = place.as_ref().and_then(|place| place.location(at));
                let here = here.and_then(|here| HeaderValue::try_from(here).ok());
                match here {
                    Some(here) => drop(response.headers_mut().insert(LOCATION, here)),
                    None => drop(response.headers_mut().remove(LOCATION)),
                }
            }
            told::tell(&mut response, &progress);
            let whole = told::with_cost(response, (&progress, dialect), &limiter).await;
            Ok(whole.map_err(Refusal::BrokeOffWithin)?)
        };
        let answered = tokio::select! {
            // In this order: what is over is not sent.
            biased;
            () = open.cancelled() => return Err(Refusal::Cancelled),
            answered = answered => answered,
        };
        let response = match answered {
            Ok(response) => response,
            Err(Unanswered::Refused(refusal)) => return Err(refusal),
            Err(Unanswered::Cut(Cut { why, rest })) => {
                // It is over, though its caller still writes, and would not read the answer.
                drop(open);
                Incoming::new(rest).drain_soon().await;
                return Err(why.into());
            }
        };
        Ok(response.map(|body| match body.is_end_stream() {
            true => body,
            false => Body::new(OpenBody::new(body, open)),
        }))
    }
}

async fn sent(
    mut service: Layered,
    request: http::Request<RequestBody>,
) -> Result<Response, Refusal> {
    poll_fn(|cx| service.poll_ready(cx))
        .await
        .map_err(Refusal::failed)?;
    let response = service.call(request).await.map_err(Refusal::failed)?;
    let (mut parts, body) = response.into_parts();
    parts.version = Version::HTTP_11;
    headers::strip_response(&mut parts.headers);
    page::disarm(&mut parts.headers);
    // What another gateway behind this one says of its own.
    let ours = parts
        .headers
        .keys()
        .filter(|name| name.as_str().starts_with(PREFIX));
    let ours: Vec<HeaderName> = ours.cloned().collect();
    ours.iter()
        .for_each(|name| drop(parts.headers.remove(name)));
    Ok(Response::from_parts(parts, Body::new(body)))
}
