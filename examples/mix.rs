//! X3, X0. A dear model for hard work, a cheap one for easy work. The dear one has a small quota: hard calls have it first, easy
//! calls take what is left of it, and go to the cheap one where nothing is.
//!
//! ```text
//! cargo run --release --features sim --example mix
//! cargo run --release --features sim --example mix -- --bare   # everything to the dear model, without the layers
//! ```
//!
//! 150 hard calls and 1 500 easy ones, all at once, over real HTTP. The last line is JSON.

use std::{
    error::Error,
    sync::{
        Arc,
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
use tokio::{task::JoinSet, time::Instant};
use tower::{Layer as _, Service, ServiceExt as _};
use tower_quota::{
    CallOptions, FailoverLayer, Limiter, Money, RateLimitLayer, RequestBody, Tag, Tags,
    failover::{ApiKey, Provider, Route, Routes, Target},
    limit::{Limit, Limits},
    retry::Attempts,
    sim::{SimConfig, SimLimit, SimServer, Simulator},
};

type BoxError = Box<dyn Error + Send + Sync>;

const DEAR: &str = "gpt-5.5";
const CHEAP: &str = "gpt-5.4-mini";
/// What easy calls ask for.
const AUTO: &str = "auto";
/// In and out, in billionths of a dollar for a token.
const PRICES: [(&str, u64, u64); 2] = [(DEAR, 5_000, 30_000), (CHEAP, 750, 4_500)];
const HARD: u64 = 150;
const EASY: u64 = 1_500;
const DEAR_CALLS: u64 = 60;
const PERIOD: Duration = Duration::from_secs(2);
/// How much later than it left a call may come, on a machine that has other things to do, too.
const MARGIN: Duration = Duration::from_millis(500);

fn main() -> Result<(), BoxError> {
    let bare = std::env::args().any(|arg| arg == "--bare");
    // Without the layers nothing holds calls back: each has a connection, and both of its ends are ours.
    rlimit::increase_nofile_limit(3 * (HARD + EASY))?;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(run(bare))
}

#[derive(Default)]
struct Seen {
    hard_ok: AtomicU64,
    hard_by_dear: AtomicU64,
    easy_ok: AtomicU64,
    easy_by_dear: AtomicU64,
    failed: AtomicU64,
    /// When the last hard call had its answer, in milliseconds.
    hard_done: AtomicU64,
}

async fn run(bare: bool) -> Result<(), BoxError> {
    let server = Simulator::start(SimConfig {
        limits: vec![SimLimit {
            model: Some(DEAR.to_owned()),
            ..SimLimit::requests(DEAR_CALLS, PERIOD)
        }],
        latency: Duration::from_millis(20),
        jitter: Duration::from_millis(20),
        ..SimConfig::default()
    })
    .await?;
    let dear = Limit::requests(DEAR_CALLS).every(PERIOD).margin(MARGIN);
    let limiter = Limiter::from_env(Limits::new([
        dear.when(Tag::Model, DEAR),
        // As many connections.
        Limit::concurrency(100),
    ])?)?;
    let failover = FailoverLayer::new(routes(&server)?).patience(Duration::ZERO);
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new()).build::<_, RequestBody>(connector);
    let guarded = RateLimitLayer::new(limiter)
        .failover(failover)
        .layer(client.clone());

    let (seen, began) = (Arc::new(Seen::default()), Instant::now());
    let url = format!("{}/v1/chat/completions", server.base_url());
    let mut calls = JoinSet::new();
    for number in 0..HARD + EASY {
        // A hard one after each ten easy ones.
        let hard = number % 11 == 10;
        let request = request(&url, hard, bare)?;
        let seen = seen.clone();
        if bare {
            calls.spawn(call(client.clone(), request, hard, seen, began));
        } else {
            calls.spawn(call(guarded.clone(), request, hard, seen, began));
        }
    }
    calls.join_all().await;
    report(&server, &seen, began);
    Ok(())
}

fn routes(server: &SimServer) -> Result<Routes, BoxError> {
    let openai = Provider::new("openai", &format!("{}/v1", server.base_url()))?
        .key(ApiKey::new("main", "key-of-openai")?);
    let target = |model| Target::new(&openai, model);
    Ok(Routes::new([
        (DEAR, Route::ordered([target(DEAR)])),
        (AUTO, Route::ordered([target(DEAR), target(CHEAP)])),
    ])?)
}

fn request(url: &str, hard: bool, bare: bool) -> Result<Request<RequestBody>, http::Error> {
    let model = if hard || bare { DEAR } else { AUTO };
    let body = json!({
        "model": model,
        "max_tokens": 300,
        "messages": [{ "role": "user", "content": "What is to be done?" }],
    });
    let options = CallOptions::new().priority(if hard { 10 } else { -10 });
    Request::post(url)
        .header("content-type", "application/json")
        .extension(Tags::new().with(Tag::Team, if hard { "hard" } else { "easy" }))
        .extension(options)
        .body(RequestBody::from(Bytes::from(body.to_string())))
}

async fn call<S, R>(
    service: S,
    request: Request<RequestBody>,
    hard: bool,
    seen: Arc<Seen>,
    began: Instant,
) where
    S: Service<Request<RequestBody>, Response = http::Response<R>>,
    R: http_body::Body<Data = Bytes>,
{
    let Ok(response) = service.oneshot(request).await else {
        seen.failed.fetch_add(1, Ordering::Relaxed);
        return;
    };
    let (parts, body) = response.into_parts();
    let ok = body.collect().await.is_ok() && parts.status.is_success();
    // Who served it; without the layers it is who was asked.
    let served = parts.extensions.get::<Attempts>();
    let served = served.and_then(|attempts| attempts.made.last()?.target.model.clone());
    let by_dear = served.is_none_or(|model| *model == *DEAR);
    let (all, dear) = match hard {
        true => (&seen.hard_ok, &seen.hard_by_dear),
        false => (&seen.easy_ok, &seen.easy_by_dear),
    };
    if !ok {
        seen.failed.fetch_add(1, Ordering::Relaxed);
        return;
    }
    all.fetch_add(1, Ordering::Relaxed);
    dear.fetch_add(u64::from(by_dear), Ordering::Relaxed);
    if hard {
        let now = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        seen.hard_done.fetch_max(now, Ordering::Relaxed);
    }
}

fn report(server: &SimServer, seen: &Seen, began: Instant) {
    let ledger = server.ledger();
    let cost = ledger.entries().iter().map(|entry| {
        let price = PRICES.iter().find(|(model, ..)| *entry.model == **model);
        price.map_or(0, |(_, input, output)| {
            entry.billed.input * input + entry.billed.output * output
        })
    });
    let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
    println!(
        "{}",
        json!({
            "hard": HARD,
            "hard_ok": load(&seen.hard_ok),
            "hard_by_dear": load(&seen.hard_by_dear),
            "hard_done_ms": load(&seen.hard_done),
            "easy": EASY,
            "easy_ok": load(&seen.easy_ok),
            "easy_by_dear": load(&seen.easy_by_dear),
            "easy_by_cheap": load(&seen.easy_ok) - load(&seen.easy_by_dear),
            "failed": load(&seen.failed),
            "provider_429": ledger.refused(),
            "billed": Money::from_nanos(cost.sum()),
            "took_ms": u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        })
    );
}
