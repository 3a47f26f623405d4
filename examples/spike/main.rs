//! X2, X0. 10 000 calls at once, against a provider that allows 2 000 every six seconds.
//!
//! ```text
//! cargo run --release --features sim,config --example spike
//! cargo run --release --features sim,config --example spike -- --bare
//! cargo run --release --features sim,config --example spike -- --shape sliced
//! cargo run --release --features sim,config --example spike -- --shape sliced --unpaced
//! ```
//!
//! `TOWER_QUOTA_STORE=sqlite:counts.db` before it has it count in a file, with the feature of that store.
//!
//! With `--shape sliced` the provider enforces slices of a second, and our limits get `slice: 1s`. The margin
//! of 100 ms then takes a tenth of each second: it has to cover the jitter of one send, whatever the window.
//!
//! Ends with one line of JSON. `over_limit`, `least_s` and `makespan_s` come from the simulator's ledger,
//! not from us; `goodput` is `least_s / makespan_s`.

mod call;
mod report;
mod trace;

use std::{path::PathBuf, sync::Arc, thread, time::Duration};

use clap::{Parser, ValueEnum};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::Deserialize;
use tokio::{runtime, sync::oneshot};
use tower::{Service, ServiceBuilder};
use tower_quota::{
    RequestBody,
    config::RateLimiting,
    sim::{SimConfig, SimQuantity, SimServer, SimShape, Simulator},
    store::StoreSetting,
};

use call::Target;
use report::Counts;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Sends a trace of calls at once and prints what became of them.
#[derive(Debug, Parser)]
struct Args {
    /// Limits and simulator, as YAML [default: the built-in spike.yaml].
    #[arg(long)]
    config: Option<PathBuf>,
    /// Calls as JSON lines [default: made up].
    #[arg(long)]
    trace: Option<PathBuf>,
    /// How many calls to make up where there is no trace.
    #[arg(long, default_value_t = 10_000)]
    calls: usize,
    /// The seed of what is made up.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Writes the made-up calls to this file and ends.
    #[arg(long)]
    write_trace: Option<PathBuf>,
    /// How the simulator's windows move [default: as the configuration says].
    #[arg(long)]
    shape: Option<Shape>,
    /// Against slices, without keeping to them, to see what pacing is for.
    #[arg(long)]
    unpaced: bool,
    /// A provider to call in place of the simulator.
    #[arg(long)]
    base_url: Option<String>,
    /// The environment variable that holds its key.
    #[arg(long, default_value = "OPENAI_API_KEY")]
    key_env: String,
    /// Without our layers, to see what they are for.
    #[arg(long)]
    bare: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Shape {
    Sliding,
    Fixed,
    Bucket,
    /// Slices of a second are enforced, and our limits are paced in the same.
    Sliced,
}

const SLICE: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    rate_limiting: RateLimiting,
    #[serde(default)]
    simulator: SimConfig,
}

fn main() -> Result<(), Error> {
    let args = Args::parse();
    let lines = match &args.trace {
        Some(path) => trace::read(path)?,
        None => trace::generate(args.calls, args.seed),
    };
    if let Some(path) = &args.write_trace {
        return Ok(trace::write(path, &lines)?);
    }
    // A connection has two ends, and both are ours.
    rlimit::increase_nofile_limit(3 * lines.len() as u64)?;
    runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(run(args, lines))
}

async fn run(args: Args, lines: Vec<trace::Line>) -> Result<(), Error> {
    let text = match &args.config {
        Some(path) => std::fs::read_to_string(path)?,
        None => include_str!("spike.yaml").to_owned(),
    };
    let mut file: File = serde_saphyr::from_str(&text)?;
    if let Some(shape) = args.shape {
        let windows = file
            .simulator
            .limits
            .iter_mut()
            .filter(|l| l.quantity != SimQuantity::Concurrency);
        windows.for_each(|limit| limit.shape = shape.into());
        if matches!(shape, Shape::Sliced) && !args.unpaced {
            let limits = file.rate_limiting.limits.iter_mut();
            let windows = limits.filter(|limit| limit.every.is_some());
            windows.for_each(|limit| limit.slice = Some(SLICE.into()));
        }
    }
    if std::env::var_os(StoreSetting::VARIABLE).is_some() {
        file.rate_limiting.store = StoreSetting::from_env()?;
    }
    let stack = file.rate_limiting.build()?;
    let provider = match &args.base_url {
        Some(_) => None,
        None => Some(start(file.simulator.clone()).await?),
    };
    let target = match (&args.base_url, &provider) {
        (Some(url), _) => Target {
            base_url: url.clone(),
            key: std::env::var(&args.key_env)?,
        },
        (None, provider) => {
            let base_url = provider
                .as_ref()
                .map(SimServer::base_url)
                .unwrap_or_default();
            Target {
                base_url,
                key: "sk-simulated".into(),
            }
        }
    };
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new()).build::<_, RequestBody>(connector);

    let counts = Arc::new(Counts::new(lines.len()));
    let progress = report::progress(counts.clone(), (!args.bare).then(|| stack.limiter.clone()));
    if args.bare {
        send_all(client, &target, &lines, &counts).await?;
    } else {
        let layer = stack.layer.clone();
        let client = ServiceBuilder::new().layer(layer).service(client);
        send_all(client, &target, &lines, &counts).await?;
    }
    stack.close()?;
    progress.abort();
    eprintln!();
    let ledger = provider.map(|provider| provider.ledger());
    println!(
        "{}",
        report::line(&counts, ledger.as_ref(), &file.simulator.limits)
    );
    Ok(())
}

async fn send_all<S, R>(
    service: S,
    target: &Target,
    lines: &[trace::Line],
    counts: &Arc<Counts>,
) -> Result<(), Error>
where
    S: Service<http::Request<RequestBody>, Response = http::Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Error>,
    R: http_body::Body<Data = bytes::Bytes> + Send,
    R::Error: Into<Error>,
{
    let mut calls = tokio::task::JoinSet::new();
    for line in lines {
        let (service, request, counts) = (
            service.clone(),
            call::request(target, line)?,
            counts.clone(),
        );
        calls.spawn(async move { counts.note(call::send(service, request).await) });
    }
    while let Some(call) = calls.join_next().await {
        call?;
    }
    Ok(())
}

/// Starts the simulator on a thread and a runtime of its own: a provider is not slowed by its callers' tasks.
async fn start(config: SimConfig) -> Result<SimServer, Error> {
    let (tell, told) = oneshot::channel();
    thread::Builder::new()
        .name("simulator".into())
        .spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            let Ok(runtime) = runtime else { return };
            runtime.block_on(async {
                if tell.send(Simulator::start(config).await).is_ok() {
                    std::future::pending::<()>().await;
                }
            });
        })?;
    Ok(told.await??)
}

impl From<Shape> for SimShape {
    fn from(shape: Shape) -> Self {
        match shape {
            Shape::Sliding => SimShape::Sliding,
            Shape::Fixed => SimShape::Fixed,
            Shape::Bucket => SimShape::Bucket,
            Shape::Sliced => SimShape::Sliced { slice: SLICE },
        }
    }
}
