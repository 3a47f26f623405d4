//! What the layers read of calls whose model stands in the URL, and of streams that are no server-sent events.

use std::{pin::Pin, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use tower::{Layer as _, ServiceExt as _};
use tower_quota::{AdmissionLayer, Limiter, RequestBody, Tag, limit::Limit, limiter::Call};

use crate::support::{stack::AnyBody, *};

const ORDERS: [&str; 5] = ["A", "AR", "RA", "ARA", "RAR"];

fn post(path: &str, body: &'static str) -> Request<Full<Bytes>> {
    let request = Request::post(format!("http://upstream{path}"));
    request.body(Full::from(body)).unwrap()
}

/// Paths in which `{}` stands for the model.
const WITH_MODEL: [&str; 6] = [
    "/v1beta/models/{}:generateContent",
    "/v1beta/models/{}:streamGenerateContent?alt=sse",
    "/v1/projects/p/locations/l/publishers/google/models/{}:generateContent",
    "/model/{}/converse",
    "/model/{}/invoke-with-response-stream",
    "/openai/deployments/{}/chat/completions?api-version=1",
];

#[tokio::test(start_paused = true)]
async fn a_model_in_the_url_is_the_call_s() {
    for order in ["F", "FR", "RF"] {
        for path in WITH_MODEL {
            let one = Limit::requests(1).every(HOUR).when(Tag::Model, "mine");
            let service = stack(order, &limiter([one]), Upstream::new());
            let status = async |model| {
                let request = post(&path.replace("{}", model), "{}");
                service.clone().oneshot(request).await.unwrap().status()
            };
            let name = format!("{order} {path}");
            assert_eq!(status("mine").await, StatusCode::OK, "{name}");
            assert_eq!(
                status("mine").await,
                StatusCode::TOO_MANY_REQUESTS,
                "{name}"
            );
            assert_eq!(status("other").await, StatusCode::OK, "{name}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn also_where_the_body_is_too_long_to_be_read() {
    let one = Limit::requests(1).every(HOUR).when(Tag::Model, "mine");
    let admission = AdmissionLayer::new(limiter([one])).reject_when_full();
    let service = admission.body_cap(8).layer(Upstream::new());
    let status = async |model| {
        let request = Request::post(format!("http://upstream/model/{model}/converse"));
        let body = RequestBody::new(Full::from("{\"messages\":[]}"));
        let answer = service.clone().oneshot(request.body(body).unwrap()).await;
        answer.unwrap().status()
    };
    assert_eq!(status("mine").await, StatusCode::OK);
    assert_eq!(status("mine").await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(status("other").await, StatusCode::OK);
}

/// A call that reserves 100 tokens of output, and how its stream comes.
struct Streaming {
    path: &'static str,
    request: &'static str,
    content_type: &'static str,
    /// Before the first event.
    opening: &'static [u8],
    /// An event of ten tokens, by their estimate.
    event: &'static [u8],
}

/// 40 bytes of text in a frame of Bedrock's.
const BEDROCK_EVENT: &[u8] = include_bytes!("bedrock-event.bin");

const STREAMS: [Streaming; 3] = [
    Streaming {
        path: "/api/chat",
        request: r#"{"model":"m","options":{"num_predict":100},"messages":[]}"#,
        content_type: "application/x-ndjson",
        opening: b"",
        event: b"{\"message\":{\"content\":\"0123456789012345678901234567890123456789\"},\"done\":false}\n",
    },
    Streaming {
        path: "/v1beta/models/m:streamGenerateContent",
        request: r#"{"contents":[],"generationConfig":{"maxOutputTokens":100}}"#,
        content_type: "application/json; charset=UTF-8",
        opening: b"[",
        event: b"{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"0123456789012345678901234567890123456789\"}]}}]},\n",
    },
    Streaming {
        path: "/model/m/converse-stream",
        request: r#"{"messages":[],"inferenceConfig":{"maxTokens":100}}"#,
        content_type: "application/vnd.amazon.eventstream",
        opening: b"",
        event: BEDROCK_EVENT,
    },
];

impl Streaming {
    /// The answer's body; it breaks off after two events.
    async fn body(&self, order: &str, limiter: &Limiter) -> AnyBody {
        let frames = Frames::of([]).and(self.opening).and(self.event);
        let frames = frames.and(self.event).then(Broken(5));
        let upstream = Upstream::new().answers([Answer::Typed(self.content_type, frames)]);
        let service = stack(order, limiter, upstream);
        let response = service.oneshot(post(self.path, self.request)).await;
        response.unwrap().into_body()
    }
}

fn hundred() -> Limiter {
    limiter([Limit::output_tokens(100).every(MINUTE)])
}

async fn room(limiter: &Limiter) -> u64 {
    let mut room = 0;
    while let Ok(permit) = limiter.try_acquire(Call::new().tokens(0, room + 1)).await {
        permit.release();
        room += 1;
    }
    room
}

async fn read_after(wait: Duration, body: &mut AnyBody) {
    tokio::time::sleep(wait).await;
    assert!(matches!(Pin::new(body).frame().await, Some(Ok(_))));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_off_is_settled_at_what_was_seen() {
    for order in ORDERS {
        for stream in &STREAMS {
            let limiter = hundred();
            let body = stream.body(order, &limiter).await;
            assert_eq!(body.collect().await.unwrap_err(), Broken(5));
            assert_eq!(room(&limiter).await, 80, "{order} {}", stream.path);
        }
    }
}

/// A10: a stream counts while it streams.
#[tokio::test(start_paused = true)]
async fn what_has_streamed_leaves_though_the_stream_goes_on() {
    for order in ORDERS {
        for stream in &STREAMS {
            let limiter = hundred();
            let mut body = stream.body(order, &limiter).await;
            read_after(Duration::ZERO, &mut body).await;
            read_after(secs(1), &mut body).await;
            // It came with the response.
            tokio::time::sleep(COUNTED - secs(1) - millis(1)).await;
            assert_eq!(room(&limiter).await, 0, "{order} {}", stream.path);
            tokio::time::sleep(millis(1)).await;
            assert_eq!(room(&limiter).await, 10, "{order} {}", stream.path);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn json_that_breaks_off_may_have_been_all_that_was_reserved() {
    let stream = Streaming {
        opening: b"",
        ..STREAMS[1]
    };
    for order in ORDERS {
        let limiter = hundred();
        let body = stream.body(order, &limiter).await;
        assert_eq!(body.collect().await.unwrap_err(), Broken(5));
        assert_eq!(room(&limiter).await, 0, "{order}");
    }
}
