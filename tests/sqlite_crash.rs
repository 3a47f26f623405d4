//! A process under load is killed at random instants. Nothing that was settled is missing, the bill is never above the
//! budget nor above what the ledger says, and the file opens as it is.
//!
//! `CRASHES=300` says how often. The provider lives in this process, the killed one is this program once more.
#![cfg(all(feature = "sqlite", feature = "sim", unix))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/folder.rs"]
mod folder;

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use bytes::Bytes;
use folder::Folder;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use rusqlite::Connection;
use serde_json::{Value, json};
use tower::{Layer as _, ServiceExt as _};
use tower_quota::{
    BudgetLayer, Limiter, Money, RateLimitLayer, RequestBody, Tag, Tags, Usage,
    limit::{Demand, Limit, Limits},
    limiter::QueueOptions,
    pricing::{Price, PriceTable},
    sim::{Attempt, Outcome, SimConfig, SimServer, Simulator},
    store::{
        Claim, Decision, Settlement, SqliteStore, Store as _,
        sqlite::{SqliteOptions, Survives},
    },
};

/// What a token in costs, and one out.
const RATES: (u64, u64) = (1_000, 10_000);
/// What all may cost: so much that it is used up before the last kills.
const BUDGET: u64 = 45_000_000;
/// Each file sees so many kills.
const KILLS: usize = 15;
const OUTPUT: u64 = 20;
const AT_ONCE: usize = 12;

fn cost(input: u64, output: u64) -> u64 {
    input * RATES.0 + output * RATES.1
}

fn limits() -> Limits {
    let day = Duration::from_secs(86_400);
    Limits::new([
        Limit::cost(Money::from_nanos(BUDGET)).every(day),
        Limit::concurrency(AT_ONCE as u64),
        Limit::requests(1_000_000).every(day).per(Tag::Run),
    ])
    .unwrap()
}

fn body() -> Bytes {
    let body = json!({
        "model": "m", "max_tokens": OUTPUT,
        "messages": [{"role": "user", "content": "word".repeat(10)}],
    });
    body.to_string().into()
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

/// What is killed. As a test of its own it does nothing.
#[test]
fn child() {
    let (Ok(path), Ok(url), Ok(name)) = (
        std::env::var("CRASH_FILE"),
        std::env::var("CRASH_URL"),
        std::env::var("CRASH_NAME"),
    ) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let survives = match std::env::var("CRASH_SURVIVES").as_deref() {
            Ok("kill") => Survives::Kill,
            _ => Survives::Power,
        };
        let ahead = std::env::var("CRASH_AHEAD").unwrap().parse().unwrap();
        let options = SqliteOptions::new(&path, limits()).survives(survives);
        let options = options.ahead(ahead);
        let store = Arc::new(options.open().unwrap());
        // On a line of its own.
        say("\nopen");
        let mut tasks = Vec::new();
        for number in 0..AT_ONCE {
            let (store, url, name) = (store.clone(), url.clone(), name.clone());
            tasks.push(match number % 3 {
                0 => tokio::spawn(through_the_layers(store, url)),
                _ => tokio::spawn(by_hand(store, url, format!("{name}-{number}"))),
            });
        }
        for task in tasks {
            task.await.unwrap();
        }
        say("spent");
    });
}

/// Claims, calls and settles, and says so when it is settled.
async fn by_hand(store: Arc<SqliteStore>, url: String, name: String) {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    for call in 0.. {
        let name = format!("{name}-{call}");
        let claim = Claim::new(
            Tags::new()
                .with(Tag::Model, "m")
                .with(Tag::Run, name.clone()),
            Demand {
                input: 10,
                output: OUTPUT,
                cost: cost(10, OUTPUT),
                ..Demand::default()
            },
        );
        let mut grant = match store.claim(&claim).get().await.unwrap() {
            Decision::Granted(grant) => grant,
            Decision::NotNow(refused) if refused.key.limit() == 1 => {
                tokio::task::yield_now().await;
                continue;
            }
            _ => return,
        };
        store.date(&mut grant);
        let request = Request::post(format!("{url}/v1/chat/completions"))
            .header("authorization", format!("Bearer {name}"))
            .body(Full::from(body()))
            .unwrap();
        let response = client.request(request).await.unwrap();
        let text = response.into_body().collect().await.unwrap().to_bytes();
        let answer: Value = serde_json::from_slice(&text).unwrap();
        let tokens = |name: &str| answer["usage"][name].as_u64().unwrap();
        let mut usage = Usage::new(tokens("prompt_tokens"), tokens("completion_tokens"));
        usage.cost = Some(Money::from_nanos(cost(usage.input, usage.output)));
        store
            .settle(grant, Settlement::Usage(usage))
            .get()
            .await
            .unwrap();
        say(&format!("settled {name} {} {}", usage.input, usage.output));
    }
}

/// As most programs do.
async fn through_the_layers(store: Arc<SqliteStore>, url: String) {
    let limiter = Limiter::build(store, QueueOptions::new());
    let mut prices = PriceTable::new();
    prices.insert(
        "openai",
        "m",
        Price::new("1".parse().unwrap(), "10".parse().unwrap()),
    );
    let budget = BudgetLayer::new(limiter.clone(), Arc::new(prices));
    let budget = budget.patience(Duration::from_millis(200));
    let client = Client::builder(TokioExecutor::new()).build_http::<RequestBody>();
    let client = RateLimitLayer::new(limiter).budget(budget).layer(client);
    loop {
        let request = Request::post(format!("{url}/v1/chat/completions"))
            .header("content-type", "application/json")
            .body(RequestBody::from(body()))
            .unwrap();
        let response = client.clone().oneshot(request).await.unwrap();
        if response.status() == 402 {
            return;
        }
        let _ = response.into_body().collect().await;
    }
}

/// The same program, as the test above.
fn start(
    path: &Path,
    url: &str,
    name: &str,
    (survives, ahead): (&str, u32),
) -> (Child, mpsc::Receiver<String>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture", "--test-threads=1"])
        .env("CRASH_FILE", path)
        .env("CRASH_URL", url)
        .env("CRASH_NAME", name)
        .env("CRASH_SURVIVES", survives)
        .env("CRASH_AHEAD", ahead.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (said, lines) = mpsc::channel();
    let out = BufReader::new(child.stdout.take().unwrap());
    thread::spawn(move || {
        // The last line may be cut.
        for line in out.split(b'\n').map_while(Result::ok) {
            drop(said.send(String::from_utf8_lossy(&line).into_owned()));
        }
    });
    (child, lines)
}

/// What one file has seen.
#[derive(Default)]
struct Seen {
    settled: HashMap<String, (u64, u64)>,
    lost: usize,
    spent: bool,
}

impl Seen {
    fn hear(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        // The last line may be cut.
        if let ["settled", name, input, output] = words[..]
            && let (Ok(input), Ok(output)) = (input.parse(), output.parse())
        {
            self.settled.insert(name.to_owned(), (input, output));
        }
    }

    /// After a kill.
    fn check(&mut self, path: &Path, provider: &SimServer, of: &str) {
        let store = SqliteStore::open(path, limits()).unwrap();
        self.lost += store.lost();
        let standing = futures(store.budgets().get()).unwrap().remove(0);
        let conn = Connection::open(path).unwrap();
        let sound: String = conn
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(sound, "ok", "{of}");
        let mut rows: HashMap<String, (String, u64, u64, u64)> = HashMap::new();
        let mut total = 0;
        let mut query = conn
            .prepare("SELECT run, status, input_tokens, output_tokens, cost_nanos FROM attempts")
            .unwrap();
        let found = query.query_map([], |row| {
            let run: Option<String> = row.get(0)?;
            let figure = |at| {
                row.get::<_, Option<i64>>(at)
                    .map(|figure| figure.unwrap_or_default().cast_unsigned())
            };
            Ok((run, (row.get(1)?, figure(2)?, figure(3)?, figure(4)?)))
        });
        for row in found.unwrap() {
            let (run, row) = row.unwrap();
            assert_ne!(row.0, "open", "{of}: nobody lives to end it");
            total += row.3;
            if let Some(run) = run {
                assert!(rows.insert(run, row).is_none(), "{of}: one row an attempt");
            }
        }
        for (name, (input, output)) in &self.settled {
            let row = rows
                .get(name)
                .unwrap_or_else(|| panic!("{of}: {name} was settled, and is missing"));
            let expected = ("settled".to_owned(), *input, *output, cost(*input, *output));
            assert_eq!(*row, expected, "{of}: {name}");
        }
        // Of every attempt that reached the provider there is a row, which is not below its bill.
        let mut billed = 0;
        for attempt in provider.ledger().entries() {
            let bill = cost(attempt.billed.input, attempt.billed.output);
            billed += bill;
            if let Some(name) = attempt
                .key
                .strip_prefix("Bearer ")
                .or(Some(&*attempt.key))
                .filter(|key| !key.is_empty())
            {
                let row = rows
                    .get(name)
                    .unwrap_or_else(|| panic!("{of}: {name} was sent without a claim on the disk"));
                assert!(
                    row.3 >= bill,
                    "{of}: {name} is billed {bill}, and the ledger says {row:?}"
                );
            }
        }
        self.spent |= total + cost(10, OUTPUT) > BUDGET;
        assert!(billed <= BUDGET, "{of}: {billed} of {BUDGET} are billed");
        assert!(
            billed <= total,
            "{of}: {billed} are billed, and the ledger says {total}"
        );
        assert_eq!(
            standing.settled,
            Money::from_nanos(total),
            "{of}: the budget is what the ledger says"
        );
        assert_eq!(standing.reserved, Money::ZERO, "{of}");
        assert!(standing.settled <= Money::from_nanos(BUDGET), "{of}");
    }
}

fn futures<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(work)
}

/// S5: crash, outage, partition.
///
/// One after the other: what is started while a file is open has it open, too, for a moment.
#[test]
fn nothing_that_was_settled_is_missing_after_a_kill() {
    kill_and_look(("power", 0));
    kill_and_look(("kill", 0));
    kill_and_look(("kill", 3));
}

fn kill_and_look(options: (&str, u32)) {
    let kills: usize = std::env::var("CRASHES").map_or(KILLS, |kills| kills.parse().unwrap());
    let mut random = fastrand::Rng::with_seed(kills as u64);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (mut settled, mut lost, mut spent, mut done) = (0, 0, 0, 0);
    while done < kills {
        let (folder, mut seen) = (Folder::new(), Seen::default());
        let path = folder.file("counts.db");
        let config = SimConfig {
            latency: Duration::from_millis(2),
            jitter: Duration::from_millis(8),
            output_share: 0.5,
            ..SimConfig::default()
        };
        let provider = runtime.block_on(Simulator::start(config)).unwrap();
        let turn = random.usize(..5);
        for kill in 0..KILLS.min(kills - done) {
            let (mut child, lines) =
                start(&path, &provider.base_url(), &format!("k{kill}"), options);
            // In turn: some while they open the file, some when they begin, most while they call.
            let span = Duration::from_micros(random.u64(..80_000));
            let first = match (turn + kill) % 5 {
                0 => None,
                1 => Some("open"),
                _ => Some("settled"),
            };
            if let Some(first) = first {
                // One that has nothing left to spend ends by itself.
                for line in &lines {
                    seen.hear(&line);
                    if line.starts_with(first) {
                        break;
                    }
                }
            }
            #[expect(
                clippy::disallowed_methods,
                reason = "a process is killed at an instant of true time"
            )]
            thread::sleep(span);
            child.kill().unwrap();
            child.wait().unwrap();
            lines.iter().for_each(|line| seen.hear(&line));
            // It learns of the kill by its connections, and bills what had come.
            let is_open = |attempt: &Attempt| attempt.outcome == Outcome::Open;
            runtime.block_on(async {
                while provider.ledger().entries().iter().any(is_open) {
                    tokio::task::yield_now().await;
                }
            });
            seen.check(&path, &provider, &format!("kill {}", done + kill));
        }
        done += KILLS.min(kills - done);
        settled += seen.settled.len();
        lost += seen.lost;
        spent += usize::from(seen.spent);
        runtime.block_on(provider.shutdown());
    }
    println!(
        "{options:?}: {done} kills: {settled} attempts settled, {lost} lost in flight, {spent} budgets spent to the end"
    );
    assert!(
        settled > done / 4,
        "a load that settles nothing shows nothing"
    );
    assert!(lost > 0, "a kill that hits nothing shows nothing");
}
