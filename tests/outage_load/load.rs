//! Calls at a rate, and how much more load there is than calls.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt as _, Full};
use tower::{Service, ServiceExt as _};

/// How many calls are made.
pub(crate) const CALLS: usize = 5_000;

/// How often calls come.
pub(crate) const RATES: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_millis(100),
    Duration::from_millis(10),
    Duration::from_millis(1),
];

/// Makes all calls, one each `every`, and waits for their ends. When each began, and how many were answered with 200.
pub(crate) async fn calls<S, R>(
    service: &S,
    every: Duration,
    request: impl Fn() -> Request<Full<Bytes>>,
) -> (Vec<Duration>, usize)
where
    S: Service<Request<Full<Bytes>>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    R: Body<Data = Bytes, Error: Send> + Send,
{
    some(service, CALLS, every, request).await
}

/// The same with so many calls.
pub(crate) async fn some<S, R>(
    service: &S,
    count: usize,
    every: Duration,
    request: impl Fn() -> Request<Full<Bytes>>,
) -> (Vec<Duration>, usize)
where
    S: Service<Request<Full<Bytes>>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    R: Body<Data = Bytes, Error: Send> + Send,
{
    let mut began = Vec::with_capacity(count);
    let mut calls = Vec::with_capacity(count);
    let mut at = Duration::ZERO;
    for _ in 0..count {
        began.push(at);
        let (service, request) = (service.clone(), request());
        calls.push(tokio::spawn(async move {
            let Ok(response) = service.oneshot(request).await else {
                return false;
            };
            let is_ok = response.status() == 200;
            is_ok && response.into_body().collect().await.is_ok()
        }));
        tokio::time::sleep(every).await;
        at += every;
    }
    let mut answered = 0;
    for call in calls {
        answered += usize::from(call.await.unwrap());
    }
    (began, answered)
}

/// What a retry budget lets through in a span of time, by its documentation: a share of the calls in it, twice the
/// reserve, a hundred that were saved up, and the reserve for each ten seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Documented {
    pub(crate) percent: usize,
    pub(crate) reserve: usize,
}

impl Documented {
    /// Of the default.
    pub(crate) const DEFAULT: Self = Documented {
        percent: 20,
        reserve: 10,
    };

    pub(crate) fn repeats(self, calls: usize, span: Duration) -> usize {
        let saved = if self.percent > 0 { 100 } else { 0 };
        let tens = usize::try_from(span.as_secs().div_ceil(10)).unwrap();
        (calls * self.percent).div_ceil(100) + 2 * self.reserve + saved + self.reserve * tens
    }
}

/// For how long a repeat waits at most that was let through.
const DELAY: Duration = Duration::from_millis(2_200);

/// Of calls begun and attempts made, both in order: the first span of time, of these lengths, in which more repeats came
/// than are documented. They were let through in it, or so long before.
pub(crate) fn over(
    documented: Documented,
    began: &[Duration],
    attempts: &[Duration],
) -> Option<String> {
    let before = |all: &[Duration], end: Duration| all.partition_point(|at| *at < end);
    let last = attempts.last().copied().unwrap_or_default();
    let whole = last + Duration::from_millis(1);
    for span in [1, 10, 60, 600]
        .map(Duration::from_secs)
        .into_iter()
        .chain([whole])
    {
        for first in (0..attempts.len()).step_by(10) {
            let (from, end) = (attempts[first], attempts[first] + span);
            let made = before(attempts, end) - before(attempts, from);
            let calls = before(began, end) - before(began, from);
            let repeats = made.saturating_sub(calls);
            let since = from.saturating_sub(DELAY);
            let most = documented.repeats(before(began, end) - before(began, since), end - since);
            if repeats > most {
                return Some(format!(
                    "{repeats} repeats in {span:?} from {from:?}, {most} at most"
                ));
            }
        }
    }
    None
}
