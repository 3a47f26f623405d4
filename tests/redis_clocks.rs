//! Two processes whose clocks are an hour apart share a window and a budget of a day. The provider goes by the true time,
//! and no limit is passed by its ledger; each process gets its part.
//!
//! The one that is ahead runs under `faketime`. Both are this program once more.
#![cfg(all(feature = "redis", feature = "sim", unix))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/redis/mod.rs"]
mod redis;

use std::{
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use redis::{Server, until};
use tower_quota::{
    Limiter, Money, Usage,
    limit::{CalendarUnit, Limit, Limits},
    limiter::{Call, QueueOptions},
    sim::{SimConfig, SimLimit, SimServer, Simulator},
    store::{
        Store as _,
        redis::{RedisOptions, RedisStore},
    },
};

const REQUESTS: u64 = 20;
const PERIOD: Duration = Duration::from_millis(500);
/// What an attempt costs, and all of a day may: for so many.
const COST: u64 = 1_000;
const ATTEMPTS: usize = 90;
const BODY: &str =
    r#"{"model":"m","max_tokens":20,"messages":[{"role":"user","content":"and again"}]}"#;

/// Where it is the last hour of the day, and tomorrow for who is an hour ahead; in its last minutes the hour before.
fn zone() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let minutes = now.unwrap().as_secs() / 60 % 1_440;
    let (hour, minute) = (i64::try_from(minutes / 60).unwrap(), minutes % 60);
    let wanted = if minute < 57 { 23 } else { 22 };
    let east = (wanted - hour + 12).rem_euclid(24) - 12;
    // These are named by how far west they are.
    format!("Etc/GMT{:+}", -east)
}

fn open(url: &str, zone: &str) -> RedisStore {
    let budget = Limit::cost(Money::from_nanos(COST * ATTEMPTS as u64));
    let limits = Limits::new([
        Limit::requests(REQUESTS).every(PERIOD).margin(PERIOD),
        budget.every_calendar(CalendarUnit::Day, zone),
    ]);
    let options = RedisOptions::new(url, limits.unwrap()).unwrap();
    let options = options.timeout(Duration::from_secs(10));
    // One that would be thought dead by a clock would lose what it holds.
    options.silence(Duration::from_secs(20)).open().unwrap()
}

/// One of the two. As a test of its own it does nothing.
#[test]
fn child() {
    let (Ok(server), Ok(zone), Ok(url), Ok(name)) = (
        std::env::var("CLOCKS_SERVER"),
        std::env::var("CLOCKS_ZONE"),
        std::env::var("CLOCKS_URL"),
        std::env::var("CLOCKS_NAME"),
    ) else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = Arc::new(open(&server, &zone));
        // Both begin when both are there.
        while store.processes() < 3 {
            store.budgets().get().await.unwrap();
        }
        let limiter = Limiter::build(store, QueueOptions::new());
        let tasks = (0..4).map(|_| tokio::spawn(calls(limiter.clone(), url.clone(), name.clone())));
        let tasks: Vec<_> = tasks.collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

/// Until the budget is spent.
async fn calls(limiter: Limiter, url: String, name: String) {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    // Settled at once with all that it may cost, no call waits for the budget: it is refused.
    let call = || {
        Call::new()
            .cost(Money::from_nanos(COST))
            .max_wait(Duration::from_secs(20))
    };
    while let Ok(permit) = limiter.acquire(call()).await {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap();
        let request = Request::post(format!("{url}/v1/chat/completions"))
            .header("authorization", format!("Bearer {name} {}", now.as_secs()))
            .body(Full::from(BODY))
            .unwrap();
        let response = client.request(request).await.unwrap();
        assert_eq!(response.status(), 200);
        response.into_body().collect().await.unwrap();
        let mut usage = Usage::new(0, 0);
        usage.cost = Some(Money::from_nanos(COST));
        permit.settle(usage);
    }
}

fn start(
    (server, zone): (&Server, &str),
    provider: &SimServer,
    name: &str,
    ahead: Option<&str>,
) -> Child {
    let this = std::env::current_exe().unwrap();
    let mut command = match ahead {
        None => Command::new(this),
        Some(ahead) => {
            let mut command = Command::new("faketime");
            command.args(["-f", ahead]).arg(this);
            command
        }
    };
    command
        .args(["child", "--exact", "--test-threads=1"])
        .env("CLOCKS_SERVER", server.url())
        .env("CLOCKS_ZONE", zone)
        .env("CLOCKS_URL", provider.base_url())
        .env("CLOCKS_NAME", name)
        // As a machine whose clock on the wall is wrong.
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .stdout(Stdio::null());
    command.spawn().unwrap_or_else(|error| {
        panic!("faketime, which scripts/test installs where it is missing: {error}")
    })
}

#[test]
fn an_hour_apart_they_share_a_window_and_a_day() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = Server::start(&[]);
    let config = SimConfig {
        latency: Duration::from_millis(5),
        ..SimConfig::default()
    };
    let provider = runtime.block_on(Simulator::start(config)).unwrap();
    let zone = zone();
    let watches = open(&server.url(), &zone);
    let mut children = [
        start((&server, &zone), &provider, "here", None),
        start((&server, &zone), &provider, "ahead", Some("+1h")),
    ];
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    let ledger = provider.ledger();
    assert_eq!(
        ledger.attempts(),
        ATTEMPTS,
        "all of the budget, and no more"
    );
    assert_eq!(
        ledger.over_limit(&[SimLimit::requests(REQUESTS, PERIOD)]),
        0
    );
    let of = |name: &str| {
        let of_name = ledger.entries().iter().filter_map(|attempt| {
            let key = attempt.key.trim_start_matches("Bearer ");
            let (whose, at) = key.split_once(' ')?;
            (whose == name).then(|| at.parse::<u64>().unwrap())
        });
        of_name.collect::<Vec<_>>()
    };
    let (here, ahead) = (of("here"), of("ahead"));
    let apart = ahead.iter().min().unwrap() - here.iter().min().unwrap();
    assert!((3_500..3_700).contains(&apart), "{apart} s apart");
    for each in [&here, &ahead] {
        assert!(
            each.len() > ATTEMPTS / 4,
            "{} and {}",
            here.len(),
            ahead.len()
        );
    }
    let spent = Money::from_nanos(COST * ATTEMPTS as u64);
    until("all say the same", || {
        let budget = runtime.block_on(async { watches.budgets().get().await.unwrap().remove(0) });
        budget.settled == spent && budget.reserved == Money::ZERO
    });
    println!(
        "{} attempts here, {} ahead, in {zone}",
        here.len(),
        ahead.len()
    );
}
