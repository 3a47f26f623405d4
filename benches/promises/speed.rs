//! What a call costs the engine, beside what a keyed check costs `governor`.

use std::hint::black_box;

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::{
    calls::{call, five_levels, granted, one_limit},
    measure::{Verdicts, by_turns, nanos},
};

/// Short, so that a quiet moment of the machine is long enough for it.
const ROUND: u32 = 2_000;
const ROUNDS: u32 = 600;

pub(crate) fn keyed() -> DefaultKeyedRateLimiter<String> {
    RateLimiter::keyed(Quota::per_minute(u32::MAX.try_into().expect("not zero")))
}

pub(crate) fn check(keyed: &DefaultKeyedRateLimiter<String>, key: &String) {
    let _ = black_box(keyed.check_key(black_box(key)));
}

pub(crate) fn run(verdicts: &mut Verdicts) {
    let (keyed, key) = (keyed(), String::from("gpt-5.5"));
    // A claim that is never settled stays open: it gets a store of its own.
    let (open, claim) = one_limit();
    let (one, _) = one_limit();
    let (five, five_claim) = five_levels();
    let [check, claimed, called, called_five] = by_turns(
        ROUNDS,
        [
            &mut || nanos(ROUND, || check(&keyed, &key)),
            &mut || nanos(ROUND, || drop(black_box(granted(&open, &claim)))),
            &mut || nanos(ROUND, || call(&one, &claim)),
            &mut || nanos(ROUND / 4, || call(&five, &five_claim)),
        ],
    );
    verdicts.ratio("claim, one limit", claimed, check, 1.0);
    verdicts.ratio("claim, date and settle, one limit", called, check, 2.0);
    verdicts.ratio(
        "the same, 5 levels x 2 quantities; 10 checks",
        called_five,
        check * 10.0,
        0.7,
    );
}
