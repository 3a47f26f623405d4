//! Calls inside calls: what is inherited, what is not, and that parents and children do not stand still.

use crate::http_stack;
use crate::later;

use std::{sync::Arc, time::Duration};

use later::LaterStore;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tower_quota::{
    Limiter, Rejection, Tag, Tags,
    limit::{Limit, Limits},
    limiter::{Call, Delegation},
    scope,
};

const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);
const PARENTS: u64 = 4;

fn limits(limits: impl IntoIterator<Item = Limit>) -> Limits {
    Limits::new(limits).unwrap()
}

fn slots(amount: u64) -> Limiter {
    Limiter::new(limits([Limit::concurrency(amount)]))
}

fn agent(name: &str) -> Call {
    Call::new().tags(Tags::new().with(Tag::Agent, name))
}

/// What counts under the first limit.
async fn in_use(limiter: &Limiter, call: Call) -> u64 {
    limiter.explain(&call).await.unwrap().limits[0].in_use
}

/// As many parents as slots, two more behind them, each waiting for three children.
async fn families(limiter: Limiter, inherit: bool) -> usize {
    let mut parents = JoinSet::new();
    for _ in 0..PARENTS + 2 {
        let limiter = limiter.clone();
        parents.spawn(async move {
            let inner = limiter.clone();
            let family = limiter.run(Call::new(), async move {
                sleep(SECOND).await;
                let mut children = JoinSet::new();
                for _ in 0..3 {
                    let limiter = inner.clone();
                    let child = async move {
                        limiter
                            .run(Call::new().max_wait(MINUTE), sleep(SECOND))
                            .await
                    };
                    if inherit {
                        children.spawn(Delegation::current().scope(child));
                    } else {
                        children.spawn(child);
                    }
                }
                children
                    .join_all()
                    .await
                    .into_iter()
                    .filter(Result::is_ok)
                    .count()
            });
            family.await.unwrap()
        });
    }
    parents.join_all().await.into_iter().sum()
}

/// X4: controller and sub-agents.
#[tokio::test(start_paused = true)]
async fn as_many_parents_as_slots_wait_for_their_children_and_none_stands_still() {
    let start = Instant::now();
    assert_eq!(families(slots(PARENTS), true).await, 18);
    assert!(start.elapsed() < SECOND * 5, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn parents_on_a_slow_store_do_not_stand_still_either() {
    let store = LaterStore::new(limits([Limit::concurrency(PARENTS)]));
    assert_eq!(families(Limiter::with_store(store), true).await, 18);
}

#[tokio::test(start_paused = true)]
async fn children_that_inherit_nothing_wait_for_slots_that_their_parents_hold() {
    // Those of the first four time out together; the last two parents leave two slots to theirs.
    let done = families(slots(PARENTS), false).await;
    assert!(done < 18, "{done}");
}

#[tokio::test(start_paused = true)]
async fn windows_and_run_limits_count_every_call_however_deep() {
    let limiter = Limiter::new(limits([
        Limit::requests(10).every(MINUTE),
        Limit::requests(3).every_run(),
        Limit::concurrency(1),
    ]));
    let run = Call::new().tags(Tags::new().with(Tag::Run, "7"));
    let refused = limiter
        .run(run.clone(), async {
            let deeper = limiter.run(Call::new(), limiter.run(Call::new(), sleep(SECOND)));
            deeper.await.unwrap().unwrap();
            limiter.run(Call::new(), sleep(SECOND)).await.unwrap_err()
        })
        .await
        .unwrap();
    assert!(matches!(refused, Rejection::RunUsedUp(_)), "{refused}");
    let explained = limiter.explain(&run).await.unwrap();
    let in_use: Vec<u64> = explained.limits.iter().map(|limit| limit.in_use).collect();
    assert_eq!(in_use, [3, 3, 0], "{explained}");
}

#[tokio::test(start_paused = true)]
async fn a_child_of_another_agent_takes_a_slot_of_its_own() {
    let limiter = Limiter::new(limits([Limit::concurrency(1).per(Tag::Agent)]));
    let inside = async {
        let other = limiter.try_acquire(agent("b")).await.unwrap();
        assert_eq!(in_use(&limiter, agent("b")).await, 1);
        assert!(limiter.try_acquire(agent("b")).await.is_err());
        drop(other);
        drop(limiter.try_acquire(agent("a")).await.unwrap());
    };
    limiter.run(agent("a"), inside).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn slots_of_one_limiter_are_nothing_to_another_and_all_to_its_clone() {
    let (one, other) = (slots(1), slots(1));
    let inside = async {
        let taken = other.try_acquire(Call::new()).await.unwrap();
        assert!(other.try_acquire(Call::new()).await.is_err());
        drop(taken);
        drop(one.clone().try_acquire(Call::new()).await.unwrap());
    };
    one.run(Call::new(), inside).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_slot_that_was_given_back_is_not_held_any_more() {
    let limiter = slots(1);
    let permit = limiter.acquire(Call::new()).await.unwrap();
    let scope = permit.scope(async { Delegation::current() });
    let inside = scope.await;
    let again = || inside.clone().scope(limiter.try_acquire(Call::new()));
    drop(again().await.unwrap());
    permit.release();
    let taken = again().await.unwrap();
    assert!(
        again().await.is_err(),
        "the slot is taken by a call of its own"
    );
    drop(taken);
}

#[tokio::test(start_paused = true)]
async fn after_the_scope_calls_take_slots_again() {
    let limiter = slots(2);
    let permit = limiter.acquire(Call::new()).await.unwrap();
    permit
        .scope(async { drop(limiter.try_acquire(Call::new()).await.unwrap()) })
        .await;
    let second = limiter.try_acquire(Call::new()).await.unwrap();
    assert!(limiter.try_acquire(Call::new()).await.is_err());
    drop((permit, second));
}

#[tokio::test(start_paused = true)]
async fn a_child_that_waits_for_a_window_waits_without_a_slot() {
    let limiter = Limiter::new(limits([
        Limit::requests(1).every(MINUTE),
        Limit::concurrency(1),
    ]));
    let start = Instant::now();
    let child = limiter.run(Call::new(), async {});
    timeout(MINUTE * 2, limiter.run(Call::new(), child))
        .await
        .expect("it does not stand still")
        .unwrap()
        .unwrap();
    assert!(start.elapsed() >= MINUTE);
}

#[tokio::test(start_paused = true)]
async fn tags_add_up_and_who_is_inside_counts_for_those_around() {
    let limiter = Limiter::new(limits([Limit::requests(9).every_run().per(Tag::Agent)]));
    let tags = |run: &str, agent: &str| Tags::new().with(Tag::Run, run).with(Tag::Agent, agent);
    let outer = scope(tags("7", "planner"), async {
        drop(limiter.acquire(Call::new()).await.unwrap());
        let inner = scope(Tags::new().with(Tag::Agent, "scout"), async {
            drop(limiter.acquire(Call::new()).await.unwrap());
            drop(limiter.acquire(Call::new()).await.unwrap());
            drop(limiter.acquire(agent("critic")).await.unwrap());
        });
        inner.await;
        drop(limiter.acquire(Call::new()).await.unwrap());
    });
    outer.await;
    for (agent, used) in [("planner", 5), ("scout", 3), ("critic", 1)] {
        let call = Call::new().tags(tags("7", agent));
        assert_eq!(in_use(&limiter, call).await, used, "{agent}");
    }
    assert!(Tags::current().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_call_hands_down_who_calls_and_not_where_it_goes() {
    let limiter = slots(9);
    let tags = Tags::new().with(Tag::Team, "blue").with(Tag::Model, "m");
    let inside = limiter.run(Call::new().tags(tags.clone()), async { Tags::current() });
    assert_eq!(inside.await.unwrap().to_string(), "team=blue");
    let said = scope(tags, async { Tags::current() }).await;
    assert_eq!(
        said.to_string(),
        "model=m team=blue",
        "a scope hands down all that it was told"
    );
}

/// A26: a function that is not HTTP.
#[tokio::test(start_paused = true)]
async fn refused_work_is_never_started_and_dropped_work_leaves_its_place() {
    let limiter = Limiter::new(limits([
        Limit::requests(2).every_run(),
        Limit::concurrency(1),
    ]));
    let work = limiter.run(Call::new(), sleep(MINUTE));
    assert!(timeout(SECOND, work).await.is_err());
    assert_eq!(limiter.run(Call::new(), async { 5 }).await, Ok(5));
    let refused = limiter.run(Call::new(), async { panic!("it was refused") });
    assert!(matches!(
        refused.await,
        Err::<(), _>(Rejection::RunUsedUp(_))
    ));
}

mod http {
    use tower_quota::{AdmissionLayer, RetryLayer};

    use super::{
        http_stack::{ask, ask_with, busy_once, calling},
        *,
    };

    #[tokio::test(start_paused = true)]
    async fn a_call_inside_a_service_behind_a_layer_takes_no_slot_again() {
        let limiter = slots(1);
        let inner = limiter.clone();
        let service = calling(AdmissionLayer::new(limiter.clone()), move |_| {
            let limiter = inner.clone();
            async move {
                let nested = calling(AdmissionLayer::new(limiter), async |_| 200);
                ask(&nested, Tags::new()).await
            }
        });
        let status = timeout(MINUTE, ask(&service, Tags::new())).await;
        assert_eq!(status.expect("it stands still"), 200);
        assert_eq!(in_use(&limiter, Call::new()).await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_behind_a_layer_inherits_who_called() {
        let limiter = slots(9);
        let service = calling(AdmissionLayer::new(limiter), async |_| {
            assert_eq!(Tags::current().to_string(), "run=7");
            200
        });
        let tags = Tags::new().with(Tag::Run, "7").with(Tag::Provider, "p");
        assert_eq!(ask(&service, tags).await, 200);
    }

    #[tokio::test(start_paused = true)]
    async fn the_layers_inherit_the_scope_and_what_the_request_says_is_inside_it() {
        let per_agent = Limit::requests(9).every(MINUTE).per(Tag::Agent);
        let limiter = Limiter::new(limits([per_agent]));
        let service = calling(AdmissionLayer::new(limiter.clone()), async |_| 200);
        let a = Tags::new().with(Tag::Agent, "a");
        scope(a, async {
            ask(&service, Tags::new()).await;
            ask(&service, Tags::new().with(Tag::Agent, "b")).await;
        })
        .await;
        ask(&service, Tags::new()).await;
        for (call, used) in [(agent("a"), 2), (agent("b"), 1), (Call::new(), 1)] {
            assert_eq!(in_use(&limiter, call).await, used);
        }
    }

    /// A11: calls within calls count where their parents do.
    #[tokio::test(start_paused = true)]
    async fn a_new_client_or_agent_resets_no_window_and_no_run() {
        let per_run = Limit::requests(3).every_run();
        let limiter = Limiter::new(limits([Limit::requests(4).every(MINUTE), per_run]));
        let call = async |run: &str, agent: usize| {
            let layer = AdmissionLayer::new(limiter.clone()).reject_when_full();
            let client = calling(layer, async |_| 200);
            let tags = Tags::new().with(Tag::Agent, agent.to_string());
            ask(&client, tags.with(Tag::Run, run)).await == 200
        };
        let mut let_in = Vec::new();
        for (agent, run) in ["7", "7", "7", "7", "8", "8"].into_iter().enumerate() {
            let_in.push(call(run, agent).await);
        }
        assert_eq!(let_in, [true, true, true, false, true, false]);
        tokio::time::sleep(MINUTE * 2).await;
        assert!(!call("7", 9).await, "a run is used up for good");
        assert!(call("8", 9).await, "and a window is not");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_of_a_spawned_task_carries_its_delegation() {
        let limiter = slots(1);
        let service = calling(
            AdmissionLayer::new(limiter.clone()).reject_when_full(),
            async |_| 200,
        );
        let inside = limiter.run(Call::new(), async {
            let delegation = Delegation::current();
            let task = tokio::spawn(async move {
                let without = ask(&service, Tags::new()).await;
                (without, ask_with(&service, delegation).await)
            });
            task.await.unwrap()
        });
        assert_eq!(inside.await.unwrap(), (429, 200));
    }

    /// The slot that the first attempt held is not taken for an ancestor's.
    #[tokio::test(start_paused = true)]
    async fn a_repeated_attempt_takes_its_slot_again() {
        let limiter = slots(1);
        for inverted in [false, true] {
            let other = limiter.clone();
            let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
            let note = seen.clone();
            let provider = busy_once(move || {
                let (other, note) = (other.clone(), note.clone());
                async move {
                    let elsewhere = async move { other.try_acquire(Call::new()).await.is_err() };
                    let taken = tokio::spawn(elsewhere).await.unwrap();
                    note.lock().unwrap().push(taken);
                }
            });
            let (admission, retry) = (AdmissionLayer::new(limiter.clone()), RetryLayer::new());
            let status = if inverted {
                ask(
                    &tower::ServiceBuilder::new()
                        .layer(admission)
                        .layer(retry)
                        .service(provider),
                    Tags::new(),
                )
                .await
            } else {
                ask(
                    &tower::ServiceBuilder::new()
                        .layer(retry)
                        .layer(admission)
                        .service(provider),
                    Tags::new(),
                )
                .await
            };
            assert_eq!(status, 200);
            assert_eq!(
                *seen.lock().unwrap(),
                [true, true],
                "both attempts hold the slot"
            );
        }
    }
}
