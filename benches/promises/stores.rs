//! What a call costs whose claim is elsewhere before it leaves, beside one in memory: alone and among others.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

#[cfg(feature = "redis")]
use tower_quota::store::RedisStore;
#[cfg(feature = "sqlite")]
use tower_quota::store::SqliteStore;
use tower_quota::{
    Tag, Tags, Usage,
    limit::{Limit, Limits},
    store::{Decision, MemoryStore, Settlement, Store},
};

use crate::{
    calls::claim_of,
    measure::{Verdicts, median, now},
};

/// So many calls in all.
const CALLS: usize = 4_000;

fn limits() -> Limits {
    let hour = Duration::from_secs(3_600);
    Limits::new([
        Limit::requests(1_000_000_000).every(hour),
        Limit::tokens(1_000_000_000_000).every(hour).per(Tag::Agent),
        Limit::concurrency(1_000_000),
    ])
    .expect("limits that make sense")
}

/// Calls a second, and how many microseconds half of the claims take at most.
async fn calls(store: Arc<dyn Store>, callers: usize) -> (f64, f64) {
    let each = (CALLS / callers).clamp(2, 500);
    let start = now();
    let callers = (0..callers).map(|caller| {
        let store = store.clone();
        tokio::spawn(async move {
            let claim = claim_of(Tags::new().with(Tag::Agent, format!("agent {}", caller % 50)));
            let mut took = Vec::with_capacity(each);
            for _ in 0..each {
                let asked = now();
                let answer = store.claim(&claim).get().await;
                took.push(micros(asked));
                let Ok(Decision::Granted(mut grant)) = answer else {
                    panic!("there is room: {answer:?}");
                };
                store.date(&mut grant);
                let used = Settlement::Usage(Usage::new(900, 100));
                store.settle(grant, used).get().await.expect("settled");
            }
            took
        })
    });
    let callers: Vec<_> = callers.collect();
    let count = callers.len();
    let mut took = Vec::new();
    for caller in callers {
        took.extend(caller.await.expect("no panic"));
    }
    let calls = (count * each) as f64;
    (calls / start.elapsed().as_secs_f64(), median(took))
}

fn micros(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e6
}

pub(crate) fn run(verdicts: &mut Verdicts) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let folder = std::env::temp_dir().join(format!("tower-quota-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    #[cfg(feature = "redis")]
    let server = crate::servers::Server::start(&[]);
    for callers in [1, 10, 1_000] {
        let memory = Arc::new(MemoryStore::new(limits()));
        let memory = runtime.block_on(calls(memory, callers));
        let show = |store: &str, figures: (f64, f64)| {
            let name = |what: &str| format!("{store}, {callers} at once: {what}");
            verdicts.shown(&name("calls a second, memory's"), figures.0, memory.0);
            verdicts.shown(&name("a claim, us, memory's"), figures.1, memory.1);
        };
        #[cfg(feature = "sqlite")]
        {
            let path = folder.join(format!("{callers}.db"));
            let file = Arc::new(SqliteStore::open(&path, limits()).expect("a file"));
            show("sqlite", runtime.block_on(calls(file, callers)));
        }
        #[cfg(feature = "redis")]
        {
            let url = format!("{}?namespace={callers}", server.url());
            let shared = Arc::new(RedisStore::open(&url, limits()).expect("a server"));
            show("redis", runtime.block_on(calls(shared, callers)));
        }
    }
    let _ = std::fs::remove_dir_all(&folder);
}
