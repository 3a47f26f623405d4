//! Each attempt is heard once, by the layer that sent it, whatever the order of the layers.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_quota::{
    AdmissionLayer, Limiter, RetryLayer, Tags, Usage,
    limit::{Limit, LimitKey, Limits, Tick},
    limiter::QueueOptions,
    store::{
        Answer, Claim, Decision, Grant, MemoryStore, Observation, Settlement, Standing, Store,
    },
};

use crate::work::MINUTE;

/// Writes down what it hears.
#[derive(Debug)]
struct Ear {
    store: MemoryStore,
    heard: Mutex<Vec<&'static str>>,
}

impl Store for Ear {
    fn limits(&self) -> Limits {
        self.store.limits()
    }
    fn keys(&self, claim: &Claim) -> Vec<LimitKey> {
        self.store.keys(claim)
    }
    fn now(&self) -> Tick {
        self.store.now()
    }
    fn claim(&self, claim: &Claim) -> Answer<Decision> {
        self.store.claim(claim)
    }
    fn date(&self, grant: &mut Grant) {
        self.store.date(grant);
    }

    fn streamed(&self, grant: &mut Grant, output: u64) {
        self.store.streamed(grant, output);
    }
    fn settle(&self, grant: Grant, settlement: Settlement) -> Answer<()> {
        self.store.settle(grant, settlement)
    }
    fn release(&self, grant: Grant) -> Answer<()> {
        self.store.release(grant)
    }
    fn peek(&self, claim: &Claim) -> Answer<Vec<Standing>> {
        self.store.peek(claim)
    }
    fn record(&self, tags: &Tags, usage: Usage) -> Answer<()> {
        self.store.record(tags, usage)
    }
    fn observe(&self, tags: &Tags, grant: &Grant, seen: &Observation) -> Answer<bool> {
        self.heard.lock().unwrap().push(match seen {
            Observation::Closed { .. } => "closed",
            Observation::Reopened { .. } => "reopened",
            Observation::Counters { refused: true, .. } => "counters of a refusal",
            Observation::Counters { refused: false, .. } => "counters",
            Observation::Limited { .. } => "limited",
            Observation::Succeeded => "succeeded",
            _ => "something new",
        });
        self.store.observe(tags, grant, seen)
    }
}

/// First a refusal, then an answer, each with counters.
async fn heard(order: &str) -> (Vec<&'static str>, u16) {
    let limits = Limits::new([Limit::requests(100).every(MINUTE)]).unwrap();
    let ear = Arc::new(Ear {
        store: MemoryStore::new(limits),
        heard: Mutex::default(),
    });
    let limiter = Limiter::build(ear.clone(), QueueOptions::new());
    let answered = Arc::new(Mutex::new(false));
    let inner = service_fn(move |request: Request<Full<Bytes>>| {
        let second = std::mem::replace(&mut *answered.lock().unwrap(), true);
        async move {
            drop(request);
            let response = Response::builder()
                .header("x-ratelimit-limit-requests", 100)
                .header("x-ratelimit-remaining-requests", 50);
            let response = if second {
                response
            } else {
                response.status(429).header("retry-after", 1)
            };
            response.body(Full::new(Bytes::from("{}")))
        }
    });
    let admission = || AdmissionLayer::new(limiter.clone());
    let request = Request::post("http://up/v1/chat/completions");
    let request = request.body(Full::from(r#"{"model":"m","messages":[]}"#));
    let request = request.unwrap();
    macro_rules! through {
        ($service:expr) => {{
            let response = $service.oneshot(request).await.unwrap();
            let status = response.status().as_u16();
            drop(response.into_body().collect().await);
            status
        }};
    }
    let status = match order {
        "A" => through!(admission().layer(inner)),
        "AA" => through!(admission().layer(admission().layer(inner))),
        "R" => through!(RetryLayer::new().layer(inner)),
        "RA" => through!(RetryLayer::new().layer(admission().layer(inner))),
        "AR" => through!(admission().layer(RetryLayer::new().layer(inner))),
        "ARA" => through!(admission().layer(RetryLayer::new().layer(admission().layer(inner)))),
        _ => panic!("no such order: {order}"),
    };
    let heard = ear.heard.lock().unwrap().clone();
    (heard, status)
}

#[tokio::test(start_paused = true)]
async fn each_attempt_is_heard_once_in_every_order() {
    let refused = ["counters of a refusal", "closed", "limited"];
    let both = [&refused[..], &["counters", "succeeded"]].concat();
    for order in ["RA", "AR", "ARA"] {
        assert_eq!(heard(order).await, (both.clone(), 200), "{order}");
    }
    for order in ["A", "AA"] {
        assert_eq!(heard(order).await, (refused.to_vec(), 429), "{order}");
    }
    assert_eq!(heard("R").await, (vec![], 200), "there is nobody to tell");
}
