//! Alerts: each is told once, told again until it is taken, and holds up nobody.
#![cfg(feature = "alerts")]
#![allow(
    clippy::unwrap_used,
    dead_code,
    unused_imports,
    reason = "a test fails by panicking; not all that tests stand on is used here"
)]

mod circuits;
mod delivery;
mod kinds;
mod sockets;

#[path = "../support/ports.rs"]
mod ports;
#[path = "../support/mod.rs"]
mod support;

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::Value;
use tokio::{sync::oneshot, task::JoinHandle, time::Instant};
use tower::service_fn;
use tower_quota::{
    Tag, Tags,
    alerts::{Alerts, Told, Webhook},
};

/// What somebody was sent, and answers: in memory, so that time can be paused.
#[derive(Clone, Default)]
pub(crate) struct Receiver {
    got: Arc<Mutex<Vec<(Instant, HeaderMap, Value)>>>,
    /// What it answers, the first first, with these headers; then 200. `None`: nothing, ever.
    answers: Arc<Mutex<Vec<Option<Response<()>>>>>,
}

impl Receiver {
    pub(crate) fn answers(&self, answers: impl IntoIterator<Item = Option<Response<()>>>) {
        self.answers.lock().unwrap().extend(answers);
    }

    fn next_answer(&self) -> Option<Option<Response<()>>> {
        let mut answers = self.answers.lock().unwrap();
        (!answers.is_empty()).then(|| answers.remove(0))
    }

    /// A client that knows nobody else.
    pub(crate) fn alerts(&self, webhooks: impl IntoIterator<Item = Webhook>) -> Alerts {
        let receiver = self.clone();
        let client = service_fn(move |request: Request<Full<Bytes>>| {
            let receiver = receiver.clone();
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let body = serde_json::from_slice(&body).unwrap();
                let got = (Instant::now(), parts.headers, body);
                receiver.got.lock().unwrap().push(got);
                let answer = receiver.next_answer();
                match answer {
                    Some(Some(answer)) => Ok::<_, Infallible>(answer),
                    Some(None) => std::future::pending().await,
                    None => Ok(Response::new(())),
                }
            }
        });
        Alerts::through(client, webhooks)
    }

    /// What it was sent since it was asked last.
    pub(crate) fn got(&self) -> Vec<(Instant, HeaderMap, Value)> {
        std::mem::take(&mut *self.got.lock().unwrap())
    }

    /// The same in a few words: the kind, and whether it is over.
    pub(crate) fn kinds(&self) -> Vec<String> {
        let got = self.got();
        let kinds = got.iter().map(|(_, _, body)| {
            let kind = body["kind"].as_str().unwrap();
            let over = if body["is_over"] == true { " over" } else { "" };
            format!("{kind}{over}")
        });
        kinds.collect()
    }
}

pub(crate) fn status(status: u16) -> Response<()> {
    let mut answer = Response::new(());
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    answer
}

pub(crate) fn webhook() -> Webhook {
    Webhook::new("https://hooks.example/secret").unwrap()
}

/// Alerts that run, until they are told to end.
pub(crate) struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
    told: Arc<Mutex<Vec<Told>>>,
}

pub(crate) fn run(alerts: &Alerts) -> Running {
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = told.clone();
    alerts.on_outcome(move |outcome| listener.lock().unwrap().push(outcome.clone()));
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(alerts.clone().run(async { drop(stopped.await) }));
    Running { stop, task, told }
}

impl Running {
    /// What became of alerts since it was asked last, in a word each.
    pub(crate) fn outcomes(&self) -> Vec<&'static str> {
        let told = std::mem::take(&mut *self.told.lock().unwrap());
        told.iter().map(|told| told.outcome.name()).collect()
    }

    pub(crate) async fn end(self) {
        drop(self.stop);
        self.task.await.unwrap();
    }
}

/// Lets everything go on that can, under paused time.
pub(crate) async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

pub(crate) fn agent(name: &str) -> Tags {
    Tags::new().with(Tag::Agent, name)
}
