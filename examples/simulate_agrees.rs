//! The same short trace twice: in virtual time, and through the real stack in real time, with whole texts in its requests.
//! Each call has to wait as long there as here, but for what a busy machine adds.
//!
//! ```text
//! cargo run --release --features simulate --example simulate_agrees
//! ```
//!
//! Half of all calls have to agree within 60 ms, each within 400 ms. A busy machine only adds to what they wait, so up to three
//! plays in real time are compared, until one agrees. Each prints a line of JSON; where none agrees it ends with 1.

use std::{
    collections::HashMap,
    convert::Infallible,
    fmt::Write as _,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use serde_json::json;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_quota::{
    Tag, Tags,
    config::{Config, RateLimiting},
    event::{Event, ObservedCall},
    simulate::{Load, Simulation},
};

type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// How long each call has waited.
type Waits = HashMap<String, Duration>;

const CALLS: u64 = 90;
const MEDIAN: Duration = Duration::from_millis(60);
const MOST: Duration = Duration::from_millis(400);
const PLAYS: usize = 3;

/// One call: every one is an agent of its own, so that its wait is told by itself.
#[derive(Clone, Copy)]
struct Line {
    number: u64,
    at: Duration,
    input: u64,
    output: u64,
    latency: Duration,
}

#[tokio::main]
async fn main() -> Result<ExitCode, BoxError> {
    let config = Config::from_yaml(
        "rate_limiting:
  margin: 0s
  limits:
    - { quantity: requests, amount: 20, every: 500ms }
    - { quantity: tokens, amount: 12000, every: 1s, when: { model: claude-sonnet-4-5 } }
    - { quantity: concurrency, amount: 12 }
  max_daily_spend: 100",
    )?;
    let lines: Vec<Line> = lines().collect();
    let expected = simulated(&config.rate_limiting, &lines)?;
    for _ in 0..PLAYS {
        if play(&config.rate_limiting, &lines, &expected).await? {
            return Ok(ExitCode::SUCCESS);
        }
    }
    Ok(ExitCode::FAILURE)
}

/// Once in real time: whether that agrees with what is expected.
async fn play(config: &RateLimiting, lines: &[Line], expected: &Waits) -> Result<bool, BoxError> {
    let began = Instant::now();
    let waits = in_truth(config, lines).await?;
    let took = began.elapsed();
    let mut apart: Vec<Duration> = expected
        .iter()
        .map(|(call, wait)| {
            waits
                .get(call)
                .map_or(Duration::MAX, |other| wait.abs_diff(*other))
        })
        .collect();
    apart.sort_unstable();
    let (median, most) = (apart[apart.len() / 2], apart[apart.len() - 1]);
    let waited = expected.values().filter(|wait| !wait.is_zero()).count();
    let longest = expected.values().max().copied().unwrap_or_default();
    let agree = median <= MEDIAN && most <= MOST && waited > lines.len() / 2;
    let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    println!(
        "{}",
        json!({
            "calls": waits.len(),
            "waited": waited,
            "longest_wait_ms": millis(longest),
            "apart_p50_ms": millis(median),
            "apart_most_ms": millis(most),
            "took_ms": millis(took),
            "agree": agree,
        })
    );
    Ok(agree)
}

fn lines() -> impl Iterator<Item = Line> {
    let mut random = fastrand::Rng::with_seed(5);
    (0..CALLS).map(move |number| Line {
        number,
        at: Duration::from_millis(10 * number),
        input: random.u64(20..400),
        output: random.u64(5..60),
        latency: Duration::from_millis(random.u64(40..200)),
    })
}

fn simulated(config: &RateLimiting, lines: &[Line]) -> Result<Waits, BoxError> {
    let mut csv = String::from("at,model,agent,input_tokens,output_tokens,max_tokens,latency_ms\n");
    for line in lines {
        writeln!(
            csv,
            "{},claude-sonnet-4-5,{},{},{},100,{}",
            line.at.as_secs_f64(),
            line.number,
            line.input,
            line.output,
            line.latency.as_millis()
        )?;
    }
    let report = Simulation::new(config, Load::from_csv(csv.as_bytes())?).run()?;
    let agents = report.by.into_iter().filter(|by| by.tag == Tag::Agent);
    let agents = agents.flat_map(|by| by.values);
    Ok(agents
        .map(|agent| (agent.value, agent.waits.longest))
        .collect())
}

async fn in_truth(config: &RateLimiting, lines: &[Line]) -> Result<Waits, BoxError> {
    let waits: Arc<Mutex<Waits>> = Arc::default();
    let ear = waits.clone();
    let layer = config
        .build()?
        .layer
        .observe(move |call: &ObservedCall, event: &Event<'_>| {
            if let (Event::Over(end), Some(agent)) = (event, call.tags().get(&Tag::Agent)) {
                let mut waits = ear.lock().unwrap_or_else(PoisonError::into_inner);
                waits.insert(agent.to_owned(), end.waited);
            }
        });
    let client = layer.layer(service_fn(answered));
    let (began, mut calls) = (Instant::now(), JoinSet::new());
    for line in lines {
        let (client, line) = (client.clone(), *line);
        calls.spawn(async move {
            sleep_until(began + line.at).await;
            let response = client.oneshot(request(line)).await?;
            drop(response.into_body().collect().await);
            Ok::<(), Infallible>(())
        });
    }
    while let Some(done) = calls.join_next().await {
        done??;
    }
    let waits = waits.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(waits.clone())
}

/// The request itself, with a text of so many tokens; `user` is one of them.
fn request(line: Line) -> Request<Full<Bytes>> {
    let text = " the".repeat(usize::try_from(line.input - 1).unwrap_or(0));
    let body = json!({
        "model": "claude-sonnet-4-5",
        "max_tokens": 100,
        "messages": [{ "role": "user", "content": text }],
    });
    let mut request = Request::new(Full::from(body.to_string()));
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = http::Uri::from_static("https://api.anthropic.com/v1/messages");
    let headers = request.headers_mut();
    headers.insert(
        "anthropic-version",
        http::HeaderValue::from_static("2023-06-01"),
    );
    let extensions = request.extensions_mut();
    extensions.insert(Tags::new().with(Tag::Agent, line.number.to_string()));
    extensions.insert(line);
    request
}

async fn answered(request: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, Infallible> {
    let line = request.extensions().get::<Line>().copied();
    let Some(Line {
        input,
        output,
        latency,
        ..
    }) = line
    else {
        return Ok(Response::default());
    };
    sleep(latency).await;
    let usage =
        json!({ "type": "message", "usage": { "input_tokens": input, "output_tokens": output } });
    let mut response = Response::new(Full::from(usage.to_string()));
    let kind = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert("content-type", kind);
    Ok(response)
}
