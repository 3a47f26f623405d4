//! Where calls wait.

use std::{collections::HashMap, time::Duration};

use serde::Serialize;

use crate::limiter::CallState;

/// The calls that wait for room under one count. Spans in seconds.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Queue {
    /// In words: `tokens 90000/min for model=gpt-4o`; `cooldown …` for waits that a provider told.
    limit: String,
    waiting: usize,
    /// What the one that has waited longest has waited.
    longest: f64,
    /// In how long the first of them is expected to go; absent where nobody can tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_in: Option<f64>,
}

/// To the millisecond.
pub(super) fn seconds(span: Duration) -> f64 {
    (span.as_secs_f64() * 1e3).round() / 1e3
}

impl Queue {
    /// Of all these calls, with what each has waited: the longest queue first.
    pub(super) fn all(calls: &[(CallState, Duration)]) -> Vec<Queue> {
        let mut queues: HashMap<&str, Queue> = HashMap::new();
        for (state, waited) in calls {
            let CallState::Waiting(awaited) = state else {
                continue;
            };
            let limit = awaited.shortage.limit.as_str();
            let queue = queues.entry(limit).or_insert_with(|| Queue {
                limit: limit.to_owned(),
                waiting: 0,
                longest: 0.0,
                next_in: None,
            });
            queue.waiting += 1;
            queue.longest = queue.longest.max(seconds(*waited));
            let expected = awaited.expected_in.map(seconds);
            queue.next_in = queue.next_in.into_iter().chain(expected).reduce(f64::min);
        }
        let mut queues: Vec<Queue> = queues.into_values().collect();
        queues.sort_by(|one, other| (other.waiting, &one.limit).cmp(&(one.waiting, &other.limit)));
        queues
    }
}
