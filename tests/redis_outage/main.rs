//! What becomes of calls, counts and money when the server that processes share breaks, or what is between.
//!
//! Two processes' worth of stores and limiters, under load all the time, and a simulated provider that keeps its own
//! ledger. It prints a table; `OUTAGE=all` has every row in it. Time is true here: servers are killed and frozen. So what is
//! asserted is how much and in which order, never how long.
#![cfg(all(feature = "redis", feature = "sim", unix))]
#![allow(
    clippy::unwrap_used,
    reason = "the helpers of tests, too, fail by panicking"
)]

mod load;
#[path = "../support/redis/mod.rs"]
mod redis;
mod row;
mod site;
mod table;

use std::thread;

use row::Row;
use site::Wrong;
use tower_quota::store::redis::OnError;

/// The rows that always run: each kind of loss once.
const ALWAYS: [Wrong; 6] = [
    Wrong::Killed("always"),
    Wrong::Killed("nothing"),
    Wrong::Stopped,
    Wrong::Cut,
    Wrong::RepliesLost,
    Wrong::Full,
];

const FURTHER: [Wrong; 10] = [
    Wrong::Killed("everysec"),
    Wrong::PowerLost,
    Wrong::Refused,
    Wrong::Silent,
    Wrong::Slow,
    Wrong::TooSlow,
    Wrong::ScriptsForgotten,
    Wrong::Emptied,
    Wrong::FailedOver,
    Wrong::NodeFailedOver,
];

/// So many rows at once.
const AT_ONCE: usize = 6;
/// So often a row is played, at most, where the machine lets things rest for too long.
const PLAYS: usize = 3;

#[test]
fn nothing_is_overspent_nor_lost_whatever_breaks() {
    let all = std::env::var("OUTAGE").is_ok_and(|rows| rows == "all");
    let further = if all { &FURTHER[..] } else { &[] };
    let only = std::env::var("ROW").ok();
    let wrongs = ALWAYS.iter().chain(further);
    let mut rows: Vec<Row> = wrongs
        .flat_map(|wrong| {
            [OnError::Deny, OnError::Local].map(|policy| Row {
                wrong: *wrong,
                policy,
            })
        })
        .collect();
    if all {
        for wrong in [Wrong::OneCutOff, Wrong::Nothing] {
            rows.push(Row {
                wrong,
                policy: OnError::Deny,
            });
        }
        for wrong in [Wrong::Stopped, Wrong::Killed("nothing")] {
            rows.push(Row {
                wrong,
                policy: OnError::Allow,
            });
        }
    }
    rows.retain(|row| {
        only.as_ref()
            .is_none_or(|only| row.to_string().contains(only))
    });
    let mut lines = Vec::new();
    for some in rows.chunks(AT_ONCE) {
        let running: Vec<_> = some
            .iter()
            .map(|row| {
                let row = *row;
                thread::spawn(move || row.run())
            })
            .collect();
        lines.extend(running.into_iter().map(|row| row.join().unwrap()));
    }
    for line in &mut lines {
        for _ in 1..PLAYS {
            if line.came_late() || line.shows_nothing() {
                println!("played again: {line:?}");
                *line = line.row.run();
            }
        }
    }
    println!("{}", table::of(&lines));
    let wrong: Vec<String> = lines.iter().filter_map(|line| line.wrong()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
