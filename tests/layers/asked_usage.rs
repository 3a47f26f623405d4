//! OpenAI chat streams are asked for their usage, and a caller that did not ask sees nothing of it.

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, header::CONTENT_LENGTH};
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, Full};
use tower::{Layer, Service, ServiceExt as _, service_fn};
use tower_quota::{
    AdmissionLayer, Limiter, RetryLayer,
    limit::{Limit, Limits},
    limiter::Call,
};

const HOUR: Duration = Duration::from_secs(3_600);
/// What the provider says that it used.
const USED: (u64, u64) = (31, 17);

/// A body that comes in chunks, and says or does not say that the last one is the last.
struct Chunks {
    left: VecDeque<Bytes>,
    tells_end: bool,
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.left.pop_front().map(|chunk| Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.tells_end && self.left.is_empty()
    }
}

fn event(data: &str) -> String {
    format!("data: {data}\n\n")
}

/// A stream as a provider sends it to who asked for its usage.
fn with_usage() -> String {
    let (input, output) = USED;
    let chunk = |delta: &str| {
        event(&format!(
            r#"{{"id":"c","choices":[{{"index":0,"delta":{delta}}}],"usage":null}}"#
        ))
    };
    let usage = format!(
        r#"{{"id":"c","choices":[],"usage":{{"prompt_tokens":{input},"completion_tokens":{output},"total_tokens":{}}}}}"#,
        input + output
    );
    [
        chunk(r#"{"role":"assistant"}"#),
        chunk(r#"{"content":"three layers"}"#),
        event(&usage),
        event("[DONE]"),
    ]
    .concat()
}

/// And to who did not.
fn without_usage() -> String {
    let chunk = |delta: &str| {
        event(&format!(
            r#"{{"id":"c","choices":[{{"index":0,"delta":{delta}}}]}}"#
        ))
    };
    [
        chunk(r#"{"role":"assistant"}"#),
        chunk(r#"{"content":"three layers"}"#),
        event("[DONE]"),
    ]
    .concat()
}

/// A provider that tells its usage if it is asked, cut into chunks of so many bytes.
fn provider(
    cut: usize,
) -> impl Service<Request<Full<Bytes>>, Response = Response<Chunks>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ 'static {
    service_fn(move |request: Request<Full<Bytes>>| async move {
        let said = request.headers().get(CONTENT_LENGTH).cloned();
        let body = request.into_body().collect().await.unwrap().to_bytes();
        if let Some(said) = said {
            assert_eq!(said.to_str().unwrap(), body.len().to_string());
        }
        let asked: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let text = if asked["stream_options"]["include_usage"] == true {
            with_usage()
        } else {
            without_usage()
        };
        let length = text.len();
        let chunks = text.as_bytes().chunks(cut);
        let mut response = Response::new(Chunks {
            left: chunks.map(Bytes::copy_from_slice).collect(),
            tells_end: cut.is_multiple_of(2),
        });
        let headers = response.headers_mut();
        headers.insert("content-type", "text/event-stream".parse().unwrap());
        headers.insert(CONTENT_LENGTH, length.into());
        Ok(response)
    })
}

fn request(options: &str) -> Request<Full<Bytes>> {
    let body = format!(
        r#"{{"model":"m","max_tokens":100,"stream":true{options},"messages":[{{"role":"user","content":"Hi"}}]}}"#
    );
    Request::post("http://provider/v1/chat/completions")
        .header(CONTENT_LENGTH, body.len())
        .body(Full::from(body))
        .unwrap()
}

fn limiter() -> Limiter {
    let limit = Limit::tokens(1_000).every(HOUR);
    Limiter::new(Limits::new([limit]).unwrap())
}

async fn charged(limiter: &Limiter) -> u64 {
    let explained = limiter.explain(&Call::new()).await.unwrap();
    explained.limits[0].in_use
}

/// What the caller sees of a call behind these layers.
async fn seen<L>(layer: L, cut: usize, options: &str) -> (String, HeaderMap)
where
    L: Layer<tower::util::BoxCloneSyncService<Request<Full<Bytes>>, Response<Chunks>, Infallible>>,
    L::Service: Service<
            Request<Full<Bytes>>,
            Response = Response<tower_quota::ResponseBody<Chunks>>,
            Error = Infallible,
        >,
{
    let inner = tower::util::BoxCloneSyncService::new(provider(cut));
    let response = layer.layer(inner).oneshot(request(options)).await.unwrap();
    let headers = response.headers().clone();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (String::from_utf8(body.to_vec()).unwrap(), headers)
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_settled_by_its_usage_and_the_caller_sees_what_it_asked_for() {
    for cut in [1, 2, 7, 50, 10_000] {
        let limiter = limiter();
        let (text, headers) = seen(AdmissionLayer::new(limiter.clone()), cut, "").await;
        assert_eq!(text, without_usage(), "cut at {cut}");
        assert!(!headers.contains_key(CONTENT_LENGTH), "it is shorter");
        assert_eq!(charged(&limiter).await, USED.0 + USED.1, "cut at {cut}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_declines_is_asked_all_the_same_and_sees_nothing_of_it() {
    let limiter = limiter();
    let declined = r#","stream_options":{"include_usage":false}"#;
    let (text, _) = seen(AdmissionLayer::new(limiter.clone()), 9, declined).await;
    assert_eq!(text, without_usage());
    assert_eq!(charged(&limiter).await, USED.0 + USED.1);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_asks_gets_every_byte() {
    let limiter = limiter();
    let asked = r#","stream_options":{"include_usage":true}"#;
    let (text, headers) = seen(AdmissionLayer::new(limiter.clone()), 9, asked).await;
    assert_eq!(text, with_usage());
    assert!(headers.contains_key(CONTENT_LENGTH));
    assert_eq!(charged(&limiter).await, USED.0 + USED.1);
}

#[tokio::test(start_paused = true)]
async fn a_request_leaves_as_it_came_where_that_is_wanted() {
    let limiter = limiter();
    let layer = AdmissionLayer::new(limiter.clone()).as_it_came();
    let (text, headers) = seen(layer, 9, "").await;
    assert_eq!(text, without_usage());
    assert!(headers.contains_key(CONTENT_LENGTH));
    assert!(charged(&limiter).await < USED.0 + USED.1, "an estimate");
}

#[tokio::test(start_paused = true)]
async fn whichever_layer_comes_first_asks_and_whichever_sends_hides() {
    let limiter = limiter();
    let admission = AdmissionLayer::new(limiter.clone());
    let inner = tower::util::BoxCloneSyncService::new(provider(9));
    let service = RetryLayer::new().layer(admission.layer(inner));
    let response = service.oneshot(request("")).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, without_usage());
    assert_eq!(charged(&limiter).await, USED.0 + USED.1);
}
