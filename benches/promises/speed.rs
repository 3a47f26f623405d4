//! What the engine costs beside what a keyed check of `governor` costs, in the same run: ratios, because the
//! machine is noisy and nanoseconds of another machine say nothing.
//!
//! `cargo bench --bench promises` prints a line for each: name, ours, peer, ratio, and OK or MISS against the
//! promised ratio. It only measures; what it prints is what there is.

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use governor::{Quota, RateLimiter};
use tower_quota::{
    Tag, Tags, Usage,
    limit::{Demand, Limit, Limits, Quantities},
    store::{Answer, Claim, Decision, Grant, MemoryStore, Settlement, Store},
};

const MINUTE: Duration = Duration::from_secs(60);
const ROUNDS: u32 = 200_000;

/// The least of several runs, in nanoseconds a round: noise only ever adds.
#[expect(clippy::disallowed_methods, reason = "a bench asks the real clock")]
fn nanos(mut round: impl FnMut()) -> f64 {
    let run = |_| {
        let start = Instant::now();
        for _ in 0..ROUNDS {
            round();
        }
        start.elapsed().as_secs_f64() * 1e9 / f64::from(ROUNDS)
    };
    // The first warms up.
    (0..8).map(run).skip(1).fold(f64::INFINITY, f64::min)
}

fn claim(tags: Tags) -> Claim {
    Claim {
        tags: Arc::new(tags),
        demand: Demand {
            input: 10,
            output: 10,
            ..Demand::default()
        },
        quantities: Quantities::ADMISSION,
        repeat: false,
        held: Vec::new(),
    }
}

fn granted(store: &MemoryStore, claim: &Claim) -> Grant {
    match store.claim(claim) {
        Answer::Now(Ok(Decision::Granted(grant))) => grant,
        other => panic!("{other:?}"),
    }
}

fn line(name: &str, ours: f64, peer: f64, promised: f64) {
    let ratio = ours / peer;
    let word = if ratio <= promised { "OK" } else { "MISS" };
    println!(
        "{name:<40} {ours:>9.1} ns {peer:>9.1} ns   ratio {ratio:>6.2} of {promised:.2}   {word}"
    );
}

fn main() {
    let quota = Quota::per_minute(u32::MAX.try_into().expect("not zero"));
    let keyed = RateLimiter::keyed(quota);
    let key = String::from("gpt-5.5");
    let check = nanos(|| {
        let _ = black_box(keyed.check_key(black_box(&key)));
    });

    let one = Limits::new([Limit::requests(u64::MAX >> 1).every(MINUTE)]).expect("a limit");
    let store = MemoryStore::new(one);
    let call = claim(Tags::new().with(Tag::Model, "gpt-5.5"));
    let ours = nanos(|| drop(black_box(granted(&store, black_box(&call)))));
    line("claim, one limit", ours, check, 1.0);
    let ours = nanos(|| {
        let mut grant = granted(&store, black_box(&call));
        store.date(&mut grant);
        drop(store.settle(grant, Settlement::Usage(Usage::new(9, 5))));
    });
    line("claim and settle, one limit", ours, check, 2.0);

    let levels = [Tag::Model, Tag::ApiKey, Tag::Agent, Tag::Team, Tag::User];
    let both = levels.iter().flat_map(|tag| {
        let limit = |limit: Limit| limit.every(MINUTE).per(tag.clone());
        [
            limit(Limit::requests(u64::MAX >> 1)),
            limit(Limit::tokens(u64::MAX >> 1)),
        ]
    });
    let store = MemoryStore::new(Limits::new(both).expect("limits"));
    let tags = levels.iter().fold(Tags::new(), |tags, tag| {
        tags.with(tag.clone(), format!("a {tag}"))
    });
    let call = claim(tags);
    let ours = nanos(|| {
        let mut grant = granted(&store, black_box(&call));
        store.date(&mut grant);
        drop(store.settle(grant, Settlement::Usage(Usage::new(9, 5))));
    });
    line(
        "claim and settle, 5 levels x 2 quantities",
        ours,
        check * 10.0,
        0.7,
    );
}
