//! The same over HTTP, in several orders of layers.

use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use tower::{Layer as _, ServiceExt as _};
use tower_quota::{
    AdmissionLayer, BudgetLayer, CallOptions, Limiter, Money, Tag,
    limit::Limit,
    limiter::{Call, CallState, Progress},
    pricing::PriceTable,
    store::Settlement,
};

use crate::{
    awaited, sent, settle_down,
    support::{
        Answer, Broken, Frames, HOUR, MINUTE, Upstream, chat, ends, limiter, secs,
        stack::{self, Stack, cloning_stack, stack},
    },
};

type Body = Full<Bytes>;

fn shown(progress: &Progress) -> Request<Body> {
    let mut request = chat();
    request.extensions_mut().insert(progress.clone());
    request
}

fn send(
    service: &Stack<Body>,
    progress: &Progress,
) -> tokio::task::JoinHandle<Result<http::Response<stack::AnyBody>, Broken>> {
    tokio::spawn(ends(service.clone().oneshot(shown(progress))))
}

#[tokio::test(start_paused = true)]
async fn it_waits_is_sent_and_is_done_when_its_body_has_ended_or_is_dropped() {
    for order in ["A", "AR", "RA", "ARA", "RqA"] {
        let limiter = limiter([Limit::concurrency(1)]);
        let upstream = Upstream::new().latency(secs(10));
        let service = stack::<Body, _, _>(order, &limiter, upstream.clone());
        let held = limiter.acquire(Call::new()).await.unwrap();
        let progress = Progress::new();
        let call = send(&service, &progress);
        settle_down().await;
        assert_eq!(
            awaited(&progress).to_string(),
            "waits for concurrency 1: 1 in use, this call needs 1 (would be 2)",
            "{order}"
        );
        tokio::time::advance(secs(7)).await;
        held.release();
        settle_down().await;
        let CallState::Sent {
            since,
            tags,
            attempt,
            ..
        } = progress.state()
        else {
            panic!("{order}: it is sent, and not {:?}", progress.state());
        };
        assert_eq!((since.elapsed(), attempt), (Duration::ZERO, 1), "{order}");
        assert_eq!(tags.get(&Tag::Model), Some("m"), "{order}");
        assert_eq!(progress.waited(), secs(7), "{order}");
        let response = call.await.unwrap().unwrap();
        assert_eq!(sent(&progress).0, 1, "{order}: its body is to come");
        if order == "A" {
            drop(response);
        } else {
            response.into_body().collect().await.unwrap();
        }
        assert_eq!(progress.state(), CallState::Done, "{order}");
        assert_eq!(progress.waited(), secs(7), "{order}");
        assert_eq!(progress.answers(), 1, "{order}");
        assert!(progress.last_sent().is_some(), "{order}");
    }
}

#[tokio::test(start_paused = true)]
async fn between_two_attempts_it_says_until_when_it_backs_off_and_counts_them() {
    for order in ["RA", "AR", "RAR", "R"] {
        let limiter = limiter([Limit::concurrency(1)]);
        let busy = Answer::Busy(30, Frames::of(["busy"]));
        let upstream = Upstream::new().answers([busy]).latency(secs(1));
        let service = stack::<Body, _, _>(order, &limiter, upstream.clone());
        let progress = Progress::new();
        let call = send(&service, &progress);
        tokio::time::sleep(secs(2)).await;
        let CallState::BackingOff { until } = progress.state() else {
            panic!("{order}: it backs off, and not {:?}", progress.state());
        };
        let left = until.saturating_duration_since(tokio::time::Instant::now());
        assert!((28..35).contains(&left.as_secs()), "{order} {left:?}");
        tokio::time::sleep_until(until).await;
        settle_down().await;
        assert_eq!(sent(&progress).0, 2, "{order}");
        assert_eq!(progress.waited(), Duration::ZERO, "{order}: not for room");
        drop(call.await.unwrap().unwrap());
        assert_eq!(progress.state(), CallState::Done, "{order}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_waits_for_room_between_two_attempts_says_so() {
    for order in ["RA", "AR"] {
        let limiter = limiter([Limit::requests(1).every(MINUTE).margin(Duration::ZERO)]);
        let upstream = Upstream::new().answers([Answer::Status(503)]);
        let service = stack::<Body, _, _>(order, &limiter, upstream.clone());
        let progress = Progress::new();
        let call = send(&service, &progress);
        tokio::time::sleep(secs(30)).await;
        let wait = awaited(&progress);
        assert_eq!(wait.shortage.limit, "requests 1/min", "{order}");
        assert_eq!(wait.expected_in, Some(secs(30)), "{order}");
        drop(call.await.unwrap().unwrap());
        assert_eq!(progress.state(), CallState::Done, "{order}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_dropped_refused_or_broken_is_done() {
    for order in ["A", "AR", "RA"] {
        let limiter = limiter([Limit::concurrency(1)]);
        let upstream = Upstream::new().latency(secs(10));
        let service = stack::<Body, _, _>(order, &limiter, upstream.clone());
        // Under way.
        let progress = Progress::new();
        let call = send(&service, &progress);
        settle_down().await;
        sent(&progress);
        // Behind it, in line.
        let waits = Progress::new();
        let line = send(&service, &waits);
        settle_down().await;
        awaited(&waits);
        for (task, progress) in [(line, &waits), (call, &progress)] {
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
            assert_eq!(progress.state(), CallState::Done, "{order}");
        }
        // Too late.
        let held = limiter.acquire(Call::new()).await.unwrap();
        let late = Progress::new();
        let mut request = shown(&late);
        request
            .extensions_mut()
            .insert(CallOptions::new().max_wait(secs(5)));
        let response = ends(service.clone().oneshot(request)).await.unwrap();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS, "{order}");
        assert_eq!(
            (late.state(), late.waited()),
            (CallState::Done, secs(5)),
            "{order}"
        );
        held.release();
        // Never understood.
        let bad = Progress::new();
        let mut request = shown(&bad);
        *request.body_mut() = Full::from(r#"{"model":"a","model":"b","messages":[]}"#);
        let response = ends(service.clone().oneshot(request)).await.unwrap();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{order}");
        assert_eq!(bad.state(), CallState::Done, "{order}");

        let failing = Upstream::new().answers([Answer::Fails(Broken(1))]);
        let service = stack::<Body, _, _>("A", &limiter, failing);
        let broken = Progress::new();
        let answer = send(&service, &broken).await.unwrap();
        assert_eq!(answer.unwrap_err(), Broken(1));
        assert_eq!(broken.state(), CallState::Done, "{order}");
    }
}

/// It holds no place then, and may lose it to another before it is ready.
#[tokio::test(start_paused = true)]
async fn one_that_loses_its_place_while_the_service_is_not_ready_waits_again() {
    let limiter = limiter([Limit::concurrency(1)]);
    let upstream = Upstream::new().opens_after(secs(30));
    let service = stack::<Body, _, _>("A", &limiter, upstream.clone());
    let progress = Progress::new();
    let call = send(&service, &progress);
    tokio::time::sleep(secs(10)).await;
    assert_eq!(progress.state(), CallState::Received);
    let held = limiter.try_acquire(Call::new()).await.unwrap();
    tokio::time::sleep(secs(30)).await;
    assert_eq!(awaited(&progress).since.elapsed(), secs(10));
    held.release();
    drop(call.await.unwrap().unwrap());
    assert_eq!(
        (progress.state(), progress.waited()),
        (CallState::Done, secs(10))
    );
}

/// Of two requests that a foreign layer makes of one it shows what was last, and the end when both are over.
#[tokio::test(start_paused = true)]
async fn a_hedge_outside_is_over_when_both_are() {
    let limiter = limiter([Limit::requests(9).every(HOUR)]);
    let upstream = Upstream::new().latency(secs(20));
    let service = cloning_stack::<Body, _, _>("hA", &limiter, upstream.clone());
    let progress = Progress::new();
    let call = tokio::spawn(ends(service.oneshot(shown(&progress))));
    tokio::time::sleep(secs(19)).await;
    assert_eq!((upstream.sent().len(), sent(&progress).0), (2, 1));
    drop(call.await.unwrap().unwrap());
    settle_down().await;
    assert_eq!(progress.state(), CallState::Done);
}

fn priced(limiter: &Limiter, upstream: Upstream) -> Stack<Body> {
    let layers = (
        BudgetLayer::new(limiter.clone(), PriceTable::built_in().into()),
        AdmissionLayer::new(limiter.clone()),
    );
    let service = layers.layer(upstream);
    let boxed = |response: http::Response<_>| response.map(stack::boxed);
    let erased = tower::ServiceExt::<Request<Body>>::map_response(service, boxed);
    tower::util::BoxCloneService::new(erased)
}

#[tokio::test(start_paused = true)]
async fn a_stream_shows_how_much_has_come_and_the_end_what_it_was_settled_with() {
    let limiter = limiter([Limit::cost(Money::from_dollars(100)).every(HOUR)]);
    let event = |text: &str| {
        format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n")
    };
    let usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":7,\"total_tokens\":18}}\n\n";
    let frames = Frames::empty()
        .and(event("so much comes in the first of them"))
        .and(event(" and as much again, in the second"))
        .and(format!("{usage}data: [DONE]\n\n"));
    let upstream = Upstream::new().answers([Answer::Stream(frames)]);
    let service = priced(&limiter, upstream);
    let progress = Progress::new();
    let mut request = shown(&progress);
    let text = r#"{"model":"gpt-4o-mini","stream":true,"stream_options":{"include_usage":true},"max_tokens":99,"messages":[{"role":"user","content":"Hi"}]}"#;
    *request.body_mut() = Full::from(text);
    let response = ends(service.oneshot(request)).await.unwrap();
    let mut body = response.into_body();
    let mut seen = vec![sent(&progress).1];
    for _ in 0..2 {
        tokio::time::advance(secs(1)).await;
        body.frame().await.unwrap().unwrap();
        seen.push(sent(&progress).1);
    }
    assert!(seen.is_sorted() && seen[2] > seen[0], "{seen:?}");
    assert_eq!(progress.settled(), None);
    drop(body.collect().await.unwrap());
    assert_eq!(progress.state(), CallState::Done);
    let Some(Settlement::Usage(usage)) = progress.settled() else {
        panic!("its usage was reported: {:?}", progress.settled());
    };
    assert_eq!((usage.input, usage.output), (11, 7));
    assert!(usage.cost > Some(Money::ZERO), "{usage:?}");
}

#[tokio::test(start_paused = true)]
async fn one_without_it_is_as_ever() {
    let limiter = limiter([Limit::concurrency(1)]);
    let service = stack::<Body, _, _>("RA", &limiter, Upstream::new());
    let response = service.oneshot(chat()).now_or_never();
    assert_eq!(response.unwrap().unwrap().status(), StatusCode::OK);
}
