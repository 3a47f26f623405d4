//! Room that processes take ahead: no limit is passed, whoever waits leaves at the instant that it was granted for, and what
//! nobody wants is there for others.
#![cfg(all(feature = "redis", unix))]

use crate::servers as redis;

use std::{cell::Cell, sync::Arc, time::Duration};

use redis::Server;
use tokio::time::Instant;
use tower_quota::{
    Limiter, Money, Tags, Usage,
    limit::{Demand, Limit, Limits, Quantities},
    limiter::{Call, QueueOptions},
    store::{
        Answer, Claim, Decision, Settlement, Store, Waiting, contract,
        redis::{RedisOptions, RedisStore},
    },
};

const PERIOD: Duration = Duration::from_secs(6);
const LEASE: Duration = Duration::from_secs(1);

fn window(limit: Limit) -> Limit {
    limit.every(PERIOD).margin(Duration::ZERO)
}

fn options(server: &Server, limits: impl IntoIterator<Item = Limit>) -> RedisOptions {
    let options = RedisOptions::new(&server.url(), Limits::new(limits).unwrap());
    let options = options.unwrap().timeout(Duration::from_secs(20));
    options.lease(LEASE).time_passed_in()
}

fn claim(attempt: u32, quantities: Quantities) -> Claim {
    Claim {
        quantities,
        attempt,
        ..Claim::new(
            Tags::new(),
            Demand {
                cost: 10,
                ..Demand::default()
            },
        )
    }
}

fn first(number: u64) -> Waiting {
    Waiting {
        number,
        priority: 0,
    }
}

async fn in_use(store: &RedisStore) -> Vec<u64> {
    let standings = store.peek(&claim(0, Quantities::ALL)).get().await.unwrap();
    standings.iter().map(|standing| standing.in_use).collect()
}

/// Uses all of a limit of one request.
async fn use_up(store: &RedisStore) {
    let one = store.claim(&claim(0, Quantities::ADMISSION)).get().await;
    let Decision::Granted(mut grant) = one.unwrap() else {
        panic!("there is room");
    };
    store.date(&mut grant);
    let used = Settlement::Usage(Usage::default());
    store.settle(grant, used).get().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn it_keeps_the_contract() {
    let server = Server::start(&[]);
    let number = Cell::new(0);
    let make = |limits: Limits| -> Arc<dyn Store> {
        number.set(number.get() + 1);
        let options = RedisOptions::new(&server.url(), limits).unwrap();
        let options = options.namespace(number.get().to_string());
        let options = options.absorb_counters(true).lease(LEASE).time_passed_in();
        let options = options.timeout(Duration::from_secs(20));
        Arc::new(options.open().unwrap())
    };
    contract::check(make, tokio::time::advance).await;
}

/// Four processes with calls of all sizes, more than there is room for.
#[tokio::test(start_paused = true)]
async fn processes_pass_no_limit_and_no_budget_and_lose_no_time() {
    let server = Server::start(&[]);
    let mut waited = 0;
    for seed in 0..4 {
        let mut random = fastrand::Rng::with_seed(seed);
        let options = options(
            &server,
            [
                window(Limit::requests(20)),
                window(Limit::tokens(600)),
                Limit::cost(Money::from_nanos(100_000)).every(600 * PERIOD),
            ],
        );
        let options = options.namespace(seed.to_string());
        let stores = [(); 4].map(|()| Arc::new(options.clone().open().unwrap()));
        let limiters = stores
            .clone()
            .map(|store| Limiter::build(store, QueueOptions::new()));
        let start = Instant::now();
        let calls = (0..120).map(|number| {
            let (limiter, tokens) = (limiters[number % 4].clone(), random.u64(1..60));
            tokio::spawn(async move {
                let call = Call::new()
                    .tokens(tokens, 0)
                    .cost(Money::from_nanos(10 * tokens));
                let permit = limiter.acquire(call).await.unwrap();
                let at = start.elapsed();
                tokio::time::sleep(Duration::from_millis(tokens)).await;
                let mut usage = Usage::new(tokens, 0);
                usage.cost = Some(Money::from_nanos(10 * tokens));
                permit.settle(usage);
                (at, tokens)
            })
        });
        let calls: Vec<_> = calls.collect();
        let mut left = Vec::new();
        for call in calls {
            left.push(call.await.unwrap());
        }
        left.sort_unstable();
        for (place, (begin, _)) in left.iter().enumerate() {
            let within = left[place..]
                .iter()
                .take_while(|(at, _)| *at - *begin < PERIOD);
            let (calls, tokens) = within.fold((0, 0), |(calls, all), (_, tokens)| {
                (calls + 1, all + tokens)
            });
            assert!(
                calls <= 20 && tokens <= 600,
                "{calls} calls, {tokens} tokens"
            );
        }
        waited += left.iter().filter(|(at, _)| !at.is_zero()).count();
        let tokens: u64 = left.iter().map(|(_, tokens)| tokens).sum();
        let least = (tokens.div_ceil(600).max(6) - 1) * 6;
        let took = left.last().unwrap().0.as_secs();
        assert!(took <= least + 12, "{took} s, and {least} s at least");
        // What each has done comes before its answer.
        for store in &stores {
            store.budgets().get().await.unwrap();
        }
        let budget = &stores[0].budgets().get().await.unwrap()[0];
        assert_eq!(budget.settled, Money::from_nanos(10 * tokens));
        assert_eq!(budget.reserved, Money::ZERO);
    }
    assert!(waited > 200, "who does not wait shows nothing: {waited}");
}

#[tokio::test(start_paused = true)]
async fn what_is_granted_ahead_leaves_at_its_instant_and_is_not_there_for_others() {
    let server = Server::start(&[]);
    let options = options(&server, [window(Limit::requests(1))]);
    let [one, other] = [(); 2].map(|()| options.clone().open().unwrap());
    use_up(&one).await;
    let call = claim(0, Quantities::ADMISSION);
    let waits = async |store: &RedisStore, number| {
        store
            .claim_waiting(&call, first(number))
            .get()
            .await
            .unwrap()
    };
    assert!(
        matches!(waits(&one, 1).await, Decision::NotNow(_)),
        "it is too far ahead"
    );
    tokio::time::advance(PERIOD - LEASE).await;
    let Decision::Granted(grant) = waits(&one, 1).await else {
        panic!("there will be room");
    };
    let starts = one.starts(&grant).unwrap();
    assert_eq!(starts.since(one.now()), LEASE);
    tokio::time::advance(LEASE).await;
    assert!(
        matches!(waits(&other, 1).await, Decision::NotNow(_)),
        "it is taken"
    );
    one.release(grant).get().await.unwrap();
    // It hears of that with its next round trip.
    other.budgets().get().await.unwrap();
    let Decision::Granted(grant) = waits(&other, 1).await else {
        panic!("it was given back");
    };
    assert_eq!(other.starts(&grant), None, "it may leave now");
}

#[tokio::test(start_paused = true)]
async fn nobody_has_anything_ahead_who_does_not_wait() {
    let server = Server::start(&[]);
    let store = options(&server, [window(Limit::requests(1))])
        .open()
        .unwrap();
    use_up(&store).await;
    tokio::time::advance(PERIOD - LEASE / 2).await;
    let said = store
        .claim(&claim(0, Quantities::ADMISSION))
        .get()
        .await
        .unwrap();
    assert!(matches!(said, Decision::NotNow(_)), "{said:?}");
    tokio::time::advance(LEASE / 2).await;
    assert_eq!(in_use(&store).await, [0]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_given_up_gives_back_what_it_had_ahead() {
    let server = Server::start(&[]);
    let options = options(&server, [window(Limit::requests(1))]);
    let [one, other] = [(); 2].map(|()| Arc::new(options.clone().open().unwrap()));
    use_up(&one).await;
    tokio::time::advance(PERIOD - LEASE / 2).await;
    let [one, other] = [one, other].map(|store| Limiter::build(store, QueueOptions::new()));
    let start = Instant::now();
    {
        let gives_up = one.acquire(Call::new());
        let until = tokio::time::timeout(LEASE / 4, gives_up).await;
        assert!(until.is_err(), "it has its room later");
    }
    let permit = other.acquire(Call::new()).await.unwrap();
    // In time for that instant it is there again, or with the next look.
    assert!(start.elapsed() < LEASE * 2, "{:?}", start.elapsed());
    permit.settle(Usage::default());
}

#[tokio::test(start_paused = true)]
async fn what_an_attempt_needs_besides_is_granted_along_and_given_back_with_it() {
    let server = Server::start(&[]);
    let limits = [
        window(Limit::requests(1)),
        Limit::cost(Money::from_nanos(100)).every(600 * PERIOD),
    ];
    let store = options(&server, limits).open().unwrap();
    use_up(&store).await;
    let [money, room] = [Quantities::BUDGET, Quantities::ADMISSION].map(|all| claim(7, all));
    let Decision::Granted(grant) = store.claim(&money).get().await.unwrap() else {
        panic!("there is money");
    };
    // Nothing is held while it waits.
    store.release(grant).get().await.unwrap();
    tokio::time::advance(PERIOD - LEASE).await;
    for sent in [false, true] {
        let Decision::Granted(grant) = store.claim_waiting(&room, first(1)).get().await.unwrap()
        else {
            panic!("there will be room");
        };
        assert_eq!(in_use(&store).await[1], 10);
        if !sent {
            store.release(grant).get().await.unwrap();
            drop(store.budgets().get().await.unwrap());
            assert_eq!(in_use(&store).await[1], 0);
            continue;
        }
        let along = store.claim(&money);
        let Answer::Now(Ok(Decision::Granted(along))) = along else {
            panic!("it was granted along: {along:?}");
        };
        store
            .settle(along, Settlement::Unknown)
            .get()
            .await
            .unwrap();
        store
            .settle(grant, Settlement::Unknown)
            .get()
            .await
            .unwrap();
        assert_eq!(in_use(&store).await[1], 10, "it was spent");
    }
    let other = store.claim(&claim(8, Quantities::BUDGET));
    assert!(
        matches!(other, Answer::Later(_)),
        "of another attempt nothing was asked for"
    );
    drop(other.get().await.unwrap());
}
