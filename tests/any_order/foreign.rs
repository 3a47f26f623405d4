//! Layers of somebody else's that send clones of a request, or answer it themselves.

use std::{
    future::{Ready, ready},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tokio::sync::mpsc;
use tower::{Layer as _, ServiceExt as _, retry::RetryLayer as AgainLayer, service_fn};
use tower_quota::{NotSent, RequestBody, sim::Simulator};

use crate::{
    client,
    delivered::Delivered,
    load::call_of,
    stack::{AnyBody, BoxError, Client, Parts, erase, layer},
};

/// A body that can be cloned, and the whole request with it.
type Whole = Full<Bytes>;
type Answered = Result<Response<AnyBody>, BoxError>;

/// How long the hedge waits: about half of the answers come sooner.
const HEDGED_AFTER: Duration = Duration::from_millis(15);
/// How long the gateway does: most answers come sooner.
const GIVEN_UP_AFTER: Duration = Duration::from_millis(22);
/// How often the retry sends one request.
const SENDS: u32 = 3;

/// What they are made of, and how often they have acted.
pub(crate) struct Foreign {
    /// In whose names the caches answer.
    pub(crate) simulators: [Simulator; 2],
    pub(crate) acted: Acted,
    /// With each task of its own, and with whoever may begin one.
    pub(crate) running: mpsc::Sender<()>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Acted(Arc<AtomicU64>);

impl Acted {
    fn again(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn times(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Foreign {
    /// The layers of `order` around `client`: ours in large letters. Of the others `r`, a retry, and `h`, a hedge, clone the
    /// request with its extensions; so does `d`, a hedge that lets what is late run on. `g` answers 504 for what is late, and
    /// lets it run on. `c` is a cache that says nothing of it, `n` one that marks what was not sent; `l` marks what was.
    pub(crate) fn stack(
        self,
        order: &str,
        parts: &Parts,
        delivered: &Delivered,
        client: Client,
    ) -> Client {
        let inmost = client.map_request(|request: Request<Whole>| request.map(RequestBody::new));
        let around = |inner: Client<Whole>, letter| match letter {
            'r' => {
                let policy = Again {
                    left: SENDS - 1,
                    acted: self.acted.clone(),
                };
                erase(AgainLayer::new(policy).layer(inner))
            }
            'h' => self.hedge(inner, false),
            'd' => self.hedge(inner, true),
            'g' => self.gateway(inner),
            'c' => self.cache(inner, delivered, false),
            'n' => self.cache(inner, delivered, true),
            'l' => erase(inner.map_response(|mut response: Response<AnyBody>| {
                response.extensions_mut().insert(NotSent);
                response
            })),
            _ => layer(letter, parts, inner),
        };
        let stack = order.chars().rev().fold(erase(inmost), around);
        erase(service_fn(move |request: Request<RequestBody>| {
            let stack = stack.clone();
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect().await?.to_bytes();
                stack.oneshot(Request::from_parts(parts, body.into())).await
            }
        }))
    }

    /// Sends a clone when there is no answer for a while, and takes the answer that comes first. It drops the other, or has
    /// both in tasks of their own, and drops what the other comes to.
    fn hedge(&self, inner: Client<Whole>, detached: bool) -> Client<Whole> {
        let (acted, running) = (self.acted.clone(), self.running.clone());
        erase(service_fn(move |request: Request<Whole>| {
            let running = detached.then(|| running.clone());
            let (first, late, again) = (inner.clone(), inner.clone(), request.clone());
            let acted = acted.clone();
            let late = async move {
                acted.again();
                late.oneshot(again).await
            };
            async move {
                let first = run(first.oneshot(request), running.clone());
                let mut first = pin!(first);
                tokio::select! {
                    biased;
                    answered = &mut first => return answered,
                    () = tokio::time::sleep(HEDGED_AFTER) => {}
                }
                tokio::select! {
                    biased;
                    answered = first => answered,
                    answered = run(late, running) => answered,
                }
            }
        }))
    }

    /// Answers 504 when there is no answer for a while, and lets what it has sent run on.
    fn gateway(&self, inner: Client<Whole>) -> Client<Whole> {
        let (acted, running) = (self.acted.clone(), self.running.clone());
        erase(service_fn(move |request: Request<Whole>| {
            let (acted, running) = (acted.clone(), running.clone());
            let call = run(inner.clone().oneshot(request), Some(running));
            async move {
                match tokio::time::timeout(GIVEN_UP_AFTER, call).await {
                    Ok(answered) => answered,
                    Err(_) => {
                        acted.again();
                        let body = Whole::default().map_err(Into::into).boxed_unsync();
                        Ok(Response::builder().status(504).body(body)?)
                    }
                }
            }
        }))
    }

    /// Answers every third call by itself.
    fn cache(&self, inner: Client<Whole>, delivered: &Delivered, marks: bool) -> Client<Whole> {
        let kept = delivered.watch(client(&self.simulators));
        let acted = self.acted.clone();
        erase(service_fn(move |request: Request<Whole>| {
            let (inner, kept, acted) = (inner.clone(), kept.clone(), acted.clone());
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect().await?.to_bytes();
                let is_kept = call(&body).is_some_and(|call| call.is_multiple_of(3));
                let request = Request::from_parts(parts, Whole::from(body));
                if !is_kept {
                    return inner.oneshot(request).await;
                }
                acted.again();
                let mut response = kept.oneshot(request.map(RequestBody::new)).await?;
                if marks {
                    response.extensions_mut().insert(NotSent);
                }
                Ok(response)
            }
        }))
    }
}

/// Runs a call here, or in a task of its own.
async fn run(
    call: impl Future<Output = Answered> + Send + 'static,
    running: Option<mpsc::Sender<()>>,
) -> Answered {
    let Some(running) = running else {
        return call.await;
    };
    let task = tokio::spawn(async move {
        let answered = call.await;
        drop(running);
        answered
    });
    task.await?
}

/// By its output cap.
fn call(body: &[u8]) -> Option<u64> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    call_of(body["max_tokens"].as_u64())
}

/// A policy of tower's retry: sends a clone of the request where the answer is 429 or a fault of the server.
#[derive(Clone, Debug)]
struct Again {
    left: u32,
    acted: Acted,
}

impl tower::retry::Policy<Request<Whole>, Response<AnyBody>, BoxError> for Again {
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut Request<Whole>, answered: &mut Answered) -> Option<Ready<()>> {
        let status = answered.as_ref().ok()?.status();
        if self.left == 0 || !(status.is_server_error() || status == 429) {
            return None;
        }
        self.left -= 1;
        self.acted.again();
        Some(ready(()))
    }

    fn clone_request(&mut self, request: &Request<Whole>) -> Option<Request<Whole>> {
        Some(request.clone())
    }
}
