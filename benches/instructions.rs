//! Does the same as the first lines of `promises`, so many times: for whoever counts its instructions.
//!
//! `scripts/instructions` runs it; `cargo bench` does not.

use std::process::ExitCode;

use tower_quota::store::Store as _;

#[path = "promises/calls.rs"]
mod calls;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, what, rounds, ..] = arguments.as_slice() else {
        eprintln!("say what, of claim, call and levels, and how often");
        return ExitCode::FAILURE;
    };
    let Ok(rounds) = rounds.parse::<u32>() else {
        eprintln!("{rounds} is no number of rounds");
        return ExitCode::FAILURE;
    };
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
