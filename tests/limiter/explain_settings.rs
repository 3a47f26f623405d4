//! What looking and explaining say of headroom, slices, amounts for values and limits that only watch.

use std::time::Duration;

use tokio::{task::yield_now, time::timeout};
use tower_quota::{
    Limiter, Tag, Tags, Usage,
    limit::{Limit, Limits},
    limiter::{Call, Explanation, Outlook, Peek},
};

const MINUTE: Duration = Duration::from_secs(60);

fn window(limit: Limit) -> Limit {
    limit.every(MINUTE).margin(Duration::ZERO)
}

fn limiter(limits: impl IntoIterator<Item = Limit>) -> Limiter {
    Limiter::new(Limits::new(limits).unwrap())
}

fn agent(name: &str) -> Call {
    Call::new().tags(Tags::new().with(Tag::Agent, name))
}

fn lines(explanation: &Explanation) -> Vec<(&str, u64, u64, Outlook)> {
    let all = explanation.limits.iter();
    all.map(|l| (&*l.limit, l.amount, l.in_use, l.room))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_limit_is_explained_with_what_may_be_used_of_it() {
    let limiter = limiter([
        window(Limit::requests(10)).headroom(0.5),
        window(Limit::requests(1))
            .per(Tag::Agent)
            .amount_for("vip", 2),
        window(Limit::requests(60))
            .when(Tag::Agent, "vip")
            .slice(MINUTE / 60),
    ]);
    let vip = agent("vip");
    drop(limiter.acquire(vip.clone()).await.unwrap());
    let second = Duration::from_secs(1);
    let explanation = limiter.explain(&vip).await.unwrap();
    assert_eq!(
        lines(&explanation),
        [
            ("requests 5/min (0.5 of 10)", 5, 1, Outlook::Now),
            ("requests 2/min for agent=vip", 2, 1, Outlook::Now),
            ("requests 60/min for agent=vip", 60, 1, Outlook::Now),
            (
                "requests 1/s (a slice of 60/min) for agent=vip",
                1,
                1,
                Outlook::In(second)
            ),
        ]
    );
    let Peek::Wait(shortage) = limiter.peek(&vip).await.unwrap() else {
        panic!("the slice is used up")
    };
    assert_eq!(shortage.retry_after, Some(second));
    drop(limiter.acquire(agent("b")).await.unwrap());
    assert!(matches!(limiter.peek(&agent("b")).await, Ok(Peek::Wait(_))));
}

#[tokio::test(start_paused = true)]
async fn a_limit_is_explained_with_the_amount_that_holds_now() {
    let of = |amount| Limits::new([window(Limit::requests(amount))]).unwrap();
    let limiter = Limiter::new(of(1));
    drop(limiter.acquire(Call::new()).await.unwrap());
    limiter.reconfigure(&of(7)).await.unwrap();
    let explanation = limiter.explain(&Call::new()).await.unwrap();
    assert_eq!(
        lines(&explanation),
        [("requests 7/min", 7, 1, Outlook::Now)]
    );
    assert_eq!(limiter.peek(&Call::new()).await, Ok(Peek::Room));
}

#[tokio::test(start_paused = true)]
async fn a_shadow_is_explained_and_holds_nobody_up() {
    let limiter = limiter([
        window(Limit::tokens(10)).shadow(),
        Limit::concurrency(1).when(Tag::Agent, "a"),
    ]);
    let call = || agent("b").tokens(50, 0);
    let explanation = limiter.explain(&call()).await.unwrap();
    assert!(
        !explanation.held && explanation.refused.is_none(),
        "{explanation}"
    );
    assert_eq!(explanation.room, Outlook::Now);
    assert_eq!(explanation.limits[0].room, Outlook::Never);
    assert!(explanation.limits[0].shadow);
    assert_eq!(explanation.held_by().count(), 0);
    assert_eq!(limiter.peek(&call()).await, Ok(Peek::Room));

    let permit = limiter.acquire(agent("a").tokens(9, 0)).await.unwrap();
    let waiting = tokio::spawn({
        let limiter = limiter.clone();
        async move { limiter.acquire(agent("a").tokens(9, 0)).await }
    });
    yield_now().await;
    assert_eq!(limiter.waiting(), 1);
    // It touches the shadow as well, and passes whoever waits for something else.
    drop(limiter.try_acquire(call()).await.unwrap());
    let refused = limiter.try_acquire(agent("a")).await.unwrap_err();
    assert_eq!(
        refused.shortage().unwrap().limit,
        "concurrency 1 for agent=a"
    );
    permit.settle(Usage::new(9, 0));
    let next = timeout(MINUTE, waiting).await.expect("woken");
    drop(next.unwrap().unwrap());
}
