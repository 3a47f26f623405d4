//! Does the same as the first lines of `promises`, so many times: for whoever counts its instructions.
//!
//! `scripts/instructions` runs it; `cargo bench` does not.

use std::{convert::Infallible, hint::black_box, process::ExitCode};

use http::Request;
use http_body_util::BodyExt as _;
use tower::service_fn;
use tower_layer::Layer as _;
use tower_quota::{RequestBody, store::Store as _};

#[path = "promises/calls.rs"]
mod calls;
#[path = "promises/whole.rs"]
mod whole;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, what, rounds, ..] = arguments.as_slice() else {
        eprintln!("say what, of claim, call, levels and stack, and how often");
        return ExitCode::FAILURE;
    };
    let Ok(rounds) = rounds.parse::<u32>() else {
        eprintln!("{rounds} is no number of rounds");
        return ExitCode::FAILURE;
    };
    if what == "stack" {
        stack(rounds);
        return ExitCode::SUCCESS;
    }
    let (one, five) = (calls::one_limit(), calls::five_levels());
    for round in 0..rounds {
        let at = round as usize % 4;
        match what.as_str() {
            "claim" => drop(one.0.release(calls::granted(&one.0, &one.1[at]))),
            "call" => calls::call(&one.0, &one.1[at]),
            "levels" => calls::call(&five.0, &five.1[at]),
            _ => return ExitCode::FAILURE,
        }
    }
    ExitCode::SUCCESS
}

/// Calls through the whole stack, one after the other.
fn stack(rounds: u32) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let inner = service_fn(|request: Request<RequestBody>| async move {
        let body = request.into_body().collect().await.expect("a body");
        black_box(body);
        Ok::<_, Infallible>(whole::answer())
    });
    let stack = whole::stack().layer(inner);
    runtime.block_on(async {
        for _ in 0..rounds {
            whole::call(stack.clone(), whole::request(RequestBody::from)).await;
        }
    });
}
