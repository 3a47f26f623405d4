//! The inner service's readiness: always asked for, never hoarded.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt as _, Full};
use tower::{ServiceExt as _, limit::ConcurrencyLimit};
use tower_quota::{Tag, limit::Limit};

use crate::support::{stack::ORDERS, *};

type Body = Full<Bytes>;

#[tokio::test(start_paused = true)]
async fn every_order_asks_for_readiness_before_each_call() {
    for order in ORDERS {
        let upstream = Upstream::new();
        let service = stack::<Body, _, _>(order, &one_in_flight(), upstream.clone());
        for _ in 0..3 {
            let response = service.clone().oneshot(chat()).await.unwrap();
            assert_eq!(response.status(), StatusCode::OK, "{order}");
            response.into_body().collect().await.unwrap();
        }
        assert_eq!(upstream.sent().len(), 3, "{order}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_attempt_that_is_repeated_asks_for_readiness_again() {
    for order in ["R", "AR", "RA", "ARA", "RAR"] {
        let busy = Answer::Busy(1, Frames::of(["busy"]));
        let upstream = Upstream::new().answers([busy.clone(), busy]);
        let service = stack::<Body, _, _>(order, &one_in_flight(), upstream.clone());
        let response = ends(service.oneshot(chat())).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{order}");
        assert_eq!(upstream.sent().len(), 3, "{order}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_not_ready_is_waited_for_in_every_order() {
    for order in ORDERS {
        let upstream = Upstream::new().opens_after(secs(30));
        let service = stack::<Body, _, _>(order, &one_in_flight(), upstream.clone());
        ends(service.oneshot(chat())).await.unwrap();
        assert_eq!(upstream.sent(), [secs(30)], "{order}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_layer_is_ready_though_the_service_inside_is_not() {
    for order in ORDERS {
        let upstream = Upstream::new().opens_after(HOUR);
        let mut service = stack::<Body, _, _>(order, &one_in_flight(), upstream);
        service.ready().await.unwrap();
    }
    assert_eq!(Upstream::new().start().elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_room_holds_no_readiness() {
    for order in ["A", "RA", "AR", "ARA"] {
        let limiter = limiter([Limit::requests(1).every(MINUTE).when(Tag::Agent, "slow")]);
        let upstream = Upstream::new();
        let one_slot = ConcurrencyLimit::new(upstream.clone(), 1);
        let service = stack::<Body, _, _>(order, &limiter, one_slot);
        service.clone().oneshot(chat_of("slow")).await.unwrap();
        let waiting = tokio::spawn(service.clone().oneshot(chat_of("slow")));
        tokio::time::sleep(secs(1)).await;
        assert_eq!(limiter.waiting(), 1, "{order}");

        service.clone().oneshot(chat_of("quick")).await.unwrap();
        ends(waiting).await.unwrap().unwrap();
        assert_eq!(upstream.sent(), [secs(0), secs(1), COUNTED], "{order}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_on_its_way_does_hold_readiness() {
    for order in ORDERS {
        let upstream = Upstream::new().latency(secs(5));
        let one_slot = ConcurrencyLimit::new(upstream.clone(), 1);
        let unlimited = limiter([]);
        let service = stack::<Body, _, _>(order, &unlimited, one_slot);
        let first = tokio::spawn(service.clone().oneshot(chat()));
        tokio::task::yield_now().await;
        ends(service.oneshot(chat())).await.unwrap();
        first.await.unwrap().unwrap();
        assert_eq!(upstream.sent(), [secs(0), secs(5)], "{order}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_service_is_not_ready_holds_no_room() {
    for order in ["A", "RA", "AR", "ARA"] {
        let limiter = one_a_minute();
        let shut = Upstream::new().opens_after(secs(30));
        let open = Upstream::new();
        let held_up = stack::<Body, _, _>(order, &limiter, shut.clone());
        let held_up = tokio::spawn(held_up.oneshot(chat()));
        tokio::time::sleep(secs(10)).await;

        let other = stack::<Body, _, _>(order, &limiter, open.clone());
        other.oneshot(chat()).await.unwrap();
        assert_eq!(open.sent(), [secs(10)], "{order}");
        ends(held_up).await.unwrap().unwrap();
        assert_eq!(shut.sent(), [secs(10) + COUNTED], "{order}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_service_is_not_ready_keeps_its_place_in_the_queue() {
    let limiter = one_a_minute();
    let shut = Upstream::new().opens_after(secs(30));
    let first = stack::<Body, _, _>("A", &limiter, shut.clone());
    let first = tokio::spawn(first.oneshot(chat()));
    tokio::time::sleep(secs(10)).await;
    let open = Upstream::new();
    let other = stack::<Body, _, _>("A", &limiter, open.clone());
    other.clone().oneshot(chat()).await.unwrap();

    tokio::time::sleep(secs(5)).await;
    let last = tokio::spawn(other.oneshot(chat()));
    ends(first).await.unwrap().unwrap();
    ends(last).await.unwrap().unwrap();
    let then = secs(10) + COUNTED;
    assert_eq!(shut.sent(), [then]);
    assert_eq!(open.sent(), [secs(0), then + COUNTED - secs(10)]);
}
