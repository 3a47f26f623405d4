//! What processes that count on one server see of each other.
#![cfg(feature = "redis")]

use crate::servers as redis;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use redis::Server;
use tower_quota::{
    Limiter, Money, Rejection, Tag, Tags, Usage,
    limit::{Demand, Limit, LimitError, Limits},
    limiter::{Call, QueueOptions},
    store::{
        BudgetChange, Claim, Correction, Decision, Reason, Settlement, Store, Waiting,
        redis::{RedisOptions, RedisStore},
    },
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

fn limits(all: impl IntoIterator<Item = Limit>) -> Limits {
    Limits::new(all).unwrap()
}

fn options(server: &Server, limits: Limits) -> RedisOptions {
    let options = RedisOptions::new(&server.url(), limits).unwrap();
    options.timeout(Duration::from_secs(20))
}

fn claim(tokens: u64) -> Claim {
    Claim::new(
        Tags::new().with(Tag::Agent, "a"),
        Demand {
            input: tokens,
            cost: tokens,
            ..Demand::default()
        },
    )
}

async fn granted(store: &RedisStore, claim: &Claim) -> bool {
    matches!(
        store.claim(claim).get().await.unwrap(),
        Decision::Granted(_)
    )
}

/// `{"cost": …}` in nano-dollars, spent for good.
async fn spend(store: &RedisStore, nanos: u64) {
    let Decision::Granted(mut grant) = store.claim(&claim(nanos)).get().await.unwrap() else {
        panic!("there is room");
    };
    store.date(&mut grant);
    store
        .settle(grant, Settlement::Unknown)
        .get()
        .await
        .unwrap();
}

#[tokio::test]
async fn what_one_takes_the_other_does_not_have_and_what_it_gives_back_it_has() {
    let server = Server::start(&[]);
    let set = || limits([Limit::concurrency(3)]);
    let [one, other] = [(); 2].map(|()| options(&server, set()).open().unwrap());
    let Decision::Granted(first) = one.claim(&claim(1)).get().await.unwrap() else {
        panic!("there is room");
    };
    assert!(granted(&other, &claim(1)).await && granted(&one, &claim(1)).await);
    assert!(!granted(&one, &claim(1)).await && !granted(&other, &claim(1)).await);
    one.release(first).get().await.unwrap();
    assert!(granted(&other, &claim(1)).await && !granted(&one, &claim(1)).await);
}

#[tokio::test]
async fn namespaces_do_not_feel_each_other() {
    let server = Server::start(&[]);
    let set = || limits([Limit::concurrency(1)]);
    let one = options(&server, set()).namespace("one").open().unwrap();
    let other = options(&server, set()).namespace("other").open().unwrap();
    assert!(granted(&one, &claim(1)).await && granted(&other, &claim(1)).await);
    assert!(!granted(&one, &claim(1)).await);
}

#[tokio::test]
async fn what_is_given_back_there_wakes_who_waits_here_without_a_timer() {
    let server = Server::start(&[]);
    let set = || limits([Limit::concurrency(1)]);
    let stores = [(); 2].map(|()| Arc::new(options(&server, set()).open().unwrap()));
    let [one, other] = stores.map(|store| Limiter::build(store, QueueOptions::new()));
    for _ in 0..20 {
        let held = one.acquire(Call::new()).await.unwrap();
        let waits = tokio::spawn({
            let other = other.clone();
            async move { other.acquire(Call::new()).await.map(drop) }
        });
        while other.waiting() == 0 {
            tokio::task::yield_now().await;
        }
        held.release();
        waits.await.unwrap().unwrap();
    }
}

/// Two that say nothing by themselves meanwhile, however slow the machine is.
fn two_quiet_ones(server: &Server, set: &Limits, image_after: u64) -> [RedisStore; 2] {
    let options = options(server, set.clone())
        .image_after(image_after)
        .timeout(MINUTE)
        .silence(24 * HOUR);
    [(); 2].map(|()| options.clone().open().unwrap())
}

/// What came free is in an image when the other asks, and stands in the log no more.
#[tokio::test]
async fn what_is_given_back_there_and_comes_with_an_image_is_told_here_too() {
    let server = Server::start(&[]);
    let [one, other] = two_quiet_ones(&server, &limits([Limit::concurrency(1)]), 1);
    let Decision::Granted(held) = one.claim(&claim(1)).get().await.unwrap() else {
        panic!("there is room");
    };
    assert!(!granted(&other, &claim(1)).await);
    let told = Arc::new(AtomicBool::new(false));
    let hears = told.clone();
    other.watch(Arc::new(move || hears.store(true, Ordering::SeqCst)));
    one.release(held).get().await.unwrap();
    // An image is written behind the answer, and before the next question.
    one.budgets().get().await.unwrap();
    assert!(!told.load(Ordering::SeqCst));
    other.budgets().get().await.unwrap();
    assert!(told.load(Ordering::SeqCst));
}

#[tokio::test]
async fn limits_that_one_changes_hold_for_all() {
    let server = Server::start(&[]);
    let set = |amount| limits([Limit::requests(amount).every(MINUTE)]);
    let [one, other] = [(); 2].map(|()| options(&server, set(1)).open().unwrap());
    spend(&one, 0).await;
    assert!(!granted(&other, &claim(0)).await);
    one.reconfigure(&set(2), &Reason::default())
        .get()
        .await
        .unwrap();
    assert!(granted(&other, &claim(0)).await);
    assert!(!granted(&one, &claim(0)).await);
    // Opened as before: what was changed at run time holds.
    let third = options(&server, set(1)).open().unwrap();
    assert!(!granted(&third, &claim(0)).await);
    assert_eq!(
        third.limits().iter().next().unwrap().to_string(),
        "requests 2/min"
    );
    // Opened with another: that holds, for all.
    let fourth = options(&server, set(3)).open().unwrap();
    assert!(granted(&one, &claim(0)).await && !granted(&fourth, &claim(0)).await);
}

#[tokio::test]
async fn what_a_configuration_gives_that_is_read_again_is_what_all_are_opened_with() {
    let server = Server::start(&[]);
    let set = |amount| limits([Limit::requests(amount).every(MINUTE)]);
    let open = |amount| options(&server, set(amount)).open().unwrap();
    let held = |store: &RedisStore| store.limits().iter().next().unwrap().to_string();
    let why = Reason::default();
    let one = open(10);
    one.reload(&set(20), &set(20), &why).get().await.unwrap();
    // It was taken back.
    assert_eq!(held(&open(10)), "requests 10/min");
    one.reload(&set(20), &set(20), &why).get().await.unwrap();
    one.reconfigure(&set(100), &why).get().await.unwrap();
    assert_eq!(held(&open(20)), "requests 100/min");
    // One whose file says something else than that of who was opened last keeps what it had by hand.
    one.reload(&set(50), &set(10), &why).get().await.unwrap();
    assert_eq!(held(&one), "requests 50/min");
    assert_eq!(held(&open(10)), "requests 50/min");
}

/// What one has changed just now, and the other has not heard of.
#[tokio::test]
async fn what_is_changed_by_hand_takes_back_nothing_that_was_changed_through_another() {
    let server = Server::start(&[]);
    let set = limits([Limit::requests(1).every(MINUTE)]);
    let stores = two_quiet_ones(&server, &set, 10_000).map(Arc::new);
    let [one, other] = stores.map(|store| Limiter::build(store, QueueOptions::new()));
    let pause = |name: &str| Limit::paused().when(Tag::Agent, name);
    let words = |limiter: &Limiter| -> Vec<String> {
        let limits = limiter.limits();
        limits.iter().map(ToString::to_string).collect()
    };
    let paused = |limits: &Limits| limits.with(pause("a"));
    one.change("it loops", paused).await.unwrap();
    let raised = |limits: &Limits| limits.with_amount("requests 1/min", None, 2);
    other.change("more", raised).await.unwrap();
    assert_eq!(words(&other), ["requests 2/min", "agent=a is paused"]);
    // Nor is it missed.
    let paused = |limits: &Limits| limits.with(pause("b"));
    other.change("it loops too", paused).await.unwrap();
    let ended = |limits: &Limits| Ok::<_, LimitError>(limits.without(&pause("b")));
    one.change("mended", ended).await.unwrap();
    assert_eq!(words(&one), ["requests 2/min", "agent=a is paused"]);
    // Whoever says what all limits are says so.
    other.reconfigure(&set).await.unwrap();
    assert_eq!(words(&other), ["requests 1/min"]);
}

#[tokio::test]
async fn a_budget_is_one_budget_and_what_happens_to_it_is_told_once() {
    let server = Server::start(&[]);
    let budget = || {
        let budget = Limit::cost(Money::from_nanos(1_000)).every(60 * MINUTE);
        limits([budget.thresholds([0.5])])
    };
    let [one, other] = [(); 2].map(|()| options(&server, budget()).open().unwrap());
    spend(&one, 300).await;
    spend(&other, 300).await;
    // Either has seen all by then.
    assert!(!granted(&one, &claim(500)).await && !granted(&other, &claim(500)).await);
    let told = |store: &RedisStore| -> Vec<BudgetChange> {
        store
            .events()
            .into_iter()
            .map(|event| event.change)
            .collect()
    };
    assert_eq!(told(&one), []);
    assert_eq!(told(&other), [BudgetChange::Passed { share: 0.5 }]);
    assert_eq!(told(&other), []);
}

#[tokio::test]
async fn the_audit_log_has_what_was_done_by_hand_each_once_whoever_did_it() {
    let server = Server::start(&[]);
    let budget = |dollars| limits([Limit::cost(Money::from_dollars(dollars)).every(MINUTE)]);
    let by = |name: &str| {
        options(&server, budget(1))
            .by(name.to_owned())
            .open()
            .unwrap()
    };
    let (one, other) = (by("one"), by("other"));
    let tags = Tags::new();
    let to = Correction::More(Money::from_nanos(5));
    one.correct(&tags, to, &"a refund".into())
        .get()
        .await
        .unwrap();
    let user = Tags::new().with(Tag::User, "ada");
    let raise = tower_quota::scope(user, async {
        other
            .reconfigure(&budget(2), &Reason::default())
            .get()
            .await
            .unwrap();
    });
    raise.await;
    // Others note it too, and it is there once.
    let _ = granted(&one, &claim(1)).await;
    let third = options(&server, budget(3)).by("third").open().unwrap();
    let (seen, same) = (
        third.audit().get().await.unwrap(),
        one.audit().get().await.unwrap(),
    );
    assert_eq!(seen, same);
    let seen: Vec<_> = seen
        .iter()
        .map(|entry| {
            let [old, new] = [&entry.old, &entry.new].map(|text| text.as_deref().unwrap_or("-"));
            format!(
                "{} {old} > {new} by {}: {}",
                entry.what, entry.by, entry.why
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            "correct $0.00 > $0.000000005 by one: a refund",
            "limit cost $1.00/min > cost $2.00/min by ada: changed at run time",
            "limit cost $2.00/min > cost $3.00/min by third: opened with others",
        ]
    );
}

#[tokio::test]
async fn one_that_leaves_leaves_nothing_and_is_asked_nothing_any_more() {
    let server = Server::start(&[]);
    let set = || limits([Limit::concurrency(1)]);
    let [one, other] = [(); 2].map(|()| options(&server, set()).open().unwrap());
    assert!(granted(&one, &claim(1)).await && !granted(&other, &claim(1)).await);
    assert_eq!(other.processes(), 2);
    one.close().unwrap();
    one.close().unwrap();
    let said = one.claim(&claim(1)).get().await.unwrap_err().to_string();
    assert!(said.contains("open it again"), "{said}");
    assert!(granted(&other, &claim(1)).await);
    assert_eq!(other.processes(), 1);
}

#[tokio::test]
async fn one_that_falls_silent_is_dead_and_its_slots_are_free() {
    let server = Server::start(&[]);
    let set = || limits([Limit::concurrency(1), Limit::tokens(100).every(MINUTE)]);
    let opened = |silence| {
        let options = options(&server, set()).silence(Duration::from_millis(silence));
        Arc::new(options.open().unwrap())
    };
    let (one, other) = (opened(30), opened(600_000));
    assert!(granted(&other, &claim(60)).await);
    // Its word that it lives would come after many minutes; the first one does not wait for so long.
    let limiter = Limiter::build(one.clone(), QueueOptions::new());
    let free = limiter.acquire(Call::new().tokens(10, 0)).await.unwrap();
    free.settle(Usage::new(10, 0));
    let refused = limiter.try_acquire(Call::new().tokens(50, 0)).await;
    let Err(Rejection::RateLimited(shortage)) = refused else {
        panic!("what it had reserved counts: {refused:?}");
    };
    assert_eq!(shortage.in_use, 70);
    let noted = one.audit().get().await.unwrap();
    assert_eq!(noted.last().unwrap().what, "recover");
}

/// A small call takes nothing that a large one of another process waits for, and has it when that goes away.
#[tokio::test(start_paused = true)]
async fn who_waits_first_goes_first_over_all_processes() {
    let second = Duration::from_secs(1);
    let server = Server::start(&[]);
    let set = limits([Limit::tokens(100).every(MINUTE).margin(Duration::ZERO)]);
    let options = options(&server, set).time_passed_in();
    let [one, other] = [(); 2].map(|()| options.clone().open().unwrap());
    // Ten leave every three seconds, from the sixtieth on.
    for _ in 0..9 {
        spend(&one, 10).await;
        tokio::time::advance(3 * second).await;
    }
    let large = Waiting {
        number: 7,
        priority: 0,
    };
    let waits = async |store: &RedisStore| {
        let said = store.claim_waiting(&claim(50), large).get().await.unwrap();
        let Decision::NotNow(refused) = said else {
            panic!("there is no room: {said:?}");
        };
        refused.at.map(|at| at.since(store.now()))
    };
    assert_eq!(waits(&one).await, Some(42 * second));
    // There is room for ten. Taken, the large one would go three seconds later.
    assert!(!granted(&other, &claim(10)).await, "it was first");
    assert!(
        granted(&one, &claim(1)).await,
        "its own process knows who is first there"
    );
    one.forgo(7);
    // Nobody waits for that: it is there with the next answer.
    drop(one.budgets().get().await.unwrap());
    assert!(granted(&other, &claim(9)).await);
    assert_eq!(waits(&one).await, Some(45 * second));
    for _ in 0..8 {
        tokio::time::advance(5 * second).await;
        waits(&one).await;
    }
    tokio::time::advance(8 * second).await;
    // Sixty are free.
    assert!(!granted(&other, &claim(11)).await, "fifty are kept");
    assert!(granted(&other, &claim(10)).await, "beside it there is room");
    let Decision::Granted(grant) = one.claim_waiting(&claim(50), large).get().await.unwrap() else {
        panic!("it has waited for that");
    };
    one.release(grant).get().await.unwrap();
    assert!(
        granted(&other, &claim(50)).await,
        "nothing is kept any more"
    );
}

/// What has left by the time at which the large one has room keeps nobody waiting until then.
#[tokio::test(start_paused = true)]
async fn what_does_not_make_the_first_wait_longer_goes_on() {
    let server = Server::start(&[]);
    let set = limits([Limit::tokens(100).every(MINUTE).margin(Duration::ZERO)]);
    let options = options(&server, set).time_passed_in();
    let [one, other] = [(); 2].map(|()| options.clone().open().unwrap());
    // All of it leaves at once.
    spend(&one, 90).await;
    let large = Waiting {
        number: 7,
        priority: 0,
    };
    let refused = one.claim_waiting(&claim(50), large).get().await.unwrap();
    assert!(matches!(refused, Decision::NotNow(_)), "{refused:?}");
    assert!(
        granted(&other, &claim(10)).await,
        "it waits no longer by that"
    );
}
