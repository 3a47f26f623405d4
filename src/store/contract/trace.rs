//! Random traces, compared with a plain log.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use super::{PERIOD, aside, limits, settle, tokens, window};
use crate::{
    limit::{Charge, Limit, Limits},
    store::{Decision, Grant, Settlement, Store},
    tags::{Tag, Tags},
    usage::Usage,
};

/// Runs a random trace of claims, sends, ends and pauses, and returns what was decided, one line each.
///
/// Two stores that keep the contract return the same. Every decision is also compared with a plain log on the way.
pub async fn random_trace(
    store: Arc<dyn Store>,
    pass: &impl AsyncFn(Duration),
    seed: u64,
) -> Vec<String> {
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut open, mut said): (Vec<(Grant, u64)>, Vec<String>) = (Vec::new(), Vec::new());
    // When each send was, and what it was charged: of the limit on requests 1.
    let mut log: Vec<u64> = Vec::new();
    for _ in 0..200 {
        match random.u8(..10) {
            0..5 => {
                // The last one works for the first.
                let agents = ["a", "b", "c", "a d"][random.usize(..4)].split(' ');
                let size = random.u64(1..400);
                let mut call = tokens(size, size / 2);
                let agents = agents.map(|agent| Tags::new().with(Tag::Agent, agent));
                let tags = agents.reduce(|outer, inner| outer.enclosing(&inner));
                call.tags = Arc::new(tags.unwrap_or_default());
                let seen = aside::peek(&*store, &call).await;
                let decision = store.claim(&call).get().await.expect("an answer");
                aside::foretold(&seen, &decision);
                match decision {
                    Decision::Granted(mut grant) => {
                        store.date(&mut grant);
                        log.push(store.now().as_micros());
                        open.push((grant, size));
                        said.push("granted".into());
                    }
                    Decision::NotNow(refused) => {
                        let wait = refused.at.map(|at| at.since(store.now()));
                        said.push(format!(
                            "not now: {} {} {wait:?}",
                            refused.key, refused.in_use
                        ));
                    }
                    Decision::Never(refused) => said.push(format!("never: {}", refused.key)),
                }
            }
            5..8 if !open.is_empty() => {
                let (grant, size) = open.swap_remove(random.usize(..open.len()));
                let settlement = match random.u8(..3) {
                    0 => Settlement::Unknown,
                    _ => Settlement::Usage(Usage::new(size, random.u64(..size))),
                };
                settle(&*store, grant, settlement).await;
            }
            _ => pass(Duration::from_millis(random.u64(1..20_000))).await,
        }
    }
    let period = u64::try_from(PERIOD.as_micros()).unwrap_or(u64::MAX);
    for (i, start) in log.iter().enumerate() {
        let within = log[i..]
            .iter()
            .take_while(|at| **at < start + period)
            .count();
        assert!(
            within <= TRACE_REQUESTS,
            "{within} sends in one period, seed {seed}"
        );
    }
    let mut summary = String::new();
    let _ = write!(summary, "{} sent, {} open", log.len(), open.len());
    said.push(summary);
    said
}

const TRACE_REQUESTS: usize = 12;

/// Returns the limits that [`random_trace`] needs.
#[must_use]
pub fn trace_limits() -> Limits {
    limits([
        window(Limit::requests(TRACE_REQUESTS as u64)),
        window(Limit::tokens(2_000)).per(Tag::Agent),
        window(Limit::input_tokens(2_500)).charge(Charge::openai()),
        Limit::concurrency(6),
    ])
}
