//! X1, X0. An agent that loops for ever, under a budget of ten dollars an hour for each run: what a simulated provider bills
//! never passes it, and comes as near as the next call would allow. A sibling run goes on.
//!
//! ```text
//! cargo run --release --features sim --example runaway
//! cargo run --release --features sim --example runaway -- --bare   # without the budget: until 600 calls
//! ```
//!
//! Fifty calls at a time, half of them streams; each may cost 5 to 40 cents and costs a tenth of that. Over real HTTP.
//! The last line is JSON.

use std::{
    error::Error,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::json;
use tokio::task::JoinSet;
use tower::{Layer as _, Service, ServiceExt as _};
use tower_quota::{
    BudgetLayer, Limiter, Money, Rejection, RequestBody, Tag, Tags,
    limit::{Limit, Limits},
    pricing::PriceTable,
    sim::{Billed, SimConfig, Simulator},
};

type BoxError = Box<dyn Error + Send + Sync>;

const AT_ONCE: usize = 50;
const BUDGET: Money = Money::from_dollars(10);
const MODEL: &str = "gpt-4o";
/// What a token of it costs, in billionths of a dollar: $2.50 and $10 for a million.
const INPUT: u64 = 2_500;
const OUTPUT: u64 = 10_000;
/// So many tokens out cost 5 and 40 cents.
const CAPS: std::ops::RangeInclusive<u64> = 5_000..=40_000;
/// Without a budget it stops here.
const BARE_CALLS: u64 = 600;

/// What the calls of a run came to.
#[derive(Default)]
struct Seen {
    ok: AtomicU64,
    refused: AtomicU64,
    /// Neither answered nor refused here.
    failed: AtomicU64,
    /// The least that a refused call might have cost, and the refusal.
    least: Mutex<Option<(u64, String)>>,
}

impl Seen {
    fn refused(&self, rejection: &Rejection) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        let needed = rejection.shortage().map_or(0, |shortage| shortage.needed);
        let mut least = self.least.lock().unwrap_or_else(PoisonError::into_inner);
        if least.as_ref().is_none_or(|(other, _)| needed < *other) {
            *least = Some((needed, rejection.to_string()));
        }
    }
}

fn main() -> Result<(), BoxError> {
    let bare = std::env::args().any(|arg| arg == "--bare");
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(run(bare))
}

async fn run(bare: bool) -> Result<(), BoxError> {
    let provider = Simulator::start(SimConfig {
        latency: Duration::from_millis(20),
        jitter: Duration::from_millis(30),
        chunk_delay: Duration::from_millis(2),
        ..SimConfig::default()
    })
    .await?;
    let url = format!("{}/v1/chat/completions", provider.base_url());
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new()).build::<_, RequestBody>(connector);
    let budget = Limit::cost(BUDGET)
        .every(Duration::from_secs(3_600))
        .per(Tag::Run);
    let limiter = Limiter::from_env(Limits::new([budget])?)?;
    let guarded = BudgetLayer::new(limiter, Arc::new(PriceTable::built_in())).layer(client.clone());

    let (runaway, sibling) = (Arc::new(Seen::default()), Arc::new(Seen::default()));
    let mut calls = JoinSet::new();
    for number in 0..AT_ONCE {
        let (url, seen) = (url.clone(), runaway.clone());
        if bare {
            calls.spawn(for_ever(
                client.clone(),
                url,
                "runaway",
                number as u64,
                seen,
                BARE_CALLS,
            ));
        } else {
            calls.spawn(for_ever(
                guarded.clone(),
                url,
                "runaway",
                number as u64,
                seen,
                u64::MAX,
            ));
        }
    }
    while let Some(call) = calls.join_next().await {
        call??;
    }
    let ledger = provider.ledger();
    let billed = cost(ledger.billed());
    if !bare {
        for_ever(guarded, url, "sibling", 7, sibling.clone(), 5).await?;
    }

    let least = runaway
        .least
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let (refused, why) = least.unwrap_or_default();
    println!(
        "{}",
        json!({
            "calls": runaway.ok.load(Ordering::Relaxed),
            "refused": runaway.refused.load(Ordering::Relaxed),
            "why": why,
            "failed": runaway.failed.load(Ordering::Relaxed),
            "provider_429": ledger.refused(),
            "budget": BUDGET,
            "billed": Money::from_nanos(billed),
            "smallest_refused": Money::from_nanos(refused),
            "within": billed <= BUDGET.as_nanos(),
            "near": billed + refused >= BUDGET.as_nanos(),
            "sibling_calls": sibling.ok.load(Ordering::Relaxed),
        })
    );
    Ok(())
}

/// What the provider bills, by its own prices.
fn cost(billed: Billed) -> u64 {
    billed.input * INPUT + billed.output * OUTPUT
}

/// One hand of an agent: call after call, until it is refused, or until all hands have made so many.
async fn for_ever<S, R>(
    service: S,
    url: String,
    run: &'static str,
    seed: u64,
    seen: Arc<Seen>,
    most: u64,
) -> Result<(), BoxError>
where
    S: Service<Request<RequestBody>, Response = http::Response<R>> + Clone,
    S::Error: Into<BoxError>,
    R: http_body::Body<Data = Bytes>,
    R::Error: Into<BoxError>,
{
    let mut random = fastrand::Rng::with_seed(seed);
    let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
    while load(&seen.ok) + load(&seen.failed) < most {
        let body = json!({
            "model": MODEL,
            "max_tokens": random.u64(CAPS),
            "stream": random.bool(),
            "messages": [{ "role": "user", "content": "And again." }],
        });
        let request = Request::post(&url)
            .header("content-type", "application/json")
            .extension(Tags::new().with(Tag::Run, run))
            .body(RequestBody::from(Bytes::from(body.to_string())))?;
        let response = service.clone().oneshot(request).await.map_err(Into::into)?;
        if let Some(rejection) = response.extensions().get::<Rejection>() {
            seen.refused(rejection);
            if response.status() == StatusCode::PAYMENT_REQUIRED {
                return Ok(());
            }
            continue;
        }
        let is_success = response.status().is_success();
        response.into_body().collect().await.map_err(Into::into)?;
        let count = if is_success { &seen.ok } else { &seen.failed };
        count.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}
