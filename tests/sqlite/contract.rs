//! A store in a file keeps the contract of all stores, and decides as the memory does.
#![cfg(feature = "sqlite")]

use crate::folder;

use std::{cell::Cell, path::Path, sync::Arc, time::Duration};

use folder::Folder;
use tokio::time::Instant;
use tower_quota::{
    Limiter, Tags, Usage,
    limit::{Demand, Limit, Limits, Quantities},
    limiter::{Call, QueueOptions},
    store::{
        Answer, Claim, Decision, MemoryStore, Settlement, SqliteStore, Store, contract,
        sqlite::{Query, SqliteOptions, Survives},
    },
};

/// Each time another file.
fn maker(folder: &Folder) -> impl Fn(Limits) -> Arc<dyn Store> {
    maker_that(folder, Survives::Power)
}

fn maker_that(folder: &Folder, survives: Survives) -> impl Fn(Limits) -> Arc<dyn Store> {
    let number = Cell::new(0);
    move |limits| {
        number.set(number.get() + 1);
        let path = folder.file(&format!("{}.db", number.get()));
        let options = SqliteOptions::new(path, limits).survives(survives);
        Arc::new(options.open().unwrap())
    }
}

/// S2: a file.
#[tokio::test(start_paused = true)]
async fn it_keeps_the_contract() {
    let folder = Folder::new();
    contract::check(maker(&folder), tokio::time::advance).await;
    contract::counts_stand_as_they_count(&maker(&Folder::new())).await;
}

#[tokio::test(start_paused = true)]
async fn it_keeps_the_contract_where_nobody_waits_for_the_disk() {
    let folder = Folder::new();
    contract::check(maker_that(&folder, Survives::Kill), tokio::time::advance).await;
}

/// What another process would find in the file now.
fn rows(path: &Path) -> i64 {
    let conn = rusqlite::Connection::open(path).unwrap();
    conn.query_row("SELECT count(*) FROM attempt", [], |row| row.get(0))
        .unwrap()
}

fn claim_of(attempt: u32, quantities: Quantities) -> Claim {
    Claim {
        quantities,
        attempt,
        ..Claim::new(Tags::new(), Demand::default())
    }
}

#[tokio::test]
async fn a_claim_ahead_is_answered_at_once_and_written_with_the_one_that_follows() {
    for survives in [Survives::Power, Survives::Kill] {
        let folder = Folder::new();
        let path = folder.file("counts.db");
        let limits = Limits::new([Limit::concurrency(8)]).unwrap();
        let options = SqliteOptions::new(&path, limits).survives(survives);
        let store = options.open().unwrap();
        // Of two attempts, so that there are two rows.
        let ahead = store.claim_ahead(&claim_of(1, Quantities::BUDGET));
        let Answer::Now(Ok(Decision::Granted(first))) = ahead else {
            panic!("{ahead:?}");
        };
        let next = store.claim(&claim_of(2, Quantities::ADMISSION)).get().await;
        let Decision::Granted(second) = next.unwrap() else {
            panic!("there is room");
        };
        assert_eq!(rows(&path), 2, "{survives:?}");
        // Nobody hears of it, and it is in the file when all is.
        for grant in [first, second] {
            let settled = store.settle_in_passing(grant, Settlement::Usage(Usage::new(7, 1)));
            assert!(matches!(settled, Answer::Now(Ok(()))));
        }
        store.flush().await.unwrap();
        let totals = store
            .ledger()
            .unwrap()
            .report(&Query::new())
            .unwrap()
            .totals;
        assert_eq!((totals.attempts, totals.input), (2, 14), "{survives:?}");
    }
}

#[tokio::test]
async fn a_claim_ahead_of_what_has_no_room_is_refused_as_any() {
    let folder = Folder::new();
    let limits = Limits::new([Limit::concurrency(1)]).unwrap();
    let store = SqliteStore::open(folder.file("counts.db"), limits).unwrap();
    let claim = claim_of(0, Quantities::ADMISSION);
    let first = store.claim(&claim).get().await.unwrap();
    assert!(matches!(first, Decision::Granted(_)));
    let second = store.claim_ahead(&claim).get().await.unwrap();
    assert!(matches!(second, Decision::NotNow(_)), "{second:?}");
    store.close().unwrap();
    let closed = store.claim_ahead(&claim);
    assert!(matches!(closed, Answer::Now(Err(_))), "{closed:?}");
}

#[tokio::test(start_paused = true)]
async fn it_listens_as_the_contract_says() {
    let folder = Folder::new();
    contract::listening::check(maker(&folder), tokio::time::advance).await;
}

#[tokio::test(start_paused = true)]
async fn it_decides_as_the_memory_does_on_random_traces() {
    let folder = Folder::new();
    let make = maker(&folder);
    for seed in 0..20 {
        let memory: Arc<dyn Store> = Arc::new(MemoryStore::new(contract::trace_limits()));
        let one = contract::random_trace(memory, &tokio::time::advance, seed).await;
        let file = make(contract::trace_limits());
        let other = contract::random_trace(file, &tokio::time::advance, seed).await;
        assert_eq!(one, other, "seed {seed}");
        assert!(
            one.iter().any(|line| line == "granted"),
            "a trace that grants nothing shows nothing"
        );
    }
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
    let folder = Folder::new();
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
    let file = instants(maker(&folder)(limits())).await;
    assert_eq!(memory, file);
    assert!(
        memory.iter().any(|(_, at)| *at > 400_000_000),
        "they waited: {memory:?}"
    );
}
