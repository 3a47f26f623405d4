//! Edges of the memory store that the proof found, each of which was wrong once.

use std::time::Duration;

use tokio::time::advance;
use tower_quota::{
    Tags, Usage,
    limit::{Charge, Demand, Limit, Limits, Quantities},
    store::{Answer, Claim, Decision, Grant, MemoryStore, Settlement, Store as _},
};

const MINUTE: Duration = Duration::from_secs(60);

fn store(limits: impl IntoIterator<Item = Limit>) -> MemoryStore {
    MemoryStore::new(Limits::new(limits).unwrap())
}

fn tokens(input: u64) -> Claim {
    Claim {
        quantities: Quantities::ADMISSION,
        ..Claim::new(
            Tags::new(),
            Demand {
                input,
                ..Demand::default()
            },
        )
    }
}

fn granted(store: &MemoryStore, claim: &Claim) -> Grant {
    match store.claim(claim) {
        Answer::Now(Ok(Decision::Granted(grant))) => grant,
        other => panic!("{other:?}"),
    }
}

fn settle(store: &MemoryStore, grant: Grant, usage: Usage) {
    let Answer::Now(Ok(())) = store.settle(grant, Settlement::Usage(usage)) else {
        panic!("the memory answers at once");
    };
}

#[tokio::test(start_paused = true)]
async fn a_call_that_used_nothing_keeps_nothing_of_another_any_longer() {
    let limit = Limit::tokens(100).every(MINUTE).margin(Duration::ZERO);
    let store = store([limit]);
    let (used, unused) = (granted(&store, &tokens(60)), granted(&store, &tokens(40)));
    settle(&store, used, Usage::new(60, 0));
    advance(Duration::from_millis(100)).await;
    settle(&store, unused, Usage::new(0, 0));
    // What was used leaves a minute after its own date, not after that of the other one.
    advance(MINUTE - Duration::from_millis(100)).await;
    drop(granted(&store, &tokens(100)));
}

/// What is dated at the send may be corrected downwards until the call has ended, and is for sure from then on.
#[tokio::test(start_paused = true)]
async fn what_a_call_in_flight_has_dated_makes_nobody_late() {
    let limit = Limit::input_tokens(100)
        .every(MINUTE)
        .margin(Duration::ZERO);
    let store = store([limit.charge(Charge::anthropic())]);
    let not_before = |input| match store.claim(&tokens(input)) {
        Answer::Now(Ok(Decision::NotNow(refused))) => refused.not_before,
        other => panic!("{other:?}"),
    };
    let [mut settled, mut open] = [40, 60].map(|input| granted(&store, &tokens(input)));
    store.date(&mut settled);
    settle(&store, settled, Usage::new(40, 0));
    let leaves = not_before(61).unwrap();
    // Sent twice, it is one call.
    store.date(&mut open);
    store.date(&mut open);
    assert_eq!(not_before(60), None);
    assert_eq!(not_before(61), Some(leaves));
    settle(&store, open, Usage::new(50, 0));
    assert_eq!(not_before(10 + 1), Some(leaves));
}
