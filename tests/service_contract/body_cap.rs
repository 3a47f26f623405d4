//! Request bodies that are longer than what is read into memory.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use tower::{Layer as _, ServiceExt as _};
use tower_quota::{
    AdmissionLayer, BudgetLayer, Limiter, Money, RateLimitLayer, Rejection, RequestBody,
    RetryLayer, Tag, limit::Limit, limiter::Call, pricing::PriceTable,
};

use crate::support::{upstream::Reads, *};

/// A body whose length is known, and that nobody may read.
struct Sealed(u64);

impl Body for Sealed {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        panic!("it was read")
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0)
    }
}

const CAP: usize = 64;

fn capped(limiter: &Limiter) -> RateLimitLayer {
    let retry = RetryLayer::new().body_cap(CAP);
    let admission = AdmissionLayer::new(limiter.clone()).body_cap(CAP);
    RateLimitLayer::of(retry, admission.reject_when_full())
}

fn post(body: RequestBody) -> Request<RequestBody> {
    let request = Request::post("http://upstream/v1/chat/completions");
    request.body(body).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_body_of_unknown_length_that_grows_over_the_cap_is_413() {
    for (frames, too_long) in [(CAP / 8, false), (CAP / 8 + 1, true)] {
        let upstream = Upstream::new();
        let service = capped(&limiter([])).layer(upstream.clone());
        let request = Request::post("http://upstream/anything");
        let body = (0..frames).fold(Frames::of([]), |body, _| body.and("8 bytes."));
        let request = request.body(RequestBody::new(body)).unwrap();
        let response = service.oneshot(request).await.unwrap();
        assert_eq!(upstream.sent().len(), usize::from(!too_long), "{frames}");
        if too_long {
            assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
            let rejection = response.extensions().get::<Rejection>();
            assert_eq!(rejection, Some(&Rejection::BodyTooLarge { cap: CAP }));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_of_known_length_over_the_cap_passes_unread_in_one_attempt() {
    let upstream = Upstream::new()
        .reads(Reads::Never)
        .answers([Answer::Busy(1, Frames::empty())]);
    let service = capped(&limiter([])).layer(upstream.clone());
    let sealed = RequestBody::new(Sealed(CAP as u64 + 1));
    let response = service.oneshot(post(sealed)).await.unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(response.extensions().get::<Rejection>().is_none());
    assert_eq!(upstream.sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_unread_body_falls_under_limits_that_need_no_knowledge_of_it_and_no_others() {
    let of_model = limiter([Limit::requests(1).every(MINUTE).when(Tag::Model, "m")]);
    let of_all = limiter([Limit::requests(1).every(MINUTE)]);
    for (limiter, second) in [
        (of_model, StatusCode::OK),
        (of_all, StatusCode::TOO_MANY_REQUESTS),
    ] {
        let service = capped(&limiter).layer(Upstream::new());
        let large = format!(
            r#"{{"model":"m","messages":[],"user":"{}"}}"#,
            "u".repeat(CAP)
        );
        for expected in [StatusCode::OK, second] {
            let body = RequestBody::from(Bytes::from(large.clone()));
            let response = service.clone().oneshot(post(body)).await.unwrap();
            assert_eq!(response.status(), expected);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_under_the_cap_falls_under_the_limits_of_its_model() {
    let limiter = limiter([Limit::requests(1).every(MINUTE).when(Tag::Model, "m")]);
    let service = capped(&limiter).layer(Upstream::new());
    for expected in [StatusCode::OK, StatusCode::TOO_MANY_REQUESTS] {
        let body = RequestBody::from(Bytes::from(r#"{"model":"m","messages":[]}"#));
        let response = service.clone().oneshot(post(body)).await.unwrap();
        assert_eq!(response.status(), expected);
    }
}

/// What nobody has read costs nobody knows how much: where a budget only watches, nothing is made up.
#[tokio::test(start_paused = true)]
async fn a_budget_that_watches_books_nothing_absurd_for_a_body_that_was_not_read() {
    let minute = std::time::Duration::from_secs(60);
    let dollar = || Limit::cost(Money::from_dollars(1)).every(minute);
    for (budget, calls) in [(dollar().shadow(), 1), (dollar(), 0)] {
        let limiter = limiter([budget]);
        let layer = BudgetLayer::new(limiter.clone(), PriceTable::built_in().into()).body_cap(CAP);
        let sent = Arc::new(AtomicUsize::new(0));
        let breaks = {
            let sent = sent.clone();
            tower::service_fn(move |_: Request<Full<Bytes>>| {
                sent.fetch_add(1, Ordering::Relaxed);
                async { Err::<http::Response<Full<Bytes>>, _>(Broken) }
            })
        };
        let request = Request::post("http://upstream/v1beta/models/gemini-2.5-pro:generateContent");
        let request = request.body(Full::from(vec![b' '; CAP + 1])).unwrap();
        let answer = layer.layer(breaks).oneshot(request).await;
        assert_eq!(
            (sent.load(Ordering::Relaxed), answer.is_err()),
            (calls, calls == 1)
        );
        let left = limiter
            .explain(&Call::new().cost(Money::from_nanos(1)))
            .await
            .unwrap();
        assert!(
            left.limits[0].in_use < 1_000_000_000,
            "{:?}",
            left.limits[0]
        );
    }
}
