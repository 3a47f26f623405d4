//! Calls of the core.

use std::time::Duration;

use tokio::{task::JoinHandle, time::Instant};
use tower_quota::{
    Limiter, Rejection, Tag, Tags, Usage,
    limit::{Limit, LimitError},
    limiter::{Call, CallState, Permit, Progress},
};

use crate::{
    awaited, sent, settle_down,
    support::{MINUTE, limiter, secs},
};

fn agent(name: &str) -> Call {
    Call::new().tags(Tags::new().with(Tag::Agent, name))
}

async fn waits(limiter: &Limiter, call: Call) -> JoinHandle<Result<Permit, Rejection>> {
    let limiter = limiter.clone();
    let task = tokio::spawn(async move { limiter.acquire(call).await });
    settle_down().await;
    task
}

/// R9: attempts, waits and causes are visible.
#[tokio::test(start_paused = true)]
async fn it_says_for_what_it_waits_in_the_words_of_the_refusals_and_who_goes_before() {
    let limiter = limiter([
        Limit::concurrency(1),
        Limit::tokens(100).every(MINUTE).per(Tag::Agent),
    ]);
    let held = limiter.acquire(agent("a").tokens(60, 0)).await.unwrap();
    let (first, second) = (Progress::new(), Progress::new());
    assert_ne!(first.id(), second.id());
    assert_eq!(first.state(), CallState::Received);
    let one = waits(&limiter, agent("a").tokens(60, 0).progress(&first)).await;
    let other = waits(&limiter, agent("b").progress(&second)).await;
    let wait = awaited(&first);
    assert_eq!(
        wait.to_string(),
        "waits for concurrency 1: 1 in use, this call needs 1 (would be 2)"
    );
    assert_eq!((wait.ahead, wait.expected_in), (0, None));
    assert_eq!(
        awaited(&second).to_string(),
        "waits for concurrency 1: 1 in use, this call needs 1 (would be 2); 1 call goes before it"
    );
    tokio::time::advance(secs(5)).await;
    // The place is free; the first lacks something else now, and the second goes.
    held.settle(Usage::new(60, 0));
    let permit = other.await.unwrap().unwrap();
    assert_eq!(sent(&second), (1, 0));
    settle_down().await;
    let wait = awaited(&first);
    assert_eq!(wait.since.elapsed(), secs(5));
    // Both lack room now; nobody can say when the place is free.
    assert_eq!(wait.expected_in, None);
    drop(permit);
    assert_eq!(second.state(), CallState::Done);
    settle_down().await;
    let wait = awaited(&first);
    assert_eq!(
        wait.to_string(),
        "waits for tokens 100/min for agent=a: 60 in use, this call needs 60 (would be 120); room in 60.5 s"
    );
    assert_eq!(wait.expected_in, Some(Duration::from_millis(60_500)));
    let permit = one.await.unwrap().unwrap();
    assert_eq!(first.waited(), Duration::from_millis(65_500));
    let CallState::Sent { since, tags, .. } = first.state() else {
        panic!("it is under way");
    };
    assert_eq!(
        (since.elapsed(), tags.get(&Tag::Agent)),
        (Duration::ZERO, Some("a"))
    );
    permit.settle(Usage::new(1, 1));
    assert_eq!(first.state(), CallState::Done);
    assert_eq!(first.waited(), Duration::from_millis(65_500));
}

#[tokio::test(start_paused = true)]
async fn one_that_has_room_never_waits() {
    let limiter = limiter([Limit::concurrency(1)]);
    let progress = Progress::new();
    let permit = limiter
        .acquire(Call::new().progress(&progress))
        .await
        .unwrap();
    assert_eq!(
        (sent(&progress), progress.waited()),
        ((1, 0), Duration::ZERO)
    );
    permit.release();
    assert_eq!(progress.state(), CallState::Done);
    let progress = Progress::new();
    let permit = limiter.try_acquire(Call::new().progress(&progress)).await;
    assert_eq!(sent(&progress), (1, 0));
    let refused = Progress::new();
    assert!(
        limiter
            .try_acquire(Call::new().progress(&refused))
            .await
            .is_err()
    );
    assert_eq!(
        (refused.state(), refused.last_sent()),
        (CallState::Done, None)
    );
    drop(permit);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_given_up_refused_or_too_late_is_done_and_waits_no_longer() {
    let limiter = limiter([Limit::concurrency(1)]);
    let held = limiter.acquire(Call::new()).await.unwrap();

    let given_up = Progress::new();
    let task = waits(&limiter, Call::new().progress(&given_up)).await;
    tokio::time::advance(secs(3)).await;
    assert_eq!(given_up.waited(), secs(3));
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    tokio::time::advance(secs(3)).await;
    assert_eq!(
        (given_up.state(), given_up.waited()),
        (CallState::Done, secs(3))
    );

    let late = Progress::new();
    let task = waits(&limiter, Call::new().max_wait(secs(4)).progress(&late)).await;
    assert_eq!(awaited(&late).since.elapsed(), Duration::ZERO);
    let refused = task.await.unwrap().unwrap_err();
    assert_eq!(refused.kind(), "deadline_exceeded");
    assert_eq!((late.state(), late.waited()), (CallState::Done, secs(4)));

    let paused = Progress::new();
    let task = waits(&limiter, agent("scout").progress(&paused)).await;
    awaited(&paused);
    let pause = Limit::paused().when(Tag::Agent, "scout");
    limiter
        .change("", |limits| limits.with(pause))
        .await
        .unwrap();
    assert_eq!(task.await.unwrap().unwrap_err().kind(), "paused");
    assert_eq!(paused.state(), CallState::Done);

    let never = Progress::new();
    let call = Call::new().tokens(1, 1).progress(&never);
    let small = Limit::tokens(1).every(MINUTE);
    limiter
        .change("", |limits| limits.with(small))
        .await
        .unwrap();
    assert_eq!(
        limiter.acquire(call).await.unwrap_err().kind(),
        "never_fits"
    );
    assert_eq!(never.state(), CallState::Done);
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn where_the_limits_change_it_says_what_it_waits_for_then() {
    let limiter = limiter([Limit::concurrency(1)]);
    let start = Instant::now();
    let held = limiter.acquire(Call::new()).await.unwrap();
    let progress = Progress::new();
    let task = waits(&limiter, Call::new().progress(&progress)).await;
    let other = Limit::requests(1).every(MINUTE).margin(Duration::ZERO);
    limiter
        .change("", |limits| limits.with(other))
        .await
        .unwrap();
    limiter
        .change("", |limits| {
            Ok::<_, LimitError>(limits.without(&Limit::concurrency(9)))
        })
        .await
        .unwrap();
    // What is new has counted nothing.
    drop(task.await.unwrap().unwrap());
    let progress = Progress::new();
    let task = waits(&limiter, Call::new().progress(&progress)).await;
    assert_eq!(
        awaited(&progress).to_string(),
        "waits for requests 1/min: 1 in use, this call needs 1 (would be 2); room in 60.0 s"
    );
    drop(task.await.unwrap().unwrap());
    assert_eq!(start.elapsed(), MINUTE);
    drop(held);
}

/// Not kept alive by whoever looks on, and not the limiter either.
#[tokio::test(start_paused = true)]
async fn looking_on_holds_nothing() {
    let progress = Progress::new();
    let other = {
        let limiter = limiter([Limit::concurrency(1)]);
        let held = limiter.acquire(Call::new()).await.unwrap();
        let task = waits(&limiter, Call::new().progress(&progress)).await;
        awaited(&progress);
        task.abort();
        drop(held);
        limiter
    };
    settle_down().await;
    assert_eq!(other.waiting(), 0);
    assert_eq!(progress.state(), CallState::Done);
}

/// A store that answers later is not waited for: it says what was known when the call was tried last.
#[tokio::test(start_paused = true)]
async fn of_a_store_that_answers_later_it_says_what_was_known_last() {
    use std::sync::Arc;
    use tower_quota::{limit::Limits, limiter::QueueOptions};

    let limits = Limits::new([Limit::concurrency(1)]).unwrap();
    let store = crate::later::LaterStore::after(secs(1), limits);
    let limiter = Limiter::build(Arc::new(store), QueueOptions::new());
    let held = limiter.acquire(Call::new()).await.unwrap();
    let progress = Progress::new();
    let task = waits(&limiter, Call::new().progress(&progress)).await;
    assert_eq!(progress.state(), CallState::Received, "the store is asked");
    tokio::time::sleep(secs(5)).await;
    let wait = awaited(&progress);
    assert_eq!(
        wait.to_string(),
        "waits for concurrency 1: 1 in use, this call needs 1 (would be 2)"
    );
    drop(held);
    drop(task.await.unwrap().unwrap());
    assert_eq!(progress.state(), CallState::Done);
}
