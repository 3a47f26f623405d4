//! Asking without taking, explaining, and recording after the fact.

use crate::later;

use std::{future::Future, pin::pin, sync::Arc, task, time::Duration};

use later::LaterStore;
use tokio::time::{Instant, advance};
use tower_quota::{
    Limiter, Rejection, Tag, Tags, Usage,
    limit::{Limit, Limits},
    limiter::{Call, Outlook, Peek, QueueOptions},
    scope,
    store::MemoryStore,
};

const MINUTE: Duration = Duration::from_secs(60);
const MARGIN: Duration = Duration::from_millis(500);

fn limiter(limits: impl IntoIterator<Item = Limit>) -> Limiter {
    Limiter::new(Limits::new(limits).unwrap())
}

fn agent(name: &str) -> Call {
    Call::new().tags(Tags::new().with(Tag::Agent, name))
}

/// Has a future start to wait.
fn starts_waiting<F: Future>(future: std::pin::Pin<&mut F>) {
    let mut cx = task::Context::from_waker(task::Waker::noop());
    assert!(future.poll(&mut cx).is_pending());
}

#[tokio::test(start_paused = true)]
async fn a_peek_says_what_a_try_would_and_takes_nothing() {
    let limiter = limiter([
        Limit::requests(2).every(MINUTE),
        Limit::concurrency(1).per(Tag::Agent),
    ]);
    for _ in 0..5 {
        assert_eq!(limiter.peek(&agent("a")).await, Ok(Peek::Room));
    }
    let permit = limiter.acquire(agent("a")).await.unwrap();
    for (name, limit) in [("a", "concurrency 1 for agent=a"), ("b", "")] {
        let peeked = limiter.peek(&agent(name)).await.unwrap();
        match limiter.try_acquire(agent(name)).await {
            Ok(_) => assert_eq!(peeked, Peek::Room),
            Err(Rejection::RateLimited(shortage)) => {
                assert_eq!(shortage.limit, limit);
                assert_eq!(peeked, Peek::Wait(shortage));
            }
            Err(other) => panic!("{other}"),
        }
    }
    drop(permit);
    let Peek::Wait(shortage) = limiter.peek(&agent("a")).await.unwrap() else {
        panic!("two requests were sent")
    };
    assert_eq!(shortage.retry_after, Some(MINUTE + MARGIN));
}

#[tokio::test(start_paused = true)]
async fn a_peek_refuses_what_would_be_refused() {
    let store = MemoryStore::new(
        Limits::new([
            Limit::tokens(100).every(MINUTE),
            Limit::requests(1).every_run().when(Tag::Agent, "once"),
        ])
        .unwrap(),
    );
    let limiter = Limiter::build(Arc::new(store), QueueOptions::new().max_waiting(1));
    let kind = async |call: &Call| limiter.peek(call).await.unwrap_err().kind();
    assert_eq!(kind(&Call::new().tokens(101, 0)).await, "never_fits");
    drop(limiter.acquire(agent("once").tokens(60, 0)).await.unwrap());
    assert_eq!(kind(&agent("once")).await, "run_used_up");
    let in_time = |wait| Call::new().tokens(60, 0).max_wait(wait);
    assert_eq!(kind(&in_time(MINUTE)).await, "deadline_exceeded");
    assert!(limiter.peek(&in_time(MINUTE * 2)).await.is_ok());
    let mut waiting = pin!(limiter.acquire(Call::new().tokens(60, 0)));
    starts_waiting(waiting.as_mut());
    assert_eq!(kind(&in_time(MINUTE * 2)).await, "queue_full");
}

/// A22: explain, in the words of the refusal.
#[tokio::test(start_paused = true)]
async fn an_explanation_names_every_limit_and_is_gone_when_there_is_room() {
    let limiter = limiter([
        Limit::requests(10).every(MINUTE),
        Limit::tokens(1_000).every(MINUTE).per(Tag::Agent),
        Limit::concurrency(1),
        Limit::requests(1).every(MINUTE).when(Tag::Agent, "other"),
    ]);
    let call = agent("scout").tokens(300, 0);
    let before = limiter.explain(&call).await.unwrap();
    assert!(!before.held && before.refused.is_none() && before.room == Outlook::Now);
    assert_eq!(before.limits.len(), 3, "it does not touch the fourth");
    assert!(before.to_string().starts_with("admitted now\n- requests"));

    let permit = limiter
        .acquire(agent("scout").tokens(800, 0))
        .await
        .unwrap();
    let held = limiter.explain(&call).await.unwrap();
    assert_eq!(
        held.to_string(),
        "held by 2 of 3 limits; room when something held is given back\n\
         - requests 10/min: 1 in use, this call needs 1 (would be 2); room now\n\
         - tokens 1000/min for agent=scout: 800 in use, this call needs 300 (would be 1100); \
         room when something held is given back\n\
         - concurrency 1: 1 in use, this call needs 1 (would be 2); \
         room when something held is given back"
    );
    permit.settle(Usage::new(800, 0));
    assert_eq!(
        limiter.explain(&call).await.unwrap().room,
        Outlook::In(MINUTE + MARGIN)
    );
    advance(MINUTE + MARGIN).await;
    assert_eq!(limiter.explain(&call).await.unwrap(), before);
}

/// A14: messages say limit, now, would become, and when.
#[tokio::test(start_paused = true)]
async fn an_explanation_uses_the_words_of_the_refusal() {
    let limiter = limiter([Limit::tokens(100).every(MINUTE)]);
    limiter
        .acquire(Call::new().tokens(90, 0))
        .await
        .unwrap()
        .settle(Usage::new(90, 0));
    for (call, what) in [
        (Call::new().tokens(20, 0).max_wait(MINUTE), "no room before"),
        (Call::new().tokens(101, 0), "this call never fits"),
    ] {
        let refusal = limiter.acquire(call.clone()).await.unwrap_err();
        let explanation = limiter.explain(&call).await.unwrap();
        assert_eq!(explanation.refused.as_ref(), Some(&refusal));
        let text = explanation.to_string();
        assert!(text.starts_with(&refusal.to_string()), "{text}");
        assert!(text.starts_with(what), "{text}");
    }
    let shortage = limiter
        .try_acquire(Call::new().tokens(20, 0))
        .await
        .unwrap_err();
    let explanation = limiter.explain(&Call::new().tokens(20, 0)).await.unwrap();
    assert_eq!(
        explanation.limits[0].to_string(),
        shortage.shortage().unwrap().to_string()
    );
}

#[tokio::test(start_paused = true)]
async fn an_explanation_counts_who_goes_first_and_nobody_behind() {
    let limiter = limiter([Limit::tokens(100).every(MINUTE)]);
    drop(limiter.acquire(Call::new().tokens(60, 0)).await.unwrap());
    let early = Call::new().tokens(10, 0);
    let mut waiting = pin!(limiter.acquire(Call::new().tokens(90, 0)));
    starts_waiting(waiting.as_mut());
    let late = limiter.explain(&Call::new().tokens(10, 0)).await.unwrap();
    assert!(late.held, "{late}");
    assert_eq!(
        late.to_string(),
        "held by 1 of 1 limits\n- tokens 100/min: 60 in use, this call needs 10 (would be 70); \
         room now; 1 call that came before waits for it"
    );
    let early = limiter.explain(&early).await.unwrap();
    assert!(!early.held && early.limits[0].ahead == 0, "{early}");
}

#[tokio::test(start_paused = true)]
async fn an_explanation_serialises_for_programs() {
    let limiter = limiter([Limit::requests(1).every(MINUTE), Limit::concurrency(5)]);
    drop(limiter.acquire(Call::new()).await.unwrap());
    let explain = async |call| serde_json::to_value(limiter.explain(&call).await.unwrap()).unwrap();
    let limit = |name: &str, amount, in_use, room: serde_json::Value| {
        serde_json::json!({
            "limit": name, "amount": amount, "shadow": false, "of_target": false, "unit": "number", "in_use": in_use, "reserved": 0,
            "needed": 1, "would_be": in_use + 1, "room": room, "ahead": 0,
        })
    };
    let mut expected = serde_json::json!({
        "held": true,
        "refused": null,
        "room": {"in_ms": 60_500},
        "limits": [
            limit("requests 1/min", 1, 1, serde_json::json!({"in_ms": 60_500})),
            limit("concurrency 5", 5, 0, "now".into()),
        ],
    });
    assert_eq!(explain(Call::new()).await, expected);
    expected["held"] = false.into();
    expected["refused"] =
        "no room before the call's deadline: requests 1/min: 1 in use, this call needs 1 \
                           (would be 2); room in 60.5 s"
            .into();
    assert_eq!(explain(Call::new().max_wait(MINUTE)).await, expected);
}

/// A25: usage recorded after the fact.
#[tokio::test(start_paused = true)]
async fn what_is_recorded_is_paid_before_anything_else_is_admitted() {
    let limiter = limiter([
        Limit::requests(10).every(MINUTE),
        Limit::tokens(100).every(MINUTE).per(Tag::Agent),
        Limit::concurrency(1),
    ]);
    let tags = Tags::new().with(Tag::Agent, "a");
    limiter.record(&tags, Usage::new(200, 50)).await.unwrap();
    let explained = limiter.explain(&agent("a").tokens(1, 0)).await.unwrap();
    let in_use: Vec<u64> = explained.limits.iter().map(|limit| limit.in_use).collect();
    assert_eq!(in_use, [1, 250, 0], "a request, the tokens, and no slot");
    assert_eq!(limiter.peek(&agent("b").tokens(1, 0)).await, Ok(Peek::Room));
    let start = Instant::now();
    drop(limiter.acquire(agent("a").tokens(1, 0)).await.unwrap());
    assert!(start.elapsed() >= MINUTE + MARGIN, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_is_recorded_in_a_scope_counts_under_its_tags() {
    let limiter = limiter([Limit::requests(5).every_run()]);
    let run = |name: &str| Tags::new().with(Tag::Run, name);
    scope(run("7"), limiter.record(&Tags::new(), Usage::default()))
        .await
        .unwrap();
    let used = async |name: &str| {
        let call = Call::new().tags(run(name));
        limiter.explain(&call).await.unwrap().limits[0].in_use
    };
    assert_eq!((used("7").await, used("8").await), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_dropped_while_a_slow_store_answers_counts_all_the_same() {
    let store = LaterStore::new(Limits::new([Limit::requests(5).every(MINUTE)]).unwrap());
    let limiter = Limiter::with_store(store);
    {
        let tags = Tags::new();
        let mut recording = pin!(limiter.record(&tags, Usage::default()));
        starts_waiting(recording.as_mut());
    }
    for _ in 0..5 {
        tokio::task::yield_now().await;
    }
    let explained = limiter.explain(&Call::new()).await.unwrap();
    assert_eq!(explained.limits[0].in_use, 1);
}
