//! The processes, and what surrounds them.

use std::{io::Write as _, process::Stdio, sync::Arc, time::Duration};

use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::Instant,
};
use tower_quota::{
    Money,
    sim::SimServer,
    store::{RedisStore, Store as _},
};

use crate::{
    Error, Load, provider,
    report::{Run, Worked, rounded},
    server::Server,
};

/// Three runs, one after the other; the last line.
pub(crate) async fn run(load: &Load, lease: Duration) -> Result<String, Error> {
    let alone = one(load, (Duration::ZERO, true)).await?;
    let plain = one(load, (Duration::ZERO, false)).await?;
    let leased = one(load, (lease, false)).await?;
    let fewer = |than: &Run, run: &Run| {
        rounded(than.round_trips as f64 / (run.round_trips as f64).max(1.0))
    };
    let fewer = json!({
        "plain_than_each_alone": fewer(&alone, &plain),
        "leased_than_plain": fewer(&plain, &leased),
        "leased_than_each_alone": fewer(&alone, &leased),
    });
    let line = json!({
        "processes": load.processes,
        "window_s": load.window.as_secs_f64(),
        "each_alone": alone,
        "plain": plain,
        "lease_s": lease.as_secs_f64(),
        "leased": leased,
        "fewer_round_trips": fewer,
    });
    Ok(line.to_string())
}

/// One run, on a server and against a provider of its own.
async fn one(load: &Load, how: (Duration, bool)) -> Result<Run, Error> {
    let server = Server::start().await?;
    // All of it is on one machine, which may be busy: a server that is slow is not one that is away.
    let store = format!("{}?namespace=fleet&timeout=10s", server.url());
    let provider = Arc::new(provider::start(load).await?);
    let mut workers = Vec::new();
    for number in 0..load.processes {
        workers.push(Worker::start(
            load,
            number,
            how,
            &provider.base_url(),
            &store,
        )?);
    }
    for worker in &mut workers {
        worker.ready().await?;
    }
    for worker in &mut workers {
        worker.stdin.write_all(b"go\n").await?;
    }
    let progress = tokio::spawn(progress(load.calls * load.processes, provider.clone()));
    let mut worked = Vec::new();
    for worker in &mut workers {
        worked.push(worker.worked().await?);
    }
    progress.abort();
    eprintln!();
    let round_trips = server.round_trips()?;
    provider.simulator().idle().await;
    let spent = spent(load, &store).await?;
    Ok(Run::of(
        load,
        &worked,
        &provider.ledger(),
        round_trips,
        spent,
    ))
}

/// What is spent of the budget and what is reserved, as a process sees it that comes later.
async fn spent(load: &Load, store: &str) -> Result<(Money, Money), Error> {
    let store = RedisStore::open(store, provider::ours(load)?)?;
    let budgets = store.budgets().get().await?;
    let budget = budgets.first().ok_or("the store has no budget")?;
    Ok((budget.settled, budget.reserved))
}

/// Shows how far it is, twice a second.
async fn progress(calls: usize, provider: Arc<SimServer>) {
    let start = Instant::now();
    loop {
        let (ok, seconds) = (provider.ledger().ok(), start.elapsed().as_secs_f64());
        eprint!("\r{seconds:5.1} s   {ok:>6} of {calls} ok ");
        drop(std::io::stderr().flush());
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// One of the processes: this program once more, ended when it is dropped.
struct Worker {
    child: Child,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    fn start(
        load: &Load,
        number: usize,
        (lease, each_alone): (Duration, bool),
        provider: &str,
        store: &str,
    ) -> Result<Self, Error> {
        let millis = |span: Duration| span.as_millis().to_string();
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--worker", provider, store])
            .args(["--number", &number.to_string()])
            .args(["--lease", &millis(lease)])
            .args(each_alone.then_some("--each-alone"))
            .args(["--processes", &load.processes.to_string()])
            .args(["--calls", &load.calls.to_string()])
            .args(["--large", &load.large.to_string()])
            .args(["--window", &millis(load.window)])
            .args(["--margin", &millis(load.margin)])
            .args(["--requests", &load.requests.to_string()])
            .args(["--tokens", &load.tokens.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        Ok(Worker {
            child,
            stdin: stdin.ok_or("it has no stdin")?,
            stdout: BufReader::new(stdout.ok_or("it has no stdout")?).lines(),
        })
    }

    /// Waits until it has joined the others.
    async fn ready(&mut self) -> Result<(), Error> {
        match self.stdout.next_line().await? {
            Some(line) if line == "ready" => Ok(()),
            _ => Err("a worker did not begin".into()),
        }
    }

    /// Waits until it has ended.
    async fn worked(&mut self) -> Result<Worked, Error> {
        let line = self.stdout.next_line().await?;
        let line = line.ok_or("a worker ended without a word")?;
        let status = self.child.wait().await?;
        if !status.success() {
            return Err(format!("a worker failed: {status}").into());
        }
        Ok(serde_json::from_str(&line)?)
    }
}
