//! What is said of the runs.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tower_quota::{Money, sim::Ledger};

use crate::{Load, calls::Call, provider};

/// What became of one process's calls.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Worked {
    pub(crate) ok: usize,
    pub(crate) refused: usize,
    pub(crate) failed: usize,
    /// Attempts that were repeated.
    pub(crate) in_vain: usize,
    /// How long the large calls took until their answer began, in milliseconds, and the others.
    large: Vec<u64>,
    others: Vec<u64>,
    /// By how much longer large calls took than the others that came at about the same time.
    late: Vec<i64>,
}

/// Calls that came at about the same time: so many before, and so many after.
const BESIDE: usize = 25;

/// Sorts what was waited for by the kind of the call.
pub(crate) fn waits(worked: &mut Worked, calls: &[Call], waited: &[Option<u64>]) {
    for (place, (call, took)) in calls.iter().zip(waited).enumerate() {
        let Some(took) = *took else { continue };
        if !call.large {
            worked.others.push(took);
            continue;
        }
        worked.large.push(took);
        let (from, to) = (
            place.saturating_sub(BESIDE),
            calls.len().min(place + BESIDE),
        );
        let beside = (from..to).filter(|other| !calls[*other].large);
        let beside: Vec<u64> = beside.filter_map(|other| waited[other]).collect();
        let mean = beside.iter().sum::<u64>() / (beside.len() as u64).max(1);
        worked.late.push(took.cast_signed() - mean.cast_signed());
    }
}

/// What one run came to.
#[derive(Debug, Serialize)]
pub(crate) struct Run {
    calls: usize,
    ok: usize,
    refused: usize,
    failed: usize,
    /// Attempts that were repeated: each counts under the limits, whether it reached the provider or not.
    attempts_in_vain: usize,
    provider_429: usize,
    over_limit: usize,
    least_s: f64,
    makespan_s: f64,
    makespan_over_least: f64,
    large: Waited,
    others: Waited,
    /// By how much longer a large call waited, at most, than those that came with it.
    large_late_s: f64,
    pub(crate) round_trips: u64,
    round_trips_per_call: f64,
    spent: Money,
    reserved: Money,
    billed: Money,
    spent_is_billed: bool,
}

/// From the call to the beginning of its answer.
#[derive(Debug, Serialize)]
struct Waited {
    calls: usize,
    most_s: f64,
    mean_s: f64,
}

impl Waited {
    fn of(millis: &[u64]) -> Self {
        let mean = millis.iter().sum::<u64>() / (millis.len() as u64).max(1);
        let most = millis.iter().max().copied().unwrap_or(0);
        Waited {
            calls: millis.len(),
            most_s: seconds(Duration::from_millis(most)),
            mean_s: seconds(Duration::from_millis(mean)),
        }
    }
}

impl Run {
    pub(crate) fn of(
        load: &Load,
        worked: &[Worked],
        ledger: &Ledger,
        round_trips: u64,
        (spent, reserved): (Money, Money),
    ) -> Self {
        let theirs = provider::theirs(load);
        let (least, makespan) = (ledger.least(&theirs), ledger.makespan());
        let all = |pick: fn(&Worked) -> &Vec<u64>| -> Vec<u64> {
            worked.iter().flat_map(pick).copied().collect()
        };
        let late = worked.iter().flat_map(|worked| &worked.late).max();
        let calls = load.calls * worked.len();
        let billed = provider::cost(ledger.billed());
        Run {
            calls,
            ok: worked.iter().map(|worked| worked.ok).sum(),
            refused: worked.iter().map(|worked| worked.refused).sum(),
            failed: worked.iter().map(|worked| worked.failed).sum(),
            attempts_in_vain: worked.iter().map(|worked| worked.in_vain).sum(),
            provider_429: ledger.refused(),
            over_limit: ledger.over_limit(&theirs),
            least_s: seconds(least),
            makespan_s: seconds(makespan),
            makespan_over_least: rounded(makespan.as_secs_f64() / least.as_secs_f64()),
            large: Waited::of(&all(|worked| &worked.large)),
            others: Waited::of(&all(|worked| &worked.others)),
            large_late_s: rounded(late.copied().unwrap_or(0) as f64 / 1_000.0),
            round_trips,
            round_trips_per_call: rounded(round_trips as f64 / calls as f64),
            spent,
            reserved,
            billed,
            spent_is_billed: spent == billed && reserved == Money::ZERO,
        }
    }
}

fn seconds(span: Duration) -> f64 {
    rounded(span.as_secs_f64())
}

/// To three places.
pub(crate) fn rounded(number: f64) -> f64 {
    (number * 1_000.0).round() / 1_000.0
}
