//! Of an attempt's claims the last is the one that is waited for, also where a call had to wait for room.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer as _, Service, ServiceExt as _, service_fn};
use tower_quota::{
    AdmissionLayer, BudgetLayer, Limiter, Money, RateLimitLayer, RequestBody, Tags, Usage,
    limit::{Limit, Limits, Quantities, Tick},
    pricing::{Price, PriceTable},
    store::{Answer, Claim, Decision, Grant, MemoryStore, Settlement, Standing, Store},
};

type Asked = Arc<Mutex<Vec<&'static str>>>;

/// Notes by whom it is asked, and how.
#[derive(Debug)]
struct Noting {
    store: MemoryStore,
    asked: Asked,
}

impl Store for Noting {
    fn limits(&self) -> Limits {
        self.store.limits()
    }

    fn now(&self) -> Tick {
        self.store.now()
    }

    fn claim(&self, claim: &Claim) -> Answer<Decision> {
        let who = if claim.quantities == Quantities::BUDGET {
            "budget"
        } else {
            "admission"
        };
        self.asked.lock().unwrap().push(who);
        self.store.claim(claim)
    }

    fn claim_ahead(&self, claim: &Claim) -> Answer<Decision> {
        assert_eq!(claim.quantities, Quantities::BUDGET);
        self.asked.lock().unwrap().push("budget ahead");
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
}

fn limiter() -> (Limiter, Asked) {
    let day = Duration::from_secs(86_400);
    let dollar = Money::from_nanos(1_000_000_000);
    let limits = Limits::new([Limit::cost(dollar).every(day), Limit::concurrency(1)]).unwrap();
    let asked = Asked::default();
    let store = Noting {
        store: MemoryStore::new(limits),
        asked: asked.clone(),
    };
    (Limiter::with_store(store), asked)
}

fn budget(limiter: &Limiter) -> BudgetLayer {
    let mut prices = PriceTable::new();
    prices.insert(
        "openai",
        "m",
        Price::new("1".parse().unwrap(), "10".parse().unwrap()),
    );
    BudgetLayer::new(limiter.clone(), Arc::new(prices))
}

fn request() -> Request<RequestBody> {
    let body = r#"{"model":"m","max_tokens":20,"messages":[]}"#;
    Request::post("http://api.test/v1/chat/completions")
        .body(RequestBody::from(Bytes::from(body)))
        .unwrap()
}

fn provider()
-> impl Service<Request<RequestBody>, Response = Response<Full<Bytes>>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ 'static {
    service_fn(|_| async {
        let answer =
            r#"{"model":"m","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":3}}"#;
        Ok(Response::new(Full::from(answer)))
    })
}

#[tokio::test(start_paused = true)]
async fn the_budget_claims_ahead_of_the_admission_inside() {
    let (limiter, asked) = limiter();
    let layer = RateLimitLayer::new(limiter.clone()).budget(budget(&limiter));
    let response = layer.layer(provider()).oneshot(request()).await.unwrap();
    assert!(response.status().is_success());
    assert_eq!(*asked.lock().unwrap(), ["budget ahead", "admission"]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waited_for_room_claims_of_its_budget_last_and_waits_for_that() {
    let (limiter, asked) = limiter();
    let layer = RateLimitLayer::new(limiter.clone()).budget(budget(&limiter));
    let service = layer.layer(provider());
    let first = service.clone().oneshot(request()).await.unwrap();
    let second = tokio::spawn(service.oneshot(request()));
    while limiter.waiting() == 0 {
        tokio::task::yield_now().await;
    }
    drop(first);
    assert!(second.await.unwrap().unwrap().status().is_success());
    assert_eq!(asked.lock().unwrap().last(), Some(&"budget"));
}

#[tokio::test(start_paused = true)]
async fn layers_that_somebody_else_stacks_claim_each_for_itself() {
    let (limiter, asked) = limiter();
    let admission = AdmissionLayer::new(limiter.clone());
    let service = budget(&limiter).layer(admission.layer(provider()));
    let response = service.oneshot(request()).await.unwrap();
    assert!(response.status().is_success());
    assert_eq!(*asked.lock().unwrap(), ["budget", "admission"]);
}
