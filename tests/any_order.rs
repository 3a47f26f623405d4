//! Every order of every subset of the four layers: nothing leaves unclaimed, everything is settled once, the bill is
//! right. The example of the same name does it over real sockets; this by paused time.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../examples/any_order/delivered.rs"]
mod delivered;
#[path = "../examples/any_order/ledger.rs"]
mod ledger;
#[path = "../examples/any_order/load.rs"]
mod load;
#[path = "../examples/any_order/run.rs"]
mod run;
#[path = "../examples/any_order/stack.rs"]
mod stack;
#[path = "../examples/any_order/table.rs"]
mod table;
#[path = "../examples/any_order/world.rs"]
mod world;

use http::Request;
use tower::{ServiceExt as _, service_fn};
use tower_quota::{RequestBody, sim::Simulator};

use ledger::Defect;
use stack::{BoxError, Client, erase};
use table::Row;
use world::NAMES;

async fn row(order: &str, calls: u64, seed: u64, defect: Option<Defect>) -> Row {
    fastrand::seed(seed);
    let simulators = NAMES.map(|_| Simulator::new(world::sim_config(seed)));
    let bases = NAMES.map(|name| format!("http://{name}.example/v1"));
    let client = client(&simulators);
    let row = run::run(order, calls, defect, client, &simulators, &bases).await;
    let row = row.unwrap();
    assert_eq!(row.calls as u64, calls);
    row
}

/// Reaches each provider at its host.
fn client(simulators: &[Simulator; 2]) -> Client {
    let simulators = simulators.clone();
    erase(service_fn(move |request: Request<RequestBody>| {
        let host = request.uri().host().unwrap();
        let place = NAMES
            .iter()
            .position(|name| host.starts_with(name))
            .unwrap();
        let service = simulators[place].service();
        async move {
            let answer = service.oneshot(request).await;
            answer.map_err(BoxError::from)
        }
    }))
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
