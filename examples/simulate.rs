//! A trace of a million calls against limits, budgets and a route, in virtual time: how long that takes.
//!
//! ```text
//! cargo run --release --features simulate --example simulate
//! cargo run --release --features simulate --example simulate -- --calls 50000
//! ```
//!
//! The calls come over a day, more by day than by night, of 200 agents in ten teams and of three models; at noon they are
//! more than the limits take. The last line is JSON; it ends with 1 where a call is missing, a limit was passed, or what the
//! budget of the month has counted is not the bill.

use std::{fmt::Write as _, process::ExitCode};

use clap::Parser;
use serde_json::json;
use tokio::time::Instant;
use tower_quota::{
    config::Config,
    simulate::{Load, Simulation},
};

/// As `tower-quota simulate` has it.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, Parser)]
struct Args {
    /// How many calls.
    #[arg(long, default_value_t = 1_000_000)]
    calls: u64,
    /// The seed of what is made up.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

const DAY: f64 = 86_400.0;

fn main() -> Result<ExitCode, BoxError> {
    let Args { calls, seed } = Args::parse();
    // As many as come in a minute if they came evenly.
    let minute = calls.div_ceil(1_440);
    let config = Config::from_yaml(&format!(
        "rate_limiting:
  global: {{ requests_per_minute: {}, concurrent_requests: {} }}
  providers:
    openai: {{ gpt-4o: {{ rpm: {}, tpm: {} }}, gpt-4o-mini: {{ rpm: {} }} }}
    anthropic: {{ claude-sonnet-4-5: {{ itpm: {}, otpm: {} }} }}
  limits: [{{ quantity: requests, amount: {}, every: 1m, per: [agent] }}]
  budgets: [{{ amount: 1000000, every: month, per: [team] }}]
  max_monthly_spend: 10000000
  queue: {{ max_waiting: 1000000 }}",
        minute * 3 / 2,
        minute.max(10),
        minute * 2 / 3,
        minute * 2_000,
        minute,
        minute * 1_000,
        minute * 500,
        minute.div_ceil(50).max(2),
    ))?;
    let began = Instant::now();
    let csv = trace(calls, seed);
    let made = began.elapsed();
    let load = Load::from_csv(csv.as_bytes())?;
    drop(csv);
    let read = began.elapsed() - made;
    let report = Simulation::new(&config.rate_limiting, load)
        .seed(seed)
        .run()?;
    let ran = began.elapsed() - made - read;
    println!("{report}");
    // The day may be over before the last call is; the month is not.
    let budget = report
        .budgets
        .iter()
        .find(|one| !one.budget.contains("team"));
    let bill_is_budget = budget.is_some_and(|budget| budget.spent == report.cost);
    let over_limit = report.limits.iter().filter(|limit| limit.fullest > 1.0);
    let over_limit = over_limit.count();
    let is_well = report.calls == calls && bill_is_budget && over_limit == 0;
    println!(
        "{}",
        json!({
            "calls": report.calls,
            "waited": report.waits.calls,
            "refused": report.refused,
            "makespan_s": report.makespan.as_secs(),
            "read_s": (read + made).as_secs_f64(),
            "run_s": ran.as_secs_f64(),
            "bill_is_budget": bill_is_budget,
            "over_limit": over_limit,
        })
    );
    Ok(ExitCode::from(u8::from(!is_well)))
}

fn trace(calls: u64, seed: u64) -> String {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut csv = String::from(
        "at,model,agent,team,priority,input_tokens,output_tokens,max_tokens,latency_ms\n",
    );
    for _ in 0..calls {
        let at = loop {
            let at = random.f64();
            let busy = 0.55 - 0.45 * (std::f64::consts::TAU * at).cos();
            if random.f64() < busy {
                break at * DAY;
            }
        };
        let (model, agent) = (
            ["gpt-4o", "gpt-4o-mini", "claude-sonnet-4-5"][random.usize(..3)],
            random.u32(..200),
        );
        let (input, output) = (random.u32(50..2_000), random.u32(10..400));
        let (priority, latency) = (random.u32(..3), random.u32(300..6_000));
        let _ = writeln!(
            csv,
            "{at:.3},{model},agent-{agent},team-{},{priority},{input},{output},500,{latency}",
            agent % 10
        );
    }
    csv
}
