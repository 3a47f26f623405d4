//! Simulated providers in an outage, and an address at which nobody listens.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tokio::time::Instant;
use tower::{Service, ServiceExt as _};
use tower_quota::sim::{FaultRule, SimBody, SimConfig, SimService, Simulator};

/// What is wrong with a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// It answers so.
    Says(&'static str),
    /// Nobody listens there: the simulator does not hear of it, and the client counts.
    Refused,
}

/// A provider, and when attempts came.
#[derive(Clone)]
pub(crate) struct Provider {
    service: SimService,
    simulator: Simulator,
    wrong: Wrong,
    began: Instant,
    refused: Arc<Mutex<Vec<Duration>>>,
}

impl Provider {
    pub(crate) fn new(wrong: Wrong) -> Self {
        let simulator = Simulator::new(SimConfig::default());
        if let Wrong::Says(fault) = wrong {
            simulator.set_faults(vec![FaultRule {
                fault: fault.parse().unwrap(),
                probability: 1.0,
                nth: None,
            }]);
        }
        // Its clock begins now.
        simulator.now();
        Provider {
            service: simulator.service(),
            simulator,
            wrong,
            began: Instant::now(),
            refused: Arc::default(),
        }
    }

    pub(crate) fn recovers(&self) {
        self.simulator.set_faults(Vec::new());
    }

    /// When attempts came, in order.
    pub(crate) fn attempts(&self) -> Vec<Duration> {
        match self.wrong {
            Wrong::Refused => self.refused.lock().unwrap().clone(),
            Wrong::Says(_) => {
                let ledger = self.simulator.ledger();
                ledger
                    .entries()
                    .iter()
                    .map(|attempt| attempt.arrival)
                    .collect()
            }
        }
    }
}

impl Service<Request<Full<Bytes>>> for Provider {
    type Response = Response<SimBody>;
    /// As a client has it: the first cause that is an error of the system's says what kind it is.
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        if self.wrong == Wrong::Refused {
            self.refused.lock().unwrap().push(self.began.elapsed());
            let error = io::Error::from(io::ErrorKind::ConnectionRefused);
            return Box::pin(async move { Err(error.into()) });
        }
        let service = self.service.clone();
        Box::pin(async move { service.oneshot(request).await.map_err(Into::into) })
    }
}

pub(crate) fn chat() -> Request<Full<Bytes>> {
    chat_at("provider")
}

pub(crate) fn chat_at(host: &str) -> Request<Full<Bytes>> {
    let body = r#"{"model":"m","max_tokens":10,"messages":[{"role":"user","content":"hello"}]}"#;
    let request = Request::post(format!("http://{host}/v1/chat/completions"));
    request.body(Full::from(body)).unwrap()
}
