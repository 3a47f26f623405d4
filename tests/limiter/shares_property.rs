//! A27 on random loads, against a plain log: while a call of an owner waits that uses less than its share, nothing that
//! becomes free goes to anybody else, but for one that was passed for a period.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use proptest::prelude::*;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};
use tower_quota::{
    Limiter, Tag, Tags,
    limit::{Limit, Limits},
    limiter::{Call, QueueOptions},
    store::MemoryStore,
};

const AMOUNT: u64 = 20;
const PERIOD: u64 = 24_000;
/// A slot of the window, and the grain of timers: so much longer may a charge count.
const LATE: u64 = PERIOD / 240 + 2;
/// Teams, and of how many they are guaranteed.
const TEAMS: [(&str, u64); 4] = [("a", 8), ("b", 4), ("c", 0), ("d", 0)];

#[derive(Clone, Debug)]
struct Planned {
    comes: u64,
    team: usize,
    priority: i32,
    patience: u64,
}

#[derive(Clone, Debug)]
struct Seen {
    team: usize,
    came: u64,
    /// When it was let in, and as which; or when it went away.
    granted: Option<(u64, usize)>,
    left: u64,
}

fn load() -> impl Strategy<Value = Vec<Planned>> {
    let patience = prop_oneof![4 => Just(100_000_000u64), 1 => 0u64..60_000];
    let call = (0u64..100_000, 0..TEAMS.len(), -1i32..2, patience);
    let call = call.prop_map(|(comes, team, priority, patience)| Planned {
        comes,
        team,
        priority,
        patience,
    });
    prop::collection::vec(call, 1..200)
}

async fn run(plan: Vec<Planned>) -> Vec<Seen> {
    let limit = Limit::requests(AMOUNT)
        .every(Duration::from_millis(PERIOD))
        .margin(Duration::ZERO)
        .share(Tag::Team, "a", 0.4)
        .share(Tag::Team, "b", 0.2);
    let store = MemoryStore::new(Limits::new([limit]).unwrap());
    let options = QueueOptions::new().share_by(Tag::Team);
    let limiter = Limiter::build(Arc::new(store), options);
    let start = Instant::now();
    let seen = Arc::new(Mutex::new((0, Vec::new())));
    let mut tasks = JoinSet::new();
    for planned in plan {
        let (limiter, seen) = (limiter.clone(), seen.clone());
        tasks.spawn(async move {
            sleep_until(start + Duration::from_millis(planned.comes)).await;
            let tags = Tags::new().with(Tag::Team, TEAMS[planned.team].0);
            let call = Call::new().tags(tags).priority(planned.priority);
            let permit = limiter.acquire(call);
            let permit = timeout(Duration::from_millis(planned.patience), permit).await;
            let now = u64::try_from(start.elapsed().as_millis()).unwrap();
            let mut seen = seen.lock().unwrap();
            let granted = permit.is_ok().then_some((now, seen.0));
            seen.0 += 1;
            let Planned {
                team, comes: came, ..
            } = planned;
            seen.1.push(Seen {
                team,
                came,
                granted,
                left: now,
            });
        });
    }
    tasks.join_all().await;
    std::mem::take(&mut seen.lock().unwrap().1)
}

/// What a team had in use when the call with this number was let in, where a charge counts for so long.
fn in_use(all: &[Seen], team: usize, (at, number): (u64, usize), stay: u64) -> u64 {
    let counts = |seen: &&Seen| {
        let earlier = |(granted, of): (u64, usize)| of < number && at < granted + stay;
        seen.team == team && seen.granted.is_some_and(earlier)
    };
    all.iter().filter(counts).count() as u64
}

fn holds(all: &[Seen]) -> Result<(), TestCaseError> {
    for let_in in all {
        let Some((at, number)) = let_in.granted else {
            continue;
        };
        let of = (at, number);
        // For sure, and perhaps.
        let below = |team: usize| in_use(all, team, of, PERIOD + LATE) < TEAMS[team].1;
        let may_be = |team: usize| in_use(all, team, of, PERIOD) < TEAMS[team].1;
        if at >= let_in.came + PERIOD || may_be(let_in.team) {
            continue;
        }
        for (owner, (name, _)) in TEAMS.iter().enumerate() {
            // It may have come at the same millisecond, and after.
            let waits = |seen: &Seen| seen.team == owner && seen.came < at && at < seen.left;
            let waits = all.iter().any(waits);
            prop_assert!(
                !waits || owner == let_in.team || !below(owner),
                "{let_in:?} was let in while {name} waited below its share"
            );
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_goes_to_others_while_an_owner_waits_below_its_share(plan in load()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        holds(&runtime.block_on(run(plan)))?;
    }
}
