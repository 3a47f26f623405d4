//! X5, X0. The first provider fails in the middle of the work, and comes back: the work goes on elsewhere, every call succeeds,
//! and both bills are what we have written down.
//!
//! ```text
//! cargo run --release --features sim --example outage
//! cargo run --release --features sim --example outage -- --bare   # without the layers
//! ```
//!
//! Six thousand calls over real HTTP, a hundred at a time, half of them streams. The last line is JSON.

use std::{
    error::Error,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt as _;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::json;
use tokio::task::JoinSet;
use tower::{Layer as _, Service, ServiceExt as _};
use tower_quota::{
    FailoverLayer, Limiter, Money, RateLimitLayer, RequestBody, Tag, Tags,
    failover::{ApiKey, Auth, BreakerOptions, FailoverEvent, Provider, Route, Routes, Target},
    limit::{Limit, Limits},
    limiter::Call,
    sim::{FaultRule, SimConfig, SimServer, Simulator},
};

type BoxError = Box<dyn Error + Send + Sync>;

const CALLS: u64 = 6_000;
const AT_ONCE: u64 = 100;
const MODEL: &str = "gpt-4o";
/// What a token of it costs, in billionths of a dollar, with either provider: $2.50 and $10 for a million.
const INPUT: u64 = 2_500;
const OUTPUT: u64 = 10_000;
const PROVIDERS: [&str; 2] = ["openai", "azure"];

fn main() -> Result<(), BoxError> {
    let bare = std::env::args().any(|arg| arg == "--bare");
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(run(bare))
}

/// What came of the calls.
#[derive(Default)]
struct Seen {
    ok: AtomicU64,
    failed: AtomicU64,
    opened: AtomicU64,
    closed: AtomicU64,
    events: Mutex<Vec<String>>,
}

impl Seen {
    fn ended(&self) -> u64 {
        self.ok.load(Ordering::Relaxed) + self.failed.load(Ordering::Relaxed)
    }

    fn hear(&self, event: &FailoverEvent) {
        match event {
            FailoverEvent::BreakerOpened { .. } => self.opened.fetch_add(1, Ordering::Relaxed),
            FailoverEvent::BreakerClosed { .. } => self.closed.fetch_add(1, Ordering::Relaxed),
            _ => 0,
        };
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.push(event.to_string());
    }
}

async fn run(bare: bool) -> Result<(), BoxError> {
    let mut servers = Vec::new();
    for _ in PROVIDERS {
        servers.push(Simulator::start(config()).await?);
    }
    let seen = Arc::new(Seen::default());
    let limiter = Limiter::from_env(Limits::new([Limit::cost(Money::from_dollars(1_000))
        .every(Duration::from_secs(86_400))
        .per(Tag::Provider)])?)?;
    let heard = seen.clone();
    let failover = FailoverLayer::new(routes(&servers)?)
        .breaker(BreakerOptions::new().open_for(Duration::from_millis(100)))
        .on_event(move |event| heard.hear(event));
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new()).build::<_, RequestBody>(connector);
    let guarded = RateLimitLayer::new(limiter.clone())
        .failover(failover)
        .layer(client.clone());

    let url = format!("{}/v1/chat/completions", servers[0].base_url());
    let (mut calls, mut sent) = (JoinSet::new(), 0);
    let mut is_out = false;
    while sent < CALLS || !calls.is_empty() {
        let out = (CALLS / 3..CALLS * 2 / 3).contains(&seen.ended());
        if out != is_out {
            is_out = out;
            servers[0]
                .simulator()
                .set_faults(if out { outage()? } else { Vec::new() });
        }
        if sent < CALLS && (calls.len() as u64) < AT_ONCE {
            let request = request(&url, sent)?;
            if bare {
                calls.spawn(call(client.clone(), request, seen.clone()));
            } else {
                calls.spawn(call(guarded.clone(), request, seen.clone()));
            }
            sent += 1;
        } else if let Some(ended) = calls.join_next().await {
            ended?;
        }
    }
    for server in &servers {
        server.simulator().idle().await;
    }
    report(&servers, &limiter, &seen, bare).await
}

fn config() -> SimConfig {
    SimConfig {
        latency: Duration::from_millis(40),
        jitter: Duration::from_millis(40),
        chunk_delay: Duration::from_millis(1),
        ..SimConfig::default()
    }
}

fn outage() -> Result<Vec<FaultRule>, BoxError> {
    Ok(vec![FaultRule {
        fault: "status=503".parse()?,
        probability: 1.0,
        nth: None,
    }])
}

fn routes(servers: &[SimServer]) -> Result<Routes, BoxError> {
    let mut targets = Vec::new();
    for (name, server) in PROVIDERS.iter().zip(servers) {
        let provider = Provider::new(*name, &format!("{}/v1", server.base_url()))?
            .auth(Auth::Bearer)
            .key(ApiKey::new("main", key(name))?);
        targets.push(Target::new(&provider, MODEL));
    }
    Ok(Routes::new([(MODEL, Route::ordered(targets))])?)
}

fn key(provider: &str) -> String {
    format!("key-of-{provider}")
}

fn request(url: &str, number: u64) -> Result<Request<RequestBody>, http::Error> {
    let body = json!({
        "model": MODEL,
        "max_tokens": 200 + number % 100,
        "stream": number.is_multiple_of(2),
        "messages": [{ "role": "user", "content": "And the next one." }],
    });
    Request::post(url)
        .header("content-type", "application/json")
        .header("authorization", "Bearer key-of-the-caller")
        .extension(Tags::new().with(Tag::Agent, "worker"))
        .body(RequestBody::from(Bytes::from(body.to_string())))
}

async fn call<S, R>(service: S, request: Request<RequestBody>, seen: Arc<Seen>)
where
    S: Service<Request<RequestBody>, Response = http::Response<R>>,
    R: http_body::Body<Data = Bytes>,
{
    let ok = match service.oneshot(request).await {
        Ok(response) => {
            let is_success = response.status().is_success();
            response.into_body().collect().await.is_ok() && is_success
        }
        Err(_) => false,
    };
    let count = if ok { &seen.ok } else { &seen.failed };
    count.fetch_add(1, Ordering::Relaxed);
}

/// What a provider bills, and what we have written down for it, in billionths of a dollar.
async fn ledgers(
    server: &SimServer,
    limiter: &Limiter,
    name: &str,
) -> Result<(u64, u64), BoxError> {
    let billed = server.ledger().billed();
    let tags = Tags::new().with(Tag::Provider, name);
    let explained = limiter.explain(&Call::new().tags(tags)).await?;
    let charged = explained.limits.first().map_or(0, |limit| limit.in_use);
    Ok((billed.input * INPUT + billed.output * OUTPUT, charged))
}

async fn report(
    servers: &[SimServer],
    limiter: &Limiter,
    seen: &Seen,
    bare: bool,
) -> Result<(), BoxError> {
    for event in seen
        .events
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .iter()
    {
        println!("{event}");
    }
    let (mut bills, mut equal, mut strangers) = (Vec::new(), true, 0);
    let (mut attempts, mut served, mut refused) = (Vec::new(), Vec::new(), 0);
    for (name, server) in PROVIDERS.iter().zip(servers) {
        let (billed, charged) = ledgers(server, limiter, name).await?;
        equal &= billed == charged;
        bills.push(Money::from_nanos(billed).to_string());
        let ledger = server.ledger();
        attempts.push(ledger.attempts());
        served.push(ledger.ok());
        refused += ledger.refused();
        let own = key(name);
        strangers += ledger
            .entries()
            .iter()
            .filter(|entry| *entry.key != *own)
            .count();
    }
    let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
    println!(
        "{}",
        json!({
            "calls": CALLS,
            "ok": load(&seen.ok),
            "failed": load(&seen.failed),
            "provider_429": refused,
            "attempts": attempts,
            "served": served,
            "breaker_opened": load(&seen.opened),
            "breaker_closed": load(&seen.closed),
            "billed": bills,
            "ledgers_equal": !bare && equal,
            "foreign_keys": if bare { 0 } else { strangers },
        })
    );
    Ok(())
}
