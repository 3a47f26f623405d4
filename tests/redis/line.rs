//! A call that needs a fifth of a limit is not passed for ever by small ones of other processes: once it stands in the line,
//! those go first that stood there before, one of each other process here, and nobody else who makes it later.
#![cfg(all(feature = "redis", unix))]

use crate::servers as redis;

use std::time::Duration;

use redis::Server;
use tower_quota::{
    Tags, Usage,
    limit::{Demand, Limit, Limits},
    store::{
        Claim, Decision, Settlement, Store as _, Waiting,
        redis::{RedisOptions, RedisStore},
    },
};

const SMALL: u64 = 20;
const LARGE: u64 = 200;
const ALL: u64 = 1_000;
/// One small call may be made in so long: what was used a minute ago comes back in fifty such parts.
const STEP: Duration = Duration::from_millis(1_200);

fn claim(tokens: u64) -> Claim {
    Claim::new(
        Tags::new(),
        Demand {
            input: tokens,
            ..Demand::default()
        },
    )
}

/// Whether it is let in: first in its process's queue, or as anybody who asks.
async fn is_let_in(store: &RedisStore, tokens: u64, first: Option<u64>) -> bool {
    let claim = claim(tokens);
    let answer = match first {
        Some(number) => store.claim_waiting(
            &claim,
            Waiting {
                number,
                priority: 0,
            },
        ),
        None => store.claim(&claim),
    };
    let Decision::Granted(mut grant) = answer.get().await.unwrap() else {
        return false;
    };
    store.date(&mut grant);
    let used = Settlement::Usage(Usage::new(tokens, 0));
    store.settle(grant, used).get().await.unwrap();
    true
}

/// How many steps the large call waits among small ones of `others` processes, who always have one that waits; `None`: for
/// more than a hundred.
async fn waits(server: &Server, others: usize, stands: bool) -> Option<usize> {
    let limits = Limits::new([Limit::tokens(ALL)
        .every(Duration::from_secs(60))
        .margin(Duration::ZERO)]);
    let options = RedisOptions::new(&server.url(), limits.unwrap()).unwrap();
    let options = options
        .namespace(format!("{others}-{stands}"))
        .timeout(Duration::from_secs(20))
        .time_passed_in();
    let large = options.clone().open().unwrap();
    let small: Vec<RedisStore> = (0..others)
        .map(|_| options.clone().open().unwrap())
        .collect();
    // All of it is used, evenly.
    for step in 0..ALL / SMALL {
        let by = &small[usize::try_from(step).unwrap() % others];
        assert!(is_let_in(by, SMALL, None).await);
        tokio::time::advance(STEP).await;
    }
    // A small one of each stands there first. Each has another number when it has been let in.
    let mut numbers = vec![1; others];
    let turn = async |numbers: &mut Vec<u64>| {
        for (store, number) in small.iter().zip(numbers) {
            while is_let_in(store, SMALL, Some(*number)).await {
                *number += 1;
            }
        }
    };
    turn(&mut numbers).await;
    for step in 0..100 {
        if is_let_in(&large, LARGE, stands.then_some(1)).await {
            return Some(step);
        }
        turn(&mut numbers).await;
        tokio::time::advance(STEP).await;
    }
    None
}

#[tokio::test(start_paused = true)]
async fn a_large_call_waits_for_its_room_and_for_those_who_stood_there_before() {
    let server = Server::start(&[]);
    for others in 1..4 {
        let waited = waits(&server, others, true).await;
        let room = usize::try_from(LARGE / SMALL).unwrap();
        let waited = waited.unwrap_or_else(|| panic!("{others} others: for ever"));
        assert!(
            (room..=room + others).contains(&waited),
            "{others} others: {waited} steps"
        );
        // Who only asks is always late.
        assert_eq!(waits(&server, others, false).await, None, "{others} others");
    }
}
