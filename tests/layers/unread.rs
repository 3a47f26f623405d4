//! Bodies of requests to an API that nobody knows, which pass a gate as they come.

use std::{convert::Infallible, pin::Pin};

use bytes::Bytes;
use futures_util::{Stream, stream::unfold};
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};
use tokio::sync::mpsc;
use tower::{Layer, ServiceExt as _, service_fn};
use tower_quota::{
    AdmissionLayer, Limiter, RequestBody, RetryLayer,
    limit::{Limit, Limits},
    limiter::Call,
};

type Framed = Result<Frame<Bytes>, Infallible>;
type Frames = Pin<Box<dyn Stream<Item = Framed> + Send>>;

/// A body whose frames are sent one by one.
fn body() -> (mpsc::Sender<Framed>, StreamBody<Frames>) {
    let (send, frames) = mpsc::channel(1);
    let frames = unfold(frames, |mut frames: mpsc::Receiver<Framed>| async move {
        frames.recv().await.map(|frame| (frame, frames))
    });
    (send, StreamBody::new(Box::pin(frames)))
}

/// A request whose body comes as it is sent.
fn request() -> (mpsc::Sender<Framed>, Request<RequestBody>) {
    let (send, body) = body();
    let request = Request::post("https://server/package.Service/Method");
    (send, request.body(RequestBody::new(body)).unwrap())
}

fn one_at_a_time() -> Limiter {
    Limiter::new(Limits::new([Limit::concurrency(1)]).unwrap())
}

/// Says what it got of data, and which trailers.
async fn echo(request: Request<RequestBody>) -> Result<Response<Full<Bytes>>, Infallible> {
    let collected = request.into_body().collect().await.unwrap();
    let trailers = collected.trailers().map_or(0, HeaderMap::len);
    let mut text = collected.to_bytes().to_vec();
    text.extend_from_slice(format!(" {trailers}").as_bytes());
    Ok(Response::new(Full::from(text)))
}

/// Whoever is refused need not send its body first, and who has not sent it holds the slot that it takes.
#[tokio::test(start_paused = true)]
async fn a_refusal_waits_for_no_body_and_a_body_comes_with_its_slot() {
    let limiter = one_at_a_time();
    let layer = AdmissionLayer::new(limiter.clone()).reject_when_full();
    let service = layer.layer(service_fn(echo));
    let (slow, first) = request();
    let first = tokio::spawn(service.clone().oneshot(first));
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
    assert!(limiter.try_acquire(Call::new()).await.is_err());
    let (_never, second) = request();
    let refused = service.oneshot(second).await.unwrap();
    assert_eq!(refused.status(), 429);
    slow.send(Ok(Frame::data(Bytes::from("late"))))
        .await
        .unwrap();
    let mut trailers = HeaderMap::new();
    trailers.insert("digest", "x".parse().unwrap());
    slow.send(Ok(Frame::trailers(trailers))).await.unwrap();
    drop(slow);
    let answer = first.await.unwrap().unwrap();
    assert_eq!(
        answer.into_body().collect().await.unwrap().to_bytes(),
        "late 1"
    );
    assert!(limiter.try_acquire(Call::new()).await.is_ok());
}

/// What answers while it is still asked.
#[tokio::test(start_paused = true)]
async fn both_sides_may_stream_at_once() {
    let service = AdmissionLayer::new(one_at_a_time()).layer(service_fn(
        |request: Request<RequestBody>| async move {
            let (mut asked, (send, answer)) = (request.into_body(), body());
            tokio::spawn(async move {
                while let Some(Ok(frame)) = asked.frame().await {
                    let _ = send.send(Ok(frame)).await;
                }
            });
            Ok::<_, Infallible>(Response::new(answer))
        },
    ));
    let (send, request) = request();
    let mut answer = service.oneshot(request).await.unwrap().into_body();
    for word in ["one", "two"] {
        send.send(Ok(Frame::data(Bytes::from(word)))).await.unwrap();
        let frame = answer.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), word);
    }
    drop(send);
    assert!(answer.frame().await.is_none());
}

/// What may have to be sent again is read.
#[tokio::test(start_paused = true)]
async fn a_layer_that_repeats_reads_it_first() {
    let service =
        RetryLayer::new().layer(AdmissionLayer::new(one_at_a_time()).layer(service_fn(echo)));
    let (send, request) = request();
    let called = tokio::spawn(service.oneshot(request));
    for data in ["a", "b"] {
        send.send(Ok(Frame::data(Bytes::from(data)))).await.unwrap();
    }
    drop(send);
    let answer = called.await.unwrap().unwrap();
    assert_eq!(
        answer.into_body().collect().await.unwrap().to_bytes(),
        "ab 0"
    );
}
