//! Those who wait, and are first in turn.

use std::sync::Arc;

use super::{claim, granted, limits};
use crate::{
    limit::{Limit, Limits},
    store::{Claim, Decision, Grant, Store, Waiting},
    tags::Tags,
};

/// Checks that a call that is first in turn takes what any other would, however often it asks: both while it is in turn
/// and after it is forgone, there is as much room as there was.
pub async fn those_who_wait_take_as_others_do(make: &impl Fn(Limits) -> Arc<dyn Store>) {
    let store = make(limits([Limit::concurrency(1)]));
    let call = claim(Tags::new());
    let waiting = |number| Waiting {
        number,
        priority: 0,
    };
    let first = waits(&*store, &call, waiting(1)).await;
    let first = first.expect("there is room for the first");
    for _ in 0..3 {
        let none = waits(&*store, &call, waiting(2)).await;
        assert!(none.is_none(), "two in one place");
    }
    store.release(first).get().await.expect("released");
    let second = waits(&*store, &call, waiting(2)).await;
    let second = second.expect("it waited, and there is room");
    // It is granted, and that it waited is over.
    store.forgo(2);
    let third = waits(&*store, &call, waiting(3)).await;
    assert!(third.is_none(), "what was granted is held still");
    store.forgo(3);
    // Of nobody.
    store.forgo(4);
    store.release(second).get().await.expect("released");
    let other = granted(&*store, &call).await;
    store.release(other).get().await.expect("released");
}

async fn waits(store: &dyn Store, claim: &Claim, waiting: Waiting) -> Option<Grant> {
    match store.claim_waiting(claim, waiting).get().await {
        Ok(Decision::Granted(grant)) => Some(grant),
        Ok(Decision::NotNow(_)) => None,
        other => panic!("{other:?}"),
    }
}
