//! Every order of every subset of the four layers: nothing leaves unclaimed, everything is settled once, the bill is
//! right. The example of the same name does it over real sockets; this by paused time.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../examples/any_order/delivered.rs"]
mod delivered;
#[path = "../../examples/any_order/ledger.rs"]
mod ledger;
#[path = "../../examples/any_order/load.rs"]
mod load;
#[path = "../../examples/any_order/run.rs"]
mod run;
#[path = "../../examples/any_order/stack.rs"]
mod stack;
#[path = "../../examples/any_order/table.rs"]
mod table;
#[path = "../../examples/any_order/world.rs"]
mod world;

mod clones;
mod foreign;

use http::Request;
use tower::{ServiceExt as _, service_fn};
use tower_quota::{
    RequestBody,
    sim::{FaultRule, Simulator},
};

use ledger::Defect;
use run::Run;
use stack::{BoxError, Client, erase};
use table::Row;
use world::NAMES;

async fn row(order: &str, calls: u64, seed: u64, defect: Option<Defect>) -> Row {
    let providers = Providers::new(seed);
    let row = providers.run(order, calls, defect).through_ours().await;
    let row = row.unwrap();
    assert_eq!(row.calls as u64, calls);
    row
}

/// Both, new.
struct Providers {
    simulators: [Simulator; 2],
    bases: [String; 2],
}

impl Providers {
    fn new(seed: u64) -> Self {
        Self::failing(seed, &[])
    }

    /// With these faults besides, of one attempt in ten each.
    fn failing(seed: u64, faults: &[&str]) -> Self {
        fastrand::seed(seed);
        let mut config = world::sim_config(seed);
        config.faults.extend(faults.iter().map(|fault| FaultRule {
            fault: fault.parse().unwrap(),
            probability: 0.1,
            nth: None,
        }));
        Providers {
            simulators: NAMES.map(|_| Simulator::new(config.clone())),
            bases: NAMES.map(|name| format!("http://{name}.example/v1")),
        }
    }

    fn run<'r>(&'r self, order: &'r str, calls: u64, defect: Option<Defect>) -> Run<'r> {
        Run {
            order,
            calls,
            defect,
            client: client(&self.simulators),
            simulators: &self.simulators,
            bases: &self.bases,
        }
    }
}

/// Reaches each provider at its host.
fn client(simulators: &[Simulator; 2]) -> Client {
    let simulators = simulators.clone();
    erase(service_fn(move |request: Request<RequestBody>| {
        let service = simulators[provider_of(&request)].service();
        async move {
            let answer = service.oneshot(request).await;
            answer.map_err(BoxError::from)
        }
    }))
}

/// Whose address it goes to.
fn provider_of<B>(request: &Request<B>) -> usize {
    let host = request.uri().host().unwrap();
    let is_it = |name: &&str| host.starts_with(*name);
    NAMES.iter().position(is_it).unwrap()
}

#[tokio::test(start_paused = true)]
async fn whatever_the_order_nothing_is_unclaimed_and_the_bill_is_right() {
    let orders = stack::orders();
    assert_eq!(orders.len(), 64);
    println!("{}", Row::head());
    let (mut attempts, mut faults, mut repeated, mut repeating) = (0, 0, 0, 0);
    for (number, order) in (1..).zip(&orders) {
        let row = row(order, 250, number, None).await;
        println!("{}", row.line());
        assert!(row.is_clean(), "{row:?}");
        attempts += row.attempts;
        faults += row.faults;
        let (claims, pays) = (order.contains('A'), order.contains('B'));
        assert_eq!(row.over_limit.is_some(), claims);
        assert_eq!(row.unclaimed.is_some(), claims || pays);
        assert_eq!(row.under.is_some(), pays);
        if order.contains('R') {
            repeated += row.attempts;
            repeating += row.calls;
        }
    }
    assert!(
        repeated > repeating + repeating / 10,
        "{repeated} for {repeating}: little was repeated"
    );
    assert!(
        faults * 5 >= attempts,
        "{faults} of {attempts}: too little goes wrong"
    );
}

#[tokio::test(start_paused = true)]
async fn layers_of_somebody_else_between_ours_change_nothing() {
    let orders = [
        "FbRtBbA",
        "FqRqBqA",
        "FpRpBpA",
        "AqBqRqF",
        "ApBpRpF",
        "BqpFbqAtpR",
        "RbqpAqFpqB",
        "FRBAp",
        "AtqFbpB",
        "RqFqA",
        "BqRpF",
        "FsqRsqBsqA",
        "AsqBsqRsqF",
        "BsqFsqAsqR",
        "RqsAqsFqsB",
    ];
    for (number, order) in (1..).zip(orders) {
        let row = row(order, 250, number, None).await;
        println!("{}", row.line());
        assert!(row.is_clean(), "{row:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_table_tells_what_is_wrong() {
    for (number, defect) in (1..).zip(Defect::ALL) {
        let row = row("FRBA", 1_000, number, Some(defect)).await;
        assert!(!row.is_clean(), "{}: {row:?}", defect.name());
        let told = match defect {
            Defect::Resends => row.unclaimed > Some(0),
            Defect::Overbooks => row.over_limit > Some(0),
            Defect::Forgets => row.settle_errors > Some(0),
            Defect::Rounds => row.bill > Some(0),
            Defect::Trusts => row.under > Some(0),
        };
        assert!(told, "{}: {row:?}", defect.name());
    }
}
