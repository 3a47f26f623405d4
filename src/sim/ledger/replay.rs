//! Limits replayed over recorded arrivals, each by the plainest rule that says what it means.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::attempt::{Attempt, Group};
use crate::sim::limit::{SimLimit, SimQuantity, SimShape};

/// Something that happened to the attempt with this index.
#[derive(Clone, Copy)]
enum Event {
    Arrival(usize),
    End(usize, Duration),
}

pub(super) fn over_limit(entries: &[Attempt], limits: &[SimLimit]) -> usize {
    let mut tallies: Vec<HashMap<Group<'_>, Tally>> = Vec::new();
    tallies.resize_with(limits.len(), HashMap::new);
    let mut fitted = vec![false; entries.len()];
    let mut over = 0;
    for event in events(entries) {
        match event {
            Event::Arrival(index) => {
                let attempt = &entries[index];
                let fits = limits.iter().zip(&mut tallies).all(|(limit, groups)| {
                    let Some(group) = attempt.group(limit) else {
                        return true;
                    };
                    let tally = groups.entry(group).or_default();
                    let need = attempt.on_arrival(limit).max(1);
                    u128::from(need) <= tally.room(limit, attempt.arrival)
                });
                fitted[index] = fits;
                if !fits {
                    over += 1;
                    continue;
                }
                for (limit, groups) in limits.iter().zip(&mut tallies) {
                    let tally = attempt
                        .group(limit)
                        .and_then(|group| groups.get_mut(&group));
                    if let Some(tally) = tally {
                        tally.add(limit, attempt.arrival, attempt.on_arrival(limit));
                    }
                }
            }
            Event::End(index, at) if fitted[index] => {
                let attempt = &entries[index];
                for (limit, groups) in limits.iter().zip(&mut tallies) {
                    let tally = attempt
                        .group(limit)
                        .and_then(|group| groups.get_mut(&group));
                    match tally {
                        Some(tally) if limit.quantity == SimQuantity::Concurrency => {
                            tally.sum = tally.sum.saturating_sub(1);
                        }
                        Some(tally) => {
                            tally.add(limit, at, limit.on_finish(attempt.billed.output));
                        }
                        None => {}
                    }
                }
            }
            Event::End(..) => {}
        }
    }
    over
}

/// The arrivals and ends of the attempts that the limits heard of, as they happened.
fn events(entries: &[Attempt]) -> Vec<Event> {
    let mut events = Vec::with_capacity(entries.len() * 2);
    for (index, attempt) in entries.iter().enumerate().filter(|(_, a)| a.heard()) {
        events.push((attempt.arrived, Event::Arrival(index)));
        if let (Some(ended), Some(finish)) = (attempt.ended, attempt.finish) {
            events.push((ended, Event::End(index, finish)));
        }
    }
    events.sort_unstable_by_key(|(order, _)| *order);
    events.into_iter().map(|(_, event)| event).collect()
}

/// What one group of a limit holds at the instant last asked about.
#[derive(Default)]
struct Tally {
    /// Sliding: the charges that still count. Their sum, that of the window, or the open attempts.
    log: VecDeque<(Duration, u64)>,
    sum: u128,
    /// Fixed: the window's number. Bucket: what is missing to a full one, in units of a
    /// nanosecond of the period, and since when.
    window: u128,
    missing: u128,
    since: Duration,
}

impl Tally {
    fn room(&mut self, limit: &SimLimit, at: Duration) -> u128 {
        let (period, amount) = limit.window();
        let amount = u128::from(amount);
        match (limit.quantity, limit.shape) {
            (SimQuantity::Concurrency, _) => {
                return u128::from(limit.amount).saturating_sub(self.sum);
            }
            (_, SimShape::Sliding) => {
                while let Some((charged, units)) = self.log.front().copied() {
                    if at < charged + period {
                        break;
                    }
                    self.sum -= u128::from(units);
                    self.log.pop_front();
                }
            }
            (_, SimShape::Fixed | SimShape::Sliced { .. }) => {
                let window = at.as_nanos() / period.as_nanos();
                if window > self.window {
                    (self.window, self.sum) = (window, 0);
                }
            }
            (_, SimShape::Bucket) => {
                let elapsed = at.saturating_sub(self.since).as_nanos();
                self.missing = self.missing.saturating_sub(elapsed.saturating_mul(amount));
                self.since = at;
                return amount.saturating_sub(self.missing.div_ceil(period.as_nanos()));
            }
        }
        amount.saturating_sub(self.sum)
    }

    fn add(&mut self, limit: &SimLimit, at: Duration, units: u64) {
        self.room(limit, at);
        match (limit.quantity, limit.shape) {
            (SimQuantity::Concurrency, _) => self.sum += u128::from(units),
            (_, SimShape::Bucket) => {
                self.missing += u128::from(units) * limit.window().0.as_nanos();
            }
            (_, SimShape::Sliding) => {
                self.sum += u128::from(units);
                self.log.push_back((at, units));
            }
            (_, SimShape::Fixed | SimShape::Sliced { .. }) => self.sum += u128::from(units),
        }
    }
}
