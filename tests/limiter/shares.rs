//! A27. Guaranteed shares with borrowing: nothing lies idle for an owner, and what becomes free is its own when it
//! wants it.

use crate::later;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use later::LaterStore;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};
use tower_quota::{
    Limiter, Tag, Tags, Usage,
    limit::{Charge, Limit, Limits},
    limiter::{Call, Permit, QueueOptions},
    store::{MemoryStore, Store},
};

const PERIOD: Duration = Duration::from_secs(100);
const SECOND: Duration = Duration::from_secs(1);

fn requests(amount: u64) -> Limit {
    Limit::requests(amount).every(PERIOD).margin(Duration::ZERO)
}

fn by_team() -> QueueOptions {
    QueueOptions::new().share_by(Tag::Team)
}

fn limiter(limits: impl IntoIterator<Item = Limit>, options: QueueOptions) -> Limiter {
    let store = MemoryStore::new(Limits::new(limits).unwrap());
    Limiter::build(Arc::new(store), options)
}

fn team(name: &str) -> Call {
    Call::new().tags(Tags::new().with(Tag::Team, name))
}

/// Who was let in when, in seconds.
type Log = Arc<Mutex<Vec<(u64, &'static str)>>>;

struct Teams {
    limiter: Limiter,
    start: Instant,
    log: Log,
    tasks: JoinSet<()>,
}

impl Teams {
    fn of(limiter: Limiter) -> Self {
        Teams {
            limiter,
            start: Instant::now(),
            log: Log::default(),
            tasks: JoinSet::new(),
        }
    }

    async fn until(&self, second: u64) {
        sleep_until(self.start + u32::try_from(second).unwrap() * SECOND).await;
    }

    /// Has so many calls of a team wait.
    fn ask(&mut self, name: &'static str, calls: usize) {
        for _ in 0..calls {
            let (limiter, log, start) = (self.limiter.clone(), self.log.clone(), self.start);
            let call = team(name);
            self.tasks.spawn(async move {
                let permit = limiter.acquire(call).await.unwrap();
                log.lock().unwrap().push((start.elapsed().as_secs(), name));
                drop(permit);
            });
        }
    }

    /// How many of whose calls were let in from one second on until before another.
    fn let_in(&self, name: &str, seconds: std::ops::Range<u64>) -> usize {
        let log = self.log.lock().unwrap();
        log.iter()
            .filter(|(at, who)| *who == name && seconds.contains(at))
            .count()
    }

    /// One call of the borrowers each second: what they use becomes free one by one, from second 100 on.
    async fn evenly(&mut self, name: &'static str) {
        for second in 0..100 {
            self.until(second).await;
            self.ask(name, 1);
        }
        self.until(99).await;
        sleep(SECOND / 2).await;
        assert_eq!(
            self.let_in(name, 0..100),
            100,
            "nothing lies idle for an owner"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn others_use_all_of_it_and_what_becomes_free_is_the_owners_until_it_has_its_share() {
    let limit = requests(100).share(Tag::Team, "owner", 0.3);
    let mut teams = Teams::of(limiter([limit], by_team()));
    teams.evenly("others").await;
    teams.ask("others", 500);
    teams.until(120).await;
    sleep(SECOND / 2).await;
    assert_eq!(teams.let_in("others", 100..121), 21);
    // The owner comes back, behind 479.
    teams.ask("owner", 200);
    teams.until(150).await;
    sleep(SECOND / 2).await;
    let (owner, others) = (
        teams.let_in("owner", 121..151),
        teams.let_in("others", 121..151),
    );
    println!("of 30 that became free: owner {owner}, others {others}");
    assert_eq!((owner, others), (30, 0));
    // It has its share. Beyond that it had more than its turn, so the others are first until they had as much.
    teams.until(180).await;
    sleep(SECOND / 2).await;
    assert_eq!(
        (
            teams.let_in("owner", 151..181),
            teams.let_in("others", 151..181)
        ),
        (0, 30)
    );
    // And from then on both have half of it: it is never less than its fair share either.
    teams.until(380).await;
    sleep(SECOND / 2).await;
    let halves = (
        teams.let_in("owner", 181..381),
        teams.let_in("others", 181..381),
    );
    println!(
        "of 200 beyond its share: owner {}, others {}",
        halves.0, halves.1
    );
    assert!((95..=105).contains(&halves.0) && halves.0 + halves.1 == 200);
}

#[tokio::test(start_paused = true)]
async fn without_a_share_both_have_half_from_the_start() {
    let mut teams = Teams::of(limiter([requests(100)], by_team()));
    teams.evenly("others").await;
    teams.ask("others", 500);
    teams.until(120).await;
    sleep(SECOND / 2).await;
    teams.ask("owner", 200);
    teams.until(180).await;
    sleep(SECOND / 2).await;
    let (owner, others) = (
        teams.let_in("owner", 121..181),
        teams.let_in("others", 121..181),
    );
    assert_eq!((owner, others), (30, 30));
}

/// Fair shares give it less than it is guaranteed: nine agents beside it, and its guarantee is half.
#[tokio::test(start_paused = true)]
async fn an_owner_keeps_its_share_beside_however_many_others() {
    let limit = requests(100).share(Tag::Team, "owner", 0.5);
    let mut teams = Teams::of(limiter([limit], by_team()));
    teams.evenly("a").await;
    for name in ["a", "b", "c", "d", "e", "f", "g", "h", "i"] {
        teams.ask(name, 100);
    }
    teams.ask("owner", 500);
    teams.until(500).await;
    sleep(SECOND / 2).await;
    for from in [100, 200, 300, 400] {
        let owner = teams.let_in("owner", from..from + 100);
        println!("seconds {from} to {}: owner {owner} of 100", from + 100);
        assert!((49..=51).contains(&owner), "{owner}");
    }
}

/// All of it is guaranteed and used: what wins is the bound. One that was first in turn and passed for a period goes.
#[tokio::test(start_paused = true)]
async fn nobody_waits_for_ever_though_all_is_guaranteed_and_used() {
    let limit = requests(10)
        .share(Tag::Team, "a", 0.5)
        .share(Tag::Team, "b", 0.5);
    let mut teams = Teams::of(limiter([limit], by_team()));
    for (turn, name) in (0..).zip(["a", "b"].repeat(5)) {
        teams.until(turn * 10).await;
        teams.ask(name, 1);
    }
    teams.until(95).await;
    teams.ask("poor", 3);
    teams.ask("a", 1_000);
    teams.ask("b", 1_000);
    teams.until(1_000).await;
    let poor: Vec<u64> = {
        let log = teams.log.lock().unwrap();
        log.iter()
            .filter(|(_, who)| *who == "poor")
            .map(|(at, _)| *at)
            .collect()
    };
    println!("the third party was let in at {poor:?}");
    assert_eq!(poor.len(), 3);
    let mut last = 95;
    for at in poor {
        assert!(at - last <= 2 * 100 + 10, "{last} to {at}");
        last = at;
    }
    let (a, b) = (teams.let_in("a", 100..1_000), teams.let_in("b", 100..1_000));
    assert!(a + b >= 86 && a.abs_diff(b) <= 2, "{a} and {b}");
}

/// A small call of the owner's does not wait for the instant at which there is room for a large one of others.
#[tokio::test(start_paused = true)]
async fn an_owner_is_looked_at_when_it_falls_below_its_share_and_not_when_others_have_room() {
    let limit = Limit::tokens(100)
        .every(PERIOD)
        .margin(Duration::ZERO)
        .charge(Charge::azure())
        .share(Tag::Team, "owner", 0.2);
    let limiter = limiter([limit], by_team());
    let start = Instant::now();
    let spend = async |name, size| drop(limiter.acquire(team(name).tokens(size, 0)).await.unwrap());
    spend("owner", 20).await;
    sleep(10 * SECOND).await;
    spend("others", 80).await;
    let large = tokio::spawn({
        let (limiter, call) = (limiter.clone(), team("others").tokens(90, 0).priority(5));
        async move { drop(limiter.acquire(call).await.unwrap()) }
    });
    sleep(SECOND).await;
    spend("owner", 10).await;
    assert_eq!(start.elapsed().as_secs(), 100);
    assert!(!large.is_finished());
    large.await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 110);
}

/// Slots: the next that is given back.
async fn next_slot_is_the_owners(limiter: Limiter) {
    let mut held: Vec<Permit> = Vec::new();
    for _ in 0..4 {
        held.push(limiter.acquire(team("others")).await.unwrap());
    }
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = JoinSet::new();
    let mut ask = |name: &'static str, priority| {
        let (limiter, order) = (limiter.clone(), order.clone());
        tasks.spawn(async move {
            let call = team(name).priority(priority);
            let permit = limiter.acquire(call).await.unwrap();
            order.lock().unwrap().push(name);
            permit
        });
    };
    for _ in 0..3 {
        ask("others", 3);
    }
    sleep(SECOND).await;
    for _ in 0..3 {
        ask("owner", 0);
    }
    sleep(SECOND).await;
    for permit in held {
        permit.settle(Usage::default());
        sleep(SECOND).await;
    }
    assert_eq!(
        *order.lock().unwrap(),
        ["owner", "owner", "others", "others"]
    );
}

fn slots() -> Limits {
    Limits::new([Limit::concurrency(4).share(Tag::Team, "owner", 0.5)]).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_slot_that_is_given_back_goes_to_the_owner_though_others_are_more_urgent() {
    let store = Arc::new(MemoryStore::new(slots()));
    next_slot_is_the_owners(Limiter::build(store, by_team())).await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_answers_later_knows_the_shares_as_well() {
    let store: Arc<dyn Store> = Arc::new(LaterStore::new(slots()));
    next_slot_is_the_owners(Limiter::build(store, by_team())).await;
}

/// One that arrives is let in before those who wait, if it is below its share and there is room; others are not
/// let in before an owner that waits.
#[tokio::test(start_paused = true)]
async fn an_arrival_passes_others_below_its_share_and_not_above() {
    let limit = Limit::tokens(100)
        .every(PERIOD)
        .margin(Duration::ZERO)
        .charge(Charge::azure())
        .share(Tag::Team, "owner", 0.3);
    let limiter = limiter([limit], by_team());
    drop(limiter.acquire(team("others").tokens(60, 0)).await.unwrap());
    let waits = tokio::spawn({
        let (limiter, call) = (limiter.clone(), team("others").tokens(50, 0));
        async move { drop(limiter.acquire(call).await.unwrap()) }
    });
    sleep(SECOND).await;
    let takes = async |name, size| {
        let call = team(name).tokens(size, 0);
        limiter.try_acquire(call).await.map(drop).is_ok()
    };
    assert!(!takes("others", 1).await);
    assert!(takes("owner", 29).await);
    assert!(takes("owner", 1).await);
    assert!(!takes("owner", 1).await, "it has its share");
    waits.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn shares_change_at_run_time_and_so_does_whom_they_are_for() {
    let limits = |name: &str, part| {
        let other = requests(10).share(Tag::Team, "other", 0.1);
        Limits::new([other.share(Tag::Team, name, part)]).unwrap()
    };
    let limiter = Limiter::new(limits("owner", 0.2));
    limiter.reconfigure(&limits("owner", 0.3)).await.unwrap();
    let text = limiter.explain(&team("owner")).await.unwrap().to_string();
    assert_eq!(
        text,
        "admitted now\n\
         - requests 10/100s: 0 in use, this call needs 1 (would be 1); room now\n\
         - requests 3/100s (a share of 10/100s) for team=owner: 0 in use, this call needs 1 (would be 1); room now"
    );
    limiter.reconfigure(&limits("stranger", 0.3)).await.unwrap();
    for (name, shares) in [("owner", 1), ("stranger", 2)] {
        let touched = limiter.explain(&team(name)).await.unwrap().limits.len();
        assert_eq!(touched, shares, "{name}");
    }
}

#[test]
fn shares_watch_nothing_that_a_shadow_would_report() {
    let limit = requests(2).share(Tag::Team, "owner", 0.5);
    let store = MemoryStore::new(Limits::new([limit]).unwrap());
    assert_eq!(store.would_have_refused(), []);
}

/// An owner whose calls find room as they come, and never wait, starves nobody who needs more than it leaves.
#[tokio::test(start_paused = true)]
async fn nor_for_ever_where_it_never_waits() {
    let limit = Limit::tokens(100)
        .every(PERIOD)
        .margin(Duration::ZERO)
        .charge(Charge::azure())
        .share(Tag::Team, "owner", 0.3);
    // All are one party: who came first goes first.
    let limiter = limiter([limit], QueueOptions::new());
    drop(limiter.acquire(team("others").tokens(80, 0)).await.unwrap());
    let start = Instant::now();
    let large = tokio::spawn({
        let (limiter, call) = (limiter.clone(), team("others").tokens(90, 0));
        async move {
            drop(limiter.acquire(call).await.unwrap());
            start.elapsed()
        }
    });
    // Two every ten seconds: twenty of its share of thirty, and never more.
    let mut waited = Vec::new();
    while !large.is_finished() {
        let asked = Instant::now();
        drop(limiter.acquire(team("owner").tokens(2, 0)).await.unwrap());
        waited.push(asked.elapsed());
        sleep(10 * SECOND).await;
        assert!(start.elapsed() < 10 * PERIOD, "starved");
    }
    let large = large.await.unwrap();
    println!("large beside an owner that never waits: through after {large:?}");
    // A period in which it is passed; and a period until what was taken has left.
    assert!(large > PERIOD && large <= 2 * PERIOD, "{large:?}");
    assert!(waited[..10].iter().all(Duration::is_zero), "{waited:?}");
}

/// An owner falls below its shares where none of its calls wait: it goes first where they do, at once.
#[tokio::test(start_paused = true)]
async fn an_owner_is_looked_at_when_it_falls_below_its_share_of_another_limit() {
    let yes = |limit: Limit, tag: &str| limit.when(Tag::from(tag), "yes");
    let tokens = Limit::tokens(100)
        .every(PERIOD)
        .margin(Duration::ZERO)
        .charge(Charge::azure());
    let limits = [
        yes(tokens, "g").share(Tag::Team, "owner", 0.3),
        yes(Limit::concurrency(4), "c").share(Tag::Team, "owner", 0.25),
    ];
    let limiter = limiter(limits, QueueOptions::new());
    let call = |name: &str, on: &[&str], size| {
        let tags = Tags::new().with(Tag::Team, name);
        let yes = |all: Tags, tag: &&str| all.with(Tag::from(*tag), "yes");
        Call::new().tags(on.iter().fold(tags, yes)).tokens(size, 0)
    };
    let start = Instant::now();
    let slot = limiter.acquire(call("owner", &["c"], 0)).await.unwrap();
    drop(limiter.acquire(call("others", &["g"], 50)).await.unwrap());
    let mut tasks = Vec::new();
    for call in [
        call("others", &["g"], 90),
        call("owner", &["c", "g"], 10),
        call("others", &["g"], 10),
    ] {
        let limiter = limiter.clone();
        tasks.push(tokio::spawn(async move {
            drop(limiter.acquire(call).await.unwrap());
            start.elapsed().as_secs()
        }));
        sleep(SECOND).await;
    }
    sleep_until(start + 10 * SECOND).await;
    // It has its share of slots: behind those who came before.
    assert_eq!(limiter.waiting(), 3);
    slot.release();
    let mut seconds = Vec::new();
    for task in tasks {
        seconds.push(task.await.unwrap());
    }
    // The large one has to wait for what the owner took to leave.
    assert_eq!(seconds, [100, 10, 110]);
}
