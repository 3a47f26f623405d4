//! What is paused is refused until somebody takes it back, and nothing else is another by it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[cfg(feature = "sqlite")]
#[path = "../support/folder.rs"]
mod folder;
mod layers;
mod property;
#[cfg(feature = "redis")]
#[path = "../support/redis/mod.rs"]
#[cfg_attr(
    feature = "sqlite",
    allow(clippy::duplicate_mod, reason = "servers have folders too")
)]
mod redis;
mod stores;
#[path = "../support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "not every test needs all of it")]
mod support;
mod waiting;

use tower_quota::{
    Limiter, Rejection, Tag, Tags,
    limit::{Limit, LimitError},
    limiter::Call,
    store::Reason,
};

fn agent(name: &str) -> Call {
    Call::new().tags(Tags::new().with(Tag::Agent, name))
}

fn scout() -> Limit {
    Limit::paused().when(Tag::Agent, "scout")
}

async fn pause(limiter: &Limiter, pause: Limit) {
    let by = Reason::new("it loops").by("ada");
    limiter
        .change(by, |limits| limits.with(pause))
        .await
        .unwrap();
}

async fn resume(limiter: &Limiter, pause: Limit) {
    let without =
        move |limits: &tower_quota::limit::Limits| Ok::<_, LimitError>(limits.without(&pause));
    let by = Reason::new("mended").by("bob");
    limiter.change(by, without).await.unwrap();
}

fn paused(whose: &str) -> Rejection {
    Rejection::Paused {
        whose: whose.into(),
        of_target: false,
    }
}
