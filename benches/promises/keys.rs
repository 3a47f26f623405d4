//! A million keys: bytes each, and what a claim costs among them.

use std::time::Duration;

use tokio::{runtime::Runtime, time::advance};
use tower_quota::{
    Tag, Tags,
    limit::{Limit, Limits},
    store::{Claim, MemoryStore},
};

use crate::{
    calls::{MINUTE, call, claim_of},
    measure::{Verdicts, beside, by_turns, kept, nanos, timed},
    speed::{check, claims, keyed},
};

const MANY: u32 = 1_000_000;
const FEW: u32 = 1_000;
const ROUNDS: u32 = 40;

fn name(key: u32) -> String {
    format!("user-{key:012}")
}

fn claim(key: u32) -> Claim {
    claim_of(Tags::new().with(Tag::User, name(key)))
}

/// A store with so many keys, each with five live slices.
fn store_of(keys: u32, paused: &Runtime) -> MemoryStore {
    let limit = Limit::requests(1_000_000).every(MINUTE).per(Tag::User);
    let store = MemoryStore::new(Limits::new([limit]).expect("a limit"));
    for _ in 0..5 {
        (0..keys).for_each(|key| call(&store, &claim(key)));
        paused.block_on(advance(Duration::from_secs(5)));
    }
    store
}

/// Nanoseconds a whole call over these.
fn calls(store: &MemoryStore, claims: &[Claim]) -> f64 {
    let time = timed(|| claims.iter().for_each(|claim| call(store, claim)));
    time.as_secs_f64() * 1e9 / claims.len() as f64
}

/// The second of two, with what the first left in the caches.
fn again(mut measure: impl FnMut() -> f64) -> f64 {
    measure();
    measure()
}

/// A thousand keys out of so many.
fn some(of: u32) -> impl Iterator<Item = u32> {
    std::iter::repeat_with(move || fastrand::u32(..of)).take(FEW as usize)
}

pub(crate) fn run(verdicts: &mut Verdicts, paused: &Runtime) {
    let inside = paused.enter();
    let (many, bytes) = kept(|| store_of(MANY, paused));
    let each = |bytes: usize| bytes as f64 / f64::from(MANY);
    verdicts.most(
        "bytes a key, five live slices, of 1 000 000",
        each(bytes),
        256.0,
    );
    verdicts.most("the same by its own account", each(many.bytes()), 256.0);

    let few = store_of(FEW, paused);
    let busy: Vec<Claim> = some(MANY).map(claim).collect();
    let mut alone: Vec<Claim> = (0..FEW).map(claim).collect();
    // Nobody calls in the order in which keys were first seen, with the next one fetched before it is asked for.
    fastrand::shuffle(&mut alone);
    let mut grants = Vec::with_capacity(FEW as usize);
    let mut others = Vec::with_capacity(FEW as usize);
    let [among, beside_few, call_among, call_few] = by_turns(
        ROUNDS,
        [
            &mut || again(|| claims(&many, &busy, &mut grants)),
            &mut || again(|| claims(&few, &alone, &mut others)),
            &mut || again(|| calls(&many, &busy)),
            &mut || again(|| calls(&few, &alone)),
        ],
    );
    verdicts.ratio(
        "claim, 1 000 busy keys of 1 000 000; 1 000",
        among,
        beside_few,
        2.0,
    );
    beside("the same, a whole call: times", call_among / call_few);

    // Where every key is as busy, each claim walks to memory, and so does whoever else keeps as many.
    let peer = keyed();
    (0..MANY).for_each(|key| check(&peer, &name(key)));
    let [any, peer_any] = by_turns(
        ROUNDS,
        [
            &mut || {
                claims(
                    &many,
                    &some(MANY).map(claim).collect::<Vec<_>>(),
                    &mut grants,
                )
            },
            &mut || {
                let keys: Vec<String> = some(MANY).map(name).collect();
                let mut keys = keys.iter();
                nanos(FEW, || check(&peer, keys.next().expect("as many")))
            },
        ],
    );
    verdicts.shown("claim, any of 1 000 000 keys", any, peer_any);
    drop(inside);
}
