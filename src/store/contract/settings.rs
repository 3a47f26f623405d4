//! Checks of what limits can have besides an amount and a period.

use std::{sync::Arc, time::Duration};

use super::{
    PERIOD, TICK, claim, expect_refusal, granted, limits, refused, sent, settle, spend, tokens,
    window,
};
use crate::{
    limit::{Charge, Limit, Limits, Quantity, Room},
    store::{Claim, Decision, NotNow, Reason, Settlement, Store},
    tags::{Tag, Tags},
    usage::Usage,
};

/// Runs all the checks below, each with an empty store.
pub async fn check(make: &impl Fn(Limits) -> Arc<dyn Store>, pass: &impl AsyncFn(Duration)) {
    headroom_is_left_alone(make).await;
    a_shadow_refuses_nothing(make).await;
    refused_calls_count_where_it_is_said(make, pass).await;
    values_may_have_amounts_of_their_own(make).await;
    other_amounts_keep_counts(make, pass).await;
    limits_come_and_go(make, pass).await;
    slices_hold_their_share(make, pass).await;
    guaranteed_shares_count_and_refuse_nothing(make, pass).await;
}

/// Checks that of a limit with headroom only its share is granted, and that estimates are cut down to that.
pub async fn headroom_is_left_alone(make: &impl Fn(Limits) -> Arc<dyn Store>) {
    let store = make(limits([window(Limit::tokens(100)).headroom(0.9)]));
    let decision = store.claim(&tokens(91, 0)).get().await.expect("an answer");
    assert!(
        matches!(decision, Decision::Never(NotNow { needed: 91, .. })),
        "{decision:?}"
    );
    let mut estimate = tokens(1_000, 0);
    estimate.demand.input_declared = false;
    spend(&*store, &estimate).await;
    assert_eq!(refused(&*store, &tokens(1, 0)).await.in_use, 90);
}

/// Checks that a limit that only watches refuses nothing, not even what never fits, and hides no other limit.
pub async fn a_shadow_refuses_nothing(make: &impl Fn(Limits) -> Arc<dyn Store>) {
    let shadow = window(Limit::tokens(10)).shadow();
    let store = make(limits([shadow, window(Limit::tokens(100))]));
    spend(&*store, &tokens(60, 0)).await;
    spend(&*store, &tokens(40, 0)).await;
    let refused = refused(&*store, &tokens(1, 0)).await;
    assert_eq!((refused.key.limit(), refused.in_use), (1, 100));
}

/// Checks that a guaranteed share counts what its party uses, reports it, and refuses nothing.
pub async fn guaranteed_shares_count_and_refuse_nothing(
    make: &impl Fn(Limits) -> Arc<dyn Store>,
    pass: &impl AsyncFn(Duration),
) {
    let limit = window(Limit::tokens(100)).charge(Charge::azure());
    let store = make(limits([limit.share(Tag::Team, "a", 0.3)]));
    let team = |name: &str, size| Claim {
        tags: Arc::new(Tags::new().with(Tag::Team, name)),
        ..tokens(size, 0)
    };
    spend(&*store, &team("b", 50)).await;
    spend(&*store, &team("a", 40)).await;
    let share = async || {
        let standings = store.peek(&team("a", 1)).get().await.expect("told");
        let of_share = standings.iter().find(|count| count.key.limit() == 1);
        let share = of_share.expect("a share is told like any other limit");
        assert!(share.shadow, "it refuses nothing");
        (share.in_use, share.room)
    };
    let (in_use, room) = share().await;
    assert!(
        in_use == 40 && matches!(room, Room::At(_)),
        "{in_use}, {room:?}"
    );
    spend(&*store, &team("a", 10)).await;
    let refused = refused(&*store, &team("a", 1)).await;
    assert_eq!((refused.key.limit(), refused.in_use), (0, 100));
    pass(PERIOD).await;
    assert_eq!(share().await, (0, Room::Now));
}

/// Checks that a refused call counts under limits that count refused calls, and under no other.
pub async fn refused_calls_count_where_it_is_said(
    make: &impl Fn(Limits) -> Arc<dyn Store>,
    pass: &impl AsyncFn(Duration),
) {
    let strict = window(Limit::requests(2)).when(Tag::Agent, "a");
    let store = make(limits([strict.count_refused(), window(Limit::requests(9))]));
    let a = claim(Tags::new().with(Tag::Agent, "a"));
    spend(&*store, &a).await;
    pass(PERIOD / 2).await;
    store.refuse(&a).get().await.expect("counted");
    assert_eq!(refused(&*store, &a).await.in_use, 2);
    pass(PERIOD / 2).await;
    spend(&*store, &a).await;
    assert_eq!(refused(&*store, &a).await.in_use, 2, "half a minute longer");
    store.refuse(&claim(Tags::new())).get().await.expect("told");
    for _ in 0..8 {
        spend(&*store, &claim(Tags::new())).await;
    }
    let refused = refused(&*store, &claim(Tags::new())).await;
    assert_eq!(refused.in_use, 9, "no refusal counts here");
}

/// Checks that a value with an amount of its own has that amount, and that all others have the limit's.
pub async fn values_may_have_amounts_of_their_own(make: &impl Fn(Limits) -> Arc<dyn Store>) {
    let limit = window(Limit::requests(1)).per(Tag::Agent);
    let store = make(limits([limit.amount_for("b", 2)]));
    let agent = |name: &str| claim(Tags::new().with(Tag::Agent, name));
    for (name, amount) in [("a", 1), ("b", 2), ("c", 1)] {
        for _ in 0..amount {
            spend(&*store, &agent(name)).await;
        }
        assert_eq!(refused(&*store, &agent(name)).await.in_use, amount);
    }
}

/// Checks that changed amounts, up or down, keep what counts, and that open grants stay valid. A store that cannot do
/// this says so, and changes nothing.
pub async fn other_amounts_keep_counts(
    make: &impl Fn(Limits) -> Arc<dyn Store>,
    pass: &impl AsyncFn(Duration),
) {
    let of = |amount| limits([window(Limit::tokens(amount))]);
    let store = make(of(100));
    let open = sent(&*store, &tokens(60, 0)).await;
    let can = store
        .reconfigure(&of(50), &Reason::default())
        .get()
        .await
        .is_ok();
    if !can {
        spend(&*store, &tokens(40, 0)).await;
        return;
    }
    let decision = store.claim(&tokens(51, 0)).get().await.expect("an answer");
    assert!(matches!(decision, Decision::Never(_)), "{decision:?}");
    assert_eq!(refused(&*store, &tokens(1, 0)).await.in_use, 60);
    settle(&*store, open, Settlement::Usage(Usage::new(40, 0))).await;
    spend(&*store, &tokens(10, 0)).await;
    expect_refusal(&*store, &tokens(1, 0)).await;
    let answer = store.reconfigure(&of(70), &Reason::default()).get().await;
    answer.expect("changed before");
    assert_eq!(refused(&*store, &tokens(21, 0)).await.in_use, 50);
    spend(&*store, &tokens(20, 0)).await;
    pass(PERIOD - TICK).await;
    // Of the two that are not settled nothing expires; of the third nothing yet.
    assert_eq!(refused(&*store, &tokens(1, 0)).await.in_use, 70);
}

/// Checks that a limit that stays keeps what counts, that a new one counts from then on, and that a removed one holds
/// nobody back and remembers nothing when it comes back.
///
/// Open grants settle under limits that stay, and change nothing elsewhere. A store that cannot do this says so, and
/// changes nothing.
pub async fn limits_come_and_go(
    make: &impl Fn(Limits) -> Arc<dyn Store>,
    pass: &impl AsyncFn(Duration),
) {
    let stays = || window(Limit::tokens(100)).per(Tag::Agent);
    let goes = || window(Limit::requests(2));
    let store = make(limits([goes(), stays()]));
    let of = |name: &str, size| Claim {
        tags: Arc::new(Tags::new().with(Tag::Agent, name)),
        ..tokens(size, 0)
    };
    spend(&*store, &of("a", 10)).await;
    let open = sent(&*store, &of("a", 60)).await;
    expect_refusal(&*store, &of("a", 1)).await;
    let other = limits([stays(), Limit::concurrency(2)]);
    let can = store
        .reconfigure(&other, &Reason::default())
        .get()
        .await
        .is_ok();
    if !can {
        expect_refusal(&*store, &of("a", 1)).await;
        return;
    }
    // Two of two requests are in use no more, and the one in flight holds no slot.
    let two = [
        granted(&*store, &of("b", 1)).await,
        granted(&*store, &of("a", 1)).await,
    ];
    let refused = refused(&*store, &of("b", 1)).await;
    let now = store.limits();
    let slots = now.rule_of(&refused.key).map(|rule| rule.limit.quantity);
    assert_eq!((slots, refused.in_use), (Some(Quantity::Concurrency), 2));
    settle(&*store, open, Settlement::Usage(Usage::new(40, 0))).await;
    expect_refusal(&*store, &of("b", 1)).await;
    for grant in two {
        store.release(grant).get().await.expect("released");
    }
    assert_eq!(self::refused(&*store, &of("a", 51)).await.in_use, 50);
    let back = limits([goes(), stays()]);
    store
        .reconfigure(&back, &Reason::default())
        .get()
        .await
        .expect("changed before");
    spend(&*store, &of("b", 1)).await;
    spend(&*store, &of("b", 1)).await;
    let refused = self::refused(&*store, &of("a", 1)).await;
    assert_eq!((refused.in_use, refused.needed), (2, 1), "it counts anew");
    pass(PERIOD).await;
    // All has left but the first, which is not settled.
    spend(&*store, &of("a", 90)).await;
    expect_refusal(&*store, &of("a", 1)).await;
}

/// Checks that no slice holds more than its share and the period no more than the whole, and that of the two instants
/// the later is told.
pub async fn slices_hold_their_share(
    make: &impl Fn(Limits) -> Arc<dyn Store>,
    pass: &impl AsyncFn(Duration),
) {
    let slice = PERIOD / 4;
    let store = make(limits([window(Limit::requests(8)).slice(slice)]));
    let call = claim(Tags::new());
    for quarter in 0..4 {
        spend(&*store, &call).await;
        spend(&*store, &call).await;
        let refused = refused(&*store, &call).await;
        let wait = refused.at.expect("dated").since(store.now());
        assert_eq!(
            (refused.key.limit(), wait),
            (usize::from(quarter < 3), slice)
        );
        pass(slice - TICK).await;
        expect_refusal(&*store, &call).await;
        pass(TICK).await;
    }
    spend(&*store, &call).await;
}
