//! Statistics: each attempt once, in the period in which it ends, by every tag; what was refused, by kind; and when
//! budgets end.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod attempts;
mod budgets;
mod periods;
mod unpriced;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use serde_json::json;
use tokio::time::{Instant, advance, timeout};
use tower::{Layer as _, Service, ServiceExt as _};
use tower_quota::{
    AdmissionLayer, BudgetLayer, Limiter, Money, RateLimitLayer, RetryLayer, Statistics, Tag, Tags,
    Usage,
    limit::{CalendarUnit, Limit, Limits},
    limiter::{Call, QueueOptions},
    pricing::{Price, PriceTable, ServiceTier},
    sim::{SimConfig, SimError, SimLimit, Simulator},
    statistics::{Ends, Figures, StatisticsError},
    store::MemoryStore,
};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
/// Saturday, 28 March 2026, 22:00 in Berlin; clocks go forward in this night.
const EVENING: u64 = 1_774_731_600;
/// What a token in costs, and one out.
const RATES: (u64, u64) = (1_000, 10_000);

fn prices() -> Arc<PriceTable> {
    let mut table = PriceTable::new();
    table.insert(
        "openai",
        "m",
        Price::new("1".parse().unwrap(), "10".parse().unwrap()),
    );
    Arc::new(table)
}

fn limiter(limits: impl IntoIterator<Item = Limit>) -> Limiter {
    Limiter::new(Limits::new(limits).unwrap())
}

fn wide() -> Limit {
    Limit::cost(Money::from_dollars(1_000)).every(DAY)
}

/// By a clock that shows the evening now.
fn statistics() -> Statistics {
    let start = Instant::now();
    let evening = SystemTime::UNIX_EPOCH + Duration::from_secs(EVENING);
    Statistics::new()
        .time_zone("Europe/Berlin")
        .unwrap()
        .wall_clock(move || evening + start.elapsed())
}

fn simulator() -> Simulator {
    Simulator::new(SimConfig {
        chunk_delay: SECOND,
        output_share: 1.0,
        ..SimConfig::default()
    })
}

/// A chat of ten tokens in and so many out.
fn chat(agent: &str, output: u64) -> serde_json::Value {
    json!({
        "model": "m", "max_tokens": output, "user": agent,
        "messages": [{"role": "user", "content": "word".repeat(10)}],
    })
}

fn request(agent: &str, body: &serde_json::Value) -> Request<Full<Bytes>> {
    Request::post("http://sim/v1/chat/completions")
        .extension(Tags::new().with(Tag::Agent, agent).with(Tag::Team, "t"))
        .body(Full::from(body.to_string()))
        .unwrap()
}

async fn ask<S, R>(service: &S, request: Request<Full<Bytes>>) -> u16
where
    S: Service<Request<Full<Bytes>>, Response = Response<R>, Error = SimError> + Clone,
    R: http_body::Body<Data = Bytes>,
{
    let response = service.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let _ = response.into_body().collect().await;
    status
}

fn cost(input: u64, output: u64) -> Money {
    Money::from_nanos(input * RATES.0 + output * RATES.1)
}

/// Of all calls, in the hour that goes on.
fn all(statistics: &Statistics) -> Figures {
    statistics.report(CalendarUnit::Day, &[]).unwrap().total()
}
