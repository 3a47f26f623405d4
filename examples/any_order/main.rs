//! Our layers in an order of your choice, over real sockets, with both ledgers: what the providers have seen and billed,
//! and what we have claimed and charged.
//!
//! ```text
//! cargo run --release --all-features --example any_order -- BRFA         # failover F, retry R, budget B, admission A
//! cargo run --release --all-features --example any_order -- --all        # every order of every subset: 64
//! cargo run --release --all-features --example any_order -- --defects    # what the table shows when something is wrong
//! cargo run --release --all-features --example any_order -- RA --calls 500
//! ```
//!
//! A fifth of all attempts goes wrong and more: 429 that tell a wait and that do not, 503, 529, a quota that is used up,
//! streams that begin or end with an error, that break off, answers that are none, late ones, dropped connections; and one
//! caller in ten hangs up. The last five columns are 0 in any order; a dash stands where there is no such gate.

mod delivered;
mod ledger;
mod load;
mod run;
mod stack;
mod table;
mod world;

use std::{env, process::ExitCode};

use hyper_util::{
    client::legacy::{Client as HttpClient, connect::HttpConnector},
    rt::TokioExecutor,
};
use tower::ServiceExt as _;
use tower_quota::{
    RequestBody,
    sim::{SimServer, Simulator},
};

use ledger::Defect;
use run::Run;
use stack::{BoxError, erase};
use table::Row;
use world::NAMES;

/// Calls of each order.
const CALLS: u64 = 2_000;

struct Asked {
    orders: Vec<String>,
    defects: bool,
    calls: u64,
}

fn asked() -> Result<Asked, String> {
    let mut asked = Asked {
        orders: Vec::new(),
        defects: false,
        calls: CALLS,
    };
    let mut args = env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--all" => asked.orders = stack::orders(),
            "--defects" => asked.defects = true,
            "--calls" => {
                let number = args.next().and_then(|number| number.parse().ok());
                asked.calls = number.ok_or("--calls wants a number, as in --calls 500")?;
            }
            order if stack::orders().iter().any(|known| known == order) => {
                asked.orders.push(order.to_owned());
            }
            other => {
                return Err(format!(
                    "`{other}` is no order; name each of F, R, B and A once at most, as in FRBA, or say --all"
                ));
            }
        }
    }
    if asked.orders.is_empty() && !asked.defects {
        asked.orders.push("FRBA".to_owned());
    }
    Ok(asked)
}

#[tokio::main]
async fn main() -> Result<ExitCode, BoxError> {
    let asked = match asked() {
        Ok(asked) => asked,
        Err(reason) => {
            eprintln!("{reason}");
            return Ok(ExitCode::FAILURE);
        }
    };
    println!("{}", Row::head());
    let mut is_clean = true;
    for (number, order) in (1..).zip(&asked.orders) {
        let row = row(order, asked.calls, number, None).await?;
        println!("{}", row.line());
        is_clean &= row.is_clean();
    }
    if asked.defects {
        for (number, defect) in (1..).zip(Defect::ALL) {
            let row = row("FRBA", asked.calls, number, Some(defect)).await?;
            println!("{}   <- {}", row.line(), defect.name());
            is_clean &= !row.is_clean();
        }
    }
    Ok(if is_clean {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// One order against new providers on sockets of their own.
async fn row(order: &str, calls: u64, seed: u64, defect: Option<Defect>) -> Result<Row, BoxError> {
    let mut servers = Vec::new();
    for _ in NAMES {
        servers.push(Simulator::start(world::sim_config(seed)).await?);
    }
    let base = |server: &SimServer| format!("{}/v1", server.base_url());
    let bases: Vec<String> = servers.iter().map(base).collect();
    let simulators: Vec<Simulator> = servers
        .iter()
        .map(|server| server.simulator().clone())
        .collect();
    let http: HttpClient<HttpConnector, RequestBody> =
        HttpClient::builder(TokioExecutor::new()).build_http();
    let client = erase(http.map_err(BoxError::from));
    let run = Run {
        order,
        calls,
        defect,
        client,
        simulators: &simulators,
        bases: &bases,
    };
    let row = run.through_ours().await?;
    for server in servers {
        server.shutdown().await;
    }
    Ok(row)
}
