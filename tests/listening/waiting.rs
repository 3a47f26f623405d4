//! What those keep who wait for a told instant: their turn, their room elsewhere, their deadline.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    task::{JoinHandle, yield_now},
    time::{Instant, sleep, sleep_until},
};
use tower_quota::{
    Limiter, Rejection, Tag, Tags,
    limit::{Charge, Limit, Limits},
    limiter::{Call, Permit},
    store::Observation,
};

use crate::work::{MINUTE, secs};

/// Who came through when, in seconds.
#[derive(Clone)]
struct Door {
    limiter: Limiter,
    start: Instant,
    came: Arc<Mutex<Vec<(u64, &'static str)>>>,
}

impl Door {
    fn new(limits: impl IntoIterator<Item = Limit>) -> Self {
        Door {
            limiter: Limiter::new(Limits::new(limits).unwrap()),
            start: Instant::now(),
            came: Arc::default(),
        }
    }

    async fn at(&self, second: u64) {
        sleep_until(self.start + secs(second)).await;
    }

    /// Has a call wait, if it must. It ends as soon as it is through.
    async fn queue(&self, call: Call, name: &'static str) -> JoinHandle<Option<Rejection>> {
        let door = self.clone();
        let task = tokio::spawn(async move {
            let refused = door.limiter.acquire(call).await.err();
            if refused.is_none() {
                let at = door.start.elapsed().as_secs();
                door.came.lock().unwrap().push((at, name));
            }
            refused
        });
        yield_now().await;
        task
    }

    /// How many with this name came in these seconds.
    fn came_in(&self, name: &str, seconds: std::ops::Range<u64>) -> usize {
        let came = self.came.lock().unwrap();
        let those = came
            .iter()
            .filter(|(at, n)| *n == name && seconds.contains(at));
        those.count()
    }
}

fn to(model: &str) -> Tags {
    Tags::new().with(Tag::Model, model)
}

/// The target of this call is to be left alone for so long.
fn close(permit: &Permit, wait: Duration) {
    let until = permit.now().after(wait);
    permit.observe(&Observation::Closed { until });
}

fn requests(amount: u64) -> Limit {
    Limit::requests(amount).every(MINUTE).margin(Duration::ZERO)
}

/// Behind a cooldown of 30 seconds ten go, and ten more a minute later, with those that went before.
#[tokio::test(start_paused = true)]
async fn a_deadline_counts_those_before_and_the_told_instant() {
    let door = Door::new([requests(10)]);
    let call = || Call::new().tags(to("m"));
    let first = door.limiter.acquire(call()).await.unwrap();
    close(&first, secs(30));
    let mut tasks = Vec::new();
    for _ in 0..14 {
        tasks.push(door.queue(call(), "queued").await);
    }
    for (wait, in_time) in [(29, false), (59, false), (91, true)] {
        let behind = door.queue(call().max_wait(secs(wait)), "behind").await;
        assert_eq!(behind.is_finished(), !in_time, "{wait}");
        if in_time {
            tasks.push(behind);
        } else {
            let refused = behind.await.unwrap();
            assert!(matches!(refused, Some(Rejection::DeadlineExceeded(_))));
        }
    }
    // Whoever goes elsewhere need not wait for the instant.
    let elsewhere = Call::new().tags(to("n")).max_wait(secs(29));
    tasks.push(door.queue(elsewhere, "elsewhere").await);
    for task in tasks {
        assert_eq!(task.await.unwrap(), None);
    }
    assert_eq!(door.came_in("elsewhere", 0..1), 1);
    assert_eq!(door.came_in("queued", 30..31), 8);
    assert_eq!(door.came_in("queued", 0..61), 10);
    assert_eq!(door.came_in("behind", 90..91), 1);
}

/// A call that was sent from count to count keeps its room for the instant at which it may go, and not before
/// that matters. Where it is told to wait longer, so does its room.
#[tokio::test(start_paused = true)]
async fn room_is_kept_for_the_told_instant_and_no_longer_than_that_needs() {
    let slot = Limit::concurrency(1).when(Tag::Agent, "large");
    let tokens = Limit::tokens(1_000).every(MINUTE).margin(Duration::ZERO);
    let door = Door::new([slot, tokens.charge(Charge::azure())]);
    let large = |size| {
        Call::new()
            .tags(to("m").with(Tag::Agent, "large"))
            .tokens(size, 0)
    };
    let holder = door.limiter.acquire(large(0)).await.unwrap();
    let small = || Call::new().tokens(100, 0);
    for _ in 0..5 {
        door.queue(small(), "small").await;
    }
    // First for the slot, then for tokens, then for the target.
    let task = door.queue(large(900), "large").await;
    door.at(1).await;
    drop(holder);
    let teller = door
        .limiter
        .acquire(Call::new().tags(to("m")))
        .await
        .unwrap();
    door.at(2).await;
    close(&teller, secs(198));
    let others = door.clone();
    let others = tokio::spawn(async move {
        loop {
            // More than there is room for.
            others.queue(small(), "small").await;
            sleep(secs(1)).await;
        }
    });
    door.at(190).await;
    assert_eq!(door.came_in("large", 0..190), 0);
    assert_eq!(
        door.came_in("small", 2..141),
        25,
        "all that there is room for"
    );
    assert!(door.came_in("small", 141..190) <= 1, "its room is kept");
    close(&teller, secs(210));
    door.at(399).await;
    assert_eq!(door.came_in("large", 0..399), 0);
    assert!(door.came_in("small", 201..341) >= 20, "{:?}", door.came);
    assert!(door.came_in("small", 341..399) <= 1, "and again");
    door.at(401).await;
    assert_eq!(door.came_in("large", 400..401), 1);
    others.abort();
    drop((task.await, teller));
}

/// Who has a share guaranteed goes first when a target opens, however long it was closed: nobody was passed
/// meanwhile. And it holds nobody up who goes elsewhere.
#[tokio::test(start_paused = true)]
async fn a_share_is_first_when_the_target_opens_however_long_that_took() {
    let limit = requests(2).share(Tag::Team, "a", 1.0);
    let door = Door::new([limit]);
    let of = |team: &str, model: &str| Call::new().tags(to(model).with(Tag::Team, team));
    let teller = door.limiter.acquire(of("c", "m")).await.unwrap();
    close(&teller, secs(300));
    let mut tasks = vec![door.queue(of("b", "m"), "b").await];
    for second in [1, 100] {
        door.at(second).await;
        tasks.push(door.queue(of("a", "m"), "a").await);
    }
    door.at(101).await;
    door.queue(of("d", "n"), "d").await;
    assert_eq!(door.came_in("d", 101..102), 1);
    for task in tasks {
        assert_eq!(task.await.unwrap(), None);
    }
    let came = door.came.lock().unwrap().clone();
    assert_eq!(came, [(101, "d"), (300, "a"), (300, "a"), (360, "b")]);
}
