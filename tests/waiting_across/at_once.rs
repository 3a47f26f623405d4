//! Where the store answers later, several are asked for at once, and nobody passes anybody by that.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tower_quota::{
    Limiter, Tag, Tags,
    limit::Limit,
    limiter::{Call, Permit},
};

use crate::{MINUTE, limits, server::Server, settled, waits};

/// So many places, all of which are taken.
async fn taken(server: &Arc<Server>, limiter: &Limiter, places: usize) -> Vec<Permit> {
    let mut held = Vec::new();
    let calls: Vec<_> = (0..places).map(|_| waits(limiter, Call::new())).collect();
    settled().await;
    server.answer_all();
    for call in calls {
        held.push(call.await.unwrap().unwrap());
    }
    held
}

/// So many calls that wait, and the order in which they are let in. Each holds its place for good.
async fn queue(
    server: &Arc<Server>,
    limiter: &Limiter,
    calls: impl IntoIterator<Item = Call>,
) -> Arc<Mutex<Vec<usize>>> {
    let order = Arc::new(Mutex::new(Vec::new()));
    for (number, call) in calls.into_iter().enumerate() {
        let (limiter, order) = (limiter.clone(), order.clone());
        drop(tokio::spawn(async move {
            let permit = limiter.acquire(call).await.unwrap();
            order.lock().unwrap().push(number);
            std::future::pending::<()>().await;
            drop(permit);
        }));
        settled().await;
        server.answer_all();
    }
    settled().await;
    server.answer_all();
    settled().await;
    order
}

/// Answers all, again and again, until nobody is asked for. How many were at a time.
async fn rounds(server: &Server) -> Vec<usize> {
    let mut rounds = Vec::new();
    loop {
        settled().await;
        match server.asked() {
            0 => return rounds,
            asked => rounds.push(asked),
        }
        assert!(rounds.len() < 1_000, "{rounds:?}");
        server.answer_all();
    }
}

#[tokio::test(start_paused = true)]
async fn with_each_that_is_let_in_one_more_is_asked_for_at_once() {
    let server = Server::new(limits([Limit::concurrency(50)]));
    let limiter = Limiter::with_store(server.handle(0));
    let held = taken(&server, &limiter, 50).await;
    let order = queue(&server, &limiter, (0..60).map(|_| Call::new())).await;
    assert_eq!((server.asked(), limiter.waiting()), (0, 60));
    drop(held);
    let rounds = rounds(&server).await;
    // 1 + 2 + 4 + 8 + 16 = 31 are let in, 19 of the next are, and then the one in turn is alone again.
    assert_eq!(rounds[..6], [1, 2, 4, 8, 16, 29]);
    assert!(rounds[6..].iter().all(|asked| *asked == 1), "{rounds:?}");
    assert_eq!(*order.lock().unwrap(), (0..50).collect::<Vec<_>>());
    assert_eq!((limiter.waiting(), server.registered()), (10, 1));
}

#[tokio::test(start_paused = true)]
async fn no_more_than_1_024_are_asked_for_at_once() {
    let server = Server::new(limits([Limit::concurrency(3_000)]));
    let limiter = Limiter::with_store(server.handle(0));
    let held = taken(&server, &limiter, 3_000).await;
    let order = queue(&server, &limiter, (0..3_000).map(|_| Call::new())).await;
    drop(held);
    let rounds = rounds(&server).await;
    assert_eq!(rounds.into_iter().max(), Some(1_024));
    assert_eq!(*order.lock().unwrap(), (0..3_000).collect::<Vec<_>>());
}

/// Calls on different counts do not wait for each other's answers.
#[tokio::test(start_paused = true)]
async fn each_count_has_its_own() {
    let server = Server::new(limits([Limit::concurrency(1).per(Tag::Model)]));
    let limiter = Limiter::with_store(server.handle(0));
    let model = |number: usize| Call::new().tags(Tags::new().with(Tag::Model, number.to_string()));
    let calls: Vec<_> = (0..10).map(|n| waits(&limiter, model(n))).collect();
    settled().await;
    server.answer_all();
    let mut held = Vec::new();
    for call in calls {
        held.push(call.await.unwrap().unwrap());
    }
    let order = queue(&server, &limiter, (0..20).map(|n| model(n % 10))).await;
    drop(held);
    settled().await;
    assert_eq!(server.asked(), 10, "the first of each");
    server.answer_all();
    settled().await;
    assert_eq!(order.lock().unwrap().len(), 10);
}

/// What needs more than there is is passed by those on their way with it, and then by nobody.
#[tokio::test(start_paused = true)]
async fn one_that_is_refused_is_asked_for_alone_until_it_is_let_in() {
    let limit = Limit::tokens(100).every(MINUTE).margin(Duration::ZERO);
    let server = Server::new(limits([limit]));
    let limiter = Limiter::with_store(server.handle(0));
    let tokens = |amount| Call::new().tokens(amount, 0);
    let all = waits(&limiter, tokens(100));
    settled().await;
    server.answer_all();
    let all = all.await.unwrap().unwrap();
    // Four small ones, a large one, and small ones without end.
    let small = std::iter::repeat_n(5, 4);
    let sizes = small.chain([90]).chain(std::iter::repeat_n(1, 200));
    let order = queue(&server, &limiter, sizes.map(tokens)).await;
    all.release();
    rounds(&server).await;
    // Asked for: 5; 5, 5; 5, 90, 1, 1. The 90 do not fit beside 20, and are asked for alone from then on.
    let claims = server.log().claims;
    let mut claims = claims.iter().map(|claim| (claim.2, claim.3));
    claims.find(|claim| *claim == (5, true));
    let claims: Vec<(u64, bool)> = claims.collect();
    let three = [(5, true); 3];
    assert_eq!(claims[..3], three);
    assert_eq!(claims[3..6], [(90, false), (1, true), (1, true)]);
    assert!(claims.len() > 6, "it is asked for once more");
    assert!(
        claims[6..].iter().all(|claim| *claim == (90, false)),
        "{claims:?}"
    );
    assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 5, 6]);
    // Whatever is looked at now, nobody but that one is asked for.
    for _ in 0..10 {
        server.renew();
        settled().await;
        assert_eq!(server.asked(), 1);
        server.answer_all();
    }
    assert_eq!(order.lock().unwrap().len(), 6);
    let (last, _) = (server.log().claims, ());
    assert!(
        last.iter()
            .rev()
            .take(10)
            .all(|claim| claim.1 && claim.2 == 90)
    );
}

/// Whoever comes while others are on their way waits behind them, or asks for itself where it goes before all of them.
#[tokio::test(start_paused = true)]
async fn one_that_comes_meanwhile_stands_where_it_would() {
    let server = Server::new(limits([Limit::concurrency(8)]));
    let limiter = Limiter::with_store(server.handle(0));
    let held = taken(&server, &limiter, 8).await;
    let order = queue(&server, &limiter, (0..12).map(|_| Call::new())).await;
    drop(held);
    settled().await;
    server.answer_all();
    settled().await;
    assert_eq!(server.asked(), 2);
    let urgent = waits(&limiter, Call::new().priority(10));
    let late = waits(&limiter, Call::new());
    settled().await;
    assert_eq!(server.asked(), 3, "the urgent one asks, the other waits");
    rounds(&server).await;
    assert!(urgent.is_finished() && !late.is_finished());
    assert_eq!(*order.lock().unwrap(), (0..7).collect::<Vec<_>>());
}

/// Where shares are guaranteed who is next depends on what was granted: one after another.
#[tokio::test(start_paused = true)]
async fn those_with_guaranteed_shares_are_asked_for_one_by_one() {
    let limit = Limit::requests(8)
        .every(MINUTE)
        .share(Tag::Team, "a", 0.5)
        .margin(Duration::ZERO);
    let server = Server::new(limits([limit]));
    let limiter = Limiter::with_store(server.handle(0));
    let team = |name: &str| Call::new().tags(Tags::new().with(Tag::Team, name));
    let mut held = Vec::new();
    for _ in 0..8 {
        let call = waits(&limiter, team("b"));
        settled().await;
        server.answer_all();
        held.push(call.await.unwrap().unwrap());
    }
    let order = queue(&server, &limiter, (0..16).map(|n| team(["b", "a"][n % 2]))).await;
    held.into_iter().for_each(Permit::release);
    let mut most = 0;
    loop {
        settled().await;
        most = most.max(server.asked());
        if !server.answer_one() {
            break;
        }
    }
    assert_eq!(most, 1);
    let order = order.lock().unwrap();
    assert_eq!(order.len(), 8);
    let first: Vec<usize> = order.iter().take(4).map(|n| n % 2).collect();
    assert_eq!(first, [1; 4], "the team below its share: {order:?}");
}

/// What is given back while the answer is on its way is not in it.
#[tokio::test(start_paused = true)]
async fn one_that_was_refused_before_something_was_given_back_is_asked_for_again() {
    let server = Server::new(limits([Limit::concurrency(1)]));
    let limiter = Limiter::with_store(server.handle(0));
    let held = taken(&server, &limiter, 1).await;
    let order = queue(&server, &limiter, [Call::new()]).await;
    server.renew();
    settled().await;
    assert_eq!(server.asked(), 1);
    let tell = server.decide_one();
    drop(held);
    settled().await;
    assert_eq!(server.asked(), 0, "it is asked for already");
    tell.unwrap()();
    rounds(&server).await;
    assert_eq!(*order.lock().unwrap(), [0]);
}

/// One that needs what another is asked for on another count, and goes before it, waits for that answer.
#[tokio::test(start_paused = true)]
async fn one_that_waits_for_anothers_answer_is_looked_at_after_that() {
    let server = Server::new(limits([
        Limit::concurrency(2),
        Limit::concurrency(1).per(Tag::Model),
    ]));
    let limiter = Limiter::with_store(server.handle(0));
    let model = |name: &str| Call::new().tags(Tags::new().with(Tag::Model, name));
    let takes = async |name| {
        let call = waits(&limiter, model(name));
        settled().await;
        server.answer_all();
        call.await.unwrap().unwrap()
    };
    let b = takes("b").await;
    // One waits for its model, and another, which goes before it, for any place.
    let one = queue(&server, &limiter, [model("b")]).await;
    let a = takes("a").await;
    let other = queue(&server, &limiter, [model("c").priority(9)]).await;
    let let_in = || (one.lock().unwrap().len(), other.lock().unwrap().len());
    drop(b);
    settled().await;
    assert_eq!(server.asked(), 1, "the one that goes first");
    rounds(&server).await;
    assert_eq!(let_in(), (0, 1));
    drop(a);
    rounds(&server).await;
    assert_eq!(let_in(), (1, 1));
}

/// Calls that have not to wait are asked for as ever: each by itself, and not as one that waits.
#[tokio::test(start_paused = true)]
async fn calls_that_find_room_are_not_registered() {
    let server = Server::answering(limits([Limit::concurrency(5)]), Duration::ZERO);
    let limiter = Limiter::with_store(server.handle(0));
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(limiter.acquire(Call::new()).await.unwrap());
    }
    let log = server.log();
    assert!(log.did.is_empty());
    assert!(log.claims.iter().all(|(_, first, _, _)| !first));
}
