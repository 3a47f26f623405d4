//! Callers that are told the same at one instant do not come back together, and none comes early.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tokio::time::Instant;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_quota::{Limiter, RateLimitLayer, RetryLayer, limit::Limits};

async fn status<R>(call: impl Future<Output = Result<Response<R>, Infallible>>) -> u16 {
    call.await.unwrap().status().as_u16()
}

/// A provider that is busy at the first instant, and says so; and when each attempt came after that.
#[derive(Clone)]
struct Busy {
    began: Instant,
    name: &'static str,
    value: u64,
    back: Arc<Mutex<Vec<Duration>>>,
}

impl Busy {
    fn new(name: &'static str, value: u64) -> Self {
        Busy {
            began: Instant::now(),
            name,
            value,
            back: Arc::default(),
        }
    }

    fn answer(&self) -> Result<Response<Full<Bytes>>, Infallible> {
        let at = self.began.elapsed();
        if at.is_zero() {
            let busy = Response::builder().status(429);
            let busy = busy.header(self.name, self.value);
            return Ok(busy.body(Full::default()).unwrap());
        }
        self.back.lock().unwrap().push(at);
        Ok(Response::new(Full::from("{}")))
    }

    fn back(&self) -> Vec<Duration> {
        let mut back = self.back.lock().unwrap().clone();
        back.sort();
        back
    }
}

fn request() -> Request<Full<Bytes>> {
    let body = r#"{"model":"m","messages":[]}"#;
    let request = Request::post("http://provider/v1/chat/completions");
    request.body(Full::from(body)).unwrap()
}

fn paved() -> RateLimitLayer {
    RateLimitLayer::new(Limiter::new(Limits::new([]).unwrap()))
}

/// The statuses of calls that are all begun before one of them is answered.
async fn all<R: Send + 'static>(
    calls: impl IntoIterator<
        Item = impl Future<Output = Result<Response<R>, Infallible>> + Send + 'static,
    >,
) {
    let calls: Vec<_> = calls
        .into_iter()
        .map(|call| tokio::spawn(status(call)))
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap(), 200);
    }
}

fn are_spread_out(mut back: Vec<Duration>) {
    let (first, last) = (back[0], back[back.len() - 1]);
    assert!(first >= Duration::from_secs(5), "{first:?}");
    assert!(last <= Duration::from_millis(5_500), "{last:?}");
    let apart = last - first;
    assert!(apart > Duration::from_millis(250), "together: {back:?}");
    back.dedup();
    assert_eq!(back.len(), 20, "two at one instant: {back:?}");
}

/// R3: told waits are a floor.
#[tokio::test(start_paused = true)]
async fn twenty_that_are_told_five_seconds_come_one_by_one_and_none_early() {
    // Instants are whole milliseconds, so by mere chance two of twenty would be the same now and then.
    fastrand::seed(2);
    for (name, value) in [("retry-after", 5), ("retry-after-ms", 5_000)] {
        let busy = Busy::new(name, value);
        let provider = busy.clone();
        let provider =
            service_fn(move |_: Request<Full<Bytes>>| std::future::ready(provider.answer()));
        let service = RetryLayer::new().layer(provider);
        all((0..20).map(|_| service.clone().oneshot(request()))).await;
        are_spread_out(busy.back());
    }
}

#[tokio::test(start_paused = true)]
async fn so_do_twenty_programs_with_all_layers_each() {
    fastrand::seed(2);
    let busy = Busy::new("retry-after", 5);
    let provider = busy.clone();
    let provider = service_fn(move |_: Request<Full<Bytes>>| std::future::ready(provider.answer()));
    all((0..20).map(|_| paved().layer(provider.clone()).oneshot(request()))).await;
    are_spread_out(busy.back());
}

#[tokio::test(start_paused = true)]
async fn those_whom_one_told_wait_holds_back_are_none_early() {
    let busy = Busy::new("retry-after", 5);
    let provider = busy.clone();
    let provider = service_fn(move |_: Request<Full<Bytes>>| std::future::ready(provider.answer()));
    let service = paved().layer(provider);
    all((0..20).map(|_| service.clone().oneshot(request()))).await;
    let back = busy.back();
    assert_eq!(back.len(), 20);
    assert!(back[0] >= Duration::from_secs(5), "{back:?}");
    assert!(back[19] <= Duration::from_millis(5_500), "{back:?}");
}
