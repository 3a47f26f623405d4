//! Checks of what every store does with output that streams.

use std::{sync::Arc, time::Duration};

use super::{
    PERIOD, TICK, expect_refusal, granted, limits, refused, sent, settle, spend, tokens, window,
};
use crate::{
    limit::{Charge, Limit, Limits},
    store::{Settlement, Store},
    usage::Usage,
};

/// Runs all the checks below, each with an empty store.
pub async fn check(make: &impl Fn(Limits) -> Arc<dyn Store>, pass: &impl AsyncFn(Duration)) {
    output_is_dated_as_it_comes(make, pass).await;
    output_beyond_the_claim_counts_at_once(make).await;
    a_settlement_corrects_what_streamed(make, pass).await;
    a_stream_that_is_dropped_counts_what_was_reserved(make).await;
    a_charge_at_the_send_does_not_stream(make, pass).await;
    input_leaves_while_the_output_is_held(make, pass).await;
    a_release_gives_back_what_streamed(make).await;
}

/// Checks that output that has arrived leaves one period after it arrived although the call is still in flight, and
/// that the rest is held.
pub async fn output_is_dated_as_it_comes(
    make: &impl Fn(Limits) -> Arc<dyn Store>,
    pass: &impl AsyncFn(Duration),
) {
    let store = make(limits([window(Limit::output_tokens(100))]));
    let mut grant = sent(&*store, &tokens(0, 100)).await;
    pass(PERIOD / 2).await;
    store.streamed(&mut grant, 30);
    pass(PERIOD / 4).await;
    store.streamed(&mut grant, 50);
    store.streamed(&mut grant, 40);
    let no = refused(&*store, &tokens(0, 30)).await;
    assert_eq!(no.in_use, 100, "dated or held, it counts once");
    let at = no.at.expect("what has come has an end");
    pass(at.since(store.now()) - TICK).await;
    expect_refusal(&*store, &tokens(0, 30)).await;
    pass(TICK).await;
    assert_eq!(refused(&*store, &tokens(0, 31)).await.in_use, 70);
    let room = granted(&*store, &tokens(0, 30)).await;
    store.release(room).get().await.expect("released");
    settle(&*store, grant, Settlement::Usage(Usage::new(0, 60))).await;
    assert_eq!(
        refused(&*store, &tokens(0, 71)).await.in_use,
        30,
        "20 that came and 10 that came last; what has left does not come back"
    );
}

/// Checks that output beyond what was reserved is debt while it streams, not only at the end.
pub async fn output_beyond_the_claim_counts_at_once(make: &impl Fn(Limits) -> Arc<dyn Store>) {
    let store = make(limits([window(Limit::tokens(100))]));
    let mut grant = sent(&*store, &tokens(10, 20)).await;
    store.streamed(&mut grant, 20);
    assert_eq!(refused(&*store, &tokens(71, 0)).await.in_use, 30);
    store.streamed(&mut grant, 90);
    assert_eq!(refused(&*store, &tokens(1, 0)).await.in_use, 100);
    store.streamed(&mut grant, 120);
    assert_eq!(refused(&*store, &tokens(1, 0)).await.in_use, 130);
    settle(&*store, grant, Settlement::Usage(Usage::new(10, 125))).await;
    assert_eq!(refused(&*store, &tokens(1, 0)).await.in_use, 135);
}

/// Checks that the settlement has the last word over the estimate that streamed, also downwards and over several dates.
pub async fn a_settlement_corrects_what_streamed(
    make: &impl Fn(Limits) -> Arc<dyn Store>,
    pass: &impl AsyncFn(Duration),
) {
    let store = make(limits([window(Limit::output_tokens(100))]));
    let mut grant = sent(&*store, &tokens(0, 80)).await;
    for seen in [20, 50, 90] {
        pass(PERIOD / 8).await;
        store.streamed(&mut grant, seen);
    }
    settle(&*store, grant, Settlement::Usage(Usage::new(0, 35))).await;
    assert_eq!(refused(&*store, &tokens(0, 66)).await.in_use, 35);
    spend(&*store, &tokens(0, 65)).await;
}

/// Checks that a stream that is dropped counts what was reserved, because nobody knows what it would have come to.
pub async fn a_stream_that_is_dropped_counts_what_was_reserved(
    make: &impl Fn(Limits) -> Arc<dyn Store>,
) {
    let store = make(limits([window(Limit::output_tokens(100))]));
    let mut grant = sent(&*store, &tokens(0, 60)).await;
    store.streamed(&mut grant, 10);
    settle(&*store, grant, Settlement::Unknown).await;
    assert_eq!(refused(&*store, &tokens(0, 41)).await.in_use, 60);
}

/// Checks that output charged at the send is not dated as it streams, because it was charged already.
pub async fn a_charge_at_the_send_does_not_stream(
    make: &impl Fn(Limits) -> Arc<dyn Store>,
    pass: &impl AsyncFn(Duration),
) {
    let store = make(limits([
        window(Limit::tokens(100)).charge(Charge::azure()),
        Limit::concurrency(9),
    ]));
    let mut grant = sent(&*store, &tokens(10, 90)).await;
    pass(PERIOD / 2).await;
    store.streamed(&mut grant, 90);
    assert_eq!(refused(&*store, &tokens(1, 0)).await.in_use, 100);
    pass(PERIOD / 2).await;
    spend(&*store, &tokens(10, 90)).await;
}

/// Checks that, under one limit on both, input that is charged at the send leaves one period after it while output is
/// held.
pub async fn input_leaves_while_the_output_is_held(
    make: &impl Fn(Limits) -> Arc<dyn Store>,
    pass: &impl AsyncFn(Duration),
) {
    let store = make(limits([
        window(Limit::tokens(100)).charge(Charge::anthropic())
    ]));
    let grant = sent(&*store, &tokens(70, 30)).await;
    pass(PERIOD - TICK).await;
    assert_eq!(refused(&*store, &tokens(1, 0)).await.in_use, 100);
    pass(TICK).await;
    assert_eq!(refused(&*store, &tokens(71, 0)).await.in_use, 30);
    settle(&*store, grant, Settlement::Usage(Usage::new(99, 20))).await;
    assert_eq!(
        refused(&*store, &tokens(81, 0)).await.in_use,
        20,
        "the input has left, whatever it was"
    );
}

/// Checks that a release gives back what streamed, as if it had never been claimed.
pub async fn a_release_gives_back_what_streamed(make: &impl Fn(Limits) -> Arc<dyn Store>) {
    let store = make(limits([window(Limit::output_tokens(100))]));
    let mut grant = sent(&*store, &tokens(0, 60)).await;
    store.streamed(&mut grant, 80);
    store.release(grant).get().await.expect("released");
    spend(&*store, &tokens(0, 100)).await;
}
