//! On random loads: nothing with the tags passes while they are paused, and everything else is as in a limiter beside it
//! in which nobody ever pauses anybody and those calls never come.

use std::{collections::BTreeSet, time::Duration};

use proptest::prelude::*;
use tower_quota::{
    Limiter, Rejection, Tag, Tags, Usage,
    limit::{Limit, Limits},
    limiter::{Call, Permit},
};

use crate::{pause, resume, support::MINUTE};

const AGENTS: [&str; 3] = ["a", "b", "c"];
const TEAMS: [&str; 2] = ["x", "y"];

#[derive(Clone, Debug)]
enum Step {
    Call(usize, usize, u64),
    /// One of those in flight ends.
    End(usize, u64),
    Toggle(usize),
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..AGENTS.len(), 0..TEAMS.len(), 1u64..60).prop_map(|(a, t, n)| Step::Call(a, t, n)),
        3 => (any::<usize>(), 0u64..60).prop_map(|(which, used)| Step::End(which, used)),
        3 => (0usize..5).prop_map(Step::Toggle),
        1 => (1u64..40_000).prop_map(Step::Pass),
    ];
    prop::collection::vec(step, 1..120)
}

fn limits() -> Limits {
    Limits::new([
        Limit::concurrency(3).per(Tag::Agent),
        Limit::tokens(150).every(MINUTE).per(Tag::Team),
        Limit::requests(9).every(MINUTE).when(Tag::Agent, "a"),
        Limit::tokens(300).every(MINUTE).share(Tag::Agent, "b", 0.3),
    ])
    .unwrap()
}

/// What may be paused: agents, a team, and one agent of a team.
fn pauses(which: usize) -> Limit {
    match which {
        0..3 => Limit::paused().when(Tag::Agent, AGENTS[which]),
        3 => Limit::paused().when(Tag::Team, "x"),
        _ => Limit::paused().when(Tag::Agent, "c").when(Tag::Team, "y"),
    }
}

fn is_paused(on: &BTreeSet<usize>, agent: usize, team: usize) -> bool {
    on.contains(&agent)
        || (team == 0 && on.contains(&3))
        || (agent, team) == (2, 1) && on.contains(&4)
}

fn call(agent: usize, team: usize, tokens: u64) -> Call {
    let tags = Tags::new()
        .with(Tag::Agent, AGENTS[agent])
        .with(Tag::Team, TEAMS[team]);
    Call::new().tags(tags).tokens(tokens, 0)
}

async fn run(steps: Vec<Step>) -> usize {
    let (limiter, plain) = (Limiter::new(limits()), Limiter::new(limits()));
    let (mut on, mut refused) = (BTreeSet::new(), 0);
    let mut open: Vec<[Permit; 2]> = Vec::new();
    for step in steps {
        match step {
            Step::Call(agent, team, tokens) => {
                let ours = limiter.try_acquire(call(agent, team, tokens)).await;
                if is_paused(&on, agent, team) {
                    let rejection = ours.unwrap_err();
                    assert!(matches!(rejection, Rejection::Paused { .. }), "{rejection}");
                    refused += 1;
                    continue;
                }
                let theirs = plain.try_acquire(call(agent, team, tokens)).await;
                match (ours, theirs) {
                    (Ok(ours), Ok(theirs)) => open.push([ours, theirs]),
                    (Err(ours), Err(theirs)) => assert_eq!(ours, theirs),
                    (ours, theirs) => panic!("{ours:?}, but {theirs:?}"),
                }
            }
            Step::End(which, used) if !open.is_empty() => {
                let both = open.swap_remove(which % open.len());
                for permit in both {
                    permit.settle(Usage::new(used, 0));
                }
            }
            Step::End(..) => {}
            Step::Toggle(which) => {
                if on.remove(&which) {
                    resume(&limiter, pauses(which)).await;
                } else {
                    on.insert(which);
                    pause(&limiter, pauses(which)).await;
                }
            }
            Step::Pass(millis) => tokio::time::advance(Duration::from_millis(millis)).await,
        }
    }
    refused
}

#[test]
fn what_is_paused_does_not_pass_and_everything_else_does_as_ever() {
    let (mut refused, config) = (0, ProptestConfig::with_cases(256));
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let counted = std::cell::RefCell::new(&mut refused);
    let done = runner.run(&steps(), |steps| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        **counted.borrow_mut() += runtime.block_on(run(steps));
        Ok(())
    });
    done.unwrap();
    assert!(refused > 100, "it was tried: {refused}");
}
