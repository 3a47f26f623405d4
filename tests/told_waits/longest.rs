//! A target that is closed for longer than a told wait is waited out: calls that come to it fail now, and are told when.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::Body;
use http_body_util::{BodyExt as _, Full};
use tokio::time::{Instant, sleep};
use tower::{Layer as _, Service, ServiceExt as _, service_fn};
use tower_quota::{
    AdmissionLayer, Limiter, RateLimitLayer, Rejection, RetryLayer, Tag, Tags,
    limit::{Limit, Limits},
    limiter::Call,
};

use crate::form::Form;

const HOUR: Duration = Duration::from_secs(3_600);

/// A provider that is busy at the first attempt, and when each came.
#[derive(Clone)]
struct Provider {
    began: Instant,
    busy: Form,
    takes: Duration,
    came: Arc<Mutex<Vec<Duration>>>,
}

impl Provider {
    /// One that tells to wait for so long.
    fn new(told: Duration) -> Self {
        let millis = told.as_millis().to_string();
        Provider {
            began: Instant::now(),
            busy: Form::status(429).header("retry-after-ms", millis),
            takes: Duration::ZERO,
            came: Arc::default(),
        }
    }

    fn came(&self) -> Vec<Duration> {
        self.came.lock().unwrap().clone()
    }

    async fn answer(self) -> Result<Response<Full<Bytes>>, Infallible> {
        let is_first = {
            let mut came = self.came.lock().unwrap();
            came.push(self.began.elapsed());
            came.len() == 1
        };
        sleep(self.takes).await;
        Ok(match is_first {
            true => self.busy.answer(),
            false => Response::new(Full::from("{}")),
        })
    }
}

fn behind(
    provider: &Provider,
) -> impl Service<
    Request<Full<Bytes>>,
    Response = Response<Full<Bytes>>,
    Error = Infallible,
    Future: Send,
>
+ Clone
+ Send
+ 'static
+ use<> {
    let provider = provider.clone();
    service_fn(move |_: Request<Full<Bytes>>| provider.clone().answer())
}

/// What became of a call.
#[derive(Debug)]
struct Became {
    status: u16,
    headers: HeaderMap,
    /// In how long there is room, where it was refused here for now.
    room: Option<Duration>,
}

async fn call<S, R>(service: S) -> Became
where
    S: Service<Request<Full<Bytes>>, Response = Response<R>, Error = Infallible>,
    R: Body<Data = Bytes>,
{
    let request = Form::status(200).request();
    let response = service.oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    assert!(body.collect().await.is_ok());
    let room = match parts.extensions.get::<Rejection>() {
        Some(Rejection::RateLimited(shortage)) => shortage.retry_after,
        Some(other) => panic!("{other}"),
        None => None,
    };
    Became {
        status: parts.status.as_u16(),
        headers: parts.headers,
        room,
    }
}

fn admission(limits: impl IntoIterator<Item = Limit>) -> AdmissionLayer {
    AdmissionLayer::new(Limiter::new(Limits::new(limits).unwrap()))
}

/// Nothing is repeated: each answer is handed on.
fn once() -> RetryLayer {
    RetryLayer::new().max_attempts(1.try_into().unwrap())
}

/// The second call is refused at once, and one that comes when little is left of the wait is not.
async fn fails_now<S, R>(about: &str, provider: &Provider, service: S, closed: Duration)
where
    S: Service<Request<Full<Bytes>>, Response = Response<R>, Error = Infallible> + Clone,
    R: Body<Data = Bytes>,
{
    let first = call(service.clone()).await;
    assert_eq!((first.status, first.room), (429, None), "{about}");
    let later = call(service.clone()).await;
    assert_eq!((later.status, later.room), (429, Some(closed)), "{about}");
    let seconds = closed.as_secs().to_string();
    assert_eq!(later.headers["retry-after"], seconds, "{about}");
    assert_eq!(provider.began.elapsed(), Duration::ZERO, "{about}");
    sleep(closed - Duration::from_secs(60)).await;
    assert_eq!(call(service).await.status, 200, "{about}");
    assert_eq!(provider.came(), [Duration::ZERO, closed], "{about}");
}

/// R4: a told wait past the longest honoured one fails now with `retry_at`, whoever it was told. What hangs on one word
/// does so for a day at most.
#[tokio::test(start_paused = true)]
async fn a_later_call_fails_now_and_is_told_when() {
    for (told, closed) in [(HOUR, HOUR), (72 * HOUR, 24 * HOUR)] {
        let provider = Provider::new(told);
        let service = admission([]).layer(behind(&provider));
        fails_now("A", &provider, service, closed).await;
        let provider = Provider::new(told);
        let service = RetryLayer::new().layer(admission([]).layer(behind(&provider)));
        fails_now("RA", &provider, service, closed).await;
        let provider = Provider::new(told);
        let service = admission([]).layer(RetryLayer::new().layer(behind(&provider)));
        fails_now("AR", &provider, service, closed).await;
        let provider = Provider::new(told);
        let limiter = Limiter::new(Limits::new([]).unwrap());
        let service = RateLimitLayer::new(limiter).layer(behind(&provider));
        fails_now("all", &provider, service, closed).await;
    }
}

/// When the second call comes through, after one that was told to wait for so long; `None`: it is refused.
async fn second<S, R>(provider: &Provider, service: S) -> Option<Duration>
where
    S: Service<Request<Full<Bytes>>, Response = Response<R>, Error = Infallible> + Clone,
    R: Body<Data = Bytes>,
{
    assert_eq!(call(service.clone()).await.status, 429);
    let second = call(service).await;
    match second.room {
        None => assert_eq!(second.status, 200),
        Some(_) => assert_eq!(provider.came().len(), 1),
    }
    provider.came().get(1).copied()
}

#[tokio::test(start_paused = true)]
async fn what_is_waited_out_is_as_the_layers_say() {
    let secs = Duration::from_secs;
    for (told, longest, waits) in [
        (secs(30), None, true),
        (secs(60), None, true),
        (secs(61), None, false),
        (secs(30), Some(secs(30)), true),
        (secs(30), Some(secs(29)), false),
        (HOUR, Some(HOUR), true),
    ] {
        let expected = waits.then_some(told);
        let about = format!("{told:?} of {longest:?}");

        let provider = Provider::new(told);
        let layer = longest
            .into_iter()
            .fold(admission([]), |layer, longest| layer.longest_wait(longest));
        let service = layer.layer(behind(&provider));
        assert_eq!(second(&provider, service).await, expected, "A: {about}");

        let retry = || {
            longest
                .into_iter()
                .fold(once(), |layer, longest| layer.longest_wait(longest))
        };
        let provider = Provider::new(told);
        let service = retry().layer(admission([]).layer(behind(&provider)));
        assert_eq!(second(&provider, service).await, expected, "RA: {about}");

        let provider = Provider::new(told);
        let limiter = Limiter::new(Limits::new([]).unwrap());
        let layer = RateLimitLayer::new(limiter).retry(retry());
        let service = layer.layer(behind(&provider));
        assert_eq!(second(&provider, service).await, expected, "all: {about}");
    }
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_already_fail_when_they_are_next_in_line() {
    let provider = Provider {
        takes: Duration::from_secs(1),
        ..Provider::new(HOUR)
    };
    let service = admission([Limit::concurrency(1)]).layer(behind(&provider));
    let calls: Vec<_> = (0..3)
        .map(|_| tokio::spawn(call(service.clone())))
        .collect();
    let mut rooms = Vec::new();
    for call in calls {
        let became = call.await.unwrap();
        assert_eq!(became.status, 429);
        rooms.push(became.room);
    }
    assert_eq!(rooms, [None, Some(HOUR), Some(HOUR)]);
    assert_eq!(provider.began.elapsed(), provider.takes);
    assert_eq!(provider.came(), [Duration::ZERO]);
}

/// A caller of the core says itself how long it waits; who comes behind it is told as anybody.
#[tokio::test(start_paused = true)]
async fn who_comes_behind_one_that_waits_for_ever_fails_now_all_the_same() {
    let provider = Provider::new(HOUR);
    let limiter = Limiter::new(Limits::new([]).unwrap());
    let service = AdmissionLayer::new(limiter.clone()).layer(behind(&provider));
    assert_eq!(call(service.clone()).await.status, 429);
    let target = Tags::new()
        .with(Tag::Provider, "openai")
        .with(Tag::Model, "m");
    let patient = limiter.clone();
    let patient = tokio::spawn(async move {
        let permit = patient.acquire(Call::new().tags(target)).await;
        permit.is_ok()
    });
    while limiter.waiting() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(call(service).await.room, Some(HOUR));
    assert!(patient.await.unwrap());
    assert_eq!(provider.began.elapsed(), HOUR);
}
