//! Checks that what a sub-agent does counts for the agents that it works for.

use std::sync::Arc;

use super::{claim, expect_refusal, granted, limits, refused, sent, settle, spend, tokens, window};
use crate::{
    limit::{Limit, LimitKey, Limits},
    store::{Claim, Settlement, Store},
    tags::{Tag, Tags},
    usage::Usage,
};

/// Runs all the checks below, each with an empty store.
pub async fn check(make: &impl Fn(Limits) -> Arc<dyn Store>) {
    it_counts_for_each_agent_around_it(make).await;
    it_takes_from_all_of_them_or_from_none(make).await;
    it_settles_with_all_of_them(make).await;
    it_takes_no_slot_that_one_of_them_holds(make).await;
}

/// The tags of the last of these agents, who works for the one before, and so on.
fn nested(agents: &[&str]) -> Tags {
    agents.iter().fold(Tags::new(), |tags, agent| {
        tags.enclosing(&Tags::new().with(Tag::Agent, *agent))
    })
}

fn values(key: &LimitKey) -> Vec<&str> {
    key.values().iter().map(AsRef::as_ref).collect()
}

/// Checks that the counts of the agents around are its own as well, and that those of others are not.
pub async fn it_counts_for_each_agent_around_it(make: &impl Fn(Limits) -> Arc<dyn Store>) {
    let each = window(Limit::requests(2)).per(Tag::Agent);
    let lead = window(Limit::requests(3)).when(Tag::Agent, "lead");
    let store = make(limits([each, lead]));
    let scout = claim(nested(&["lead", "scout"]));
    let keys = store.keys(&scout);
    let names: Vec<(usize, Vec<&str>)> = keys.iter().map(|k| (k.limit(), values(k))).collect();
    assert_eq!(names, [(0, vec!["scout"]), (0, vec!["lead"]), (1, vec![])]);
    spend(&*store, &scout).await;
    spend(&*store, &claim(nested(&["lead"]))).await;
    let refusal = refused(&*store, &scout).await;
    assert_eq!((values(&refusal.key), refusal.in_use), (vec!["lead"], 2));
    expect_refusal(&*store, &claim(nested(&["lead", "other"]))).await;
    spend(&*store, &claim(nested(&["scout"]))).await;
    expect_refusal(&*store, &claim(nested(&["scout"]))).await;
    // Elsewhere they have counts of their own.
    spend(&*store, &claim(nested(&["other"]))).await;
}

/// Checks that a refusal for one agent leaves nothing spent at another.
pub async fn it_takes_from_all_of_them_or_from_none(make: &impl Fn(Limits) -> Arc<dyn Store>) {
    let store = make(limits([window(Limit::requests(1)).per(Tag::Agent)]));
    let lead = granted(&*store, &claim(nested(&["lead"]))).await;
    expect_refusal(&*store, &claim(nested(&["lead", "scout"]))).await;
    let scout = granted(&*store, &claim(nested(&["scout"]))).await;
    for grant in [lead, scout] {
        store.release(grant).get().await.expect("released");
    }
    let both = granted(&*store, &claim(nested(&["lead", "scout"]))).await;
    store.release(both).get().await.expect("released");
    spend(&*store, &claim(nested(&["lead"]))).await;
    spend(&*store, &claim(nested(&["scout"]))).await;
}

/// Checks that what was used replaces what was reserved at each of them.
pub async fn it_settles_with_all_of_them(make: &impl Fn(Limits) -> Arc<dyn Store>) {
    let store = make(limits([window(Limit::tokens(100)).per(Tag::Agent)]));
    let of = |agents: &[&str], tokens: Claim| Claim {
        tags: nested(agents).into(),
        ..tokens
    };
    let grant = sent(&*store, &of(&["lead", "scout"], tokens(90, 0))).await;
    for agent in ["lead", "scout"] {
        expect_refusal(&*store, &of(&[agent], tokens(11, 0))).await;
    }
    settle(&*store, grant, Settlement::Usage(Usage::new(40, 10))).await;
    for agent in ["lead", "scout"] {
        assert_eq!(
            refused(&*store, &of(&[agent], tokens(51, 0))).await.in_use,
            50
        );
        spend(&*store, &of(&[agent], tokens(50, 0))).await;
    }
}

/// Checks that who holds a slot for its own agent lends it to those that work for it, whose own slots they need.
pub async fn it_takes_no_slot_that_one_of_them_holds(make: &impl Fn(Limits) -> Arc<dyn Store>) {
    let store = make(limits([Limit::concurrency(1).per(Tag::Agent)]));
    let lead = claim(nested(&["lead"]));
    let holds = granted(&*store, &lead).await;
    expect_refusal(&*store, &claim(nested(&["lead", "scout"]))).await;
    let inside = Claim {
        held: store.keys(&lead),
        ..claim(nested(&["lead", "scout"]))
    };
    let scout = granted(&*store, &inside).await;
    let refusal = refused(&*store, &inside).await;
    assert_eq!(values(&refusal.key), ["scout"]);
    for grant in [scout, holds] {
        store.release(grant).get().await.expect("released");
    }
    drop(granted(&*store, &claim(nested(&["lead", "scout"]))).await);
}
