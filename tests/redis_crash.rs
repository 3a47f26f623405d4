//! A process under load on a shared server is killed at random instants. Nothing that was settled is missing, what was in
//! flight counts as spent when the process is known to be dead, its slots are free then, and the bill is never above the
//! budget; a process that lives all the while counts the same as one that begins.
//!
//! `CRASHES=300` says how often. The provider lives in this process, the killed one is this program once more.
#![cfg(all(feature = "redis", feature = "sim", unix))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/redis/mod.rs"]
mod redis;

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, Stdio},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use redis::{Server, until};
use serde_json::Value;
use tokio::runtime::Runtime;
use tower_quota::{
    Money, Tag, Tags, Usage,
    limit::{Demand, Limit, Limits},
    sim::{Attempt, Outcome, SimConfig, SimServer, Simulator},
    store::{
        BudgetStanding, Claim, Decision, Settlement, Store as _,
        redis::{RedisOptions, RedisStore},
    },
};

/// What a token in costs, and one out.
const RATES: (u64, u64) = (1_000, 10_000);
const OUTPUT: u64 = 20;
/// What all may cost: so much that it is used up before the last kills.
const BUDGET: u64 = 3_500_000;
/// Each server sees so many kills.
const KILLS: usize = 6;
const AT_ONCE: u64 = 6;
/// A process that says nothing for so long is dead.
const SILENCE: Duration = Duration::from_secs(2);
const BODY: &str = r#"{"model":"m","max_tokens":20,"messages":[{"role":"user","content":"and again, and again"}]}"#;

fn cost(input: u64, output: u64) -> u64 {
    input * RATES.0 + output * RATES.1
}

fn open(url: &str) -> RedisStore {
    let day = Duration::from_secs(86_400);
    let limits = Limits::new([
        Limit::cost(Money::from_nanos(BUDGET)).every(day),
        Limit::concurrency(AT_ONCE),
        // Each attempt apart.
        Limit::cost(Money::from_nanos(BUDGET))
            .every(day)
            .per(Tag::Run),
    ]);
    let options = RedisOptions::new(url, limits.unwrap()).unwrap();
    let options = options.timeout(Duration::from_secs(20));
    options.silence(SILENCE).open().unwrap()
}

fn claim(name: &str) -> Claim {
    Claim::new(
        Tags::new().with(Tag::Run, name),
        Demand {
            input: 10,
            output: OUTPUT,
            cost: cost(10, OUTPUT),
            ..Demand::default()
        },
    )
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

/// What is killed. As a test of its own it does nothing.
#[test]
fn child() {
    let (Ok(server), Ok(url), Ok(name)) = (
        std::env::var("CRASH_SERVER"),
        std::env::var("CRASH_URL"),
        std::env::var("CRASH_NAME"),
    ) else {
        return;
    };
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let store = Arc::new(open(&server));
        // On a line of its own.
        say("\nopen");
        let tasks = (0..AT_ONCE).map(|number| {
            tokio::spawn(calls(
                store.clone(),
                url.clone(),
                format!("{name}-{number}"),
            ))
        });
        let tasks: Vec<_> = tasks.collect();
        for task in tasks {
            task.await.unwrap();
        }
        say("spent");
    });
}

/// Claims, calls and settles, and says so when it is settled; until the budget is spent.
async fn calls(store: Arc<RedisStore>, url: String, name: String) {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    for call in 0.. {
        let name = format!("{name}-{call}");
        let mut grant = match store.claim(&claim(&name)).get().await.unwrap() {
            Decision::Granted(grant) => grant,
            // A slot of one that is dead is free soon.
            Decision::NotNow(refused) if refused.key.limit() == 1 => {
                tokio::time::sleep(Duration::from_millis(5)).await;
                continue;
            }
            _ => return,
        };
        store.date(&mut grant);
        let request = Request::post(format!("{url}/v1/chat/completions"))
            .header("authorization", format!("Bearer {name}"))
            .body(Full::from(BODY))
            .unwrap();
        let response = client.request(request).await.unwrap();
        let text = response.into_body().collect().await.unwrap().to_bytes();
        let answer: Value = serde_json::from_slice(&text).unwrap();
        let tokens = |name: &str| answer["usage"][name].as_u64().unwrap();
        let mut usage = Usage::new(tokens("prompt_tokens"), tokens("completion_tokens"));
        usage.cost = Some(Money::from_nanos(cost(usage.input, usage.output)));
        let settled = store.settle(grant, Settlement::Usage(usage));
        settled.get().await.unwrap();
        say(&format!(
            "settled {name} {}",
            cost(usage.input, usage.output)
        ));
    }
}

/// The same program, as the test above.
fn start(server: &Server, provider: &SimServer, name: &str) -> (Child, mpsc::Receiver<String>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture", "--test-threads=1"])
        .env("CRASH_SERVER", server.url())
        .env("CRASH_URL", provider.base_url())
        .env("CRASH_NAME", name)
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

/// What the children have said: the cost of each attempt that was settled.
#[derive(Default)]
struct Seen(HashMap<String, u64>);

impl Seen {
    fn hear(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        if let ["settled", name, cost] = words[..] {
            self.0.insert(name.to_owned(), cost.parse().unwrap());
        }
    }
}

/// What is spent of the budget, and by each attempt; waits until nothing is held any more.
fn spent(runtime: &Runtime, store: &RedisStore) -> (u64, HashMap<String, u64>) {
    let mut all: Vec<BudgetStanding> = Vec::new();
    until("the dead are known to be dead", || {
        let asked = runtime.block_on(async {
            let standings = store.peek(&claim("")).get().await.unwrap();
            (standings, store.budgets().get().await.unwrap())
        });
        let slots = asked.0.iter().find(|one| one.key.limit() == 1).unwrap();
        all = asked.1;
        slots.in_use == 0 && all.iter().all(|budget| budget.reserved == Money::ZERO)
    });
    let run = |budget: &BudgetStanding| {
        let (tag, values) = budget.of.as_ref()?.iter().next()?;
        (*tag == Tag::Run).then(|| values[0].to_string())
    };
    let each = all.iter().filter_map(|budget| {
        let name = run(budget).filter(|name| !name.is_empty())?;
        Some((name, budget.settled.as_nanos()))
    });
    let each: HashMap<String, u64> = each.collect();
    let whole = all.iter().find(|budget| run(budget).is_none()).unwrap();
    (whole.settled.as_nanos(), each)
}

fn check(
    runtime: &Runtime,
    (url, lives): (&str, &RedisStore),
    provider: &SimServer,
    seen: &Seen,
) -> bool {
    let (total, each) = spent(runtime, lives);
    for (name, cost) in &seen.0 {
        assert_eq!(each.get(name), Some(cost), "{name} was settled");
    }
    let mut billed = 0;
    for attempt in provider.ledger().entries() {
        let bill = cost(attempt.billed.input, attempt.billed.output);
        billed += bill;
        let name = attempt.key.strip_prefix("Bearer ").unwrap_or(&attempt.key);
        let counted = each.get(name);
        assert!(
            counted.is_some_and(|counted| *counted >= bill),
            "{name} is billed {bill}, and {counted:?} is counted"
        );
    }
    assert_eq!(each.values().sum::<u64>(), total);
    assert!(billed <= total && total <= BUDGET, "{billed}, {total}");
    // One that begins counts the same.
    let begins = open(url);
    assert_eq!(spent(runtime, &begins), (total, each));
    total + cost(10, OUTPUT) > BUDGET
}

#[test]
fn nothing_that_was_settled_is_missing_after_a_kill() {
    let kills: usize = std::env::var("CRASHES").map_or(KILLS, |kills| kills.parse().unwrap());
    let mut random = fastrand::Rng::with_seed(kills as u64);
    let runtime = Runtime::new().unwrap();
    let (mut settled, mut in_flight, mut used_up, mut done) = (0, 0, 0, 0);
    // Where by chance no kill has hit anything, or nothing was used up, there are more.
    while done < kills || ((in_flight == 0 || used_up == 0) && done < 10 * kills) {
        let round = match kills.saturating_sub(done) {
            0 => KILLS,
            left => KILLS.min(left),
        };
        let (server, mut seen) = (Server::start(&[]), Seen::default());
        let config = SimConfig {
            latency: Duration::from_millis(2),
            jitter: Duration::from_millis(8),
            output_share: 0.5,
            ..SimConfig::default()
        };
        let provider = runtime.block_on(Simulator::start(config)).unwrap();
        let lives = open(&server.url());
        let turn = random.usize(..5);
        for kill in 0..round {
            // In turn: one while it joins, one when it begins, most while they call.
            let first = match (turn + kill) % 5 {
                0 => None,
                1 => Some("open"),
                _ => Some("settled"),
            };
            if first == Some("open") {
                // Of those before it nothing is held: it has room at once.
                spent(&runtime, &lives);
            }
            let (mut child, lines) = start(&server, &provider, &format!("k{kill}"));
            let span = Duration::from_micros(random.u64(..60_000));
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
        }
        // It learns of the kills by its connections, and bills what had come.
        let is_open = |attempt: &Attempt| attempt.outcome == Outcome::Open;
        runtime.block_on(async {
            while provider.ledger().entries().iter().any(is_open) {
                tokio::task::yield_now().await;
            }
        });
        used_up += usize::from(check(&runtime, (&server.url(), &lives), &provider, &seen));
        done += round;
        settled += seen.0.len();
        in_flight += provider.ledger().attempts() - seen.0.len();
        runtime.block_on(provider.shutdown());
    }
    println!(
        "{done} kills: {settled} attempts settled, {in_flight} lost in flight, {used_up} budgets used up"
    );
    assert!(
        settled > done / 4,
        "a load that settles nothing shows nothing"
    );
    assert!(used_up > 0, "a budget that is not reached shows nothing");
    assert!(in_flight > 0, "a kill that hits nothing shows nothing");
}
