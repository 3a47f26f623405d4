//! What this machine lacks is held against no target.
#![cfg(unix)]

use std::{error::Error, io, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{service_fn, util::BoxCloneSyncService};
use tower_layer::Layer as _;
use tower_quota::{
    RateLimitLayer, RetryLayer,
    failover::{BreakerOptions, Route},
};

use crate::providers::{Heard, failover, limiter, request, send, target};

type BoxError = Box<dyn Error + Send + Sync>;
type Failing = BoxCloneSyncService<Request<Full<Bytes>>, Response<Full<Bytes>>, BoxError>;

/// A client whose attempts all fail so.
fn failing(error: fn() -> io::Error) -> Failing {
    BoxCloneSyncService::new(service_fn(move |_: Request<Full<Bytes>>| async move {
        Err::<Response<Full<Bytes>>, _>(BoxError::from(error()))
    }))
}

/// What is told of a target after some calls that fail so.
async fn heard_of(error: fn() -> io::Error) -> Vec<String> {
    let heard = Heard::default();
    let breaker = BreakerOptions::new()
        .failures(2)
        .open_for(Duration::from_secs(10));
    let layer = failover(Route::ordered([target("first")]))
        .breaker(breaker)
        .on_event(heard.listener());
    let retry = RetryLayer::new().max_attempts(1.try_into().unwrap());
    let layer = RateLimitLayer::new(limiter([]))
        .retry(retry)
        .failover(layer);
    let service = layer.layer(failing(error));
    for _ in 0..5 {
        // What becomes of each is another matter.
        let _ = send(&service, request()).await;
    }
    heard.all()
}

#[tokio::test(start_paused = true)]
async fn no_breaker_opens_where_there_is_nothing_left_to_make_a_connection_of() {
    // EMFILE.
    let no_file = heard_of(|| io::Error::from_raw_os_error(24)).await;
    assert!(no_file.is_empty(), "{no_file:?}");
    // Also of an address that can never be reached from here.
    let no_address = heard_of(|| io::ErrorKind::AddrNotAvailable.into()).await;
    assert!(no_address[0].contains("passed over"), "{no_address:?}");
    let broken = heard_of(|| io::ErrorKind::ConnectionReset.into()).await;
    assert!(broken[0].contains("passed over"), "{broken:?}");
}
