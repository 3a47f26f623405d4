//! A store on a Redis server, or on a cluster, keeps the contract of all stores, and decides as the memory does.
#![cfg(feature = "redis")]

use crate::servers as redis;

use std::{cell::Cell, sync::Arc, time::Duration};

use redis::{Cluster, Server};
use tokio::time::Instant;
use tower_quota::{
    Limiter, Tag, Tags, Usage,
    limit::{Charge, Demand, Limit, Limits},
    limiter::{Call, QueueOptions},
    store::{
        Claim, Decision, Grant, MemoryStore, Settlement, Store, contract,
        redis::{RedisOptions, RedisStore},
    },
};

/// Each time another namespace.
fn maker(url: &str) -> impl Fn(Limits) -> Arc<dyn Store> + use<> {
    let number = Cell::new(fastrand::u64(..));
    let url = url.to_owned();
    move |limits| {
        number.set(number.get().wrapping_add(1));
        let options = RedisOptions::new(&url, limits).unwrap();
        let options = options.namespace(number.get().to_string());
        let options = options.absorb_counters(true).time_passed_in();
        let options = options.timeout(Duration::from_secs(20));
        Arc::new(options.open().unwrap())
    }
}

/// S3: Redis.
#[tokio::test(start_paused = true)]
async fn it_keeps_the_contract() {
    let server = Server::start(&[]);
    contract::check(maker(&server.url()), tokio::time::advance).await;
    contract::counts_stand_as_they_count(&maker(&server.url())).await;
}

#[tokio::test(start_paused = true)]
async fn it_listens_as_the_contract_says() {
    let server = Server::start(&[]);
    contract::listening::check(maker(&server.url()), tokio::time::advance).await;
}

#[tokio::test(start_paused = true)]
async fn a_cluster_keeps_the_contract_whichever_node_is_named() {
    let cluster = Cluster::start(&[]);
    let nodes = cluster.nodes.iter().map(|node| node.address().to_string());
    let nodes: Vec<String> = nodes.collect();
    // Its namespaces are spread over the nodes.
    contract::check(
        maker(&format!("redis://{}", nodes[0])),
        tokio::time::advance,
    )
    .await;
    contract::listening::check(
        maker(&format!("redis://{}", nodes.join(","))),
        tokio::time::advance,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn it_decides_as_the_memory_does_on_random_traces() {
    let (server, cluster) = (Server::start(&[]), Cluster::start(&[]));
    let makers = [server.url(), cluster.nodes[0].url()];
    for make in makers.map(|url| maker(&url)) {
        for seed in 0..20 {
            let memory: Arc<dyn Store> = Arc::new(MemoryStore::new(contract::trace_limits()));
            let one = contract::random_trace(memory, &tokio::time::advance, seed).await;
            let shared = make(contract::trace_limits());
            let other = contract::random_trace(shared, &tokio::time::advance, seed).await;
            assert_eq!(one, other, "seed {seed}");
            assert!(
                one.iter().any(|line| line == "granted"),
                "a trace that grants nothing shows nothing"
            );
        }
    }
}

/// What one of several stores says to a claim, without ticks, which each store counts from another start.
fn said(store: &dyn Store, decision: &Decision) -> String {
    match decision {
        Decision::Granted(_) => "granted".into(),
        Decision::NotNow(refused) => {
            let wait = refused.at.map(|at| at.since(store.now()));
            format!(
                "not now: {} {} {} {wait:?}",
                refused.key, refused.in_use, refused.reserved
            )
        }
        Decision::Never(refused) => format!("never: {}", refused.key),
    }
}

fn claim(random: &mut fastrand::Rng) -> Claim {
    let agent = ["a", "b", "c"][random.usize(..3)];
    let input = random.u64(1..400);
    Claim {
        repeat: random.u8(..8) == 0,
        ..Claim::new(
            Tags::new().with(Tag::Agent, agent),
            Demand {
                input,
                output: input / 2,
                cost: random.u64(..2_000_000),
                ..Demand::default()
            },
        )
    }
}

/// The same trace over stores of which each is asked in turn, all of one namespace, as over one in memory.
#[tokio::test(start_paused = true)]
async fn three_processes_decide_as_one_in_memory_does() {
    let server = Server::start(&[]);
    let limits = || {
        let minute = Duration::from_secs(60);
        let all = [
            Limit::requests(12).every(minute),
            Limit::tokens(2_000).every(minute).per(Tag::Agent),
            Limit::output_tokens(900).every(minute),
            Limit::input_tokens(2_500)
                .every(minute)
                .charge(Charge::openai()),
            Limit::cost(tower_quota::Money::from_nanos(9_000_000)).every(minute * 10),
            Limit::concurrency(6),
        ];
        Limits::new(all).unwrap()
    };
    let mut refused = 0;
    for seed in 0..12 {
        let mut random = fastrand::Rng::with_seed(seed);
        let memory = MemoryStore::new(limits());
        // Few entries between two images: each begins anew in the middle.
        let options = RedisOptions::new(&server.url(), limits()).unwrap();
        let options = options.namespace(format!("three-{seed}")).image_after(50);
        let options = options.timeout(Duration::from_secs(20)).time_passed_in();
        let mut shared: Vec<RedisStore> = (0..3).map(|_| options.clone().open().unwrap()).collect();
        let mut open: Vec<(Grant, Grant, usize)> = Vec::new();
        for step in 0..250 {
            if step % 60 == 59 {
                // One goes, with nothing under way, and another comes.
                let gone = random.usize(..3);
                for (own, theirs, _) in open.extract_if(.., |(_, _, who)| *who == gone) {
                    memory.release(own).get().await.unwrap();
                    shared[gone].release(theirs).get().await.unwrap();
                }
                shared[gone] = options.clone().open().unwrap();
            }
            match random.u8(..10) {
                0..5 => {
                    let (claim, who) = (claim(&mut random), random.usize(..3));
                    let one = memory.claim(&claim).get().await.unwrap();
                    let other = shared[who].claim(&claim).get().await.unwrap();
                    assert_eq!(
                        said(&memory, &one),
                        said(&shared[who], &other),
                        "seed {seed}, step {step}"
                    );
                    match (one, other) {
                        (Decision::Granted(mut own), Decision::Granted(mut theirs)) => {
                            if random.u8(..5) > 0 {
                                memory.date(&mut own);
                                shared[who].date(&mut theirs);
                                let output = random.u64(..300);
                                memory.streamed(&mut own, output);
                                shared[who].streamed(&mut theirs, output);
                            }
                            // What is not waited for has come to the server before others ask.
                            shared[who].budgets().get().await.unwrap();
                            open.push((own, theirs, who));
                        }
                        _ => refused += 1,
                    }
                }
                5..8 if !open.is_empty() => {
                    let (own, theirs, who) = open.swap_remove(random.usize(..open.len()));
                    let usage = Usage::new(random.u64(..500), random.u64(..300));
                    let settlement = match random.u8(..3) {
                        0 => Settlement::Unknown,
                        _ => Settlement::Usage(usage),
                    };
                    memory.settle(own, settlement).get().await.unwrap();
                    shared[who].settle(theirs, settlement).get().await.unwrap();
                }
                8 => {
                    let tags = Tags::new().with(Tag::Agent, "a");
                    let usage = Usage::new(random.u64(..50), 3);
                    memory.record(&tags, usage).get().await.unwrap();
                    let who = random.usize(..3);
                    shared[who].record(&tags, usage).get().await.unwrap();
                }
                _ => tokio::time::advance(Duration::from_millis(random.u64(1..20_000))).await,
            }
        }
        let who = random.usize(..3);
        assert_eq!(
            format!("{:?}", memory.budgets().get().await.unwrap()),
            format!("{:?}", shared[who].budgets().get().await.unwrap()),
        );
    }
    assert!(refused > 100, "what refuses little shows little: {refused}");
}

/// When each of forty calls is let in, and under what.
async fn instants(store: Arc<dyn Store>) -> Vec<(u64, u128)> {
    let limiter = Limiter::build(store, QueueOptions::new());
    let start = Instant::now();
    let calls = (0..40).map(|number| {
        let limiter = limiter.clone();
        tokio::spawn(async move {
            let call = Call::new()
                .tokens(10 + number, 5)
                .priority(i32::try_from(number % 3).unwrap());
            let permit = limiter.acquire(call).await.unwrap();
            let at = start.elapsed().as_micros();
            tokio::time::sleep(Duration::from_secs(3)).await;
            permit.settle(Usage::new(9, 4));
            (number, at)
        })
    });
    let calls: Vec<_> = calls.collect();
    let mut instants = Vec::new();
    for call in calls {
        instants.push(call.await.unwrap());
    }
    instants
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_are_let_in_at_the_same_instants_as_in_memory() {
    let server = Server::start(&[]);
    let minute = Duration::from_secs(60);
    let limits = || {
        let requests = Limit::requests(5).every(minute);
        Limits::new([
            requests,
            Limit::tokens(300).every(minute),
            Limit::concurrency(4),
        ])
        .unwrap()
    };
    let memory = instants(Arc::new(MemoryStore::new(limits()))).await;
    let shared = instants(maker(&server.url())(limits())).await;
    assert_eq!(memory, shared);
    assert!(
        memory.iter().any(|(_, at)| *at > 400_000_000),
        "they waited: {memory:?}"
    );
}
