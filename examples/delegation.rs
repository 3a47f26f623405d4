//! X4, X0. Controllers and their sub-agents under one set of limits: they share the window, the run limit and the
//! concurrency slots, and never stand still.
//!
//! ```text
//! cargo run --example delegation             # sub-agents inherit from their controllers
//! cargo run --example delegation -- --bare   # they do not
//! ```
//!
//! Time is paused, so that minutes pass in an instant. The last line is JSON.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde_json::json;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tower_quota::{
    Limiter, Rejection, Tag, Tags,
    limit::{Limit, Limits},
    limiter::{Call, Delegation},
    scope,
    store::StoreSetting,
};

const MINUTE: Duration = Duration::from_secs(60);
const CONTROLLERS: u64 = 6;
const SUB_AGENTS: u64 = 3;
const CALLS: u64 = CONTROLLERS * (1 + SUB_AGENTS);
const A_MINUTE: u64 = 20;

/// When each call was made.
type Log = Arc<Mutex<Vec<Instant>>>;

/// An agent. Each has a client of its own; a clone of the limiter starts no window anew.
#[derive(Clone)]
struct Agent {
    limiter: Limiter,
    log: Log,
}

impl Agent {
    fn new(limiter: &Limiter, log: &Log) -> Self {
        let (limiter, log) = (limiter.clone(), log.clone());
        Agent { limiter, log }
    }

    /// A call to a model takes two seconds.
    async fn call(&self) -> Result<(), Rejection> {
        let call = Call::new().max_wait(MINUTE * 2);
        self.limiter.run(call, self.work()).await
    }

    async fn work(&self) {
        let now = Instant::now();
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(now);
        sleep(Duration::from_secs(2)).await;
    }

    /// A call that holds its slot until its sub-agents are done. Returns how many of them were refused.
    async fn control(&self, bare: bool) -> Result<usize, Rejection> {
        let work = async {
            self.work().await;
            let mut sub_agents = JoinSet::new();
            for number in 0..SUB_AGENTS {
                let agent = Agent::new(&self.limiter, &self.log);
                let name = Tags::new().with(Tag::Agent, format!("sub-agent-{number}"));
                let task = scope(name, async move { agent.call().await });
                if bare {
                    // The tags are carried over, but not that a controller waits for this one.
                    sub_agents.spawn(scope(Tags::current(), task));
                } else {
                    sub_agents.spawn(Delegation::current().scope(task));
                }
            }
            let done = sub_agents.join_all().await;
            done.into_iter().filter(Result::is_err).count()
        };
        self.limiter.run(Call::new(), work).await
    }
}

async fn run(bare: bool) -> Result<(), Box<dyn std::error::Error>> {
    let limiter = Limiter::from_env(Limits::new([
        Limit::requests(A_MINUTE).every(MINUTE),
        Limit::requests(CALLS).every_run(),
        Limit::concurrency(4),
    ])?)?;
    let (log, start) = (Log::default(), Instant::now());
    let mut controllers = JoinSet::new();
    for _ in 0..CONTROLLERS {
        let agent = Agent::new(&limiter, &log);
        let tags = Tags::new()
            .with(Tag::Run, "7")
            .with(Tag::Agent, "controller");
        controllers.spawn(scope(tags, async move { agent.control(bare).await }));
    }
    let mut stood_still = 0;
    for ended in controllers.join_all().await {
        stood_still += ended?;
    }
    let seconds = start.elapsed().as_secs();

    let log = std::mem::take(&mut *log.lock().unwrap_or_else(PoisonError::into_inner));
    let in_a_minute = |from: &Instant| {
        let within = |at: &&Instant| **at >= *from && **at < *from + MINUTE;
        log.iter().filter(within).count() as u64
    };
    let most_a_minute = log.iter().map(in_a_minute).max().unwrap_or_default();
    // One more call of the same run, by a client made for it.
    let call = Call::new().tags(Tags::new().with(Tag::Run, "7"));
    let explanation = limiter.clone().explain(&call).await?;
    println!("one more call of this run: {explanation}");
    let of_run = explanation.limits[1].in_use;
    println!(
        "{}",
        json!({
            "calls": CALLS, "made": log.len(), "stood_still": stood_still, "most_a_minute": most_a_minute,
            "counted_for_the_run": of_run, "seconds": seconds,
        })
    );
    assert!(most_a_minute <= A_MINUTE, "the window is shared");
    assert_eq!(of_run, log.len() as u64, "every call counts for its run");
    if bare {
        assert!(
            stood_still > 0,
            "controllers kept the slots that their sub-agents waited for"
        );
    } else {
        assert_eq!(
            (log.len() as u64, stood_still),
            (CALLS, 0),
            "nobody stood still"
        );
        assert!(matches!(explanation.refused, Some(Rejection::RunUsedUp(_))));
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bare = std::env::args().any(|argument| argument == "--bare");
    // A server's time goes on by itself: with counts there it takes minutes.
    let on_server = StoreSetting::from_env()?.is_shared();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(!on_server)
        .build()?;
    runtime.block_on(run(bare))
}
