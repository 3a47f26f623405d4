//! Small services behind our layers, without a network.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt as _, Full};
use tower::{Layer, Service, ServiceExt as _, service_fn};
use tower_quota::Tags;

type Ask = Request<Full<Bytes>>;
type Answer = Result<Response<Full<Bytes>>, Infallible>;

/// A service behind `layer` that answers with the status that `answer` says.
pub(crate) fn calling<L, F, Fut>(layer: L, answer: F) -> L::Service
where
    L: Layer<tower::util::BoxCloneSyncService<Ask, Response<Full<Bytes>>, Infallible>>,
    F: Fn(Ask) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = u16> + Send + 'static,
{
    layer.layer(tower::util::BoxCloneSyncService::new(service_fn(
        move |request| {
            let status = answer(request);
            async move { answered(status.await) }
        },
    )))
}

/// A provider that is busy at the first attempt and says so; it runs `during` at every one.
pub(crate) fn busy_once<F, Fut>(
    during: F,
) -> impl Service<Ask, Response = Response<Full<Bytes>>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ 'static
where
    F: Fn() -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let busy = Arc::new(AtomicBool::new(true));
    service_fn(move |_: Ask| {
        let (during, busy) = (during(), busy.clone());
        async move {
            during.await;
            let status = if busy.swap(false, Ordering::Relaxed) {
                429
            } else {
                200
            };
            answered(status)
        }
    })
}

fn answered(status: u16) -> Answer {
    let response = Response::builder()
        .status(status)
        .header("retry-after-ms", "100");
    Ok(response.body(Full::default()).unwrap())
}

/// The status of a call's answer, which is read to its end.
pub(crate) async fn ask<S, R>(service: &S, tags: Tags) -> u16
where
    S: Service<Ask, Response = Response<R>, Error = Infallible> + Clone,
    R: Body<Data = Bytes>,
{
    ask_with(service, tags).await
}

/// The same, with something else in the request's extensions.
pub(crate) async fn ask_with<S, R, E>(service: &S, extension: E) -> u16
where
    S: Service<Ask, Response = Response<R>, Error = Infallible> + Clone,
    R: Body<Data = Bytes>,
    E: Clone + Send + Sync + 'static,
{
    let request = Request::post("http://provider/v1/jobs").extension(extension);
    let request = request.body(Full::default()).unwrap();
    let response = service.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    assert!(response.into_body().collect().await.is_ok());
    status
}
