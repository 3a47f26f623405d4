//! What counts of a grant when it has ended.

use std::time::{Duration, SystemTime};

use tokio::time::{Instant, advance};

use super::*;
use crate::{
    limit::{CalendarUnit, Charge, ChargedAt, Demand, Limit, Limits, Quantity, TokenCharge},
    store::{Claim, Decision, Grant},
    tags::Tags,
    usage::Usage,
};

const DAY: Duration = Duration::from_secs(86_400);
const MINUTE: Duration = Duration::from_secs(60);

fn counting(limit: Limit) -> MemoryStore {
    MemoryStore::new(Limits::new([limit]).unwrap())
}

fn claim(input: u64, output: u64) -> Claim {
    let demand = Demand {
        input,
        output,
        ..Demand::default()
    };
    Claim::new(Tags::new(), demand)
}

/// A call that takes so many tokens, and has left.
async fn sent(store: &MemoryStore, claim: &Claim) -> Grant {
    let decision = store.claim(claim).get().await.unwrap();
    let Decision::Granted(mut grant) = decision else {
        panic!("there is room for it");
    };
    store.date(&mut grant);
    grant
}

async fn ends(store: &MemoryStore, grant: Grant, usage: Usage) {
    let settled = store.settle(grant, Settlement::Usage(usage));
    settled.get().await.unwrap();
}

async fn others_use(store: &MemoryStore, usage: Usage) {
    store.record(&Tags::new(), usage).get().await.unwrap();
}

async fn in_use(store: &MemoryStore) -> u64 {
    let standings = store.peek(&claim(0, 0)).get().await.unwrap();
    standings[0].in_use
}

#[tokio::test(start_paused = true)]
async fn what_streamed_too_much_before_midnight_is_given_back_of_nothing_that_others_used_after() {
    let limit = Limit::tokens(1_000).every_calendar(CalendarUnit::Day, "UTC");
    let (began, evening) = (Instant::now(), SystemTime::UNIX_EPOCH + DAY - MINUTE);
    let store = counting(limit).wall_clock(move || evening + began.elapsed());
    let mut stream = sent(&store, &claim(0, 910)).await;
    store.streamed(&mut stream, 900);
    advance(2 * MINUTE).await;
    store.streamed(&mut stream, 910);
    others_use(&store, Usage::new(0, 700)).await;
    assert_eq!(in_use(&store).await, 710);
    ends(&store, stream, Usage::new(0, 100)).await;
    assert_eq!(in_use(&store).await, 700);
}

/// All that a charge can say.
fn charges() -> impl Iterator<Item = Charge> {
    let at = |late| match late {
        true => ChargedAt::Completion,
        false => ChargedAt::Send,
    };
    (0..64u32).map(move |bits| {
        let bit = |place: u32| bits >> place & 1 == 1;
        Charge {
            tokens: match bit(0) {
                true => TokenCharge::Larger,
                false => TokenCharge::Sum,
            },
            input: at(bit(1)),
            output: at(bit(2)),
            corrected: bit(3),
            cache_reads: bit(4),
            output_weight: 1 + 4 * u32::from(bit(5)),
        }
    })
}

#[tokio::test(start_paused = true)]
async fn usage_that_nothing_was_claimed_for_counts_as_if_just_that_had_been() {
    let mut cached = Usage::new(300, 200);
    cached.cache_read = 100;
    for charge in charges() {
        for quantity in [
            Quantity::Requests,
            Quantity::Tokens,
            Quantity::InputTokens,
            Quantity::OutputTokens,
        ] {
            let limit = Limit::new(quantity, 1_000_000).every(DAY).charge(charge);
            for usage in [Usage::new(300, 200), Usage::new(200, 300), cached] {
                let [claimed, recorded] = [limit.clone(), limit.clone()].map(counting);
                let call = sent(&claimed, &claim(usage.input, usage.output)).await;
                ends(&claimed, call, usage).await;
                others_use(&recorded, usage).await;
                let (claimed, recorded) = (in_use(&claimed).await, in_use(&recorded).await);
                assert_eq!(recorded, claimed, "{charge:?} {quantity} {usage:?}");
            }
        }
    }
}
