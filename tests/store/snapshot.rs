//! A restored store decides as the one that was snapshot would have, whatever was going on.

use std::time::Duration;

use proptest::prelude::*;
use tokio::time::advance;
use tower_quota::{
    Tag, Tags, Usage,
    limit::{Charge, Demand, Limit, Limits, Quantities},
    store::{
        Answer, Claim, Decision, Grant, MemoryStore, RestoreError, Settlement, Snapshot, Store as _,
    },
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

fn limits() -> Limits {
    Limits::new([
        Limit::requests(12).every(MINUTE).slice(MINUTE / 10),
        Limit::tokens(2_000).every(MINUTE).per(Tag::Agent),
        Limit::input_tokens(2_500)
            .every(MINUTE * 3)
            .charge(Charge::openai()),
        Limit::requests(40).every_run(),
        Limit::concurrency(6),
    ])
    .unwrap()
}

fn claim(agent: &str, input: u64) -> Claim {
    let demand = Demand {
        input,
        output: input / 2,
        ..Demand::default()
    };
    Claim {
        quantities: Quantities::ADMISSION,
        ..Claim::new(Tags::new().with(Tag::Agent, agent), demand)
    }
}

fn decide(store: &MemoryStore, claim: &Claim) -> Decision {
    match store.claim(claim) {
        Answer::Now(decision) => decision.unwrap(),
        Answer::Later(_) => panic!("the memory answers at once"),
    }
}

/// Random claims, sends, ends and pauses; what was decided, and what has not ended.
async fn trace(store: &MemoryStore, seed: u64, steps: usize) -> (Vec<String>, Vec<Grant>) {
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut said, mut open): (Vec<String>, Vec<(Grant, u64)>) = Default::default();
    for _ in 0..steps {
        match random.u8(..10) {
            0..5 => {
                let size = random.u64(1..400);
                match decide(store, &claim(["a", "b", "c"][random.usize(..3)], size)) {
                    Decision::Granted(mut grant) => {
                        // Some have not left yet.
                        if random.u8(..4) > 0 {
                            store.date(&mut grant);
                        }
                        open.push((grant, size));
                        said.push("granted".into());
                    }
                    Decision::NotNow(refused) => {
                        let wait = refused.at.map(|at| at.since(store.now()));
                        let (key, in_use) = (refused.key, refused.in_use);
                        said.push(format!("not now: {key} {in_use} {wait:?}"));
                    }
                    Decision::Never(refused) => said.push(format!("never: {}", refused.key)),
                }
            }
            5..8 if !open.is_empty() => {
                let (grant, size) = open.swap_remove(random.usize(..open.len()));
                let answer = match random.u8(..3) {
                    0 => store.settle(grant, Settlement::Unknown),
                    1 => store.release(grant),
                    _ => store.settle(grant, Settlement::Usage(Usage::new(size, size * 2))),
                };
                answer.get().await.unwrap();
            }
            _ => advance(Duration::from_micros(random.u64(1..9_000_000))).await,
        }
    }
    (said, open.into_iter().map(|(grant, _)| grant).collect())
}

async fn decides_the_same(before: u64, after: u64, steps: usize) {
    let store = MemoryStore::new(limits());
    let (_, open) = trace(&store, before, steps).await;
    let text = serde_json::to_string(&store.snapshot()).unwrap();
    // From the snapshot on what is open counts as spent; here that is said by ending it.
    for grant in open {
        store
            .settle(grant, Settlement::Unknown)
            .get()
            .await
            .unwrap();
    }
    let (expected, _) = trace(&store, after, 150).await;
    assert!(expected.iter().any(|line| line != "granted"));
    // Another process, another time, another clock.
    advance(HOUR * 7).await;
    let snapshot: Snapshot = serde_json::from_str(&text).unwrap();
    let restored = MemoryStore::restore(limits(), &snapshot, Duration::ZERO).unwrap();
    let (said, _) = trace(&restored, after, 150).await;
    assert_eq!(said, expected);
}

fn paused(work: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(work);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// A13: snapshot and restore.
    #[test]
    fn every_later_decision_is_that_of_the_store_that_was_snapshot(
        before in any::<u64>(), after in any::<u64>(), steps in 0usize..200,
    ) {
        paused(decides_the_same(before, after, steps));
    }
}

#[tokio::test(start_paused = true)]
async fn grants_of_the_store_before_change_nothing_in_the_one_after() {
    let store = MemoryStore::new(limits());
    let mut grants = Vec::new();
    for _ in 0..3 {
        match decide(&store, &claim("a", 100)) {
            Decision::Granted(grant) => grants.push(grant),
            _ => break,
        }
    }
    assert_eq!(grants.len(), 1, "one each six seconds");
    let restored = MemoryStore::restore(limits(), &store.snapshot(), Duration::ZERO).unwrap();
    let before = restored.snapshot();
    let mut grant = grants.pop().unwrap();
    restored.date(&mut grant);
    let copies: [Grant; 2] = [grant.clone(), grant.clone()];
    let [one, two] = copies;
    restored.release(one).get().await.unwrap();
    restored
        .settle(two, Settlement::Usage(Usage::new(9_999, 9_999)))
        .get()
        .await
        .unwrap();
    assert_eq!(restored.snapshot(), before);
    store.release(grant).get().await.unwrap();
    assert!(
        store.snapshot().is_empty(),
        "its own store still takes it back"
    );
}

#[tokio::test(start_paused = true)]
async fn time_that_passed_in_between_counts_where_it_is_told() {
    let limits = || Limits::new([Limit::requests(1).every(MINUTE).margin(Duration::ZERO)]).unwrap();
    let store = MemoryStore::new(limits());
    assert!(matches!(
        decide(&store, &claim("a", 1)),
        Decision::Granted(_)
    ));
    let snapshot = store.snapshot();
    let wait = |since| {
        let store = MemoryStore::restore(limits(), &snapshot, since).unwrap();
        match decide(&store, &claim("a", 1)) {
            Decision::NotNow(refused) => Some(refused.at.unwrap().since(store.now())),
            _ => None,
        }
    };
    assert_eq!(wait(Duration::ZERO), Some(MINUTE));
    assert_eq!(wait(MINUTE / 3), Some(MINUTE / 3 * 2));
    assert_eq!(wait(MINUTE), None);
}

#[tokio::test(start_paused = true)]
async fn counts_follow_their_limits_to_other_places_and_other_amounts() {
    let of = |agents: u64| {
        Limit::requests(agents)
            .every(MINUTE)
            .per(Tag::Agent)
            .per(Tag::Team)
    };
    let store = MemoryStore::new(Limits::new([of(5), Limit::requests(9).every(HOUR)]).unwrap());
    for _ in 0..4 {
        assert!(matches!(
            decide(&store, &claim("a", 1)),
            Decision::Granted(_)
        ));
    }
    let moved = Limit::requests(4)
        .every(MINUTE)
        .per(Tag::Team)
        .per(Tag::Agent);
    let limits = Limits::new([Limit::concurrency(50), moved]).unwrap();
    let store = MemoryStore::restore(limits, &store.snapshot(), Duration::ZERO).unwrap();
    let Decision::NotNow(refused) = decide(&store, &claim("a", 1)) else {
        panic!("four of four are used")
    };
    assert_eq!((refused.in_use, refused.key.limit()), (4, 1));
    assert!(matches!(
        decide(&store, &claim("b", 1)),
        Decision::Granted(_)
    ));
}

#[test]
fn a_snapshot_that_is_not_one_of_ours_is_refused() {
    let restore = |text: &str| {
        let snapshot = serde_json::from_str(text).unwrap();
        MemoryStore::restore(limits(), &snapshot, Duration::ZERO).unwrap_err()
    };
    paused(async {});
    let newer = restore(r#"{"version":2,"clock":0,"limits":[],"counts":[]}"#);
    assert_eq!(newer, RestoreError::Version { found: 2 });
    let count = r#"{"limit":3,"values":[],"spent":[{"age":1,"amount":1}]}"#;
    let text = format!(r#"{{"version":1,"clock":0,"limits":[],"counts":[{count}]}}"#);
    assert_eq!(restore(&text), RestoreError::Damaged { place: 0 });
}
