//! The deadline of a call bounds what it waits for, readiness of the inner service too.

use bytes::Bytes;
use http_body_util::Full;
use tower::ServiceExt as _;
use tower_quota::{CallOptions, Limiter, Rejection};

use crate::support::{stack::ORDERS, *};

/// A call that waits for so long, of a service that is ready after half a minute, and what refused it.
async fn refused(
    order: &str,
    limiter: &Limiter,
    upstream: &Upstream,
    wait: std::time::Duration,
) -> Option<Rejection> {
    let service = stack::<Full<Bytes>, _, _>(order, limiter, upstream.clone());
    let mut request = chat();
    let options = CallOptions::new().max_wait(wait);
    request.extensions_mut().insert(options);
    let response = ends(service.oneshot(request)).await.unwrap();
    response.extensions().get().cloned()
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_not_ready_is_waited_for_until_the_deadline() {
    for order in ORDERS {
        for wait in [secs(10), secs(0)] {
            let (limiter, upstream) = (one_in_flight(), Upstream::new().opens_after(secs(30)));
            let rejection = refused(order, &limiter, &upstream, wait).await.unwrap();
            assert_eq!(rejection.kind(), "deadline_exceeded", "{order}");
            let said = rejection.to_string();
            assert!(said.contains("readiness of the inner service"), "{said}");
            assert_eq!(upstream.start().elapsed(), wait, "{order}");
            assert!(upstream.sent().is_empty(), "{order}");
            assert!(is_free(&limiter).await, "{order}: nothing is held");
            assert_eq!(counted(&limiter).await, 0, "{order}: nothing counts");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_ready_before_the_deadline_is_called() {
    for order in ORDERS {
        let (limiter, upstream) = (one_in_flight(), Upstream::new().opens_after(secs(30)));
        let rejection = refused(order, &limiter, &upstream, secs(31)).await;
        assert_eq!(rejection, None, "{order}");
        assert_eq!(upstream.sent(), [secs(30)], "{order}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_deadline_it_is_waited_for_as_long_as_it_takes() {
    for order in ORDERS {
        let (limiter, upstream) = (one_in_flight(), Upstream::new().opens_after(HOUR));
        let service = stack::<Full<Bytes>, _, _>(order, &limiter, upstream.clone());
        ends(service.oneshot(chat())).await.unwrap();
        assert_eq!(upstream.sent(), [HOUR], "{order}");
    }
}
