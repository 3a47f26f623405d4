//! Which refused calls count, where a limit counts them.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tokio::time::{advance, timeout};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_quota::{
    AdmissionLayer, Limiter, Rejection,
    limit::{Limit, Limits},
    limiter::Call,
};

const MINUTE: Duration = Duration::from_secs(60);

/// One place, and ten requests a minute of which refused ones count.
fn strict() -> Limiter {
    let requests = Limit::requests(10).every(MINUTE).margin(Duration::ZERO);
    Limiter::new(Limits::new([requests.count_refused(), Limit::concurrency(1)]).unwrap())
}

/// How many requests the limit has room for.
async fn room(limiter: &Limiter) -> usize {
    let mut room = 0;
    while let Ok(permit) = limiter.try_acquire(Call::new()).await {
        drop(permit);
        room += 1;
    }
    room
}

/// A23: whether refused calls count.
#[tokio::test(start_paused = true)]
async fn a_call_refused_by_another_limit_counts_once() {
    let limiter = strict();
    let held = limiter.acquire(Call::new()).await.unwrap();
    for _ in 0..3 {
        assert!(limiter.try_acquire(Call::new()).await.is_err());
    }
    drop(held);
    assert_eq!(room(&limiter).await, 10 - 1 - 3);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_ends_in_a_refusal_counts_once_and_one_that_was_given_up_does_not() {
    let limiter = strict();
    let held = limiter.acquire(Call::new()).await.unwrap();
    let second = Duration::from_secs(1);
    let late = limiter.acquire(Call::new().max_wait(second)).await;
    assert!(matches!(late, Err(Rejection::DeadlineExceeded(_))));
    let given_up = timeout(second, limiter.acquire(Call::new())).await;
    assert!(given_up.is_err());
    drop(held);
    assert_eq!(room(&limiter).await, 10 - 1 - 1);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_ends_in_a_grant_counts_as_one_call() {
    let limiter = strict();
    let held = limiter.acquire(Call::new()).await.unwrap();
    let waiting = tokio::spawn({
        let limiter = limiter.clone();
        async move { limiter.acquire(Call::new()).await.map(drop) }
    });
    advance(Duration::from_secs(1)).await;
    drop(held);
    waiting.await.unwrap().unwrap();
    assert_eq!(room(&limiter).await, 10 - 2);
}

#[tokio::test(start_paused = true)]
async fn refusals_of_the_layer_count_as_well() {
    let limiter = strict();
    let inner = service_fn(|_: Request<Full<Bytes>>| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let service = AdmissionLayer::new(limiter.clone())
        .reject_when_full()
        .layer(inner);
    let held = limiter.acquire(Call::new()).await.unwrap();
    let request = Request::post("http://provider/")
        .body(Full::default())
        .unwrap();
    let answer = service.oneshot(request).await.unwrap();
    assert!(answer.extensions().get::<Rejection>().is_some());
    drop(held);
    assert_eq!(room(&limiter).await, 10 - 1 - 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_refused_counts_where_it_is_not_said() {
    let requests = Limit::requests(10).every(MINUTE);
    let limiter = Limiter::new(Limits::new([requests, Limit::concurrency(1)]).unwrap());
    let held = limiter.acquire(Call::new()).await.unwrap();
    for _ in 0..20 {
        assert!(limiter.try_acquire(Call::new()).await.is_err());
    }
    drop(held);
    assert_eq!(room(&limiter).await, 9);
}
