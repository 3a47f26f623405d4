//! Fairness under a backlog, in virtual time: who sends much has a share, and no more.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::{task::JoinSet, time::Instant};
use tower_quota::{
    Limiter, Tag, Tags,
    limit::{Limit, Limits},
    limiter::{Call, QueueOptions},
    store::MemoryStore,
};

const PERIOD: Duration = Duration::from_secs(6);
const A_PERIOD: u64 = 100;

fn limiter(options: QueueOptions) -> Limiter {
    let limits = Limits::new([Limit::requests(A_PERIOD)
        .every(PERIOD)
        .margin(Duration::ZERO)]);
    Limiter::build(Arc::new(MemoryStore::new(limits.unwrap())), options)
}

fn call(agent: &str) -> Call {
    Call::new().tags(Tags::new().with(Tag::Agent, agent))
}

/// Fills the window, queues everybody's calls in the order given, and says when each agent was through.
async fn finishes(
    limiter: &Limiter,
    calls: impl IntoIterator<Item = (&'static str, Call)>,
) -> HashMap<&'static str, Duration> {
    for _ in 0..A_PERIOD {
        drop(limiter.acquire(call("nobody")).await.unwrap());
    }
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for (agent, call) in calls {
        let limiter = limiter.clone();
        tasks.spawn(async move {
            drop(limiter.acquire(call).await.unwrap());
            (agent, start.elapsed())
        });
    }
    let mut ends = HashMap::new();
    while let Some(ended) = tasks.join_next().await {
        let (agent, at) = ended.unwrap();
        let end = ends.entry(agent).or_insert(at);
        *end = (*end).max(at);
    }
    ends
}

/// When each agent is through if the limit flows evenly from the moment on at which the full window opens, and
/// everybody who still has something has a share by weight.
fn fluid(
    mut left: HashMap<&'static str, f64>,
    weight: impl Fn(&str) -> f64,
) -> HashMap<&'static str, Duration> {
    let rate = A_PERIOD as f64 / PERIOD.as_secs_f64();
    let (mut now, mut ends) = (0.0, HashMap::new());
    while !left.is_empty() {
        let weights: f64 = left.keys().map(|agent| weight(agent)).sum();
        let lasts = |agent: &str, calls: f64| calls / (rate * weight(agent) / weights);
        let step = left
            .iter()
            .map(|(agent, calls)| lasts(agent, *calls))
            .fold(f64::INFINITY, f64::min);
        now += step;
        for (agent, calls) in &mut left {
            *calls -= step * rate * weight(agent) / weights;
        }
        left.retain(|agent, calls| {
            let through = *calls < 1e-6;
            if through {
                ends.insert(*agent, PERIOD + Duration::from_secs_f64(now));
            }
            !through
        });
    }
    ends
}

fn within_a_tenth(ends: &HashMap<&'static str, Duration>, ideal: &HashMap<&'static str, Duration>) {
    for (agent, ideal) in ideal {
        let end = ends[agent];
        println!("{agent}: {end:?}, ideal {ideal:?}");
        assert!(
            end <= ideal.mul_f64(1.1),
            "{agent} was through at {end:?}, ideal {ideal:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_sends_nine_tenths_does_not_hold_up_the_others() {
    let limiter = limiter(QueueOptions::new());
    let many = (0..9_000).map(|_| ("much", call("much")));
    let few = (0..1_000)
        .map(|i| ["a", "b", "c", "d"][i % 4])
        .map(|agent| (agent, call(agent)));
    let ends = finishes(&limiter, many.chain(few)).await;
    let left = HashMap::from([
        ("much", 9_000.0),
        ("a", 250.0),
        ("b", 250.0),
        ("c", 250.0),
        ("d", 250.0),
    ]);
    within_a_tenth(&ends, &fluid(left, |_| 1.0));
}

#[tokio::test(start_paused = true)]
async fn shares_go_by_weight() {
    let limiter = limiter(QueueOptions::new().weight("heavy", 3));
    let calls = (0..2_000)
        .map(|i| ["light", "heavy"][i % 2])
        .map(|agent| (agent, call(agent)));
    let ends = finishes(&limiter, calls).await;
    let left = HashMap::from([("light", 1_000.0), ("heavy", 1_000.0)]);
    within_a_tenth(
        &ends,
        &fluid(left, |agent| if agent == "heavy" { 3.0 } else { 1.0 }),
    );
}

#[tokio::test(start_paused = true)]
async fn another_tag_can_be_the_party() {
    let limiter = limiter(QueueOptions::new().share_by(Tag::Team));
    let team = |team: &str, agent: &str| {
        Call::new().tags(Tags::new().with(Tag::Team, team).with(Tag::Agent, agent))
    };
    // One team of nine agents, one of one: the teams share alike.
    let crowd = (0..1_800).map(|i| ("crowd", team("crowd", &format!("agent {}", i % 9))));
    let single = (0..200).map(|_| ("single", team("single", "agent")));
    let ends = finishes(&limiter, crowd.chain(single)).await;
    let left = HashMap::from([("crowd", 1_800.0), ("single", 200.0)]);
    within_a_tenth(&ends, &fluid(left, |_| 1.0));
}

#[tokio::test(start_paused = true)]
async fn low_priority_goes_after_the_aging_span_at_the_latest() {
    let aging = Duration::from_secs(60);
    let limiter = limiter(QueueOptions::new().aging(aging));
    for _ in 0..A_PERIOD {
        drop(limiter.acquire(call("nobody")).await.unwrap());
    }
    let start = Instant::now();
    let low = tokio::spawn({
        let (limiter, call) = (limiter.clone(), call("low"));
        async move { limiter.acquire(call).await.map(drop) }
    });
    // Urgent calls come for ever, twice as many as there is room for.
    let urgent = tokio::spawn({
        let limiter = limiter.clone();
        async move {
            let mut calls = JoinSet::new();
            loop {
                for _ in 0..A_PERIOD / 3 {
                    let (limiter, call) = (limiter.clone(), call("urgent").priority(1));
                    calls.spawn(async move { drop(limiter.acquire(call).await.unwrap()) });
                }
                tokio::time::sleep(PERIOD / 6).await;
            }
        }
    });
    low.await.unwrap().unwrap();
    urgent.abort();
    let waited = start.elapsed();
    println!("low priority went after {waited:?}");
    assert!(waited > PERIOD * 2, "priority did nothing");
    // Twice the room is asked for: what came in one aging span takes two to go.
    assert!(waited <= aging * 2 + PERIOD * 2, "{waited:?}");
}
