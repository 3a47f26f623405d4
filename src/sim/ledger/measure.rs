//! How near a caller came to its limits: the busiest interval, the least possible time.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::attempt::{Attempt, Group};
use crate::sim::clock::nanos;
use crate::sim::limit::{SimLimit, SimQuantity, SimShape};

pub(super) fn least(entries: &[Attempt], limits: &[SimLimit]) -> Duration {
    let ok = || entries.iter().filter(|attempt| attempt.ok());
    let latency = ok()
        .filter_map(|a| Some(a.finish?.saturating_sub(a.arrival)))
        .min();
    let mut longest = Duration::ZERO;
    for limit in limits {
        if limit.quantity == SimQuantity::Concurrency {
            continue;
        }
        let mut totals: HashMap<Group<'_>, u128> = HashMap::new();
        for attempt in ok() {
            if let Some(group) = attempt.group(limit) {
                *totals.entry(group).or_default() += u128::from(attempt.on_arrival(limit));
            }
        }
        let total = totals.into_values().max().unwrap_or(0);
        longest = longest.max(time_to_admit(limit, total));
    }
    longest + latency.unwrap_or_default()
}

/// The least time from the first to the last charge, when they add up to `total`.
fn time_to_admit(limit: &SimLimit, total: u128) -> Duration {
    let (period, amount) = limit.window();
    let (period, amount) = (period.as_nanos(), u128::from(amount.max(1)));
    nanos(match limit.shape {
        // A full bucket at first, and the rest as it refills.
        SimShape::Bucket => (total.saturating_sub(amount) * period).div_ceil(amount),
        _ => total.div_ceil(amount).saturating_sub(1) * period,
    })
}

pub(super) fn peak(entries: &[Attempt], limit: &SimLimit) -> u64 {
    let mut groups: HashMap<Group<'_>, Vec<(u64, Duration, Change)>> = HashMap::new();
    for attempt in entries.iter().filter(|attempt| attempt.admitted) {
        let Some(group) = attempt.group(limit) else {
            continue;
        };
        let changes = groups.entry(group).or_default();
        let charge = attempt.on_arrival(limit);
        changes.push((attempt.arrived, attempt.arrival, Change::Add(charge)));
        if let (Some(ended), Some(finish)) = (attempt.ended, attempt.finish) {
            let change = match limit.quantity {
                SimQuantity::Concurrency => Change::Free,
                _ => Change::Add(limit.on_finish(attempt.billed.output)),
            };
            changes.push((ended, finish, change));
        }
    }
    let open = limit.quantity == SimQuantity::Concurrency;
    let span = (!open).then_some(limit.period);
    let peaks = groups.into_values().map(|mut changes| {
        changes.sort_unstable_by_key(|(order, ..)| *order);
        busiest(&changes, span)
    });
    peaks.max().unwrap_or(0)
}

enum Change {
    Add(u64),
    Free,
}

/// The greatest sum in any half-open interval of this length, or at any instant without one.
fn busiest(changes: &[(u64, Duration, Change)], span: Option<Duration>) -> u64 {
    let mut held: VecDeque<(Duration, u64)> = VecDeque::new();
    let (mut sum, mut most) = (0u64, 0u64);
    for (_, at, change) in changes {
        match change {
            Change::Free => sum = sum.saturating_sub(1),
            Change::Add(units) => {
                sum += units;
                held.push_back((*at, *units));
            }
        }
        if let Some(span) = span {
            while let Some((charged, units)) = held.front().copied() {
                if charged + span > *at {
                    break;
                }
                sum -= units;
                held.pop_front();
            }
        }
        most = most.max(sum);
    }
    most
}
