//! A server that loses some or all of what it was told is told again by the processes that live: nothing that was granted
//! is missing, and nothing counts twice.
#![cfg(all(feature = "redis", unix))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/redis/mod.rs"]
mod redis;

use std::time::Duration;

use redis::{Fault, Proxy, Server, until};
use tower_quota::{
    Money, Tags, Usage,
    limit::{Demand, Limit, Limits},
    store::{
        Claim, Decision, Grant, Reason, Settlement, Store as _,
        redis::{RedisOptions, RedisStore},
    },
};

const DAY: Duration = Duration::from_secs(86_400);
const SLOTS: u64 = 8;
const KEYS: [&str; 3] = [
    "{tower-quota:default}:head",
    "{tower-quota:default}:log",
    "{tower-quota:default}:image",
];

fn limits() -> Limits {
    let all = [
        Limit::requests(1_000_000).every(DAY),
        Limit::concurrency(SLOTS),
        Limit::cost(Money::from_nanos(1_000_000_000)).every(DAY),
    ];
    Limits::new(all).unwrap()
}

fn claim(cost: u64) -> Claim {
    Claim::new(
        Tags::new(),
        Demand {
            cost,
            ..Demand::default()
        },
    )
}

fn used(cost: u64) -> Usage {
    let mut usage = Usage::new(0, 0);
    usage.cost = Some(Money::from_nanos(cost));
    usage
}

/// Requests, slots that are held, money that is spent and money that is held.
async fn counts(store: &RedisStore) -> [u64; 4] {
    let standings = store.peek(&claim(1)).get().await.unwrap();
    let in_use = |limit| {
        let standing = standings.iter().find(|one| one.key.limit() == limit);
        standing.unwrap().in_use
    };
    let budget = store.budgets().get().await.unwrap().remove(0);
    let money = [budget.settled, budget.reserved].map(Money::as_nanos);
    [in_use(0), in_use(1), money[0], money[1]]
}

/// The server as it was, to be as that again.
fn save(server: &Server) {
    copy(server, "", ":saved");
}

fn go_back(server: &Server) {
    copy(server, ":saved", "");
}

/// All keys at once, to others.
fn copy(server: &Server, from: &str, to: &str) {
    let mut connection = server.connect();
    connection.ask(&["MULTI"]).unwrap();
    for key in KEYS {
        let (from, to) = (format!("{key}{from}"), format!("{key}{to}"));
        connection.ask(&["DEL", &to]).unwrap();
        connection.ask(&["COPY", &from, &to]).unwrap();
    }
    let said = connection.ask(&["EXEC"]).unwrap();
    assert!(matches!(said, redis::Reply::List(_)), "{said}");
}

fn lose_all(server: &Server) {
    server.ask(&["DEL", KEYS[0], KEYS[1], KEYS[2]]);
}

/// What was done by the answers alone.
#[derive(Default)]
struct Plain {
    requests: u64,
    spent: u64,
    open: Vec<(usize, Grant, u64)>,
}

#[tokio::test(start_paused = true)]
async fn whatever_a_server_loses_whenever_all_processes_count_what_was_done() {
    let rounds: u64 = std::env::var("ROUNDS").map_or(15, |rounds| rounds.parse().unwrap());
    let server = Server::start(&[]);
    let (mut lost, mut granted) = (0, 0);
    for seed in 0..rounds {
        let mut random = fastrand::Rng::with_seed(seed);
        server.ask(&["FLUSHALL"]);
        // In some, images are many, in some there is none.
        let options = RedisOptions::new(&server.url(), limits()).unwrap();
        let options = options.image_after([7, 40, 10_000][random.usize(..3)]);
        let options = options.timeout(Duration::from_secs(20)).time_passed_in();
        let open = || options.clone().open().unwrap();
        let mut stores: Vec<RedisStore> = (0..2 + random.usize(..2)).map(|_| open()).collect();
        let mut plain = Plain::default();
        save(&server);
        for _ in 0..120 {
            let who = random.usize(..stores.len());
            match random.u8(..20) {
                0 => save(&server),
                1 => {
                    go_back(&server);
                    lost += 1;
                }
                2 => {
                    lose_all(&server);
                    lost += 1;
                }
                3 if stores.len() < 4 => stores.push(open()),
                4..12 => {
                    // Several at once, of which some are on their way when the server loses something.
                    let cost = random.u64(1..50_000);
                    let asked: Vec<_> = (0..1 + random.usize(..3))
                        .map(|_| {
                            let who = random.usize(..stores.len());
                            (who, stores[who].claim(&claim(cost)))
                        })
                        .collect();
                    match random.u8(..12) {
                        0 => lose_all(&server),
                        1 => go_back(&server),
                        _ => {}
                    }
                    for (who, answer) in asked {
                        if let Ok(Decision::Granted(grant)) = answer.get().await {
                            granted += 1;
                            plain.requests += 1;
                            plain.open.push((who, grant, cost));
                        }
                    }
                }
                12 => tokio::time::advance(Duration::from_millis(random.u64(..3_000))).await,
                13 => {
                    let cost = random.u64(..9_000);
                    stores[who]
                        .record(&Tags::new(), used(cost))
                        .get()
                        .await
                        .unwrap();
                    plain.requests += 1;
                    plain.spent += cost;
                }
                _ if plain.open.is_empty() => {}
                kind => {
                    let (who, mut grant, most) =
                        plain.open.swap_remove(random.usize(..plain.open.len()));
                    let store = &stores[who];
                    match kind {
                        14 => {
                            store.release(grant).get().await.unwrap();
                            plain.requests -= 1;
                        }
                        15 => {
                            store.date(&mut grant);
                            plain.open.push((who, grant, most));
                        }
                        16 => {
                            store.date(&mut grant);
                            let done = store.settle(grant, Settlement::Unknown);
                            done.get().await.unwrap();
                            plain.spent += most;
                        }
                        _ => {
                            store.date(&mut grant);
                            let cost = random.u64(..=most);
                            let usage = Settlement::Usage(used(cost));
                            store.settle(grant, usage).get().await.unwrap();
                            plain.spent += cost;
                        }
                    }
                }
            }
        }
        // Each tells what it knows, then all are asked.
        for store in &stores {
            store.budgets().get().await.unwrap();
        }
        let held = plain.open.iter().map(|(_, _, cost)| cost).sum();
        let expected = [plain.requests, plain.open.len() as u64, plain.spent, held];
        for (number, store) in stores.iter().enumerate() {
            assert_eq!(counts(store).await, expected, "seed {seed}, store {number}");
        }
    }
    assert!(lost > rounds, "{lost} losses");
    assert!(granted > rounds * 20, "{granted} grants");
}

/// The claim of one process is in the image that another brings back; its answer never came.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_granted_and_is_in_the_image_of_another_is_answered_all_the_same() {
    for fits in [true, false] {
        let server = Server::start(&[]);
        let proxy = Proxy::start(server.address());
        let options = |url: &str| {
            let options = RedisOptions::new(url, limits()).unwrap();
            options.timeout(Duration::from_secs(20))
        };
        let (one, other) = tokio::task::block_in_place(|| {
            let one = options(&proxy.url()).open().unwrap();
            (one, options(&server.url()).open().unwrap())
        });
        let mut taken = Vec::new();
        for _ in 0..if fits { 0 } else { SLOTS } {
            let Decision::Granted(grant) = other.claim(&claim(1)).get().await.unwrap() else {
                panic!("there is room");
            };
            taken.push(grant);
        }
        one.budgets().get().await.unwrap();
        proxy.set(Fault::DropReplies);
        let before = server.calls("xadd");
        let answer = one.claim(&claim(1));
        until("it is done", || server.calls("xadd") > before);
        other.budgets().get().await.unwrap();
        lose_all(&server);
        other.budgets().get().await.unwrap();
        proxy.set(Fault::Pass);
        match answer.get().await {
            Ok(Decision::Granted(grant)) if fits => {
                let usage = Settlement::Usage(used(1));
                one.settle(grant, usage).get().await.unwrap();
            }
            // It had no room, and what it was told is lost.
            Err(error) if !fits => assert!(error.to_string().contains("lost"), "{error}"),
            answer => panic!("{answer:?}"),
        }
        for grant in taken {
            other.release(grant).get().await.unwrap();
        }
        for store in [&one, &other] {
            let expected = if fits { [1, 0, 1, 0] } else { [0; 4] };
            assert_eq!(counts(store).await, expected);
        }
    }
}

/// What is told while nobody hears it, and was on its way when that began.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ends_while_nobody_hears_of_it_has_ended_when_somebody_does() {
    let server = Server::start(&[]);
    let proxy = Proxy::start(server.address());
    let store = tokio::task::block_in_place(|| {
        let options = RedisOptions::new(&proxy.url(), limits()).unwrap();
        options.timeout(Duration::from_secs(1)).open().unwrap()
    });
    let mut grants = Vec::new();
    for _ in 0..4 {
        let Decision::Granted(grant) = store.claim(&claim(100)).get().await.unwrap() else {
            panic!("there is room");
        };
        grants.push(grant);
    }
    proxy.set(Fault::Refuse);
    for again in [false, true] {
        // The first two are on their way, the others come when it is known that nobody hears.
        let (given_back, used_up) = (grants.remove(0), grants.remove(0));
        let usage = Settlement::Usage(used(7));
        let answers = [store.release(given_back), store.settle(used_up, usage)];
        let recorded = store.record(&Tags::new(), used(1));
        for answer in answers.into_iter().chain([recorded]) {
            let error = answer.get().await.unwrap_err();
            assert!(
                error.to_string().contains("tried again"),
                "{again}: {error}"
            );
        }
    }
    proxy.set(Fault::Pass);
    while store.budgets().get().await.is_err() {}
    assert_eq!(counts(&store).await, [4, 0, 16, 0]);
}

async fn record(store: &RedisStore, times: usize) {
    let recorded: Vec<_> = (0..times)
        .map(|_| store.record(&Tags::new(), used(0)))
        .collect();
    for answer in recorded {
        answer.get().await.unwrap();
    }
}

/// The server's image is older than all that a process knows that has come since: the log behind it has the rest.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_only_the_last_is_lost_behind_an_old_image_that_is_told_again_and_nobody_begins_anew()
{
    let server = Server::start(&[]);
    let open = || {
        let options = RedisOptions::new(&server.url(), limits()).unwrap();
        // Nobody asks by itself meanwhile, and an image has the last thousand entries with it.
        let options = options.silence(DAY).image_after(2_000);
        let options = options.timeout(Duration::from_secs(20));
        tokio::task::block_in_place(|| options.open().unwrap())
    };
    let epoch = || server.ask(&["HGET", KEYS[0], "epoch"]).text();
    let one = open();
    record(&one, 1_900).await;
    save(&server);
    record(&one, 200).await;
    // The image is written behind the answers, and before the next question.
    one.budgets().get().await.unwrap();
    let (other, before) = (open(), epoch());
    go_back(&server);
    let decision = other.claim(&claim(1)).get().await.unwrap();
    assert!(matches!(decision, Decision::Granted(_)), "{decision:?}");
    assert_eq!(epoch(), before, "it has gone on");
    for store in [&other, &one] {
        assert_eq!(counts(store).await, [2_101, 1, 0, 1]);
    }
}

/// What one was granted last nobody else has heard of.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_lost_all_grants_nothing_until_all_who_were_there_have_told_it_again() {
    let server = Server::start(&[]);
    let options = || {
        let limits = Limits::new([Limit::requests(2).every(DAY)]).unwrap();
        let options = RedisOptions::new(&server.url(), limits).unwrap();
        options.timeout(Duration::from_secs(20))
    };
    let open = || tokio::task::block_in_place(|| options().open().unwrap());
    let one = open();
    let granted = async |store: &RedisStore| store.claim(&claim(0)).get().await;
    assert!(matches!(granted(&one).await, Ok(Decision::Granted(_))));
    lose_all(&server);
    // There was nobody else.
    assert!(matches!(granted(&one).await, Ok(Decision::Granted(_))));
    lose_all(&server);
    one.budgets().get().await.unwrap();
    let other = open();
    one.reconfigure(
        &Limits::new([Limit::requests(3).every(DAY)]).unwrap(),
        &Reason::default(),
    )
    .get()
    .await
    .unwrap();
    assert!(matches!(granted(&one).await, Ok(Decision::Granted(_))));
    lose_all(&server);
    let error = granted(&other).await.unwrap_err().to_string();
    assert!(error.contains("has lost what it had"), "{error}");
    one.budgets().get().await.unwrap();
    loop {
        match granted(&other).await {
            Ok(Decision::NotNow(_)) => break,
            Ok(decision) => panic!("all three are taken: {decision:?}"),
            Err(error) => assert!(
                error.to_string().contains("has lost what it had"),
                "{error}"
            ),
        }
    }
}
