//! What limits can be set to in a file: each takes effect, and what is not said does not.
#![cfg(feature = "config")]

use std::time::Duration;

use tower_quota::{
    Limiter, Tag, Tags,
    config::Config,
    limit::{Limit, Limits},
    limiter::Call,
    store::MemoryStore,
};

fn limits(limiter: &Limiter) -> Vec<String> {
    limiter.limits().iter().map(ToString::to_string).collect()
}

/// A24: headroom.
#[test]
fn headroom_is_the_limits_own_or_that_of_the_whole_block() {
    let stack = Config::from_yaml(
        "rate_limiting:
           headroom: 0.9
           global: { rpm: 500, concurrent_requests: 10 }
           agents: { scout: { rpm: 50, headroom: 0.5 } }
           limits: [ { quantity: tokens, amount: 1000, every: 6s, headroom: 1 } ]",
    );
    assert_eq!(
        limits(&stack.unwrap().build().unwrap().limiter),
        [
            "requests 450/min (0.9 of 500)",
            "concurrency 9 (0.9 of 10)",
            "requests 25/min (0.5 of 50) for agent=scout",
            "tokens 1000/6s (1 of 1000)",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_slice_holds_back_what_the_period_has_room_for() {
    let slice =
        "rate_limiting: { limits: [ { quantity: requests, amount: 120, every: 1m, slice: 1s } ] }";
    let limiter = Config::from_yaml(slice).unwrap().build().unwrap().limiter;
    assert_eq!(limits(&limiter), ["requests 120/min"]);
    drop(limiter.try_acquire(Call::new()).await.unwrap());
    drop(limiter.try_acquire(Call::new()).await.unwrap());
    let refused = limiter.try_acquire(Call::new()).await.unwrap_err();
    assert_eq!(
        refused.shortage().unwrap().limit,
        "requests 2/s (a slice of 120/min)"
    );
}

#[tokio::test(start_paused = true)]
async fn a_stack_goes_on_where_the_one_before_was_snapshot() {
    let config = Config::from_yaml("rate_limiting: { global: { rpm: 1 } }").unwrap();
    let first = config.build().unwrap();
    drop(first.limiter.acquire(Call::new()).await.unwrap());
    let half = Duration::from_secs(30);
    let snapshot = first.store.unwrap().snapshot();
    let store = MemoryStore::restore(config.limits().unwrap(), &snapshot, half);
    let second = config.build_on(store.unwrap()).unwrap();
    let refused = second.limiter.try_acquire(Call::new()).await.unwrap_err();
    assert_eq!(refused.retry_after(), Some(Duration::from_millis(30_500)));
    let fresh = config.build().unwrap();
    drop(fresh.limiter.try_acquire(Call::new()).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_read_again_changes_amounts_and_keeps_counts() {
    let read = |amount: u64, more: &str| {
        let limit = "quantity: requests, every: 1m, per: [agent], amounts: { scout: 2 }";
        let text =
            format!("rate_limiting: {{ limits: [ {{ {limit}, amount: {amount} }} ], {more} }}");
        Config::from_yaml(&text).unwrap().limits().unwrap()
    };
    let limiter = Limiter::new(read(1, ""));
    let call = |agent| Call::new().tags(Tags::new().with(Tag::Agent, agent));
    for agent in ["clerk", "scout", "scout"] {
        drop(limiter.try_acquire(call(agent)).await.unwrap());
    }
    let refused = limiter.try_acquire(call("scout")).await.unwrap_err();
    assert_eq!(
        refused.shortage().unwrap().limit,
        "requests 2/min for agent=scout"
    );
    limiter.reconfigure(&read(2, "")).await.unwrap();
    drop(limiter.try_acquire(call("clerk")).await.unwrap());
    let refused = limiter.try_acquire(call("clerk")).await.unwrap_err();
    assert_eq!(
        refused.shortage().unwrap().in_use,
        2,
        "the first still counts"
    );
}

/// A19: a shadow only watches.
#[tokio::test(start_paused = true)]
async fn a_shadow_beside_a_limit_says_what_a_lower_one_would_refuse() {
    let text = "rate_limiting:
        global: { rpm: 3 }
        limits: [ { quantity: requests, amount: 2, every: 1m, shadow: true } ]";
    let stack = Config::from_yaml(text).unwrap().build().unwrap();
    for _ in 0..3 {
        drop(stack.limiter.try_acquire(Call::new()).await.unwrap());
    }
    let refused = stack.limiter.try_acquire(Call::new()).await.unwrap_err();
    assert_eq!(refused.shortage().unwrap().limit, "requests 3/min");
    let shadows = stack.store.unwrap().would_have_refused();
    assert_eq!(shadows, [("requests 2/min (shadow)".to_owned(), 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_call_larger_than_the_share_that_is_used_never_fits_and_hears_both_figures() {
    let limit = Limit::tokens(1_000)
        .every(Duration::from_secs(60))
        .headroom(0.5);
    let limiter = Limiter::new(Limits::new([limit]).unwrap());
    let refused = limiter.acquire(Call::new().tokens(501, 0)).await;
    assert_eq!(
        refused.unwrap_err().to_string(),
        "this call never fits: tokens 500/min (0.5 of 1000): 0 in use, \
         this call needs 501 (would be 501)"
    );
    drop(limiter.acquire(Call::new().tokens(500, 0)).await.unwrap());
}
