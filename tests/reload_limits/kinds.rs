//! Limits of all kinds.

use std::time::Duration;

use tower_quota::{
    Tag,
    limit::{Charge, Limit},
};

const CHARGES: [fn() -> Charge; 4] = [
    Charge::azure,
    Charge::anthropic,
    Charge::openai,
    Charge::default,
];

/// The limits that come and go, with an amount and what else may be another.
pub(crate) fn kind(kind: usize, random: &mut fastrand::Rng) -> Limit {
    let secs = Duration::from_secs;
    let charge = CHARGES[random.usize(..4)]();
    let margin = Duration::from_millis(random.u64(..500));
    match kind {
        0 => Limit::requests(random.u64(3..9)).every(secs(10)),
        1 => Limit::tokens(random.u64(500..1_500))
            .every(secs(30))
            .per(Tag::Agent)
            .charge(charge),
        2 => Limit::requests(random.u64(3..9))
            .every(secs(20))
            .per(Tag::Agent)
            .margin(margin),
        3 => Limit::concurrency(random.u64(2..6)).per(Tag::Agent),
        4 => Limit::requests(random.u64(5..30)).every_run(),
        5 => Limit::requests(9)
            .every(secs(7))
            .when(Tag::Agent, "a")
            .slice(secs(1 + random.u64(..2))),
        6 => Limit::output_tokens(random.u64(400..900))
            .every(secs(15))
            .charge(charge),
        7 => Limit::tokens(random.u64(900..2_000))
            .every(secs(30))
            .charge(charge)
            .share(Tag::Team, ["x", "y"][random.usize(..2)], 0.3),
        8 => Limit::requests(random.u64(2..5)).every(secs(11)).shadow(),
        _ => Limit::requests(20)
            .every(secs(25))
            .per(Tag::Agent)
            .amount_for("b", random.u64(2..30)),
    }
}

pub(crate) const KINDS: usize = 10;
