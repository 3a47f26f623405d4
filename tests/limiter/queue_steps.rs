//! With nothing changed in the counts the queue comes to rest: each waiter is tried, is sent where it was refused,
//! and stays there. Steps are counted by the store: at each of them it is asked for the time.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::{
    task::{JoinSet, yield_now},
    time::{Instant, advance},
};
use tower_quota::{
    Limiter, Tag, Tags, Usage,
    error::Rejection,
    limit::{Charge, Limit, Limits, Tick},
    limiter::{Call, Permit, QueueOptions},
    store::{Answer, Claim, Decision, Grant, MemoryStore, Settlement, Standing, Store},
};

const SECOND: Duration = Duration::from_secs(1);
const AMOUNT: u64 = 100;
/// No step of any of these takes that many: whoever comes there goes round in a circle.
const CIRCLE: u64 = 5_000;

/// Counts how often it is asked for the time. Past the circle it panics: a driver that never rests would keep this
/// one thread for ever.
#[derive(Debug)]
struct Counting {
    counts: MemoryStore,
    asked: AtomicU64,
}

impl Store for Counting {
    fn limits(&self) -> Limits {
        self.counts.limits()
    }

    fn now(&self) -> Tick {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        assert!(asked < CIRCLE, "the queue goes round in a circle");
        self.counts.now()
    }

    fn claim(&self, claim: &Claim) -> Answer<Decision> {
        self.counts.claim(claim)
    }

    fn date(&self, grant: &mut Grant) {
        self.counts.date(grant);
    }

    fn streamed(&self, grant: &mut Grant, output: u64) {
        self.counts.streamed(grant, output);
    }

    fn settle(&self, grant: Grant, settlement: Settlement) -> Answer<()> {
        self.counts.settle(grant, settlement)
    }

    fn release(&self, grant: Grant) -> Answer<()> {
        self.counts.release(grant)
    }

    fn peek(&self, claim: &Claim) -> Answer<Vec<Standing>> {
        self.counts.peek(claim)
    }

    fn record(&self, tags: &Tags, usage: Usage) -> Answer<()> {
        self.counts.record(tags, usage)
    }
}

/// A call that waits, or was let in and does not know yet.
struct Waiting {
    acquire: Pin<Box<dyn Future<Output = Result<Permit, Rejection>>>>,
    size: u64,
}

impl Waiting {
    /// Has it run: where it was let in its call leaves now.
    fn run(&mut self) -> Option<Permit> {
        match self
            .acquire
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(permit) => Some(permit.unwrap()),
            Poll::Pending => None,
        }
    }
}

/// One thread, whose driver runs when the test says so, and calls that run when it says so.
struct Scene {
    store: Arc<Counting>,
    limiter: Limiter,
    start: Instant,
}

impl Scene {
    fn new(limits: impl IntoIterator<Item = Limit>, options: QueueOptions) -> Self {
        let store = Arc::new(Counting {
            counts: MemoryStore::new(Limits::new(limits).unwrap()),
            asked: AtomicU64::new(0),
        });
        let limiter = Limiter::build(store.clone(), options);
        Scene {
            store,
            limiter,
            start: Instant::now(),
        }
    }

    fn call(&self, team: &str, tags: &[&str], size: u64, priority: i32) -> Waiting {
        let yes = |all: Tags, tag: &&str| all.with(Tag::from(*tag), "yes");
        let tags = tags.iter().fold(Tags::new().with(Tag::Team, team), yes);
        let call = Call::new().tags(tags).tokens(size, 0).priority(priority);
        let limiter = self.limiter.clone();
        let acquire = Box::pin(async move { limiter.acquire(call).await });
        Waiting { acquire, size }
    }

    /// One that does not get in at once.
    fn waits(&self, team: &str, tags: &[&str], size: u64) -> Waiting {
        let mut call = self.call(team, tags, size, 0);
        assert!(call.run().is_none(), "it has room");
        call
    }

    /// Until so many seconds from the start, and until the driver sleeps.
    async fn until(&self, second: u64) {
        self.rests().await;
        advance((self.start + Duration::from_secs(second)).duration_since(Instant::now())).await;
        self.rests().await;
    }

    /// Lets the driver work until it sleeps. Returns its steps, and those of whoever asked since the last time.
    async fn rests(&self) -> u64 {
        for _ in 0..=CIRCLE {
            let before = self.store.asked.load(Ordering::Relaxed);
            yield_now().await;
            if self.store.asked.load(Ordering::Relaxed) == before {
                break;
            }
        }
        let steps = self.store.asked.swap(0, Ordering::Relaxed);
        assert!(steps < CIRCLE, "the queue goes round in a circle");
        steps
    }
}

/// Tokens per so many seconds for those with the tag.
fn tokens(tag: &str, seconds: u64) -> Limit {
    Limit::tokens(AMOUNT)
        .every(Duration::from_secs(seconds))
        .margin(Duration::ZERO)
        .charge(Charge::azure())
        .when(Tag::from(tag), "yes")
}

/// One that an owner passed on `k` for a period goes first there. An older one, which needs `g` as well, is sent
/// behind it, and from there to `g` again: it must not stand before it and be tried.
#[tokio::test(start_paused = true)]
async fn one_that_goes_before_an_owner_does_not_stand_behind_those_it_goes_before() {
    let limits = [
        tokens("g", 60),
        tokens("k", 10).share(Tag::Team, "owner", 0.3),
    ];
    // All are one party: who came first goes first.
    let scene = Scene::new(limits, QueueOptions::new());
    drop(scene.call("others", &["g"], AMOUNT, 0).run().unwrap());
    drop(scene.call("others", &["k"], 50, 0).run().unwrap());
    scene.until(5).await;
    drop(scene.call("others", &["k"], 50, 0).run().unwrap());
    let mut older = scene.waits("others", &["g", "k"], 10);
    let mut passed = scene.waits("others", &["k"], AMOUNT);
    scene.until(6).await;
    let mut first = scene.waits("owner", &["k"], 5);
    scene.until(10).await;
    drop(first.run().expect("the owner goes first"));
    let second = scene.waits("owner", &["k"], 96);
    // A period after it was passed first something happens on k, and on g.
    scene.until(17).await;
    let mut beside = Vec::new();
    for tag in ["k", "g"] {
        beside.push(scene.waits("others", &[tag], 10));
        scene.rests().await;
    }
    // The owner's call goes away: the next one is looked for.
    drop(second);
    let steps = scene.rests().await;
    println!("{steps} steps until all were where they belong");
    let mut third = scene.waits("owner", &["k"], 96);
    scene.until(20).await;
    assert!(third.run().is_none(), "it was passed again");
    drop(passed.run().expect("its room is there"));
    scene.until(30).await;
    drop(third.run().expect("its room is there"));
    assert!(older.run().is_none());
    scene.until(60).await;
    assert!(older.run().is_some());
    assert!(beside.iter_mut().all(|call| call.run().is_some()));
}

/// What may happen: calls that come, run, go away, end; time that passes. Whoever is let in runs when it is told to,
/// and until then what it holds has no date.
async fn steps_of(seed: u64) -> f64 {
    let mut random = fastrand::Rng::with_seed(seed);
    let share = |limit: Limit, team| {
        if seed.is_multiple_of(2) {
            limit.share(Tag::Team, team, 0.3)
        } else {
            limit
        }
    };
    let slots = Limit::concurrency(8).when(Tag::from("c"), "yes");
    let limits = [
        share(slots, "a"),
        share(tokens("g", 4), "a"),
        share(tokens("k", 8), "b"),
    ];
    let party = [Tag::Team, Tag::User][random.usize(..2)].clone();
    let options = QueueOptions::new().aging(3 * SECOND).share_by(party);
    let scene = Scene::new(limits, options);
    let (mut waiting, mut running) = (Vec::new(), Vec::new());
    let mut most = 0.0f64;
    for _ in 0..1_000 {
        match random.u8(..16) {
            0..8 if waiting.len() < 60 => {
                let team = ["a", "b", "c"][random.usize(..3)];
                let mut tags = ["c", "g", "k"].to_vec();
                tags.retain(|_| random.bool());
                let size = [random.u64(1..20), random.u64(50..=AMOUNT)][random.usize(..2)];
                let mut call = scene.call(team, &tags, size, random.i32(-1..2));
                match call.run() {
                    Some(permit) => running.push((permit, size)),
                    None => waiting.push(call),
                }
            }
            8..10 if !waiting.is_empty() => {
                let place = random.usize(..waiting.len());
                if let Some(permit) = waiting[place].run() {
                    running.push((permit, waiting.swap_remove(place).size));
                }
            }
            10 if !waiting.is_empty() => {
                drop(waiting.swap_remove(random.usize(..waiting.len())));
            }
            11..13 if !running.is_empty() => {
                let (permit, size) = running.swap_remove(random.usize(..running.len()));
                match random.u8(..3) {
                    0 => permit.release(),
                    1 => permit.settle(Usage::new(size, 0)),
                    _ => drop(permit),
                }
            }
            _ => advance(Duration::from_millis(random.u64(..1_000))).await,
        }
        let waited = waiting.len() + 1;
        most = most.max(scene.rests().await as f64 / waited as f64);
    }
    most
}

#[test]
fn the_queue_comes_to_rest_whatever_happens() {
    let mut most = 0.0f64;
    for seed in 0..60 {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        most = most.max(runtime.block_on(steps_of(seed)));
    }
    println!("at most {most:.1} steps for each that waited");
    // Asking itself takes some of them.
    assert!(most <= 10.0, "{most}");
}

/// A driver that has very much to do lets the granted run in between, also where each of them is on a count of its
/// own.
#[tokio::test(start_paused = true)]
async fn the_granted_run_before_all_are_granted() {
    const AGENTS: usize = 200;
    let slots = |most| Limits::new([Limit::concurrency(most).per(Tag::Agent)]).unwrap();
    let limiter = Limiter::new(slots(1));
    let call = |agent: usize| Call::new().tags(Tags::new().with(Tag::Agent, agent.to_string()));
    let (mut held, mut tasks) = (Vec::new(), JoinSet::new());
    for agent in 0..AGENTS {
        held.push(limiter.acquire(call(agent)).await.unwrap());
        let (limiter, call) = (limiter.clone(), call(agent));
        tasks.spawn(async move {
            let permit = limiter.acquire(call).await.unwrap();
            (permit, limiter.waiting())
        });
    }
    while limiter.waiting() < AGENTS {
        yield_now().await;
    }
    limiter.reconfigure(&slots(2)).await.unwrap();
    let waiting = tasks
        .join_all()
        .await
        .into_iter()
        .map(|(_, waiting)| waiting);
    let most = waiting.max().unwrap();
    println!("{most} of {AGENTS} waited still when the first ran");
    assert!(most >= AGENTS - 32, "{most}");
}
