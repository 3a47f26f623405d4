//! What a call costs the engine, beside what a keyed check costs `governor`.

use std::hint::black_box;

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tower_quota::store::{Claim, Grant, MemoryStore, Store as _};

use crate::{
    calls::{KEYS, call, five_levels, granted, one_limit},
    measure::{Verdicts, by_turns, nanos, timed},
};

/// Short, so that a quiet moment of the machine is long enough for it.
const ROUND: u32 = 2_000;
const ROUNDS: u32 = 60;
/// So often all is made anew: where in memory it stands matters to both.
const PLACES: u32 = 12;
/// How many are claimed before they are given back.
const OPEN: usize = 256;

fn next<'a, T>(cycle: &mut impl Iterator<Item = &'a T>) -> &'a T {
    cycle.next().expect("it has no end")
}

pub(crate) fn keyed() -> DefaultKeyedRateLimiter<String> {
    RateLimiter::keyed(Quota::per_minute(u32::MAX.try_into().expect("not zero")))
}

pub(crate) fn check(keyed: &DefaultKeyedRateLimiter<String>, key: &String) {
    let _ = black_box(keyed.check_key(black_box(key)));
}

/// Nanoseconds a claim over these; given back before it returns.
pub(crate) fn claims(store: &MemoryStore, claims: &[Claim], grants: &mut Vec<Grant>) -> f64 {
    let time = timed(|| grants.extend(claims.iter().map(|claim| granted(store, claim))));
    for grant in grants.drain(..) {
        drop(store.release(grant));
    }
    time.as_secs_f64() * 1e9 / claims.len() as f64
}

/// Nanoseconds of each line: checked, claimed, called, called with five levels, and with four keys by turns checked
/// and called.
fn measured() -> [f64; 6] {
    let (keyed, keys) = (keyed(), KEYS.map(String::from));
    let mut by_turns_keys = keys.iter().cycle();
    let (one, claims_by_turns) = one_limit();
    let several = vec![claims_by_turns[0].clone(); OPEN];
    let mut claims_by_turns = claims_by_turns.iter().cycle();
    let mut open = Vec::with_capacity(OPEN);
    let (five, five_claims) = five_levels();
    let mut five_claims = five_claims.iter().cycle();
    by_turns(
        ROUNDS,
        [
            &mut || nanos(ROUND, || check(&keyed, &keys[0])),
            &mut || claims(&one, &several, &mut open),
            &mut || nanos(ROUND, || call(&one, &several[0])),
            &mut || nanos(ROUND / 4, || call(&five, next(&mut five_claims))),
            &mut || nanos(ROUND, || check(&keyed, next(&mut by_turns_keys))),
            &mut || nanos(ROUND, || call(&one, next(&mut claims_by_turns))),
        ],
    )
}

pub(crate) fn run(verdicts: &mut Verdicts) {
    let mut least = [f64::INFINITY; 6];
    for _ in 0..PLACES {
        for (least, measured) in least.iter_mut().zip(measured()) {
            *least = least.min(measured);
        }
    }
    let [
        checked,
        claimed,
        called,
        called_five,
        checked_turns,
        called_turns,
    ] = least;
    verdicts.ratio("claim, one limit", claimed, checked, 1.0);
    verdicts.ratio("claim, date and settle, one limit", called, checked, 2.0);
    verdicts.shown("the same, four keys by turns", called_turns, checked_turns);
    verdicts.ratio(
        "the same, 5 levels x 2 quantities; 10 checks",
        called_five,
        checked * 10.0,
        0.7,
    );
}
