//! A month of attempts in a ledger, and what it answers: how long that takes, and how much room.
//!
//! ```text
//! cargo run --release --features sqlite --example ledger -- --rows 10000000
//! ```

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use clap::Parser as _;
use rusqlite::Connection;
use tokio::time::Instant;
use tower_quota::{
    Money, Tag, Tags, Usage,
    limit::Limits,
    store::{
        Store as _,
        sqlite::{Ledger, Query, Report, SqliteOptions},
    },
};

#[derive(clap::Parser)]
struct Arguments {
    /// How many attempts.
    #[arg(long, default_value_t = 200_000)]
    rows: u64,
    /// Where the file is to stay; elsewhere it goes at the end.
    #[arg(long)]
    keep: Option<std::path::PathBuf>,
}

const DAYS: u64 = 30;
/// Midnight, the 1st of September 2026, in UTC.
const MONTH: u64 = 1_788_220_800;

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(MONTH + seconds)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let Arguments { rows, keep } = Arguments::parse();
    let folder = std::env::temp_dir().join(format!("tower-quota-ledger-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let path = keep.clone().unwrap_or_else(|| folder.join("ledger.db"));
    write(&path, rows).await?;
    let bytes = std::fs::metadata(&path)?.len();
    println!(
        "{rows} attempts in {:.1} MB: {} bytes each",
        bytes as f64 / 1e6,
        bytes / rows.max(1)
    );
    read(&path)?;
    if keep.is_none() {
        std::fs::remove_dir_all(&folder)?;
    }
    Ok(())
}

/// A month of them, by a clock that goes as fast as they are written.
async fn write(path: &Path, rows: u64) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let millis = Arc::new(AtomicU64::new(0));
    let shown = millis.clone();
    let clock = move || at(0) + Duration::from_millis(shown.load(Ordering::Relaxed));
    let store = SqliteOptions::new(path, Limits::new([])?)
        .wall_clock(clock)
        .open()?;
    let (start, mut random) = (Instant::now(), fastrand::Rng::with_seed(1));
    for row in 0..rows {
        millis.store(row * DAYS * 86_400_000 / rows, Ordering::Relaxed);
        let model = random.u32(..8);
        let mut usage = Usage::new(random.u64(200..8_000), random.u64(10..2_000));
        (usage.cache_read, usage.reasoning) = (usage.input / 3, usage.output / 4);
        usage.cost = Some(Money::from_nanos(
            usage.input * 1_000 + usage.output * 10_000,
        ));
        let tags = Tags::new()
            .with(Tag::Provider, ["openai", "anthropic"][random.usize(..2)])
            .with(Tag::Model, format!("model {model}"))
            .with(Tag::Agent, format!("agent {}", random.u32(..40)))
            .with(Tag::Team, format!("team {}", model % 3))
            .with("tenant", ["acme", "globex"][random.usize(..2)])
            .with(Tag::Run, format!("run {}", row / 200));
        let answer = store.record(&tags, usage);
        if row % 10_000 == 9_999 {
            answer.get().await?;
        }
    }
    store.flush().await?;
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "written in {seconds:.1} s: {:.0} a second",
        rows as f64 / seconds
    );
    Ok(())
}

fn read(path: &Path) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let ledger = Ledger::open(path)?;
    let month = || Query::new().from(at(0)).until(at(DAYS * 86_400));
    let odd = Query::new()
        .from(at(12_345))
        .until(at(1_234_567))
        .by([Tag::Model]);
    for (name, query) in [
        (
            "the month by model and agent",
            month().by([Tag::Model, Tag::Agent]),
        ),
        ("the month by a free tag", month().by([Tag::from("tenant")])),
        (
            "one team's by agent",
            month().when(Tag::Team, "team 1").by([Tag::Agent]),
        ),
        ("two weeks between odd instants", odd),
    ] {
        let (report, seconds) = timed(|| ledger.report(&query))?;
        let (rows, cost) = (report.rows.len(), report.totals.cost);
        println!(
            "{name}: {rows} rows, {} attempts, {cost}, in {seconds:.3} s",
            report.totals.attempts
        );
    }
    let (by_run, seconds) =
        timed(|| ledger.report(&Query::new().from(at(0)).until(at(86_400)).by([Tag::Run])))?;
    println!(
        "a day by run, from the attempts: {} rows in {seconds:.3} s",
        by_run.rows.len()
    );
    // The same from every attempt, by plain SQL.
    let conn = Connection::open(path)?;
    let plain = "SELECT model, agent, count(*), sum(cost_nanos) FROM attempts GROUP BY 1, 2";
    let start = Instant::now();
    let report = ledger.report(&month().by([Tag::Model, Tag::Agent]))?;
    let mut query = conn.prepare(plain)?;
    let rows = query.query_map([], |row| {
        Ok((
            row.get::<_, String>(0)?,
            row.get::<_, String>(1)?,
            row.get::<_, i64>(2)?,
            row.get::<_, i64>(3)?,
        ))
    })?;
    let mut same = 0;
    for row in rows {
        let (model, agent, attempts, cost) = row?;
        let found = report
            .rows
            .iter()
            .find(|(values, _)| *values == [model.clone(), agent.clone()]);
        let (_, totals) = found.ok_or("a row that the report does not have")?;
        assert_eq!(
            (totals.attempts, totals.cost.as_nanos()),
            (attempts.cast_unsigned(), cost.cast_unsigned())
        );
        same += 1;
    }
    assert_eq!(same, report.rows.len());
    println!(
        "all {same} sums are those of the attempts, which took {:.1} s",
        start.elapsed().as_secs_f64()
    );
    Ok(())
}

fn timed(
    work: impl FnOnce() -> Result<Report, tower_quota::store::sqlite::LedgerError>,
) -> Result<(Report, f64), tower_quota::store::sqlite::LedgerError> {
    let start = Instant::now();
    let report = work()?;
    Ok((report, start.elapsed().as_secs_f64()))
}
