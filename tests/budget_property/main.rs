//! The promise of budgets itself, on random loads against the simulator's bill: what is settled and what is reserved
//! never pass a hard budget together, whatever is given up and when, and in the end each attempt is charged what it
//! was billed.
//!
//! Prices, sizes, streams, faults, orders of layers and the moments at which callers give up are random, and the same
//! in every run. Between any two steps of any call the counts are looked at. What an attempt is to be charged says
//! `bill`, from the ledger alone.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bill;
mod plan;
mod world;

use std::{cell::Cell, env};

use proptest::{
    prelude::ProptestConfig,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};

use self::world::Tally;

/// B2: settled and reserved never pass a hard budget.
#[test]
fn no_hard_budget_is_passed_and_each_attempt_is_charged_what_it_was_billed() {
    let cases = env::var("BUDGET_CASES").map_or(300, |cases| cases.parse().unwrap());
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let all = Cell::new(Tally::default());
    let mut runner = TestRunner::new_with_rng(config, rng);
    let ran = runner.run(&plan::plan(), |plan| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let tally = runtime.block_on(world::run(plan));
        all.set(all.get() + tally);
        Ok(())
    });
    if let Err(error) = ran {
        panic!("{error}");
    }
    let all = all.get();
    println!("{all:?}");
    assert!(all.given_up * 10 >= all.calls * 3, "too few were given up");
    for (what, count) in [
        ("reported", all.reported),
        ("estimated", all.estimated),
        ("estimated by what was learnt", all.learnt),
        ("reserved", all.unknown),
        ("refused", all.refused),
        ("waited", all.waited),
        ("repeated", all.repeated),
    ] {
        assert!(count > 100, "hardly any {what}: {count}");
    }
}
