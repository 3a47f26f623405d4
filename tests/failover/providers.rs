//! Providers by the host of their address, and calls to them.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use tower::{Service, ServiceExt as _};
use tower_layer::Layer;
use tower_quota::{
    FailoverLayer, Limiter, RateLimitLayer,
    failover::{ApiKey, FailoverEvent, Provider, Route, Routes, Target},
    limit::{Limit, Limits},
    retry::{Attempts, Outcome},
    sim::{FaultRule, SimBody, SimConfig, SimError, SimService, Simulator},
};

pub(crate) const MODEL: &str = "gpt-5.5";

/// The simulated providers, each under its host.
#[derive(Clone, Default)]
pub(crate) struct Providers {
    by_host: HashMap<String, SimService>,
    simulators: HashMap<String, Simulator>,
    /// Hosts that cannot be reached.
    pub(crate) gone: Arc<Mutex<Vec<String>>>,
}

impl Providers {
    pub(crate) fn new<const N: usize>(hosts: [&str; N]) -> Self {
        let mut providers = Providers::default();
        for host in hosts {
            let config = SimConfig {
                latency: Duration::from_millis(200),
                ..SimConfig::default()
            };
            let simulator = Simulator::new(config);
            let service = simulator.service();
            providers.by_host.insert(host.to_owned(), service);
            providers.simulators.insert(host.to_owned(), simulator);
        }
        providers
    }

    pub(crate) fn at(&self, host: &str) -> &Simulator {
        &self.simulators[host]
    }

    /// From now on this goes wrong there with every attempt; with none of them where the text is empty.
    pub(crate) fn fault(&self, host: &str, fault: &str) {
        let rule = FaultRule {
            fault: fault.parse().unwrap(),
            probability: 1.0,
            nth: None,
        };
        self.at(host).set_faults(vec![rule]);
    }

    /// This goes wrong there with the first attempt, and nothing with those after it.
    pub(crate) fn fault_once(&self, host: &str, fault: &str) {
        let rule = FaultRule {
            fault: fault.parse().unwrap(),
            probability: 0.0,
            nth: Some(1),
        };
        self.at(host).set_faults(vec![rule]);
    }

    pub(crate) fn attempts(&self, host: &str) -> usize {
        self.at(host).ledger().attempts()
    }
}

/// What the client fails with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Error {
    Unreachable,
    Sim(String),
}

#[expect(clippy::needless_pass_by_value, reason = "it is handed to `map_err`")]
fn sim(error: SimError) -> Error {
    Error::Sim(error.to_string())
}

type Answer = Pin<Box<dyn Future<Output = Result<Response<SimBody>, Error>> + Send>>;

impl Service<Request<Full<Bytes>>> for Providers {
    type Response = Response<SimBody>;
    type Error = Error;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Answer {
        let host = request.uri().host().unwrap().to_owned();
        let is_gone = self.gone.lock().unwrap().contains(&host);
        let service = self.by_host.get(&host).cloned();
        Box::pin(async move {
            match service.filter(|_| !is_gone) {
                Some(service) => service.oneshot(request).await.map_err(sim),
                None => Err(Error::Unreachable),
            }
        })
    }
}

/// A provider at this host, with keys of these labels; the secret is `KEY-host-label`.
pub(crate) fn provider(host: &str, keys: &[&str]) -> Provider {
    let provider = Provider::new(host, &format!("http://{host}/v1")).unwrap();
    keys.iter().fold(provider, |provider, label| {
        provider.key(ApiKey::new(*label, format!("KEY-{host}-{label}")).unwrap())
    })
}

pub(crate) fn target(host: &str) -> Target {
    Target::new(&provider(host, &["main"]), MODEL)
}

pub(crate) fn failover(route: Route) -> FailoverLayer {
    FailoverLayer::new(Routes::new([(MODEL, route)]).unwrap())
}

pub(crate) fn limiter(limits: impl IntoIterator<Item = Limit>) -> Limiter {
    Limiter::new(Limits::new(limits).unwrap())
}

/// The paved stack.
pub(crate) fn stack(
    failover: FailoverLayer,
    limiter: Limiter,
    providers: &Providers,
) -> <RateLimitLayer as Layer<Providers>>::Service {
    let layer = RateLimitLayer::new(limiter).failover(failover);
    layer.layer(providers.clone())
}

pub(crate) fn request() -> Request<Full<Bytes>> {
    let body = format!(
        r#"{{"model":"{MODEL}","max_tokens":100,"messages":[{{"role":"user","content":"hello"}}]}}"#
    );
    Request::post("http://called/v1/chat/completions")
        .header("authorization", "Bearer KEY-of-the-caller")
        .body(Full::from(body))
        .unwrap()
}

/// What came back: the status, which targets were asked, and the body.
#[derive(Debug)]
pub(crate) struct Came {
    pub(crate) status: StatusCode,
    pub(crate) headers: http::HeaderMap,
    pub(crate) attempts: Attempts,
    pub(crate) body: String,
}

impl Came {
    /// The providers that were sent an attempt, in order.
    pub(crate) fn asked(&self) -> Vec<&str> {
        let made = self.attempts.made.iter();
        let sent = made.filter(|report| !matches!(report.outcome, Outcome::Refused { .. }));
        sent.map(|report| report.target.provider.as_deref().unwrap())
            .collect()
    }
}

pub(crate) async fn send<S, R>(service: &S, request: Request<Full<Bytes>>) -> Result<Came, S::Error>
where
    S: Service<Request<Full<Bytes>>, Response = Response<R>> + Clone,
    R: http_body::Body<Data = Bytes>,
{
    let response = service.clone().oneshot(request).await?;
    let (parts, body) = response.into_parts();
    let attempts = parts
        .extensions
        .get::<Attempts>()
        .cloned()
        .unwrap_or_default();
    let body = body
        .collect()
        .await
        .map_or_else(|_| Bytes::new(), |body| body.to_bytes());
    Ok(Came {
        status: parts.status,
        headers: parts.headers,
        attempts,
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}

/// What a layer tells of its targets, in words.
#[derive(Clone, Default)]
pub(crate) struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    pub(crate) fn listener(&self) -> impl Fn(&FailoverEvent) + Send + Sync + 'static {
        let heard = self.0.clone();
        move |event| heard.lock().unwrap().push(event.to_string())
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}
