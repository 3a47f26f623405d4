//! A11: what a sub-agent does counts in the windows, slots and budgets of the agent that it works for.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, advance};
use tower_quota::{
    Limiter, Money, Rejection, Tag, Tags, Usage,
    limit::{Limit, Limits},
    limiter::{Call, Delegation, QueueOptions},
    scope,
    store::MemoryStore,
};

const MINUTE: Duration = Duration::from_secs(60);

fn limiter(limits: impl IntoIterator<Item = Limit>) -> Limiter {
    Limiter::new(Limits::new(limits).unwrap())
}

fn agent(name: &str) -> Tags {
    Tags::new().with(Tag::Agent, name)
}

/// One that does not wait.
fn call() -> Call {
    Call::new().max_wait(Duration::ZERO)
}

/// The same by the last of these agents, each inside the one before.
async fn call_of(agents: &[&str]) -> Call {
    let mut tags = Tags::new();
    for name in agents {
        let inside = scope(agent(name), async { Tags::current() });
        tags = scope(tags, inside).await;
    }
    call().tags(tags)
}

fn refused_by(rejection: &Rejection) -> String {
    rejection.shortage().unwrap().limit.clone()
}

/// Each with a name of its own, however deep.
#[tokio::test(start_paused = true)]
async fn a_new_name_is_no_new_window() {
    let limiter = limiter([Limit::requests(3).every(MINUTE).per(Tag::Agent)]);
    let run = || {
        let limiter = limiter.clone();
        Box::pin(async move { limiter.run(call(), async {}).await })
    };
    scope(agent("lead"), async {
        run().await.unwrap();
        scope(agent("planner"), async {
            run().await.unwrap();
            let scout = Delegation::current().scope(scope(agent("scout"), run()));
            tokio::spawn(scout).await.unwrap().unwrap();
            let refused = scope(agent("other"), run()).await.unwrap_err();
            assert_eq!(refused_by(&refused), "requests 3/min for agent=lead");
        })
        .await;
    })
    .await;
    for (name, used) in [("lead", 3), ("planner", 2), ("scout", 1), ("other", 0)] {
        let explained = limiter.explain(&call().tags(agent(name))).await.unwrap();
        assert_eq!(explained.limits[0].in_use, used, "{name}");
    }
    advance(MINUTE * 2).await;
    scope(agent("lead"), scope(agent("other"), run()))
        .await
        .unwrap();
}

/// B7: nor is a new run.
#[tokio::test(start_paused = true)]
async fn a_run_within_a_run_uses_up_both() {
    let limiter = limiter([Limit::requests(2).every_run()]);
    let run = |name: &str| Tags::new().with(Tag::Run, name);
    let made = scope(run("7"), async {
        let mut made = 0;
        for inner in ["a", "b", "c"] {
            let tags = run(inner).with(Tag::Agent, "scout");
            made += u32::from(limiter.run(call().tags(tags), async {}).await.is_ok());
        }
        made
    });
    assert_eq!(made.await, 2);
    let explained = limiter.explain(&call().tags(run("a"))).await.unwrap();
    assert_eq!(explained.limits[0].in_use, 1);
}

/// Who is not inside is nobody's sub-agent.
#[tokio::test(start_paused = true)]
async fn a_task_that_inherits_nothing_counts_for_itself() {
    let limiter = limiter([Limit::requests(1).every(MINUTE).per(Tag::Agent)]);
    let other = limiter.clone();
    scope(agent("lead"), async {
        limiter.run(call(), async {}).await.unwrap();
        let alone = async move { other.run(call().tags(agent("scout")), async {}).await };
        tokio::spawn(alone).await.unwrap().unwrap();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_budget_of_an_agent_pays_for_its_sub_agents() {
    let ten = Limit::cost(Money::from_dollars(10)).every(MINUTE);
    let limiter = limiter([ten.when(Tag::Agent, "lead")]);
    let spend = async |agents: &[&str], dollars| {
        let cost = Money::from_dollars(dollars);
        let permit = limiter.acquire(call_of(agents).await.cost(cost)).await?;
        let mut usage = Usage::new(1, 1);
        usage.cost = Some(cost);
        permit.settle(usage);
        Ok::<_, Rejection>(())
    };
    spend(&["lead", "scout"], 6).await.unwrap();
    let refused = spend(&["lead", "other"], 5).await.unwrap_err();
    let by = refused_by(&refused);
    assert!(by.contains("agent=lead"), "{by}");
    spend(&["scout"], 100).await.unwrap();
    spend(&["lead", "other"], 4).await.unwrap();
}

/// The slot of who waits for a sub-agent is no reason to stand still; a sub-agent's own is one.
#[tokio::test(start_paused = true)]
async fn a_slot_that_is_held_around_is_not_taken_again() {
    let limiter = limiter([Limit::concurrency(1).per(Tag::Agent)]);
    scope(agent("lead"), async {
        let inside = scope(agent("scout"), async {
            let held = Box::pin(limiter.acquire(call())).await.unwrap();
            let refused = Box::pin(limiter.acquire(call())).await.unwrap_err();
            assert!(refused_by(&refused).contains("agent=scout"), "{refused}");
            drop(held);
        });
        Box::pin(limiter.run(call(), inside)).await.unwrap();
    })
    .await;
    // Two for whom nobody waits are two of the one around.
    let acquire = async |name| limiter.acquire(call_of(&["lead", name]).await).await;
    let held = acquire("a").await.unwrap();
    let refused = acquire("b").await.unwrap_err();
    assert!(refused_by(&refused).contains("agent=lead"), "{refused}");
    drop(held);
    drop(acquire("b").await.unwrap());
}

/// It waits in the queue for room of the one around, and is woken when there is some.
#[tokio::test(start_paused = true)]
async fn it_waits_for_room_of_the_agent_around_it() {
    let limiter = limiter([Limit::requests(1).every(MINUTE).per(Tag::Agent)]);
    let start = Instant::now();
    let lead = call_of(&["lead"]).await;
    limiter.run(lead, async {}).await.unwrap();
    let scout = call_of(&["lead", "scout"]).await.max_wait(MINUTE * 2);
    let went = limiter.run(scout, async { start.elapsed() }).await;
    assert!(went.unwrap() >= MINUTE);
    let scout = call_of(&["scout"]).await;
    let refused = limiter.run(scout, async {}).await.unwrap_err();
    assert!(refused_by(&refused).contains("agent=scout"), "{refused}");
}

/// What is paused is so with all who work for it.
#[tokio::test(start_paused = true)]
async fn a_pause_of_an_agent_is_one_of_its_sub_agents() {
    let limiter = limiter([Limit::paused().when(Tag::Agent, "lead")]);
    let inside = call_of(&["lead", "scout"]).await;
    let refused = limiter.run(inside, async {}).await.unwrap_err();
    assert!(matches!(refused, Rejection::Paused { .. }), "{refused}");
    let alone = call_of(&["scout"]).await;
    limiter.run(alone, async {}).await.unwrap();
}

/// Agents that have no count of their own share one, and a call of both is one call there.
#[tokio::test(start_paused = true)]
async fn where_both_share_a_count_a_call_is_one() {
    let each = Limit::requests(2).every(MINUTE).per(Tag::Agent);
    let store = MemoryStore::new(Limits::new([each]).unwrap()).max_counts(1);
    let limiter = Limiter::build(Arc::new(store), QueueOptions::new());
    let run = async |agents: &[&str]| limiter.run(call_of(agents).await, async {}).await;
    run(&["first"]).await.unwrap();
    run(&["lead", "scout"]).await.unwrap();
    run(&["lead", "scout"]).await.unwrap();
    let refused = run(&["lead", "scout"]).await.unwrap_err();
    assert!(refused_by(&refused).contains("all others"), "{refused}");
}

/// What is recorded afterwards counts for both, and tags that are kept are read as they were.
#[tokio::test(start_paused = true)]
async fn what_is_recorded_counts_for_both_and_tags_are_kept_whole() {
    let limiter = limiter([Limit::tokens(100).every(MINUTE).per(Tag::Agent)]);
    let inside = scope(agent("scout"), async {
        let usage = Usage::new(30, 0);
        limiter.record(&Tags::new(), usage).await.unwrap();
        Tags::current()
    });
    let tags = scope(agent("lead"), inside).await;
    for name in ["lead", "scout"] {
        let explained = limiter.explain(&call().tags(agent(name))).await.unwrap();
        assert_eq!(explained.limits[0].in_use, 30, "{name}");
    }
    let text = serde_json::to_string(&tags).unwrap();
    assert_eq!(
        text,
        r#"{"agent":"scout","(outer)":"[{\"agent\":\"lead\"}]"}"#
    );
    assert_eq!(serde_json::from_str::<Tags>(&text).unwrap(), tags);
}
