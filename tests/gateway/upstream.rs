//! Upstreams that tell what reached them, and answer when a test says so.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{Router, body::Body, extract::Request, response::Response};
use bytes::Bytes;
use http::request::Parts;
use http_body::Frame;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
};

use crate::process::soon;

async fn start(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    addr
}

/// Answers with what reached it: method, path and query, headers, length of the body.
pub(crate) async fn echo() -> SocketAddr {
    let answer = |request: Request| async {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let headers = parts.headers.iter().map(|(name, value)| {
            (
                name.to_string(),
                Value::from(String::from_utf8_lossy(value.as_bytes())),
            )
        });
        let seen = json!({
            "method": parts.method.as_str(),
            "path": parts.uri.to_string(),
            "headers": Value::Object(headers.collect()),
            "length": body.len(),
        });
        Response::builder()
            .header("x-kept", "yes")
            .header("x-hop", "no")
            .header("connection", "x-hop")
            .header("keep-alive", "timeout=5")
            .header("proxy-authenticate", "Basic")
            .header("upgrade", "h2c")
            .body(Body::from(seen.to_string()))
            .unwrap()
    };
    start(Router::new().fallback(answer)).await
}

/// Refuses every key with this status, in OpenAI's words, and repeats the key.
pub(crate) async fn refusing(status: u16) -> SocketAddr {
    let answer = move |request: Request| async move {
        let (parts, body) = request.into_parts();
        body.collect().await.unwrap();
        let shown = parts.headers.get("authorization");
        let shown = shown.map_or("", |shown| shown.to_str().unwrap());
        let said = json!({"error": {
            "message": format!("Incorrect API key provided: {shown}"),
            "type": "invalid_request_error", "param": null, "code": "invalid_api_key",
        }});
        Response::builder()
            .status(status)
            .header("content-type", "application/json")
            .header("www-authenticate", "Bearer")
            .body(Body::from(said.to_string()))
            .unwrap()
    };
    start(Router::new().fallback(answer)).await
}

/// Answers each call as this says of its head.
pub(crate) async fn answering(answer: fn(&Parts) -> Response) -> SocketAddr {
    let answer = move |request: Request| async move {
        let (parts, body) = request.into_parts();
        body.collect().await.unwrap();
        answer(&parts)
    };
    start(Router::new().fallback(answer)).await
}

/// An upstream whose answers the test writes, piece by piece.
pub(crate) struct Held {
    pub(crate) addr: SocketAddr,
    calls: mpsc::UnboundedReceiver<HeldCall>,
}

/// A call that has reached it.
#[derive(Debug)]
pub(crate) struct HeldCall {
    /// The caller's header `x-name`.
    pub(crate) name: String,
    answered: oneshot::Sender<(u16, &'static str, Pieces)>,
}

/// The answer to a call, which ends when this is dropped.
pub(crate) struct Answering(mpsc::UnboundedSender<Bytes>);

#[derive(Debug)]
struct Pieces(mpsc::UnboundedReceiver<Bytes>);

impl Held {
    pub(crate) async fn start() -> Self {
        let (tell, calls) = mpsc::unbounded_channel();
        let answer = move |request: Request| {
            let tell = tell.clone();
            async move {
                let name = request.headers().get("x-name");
                let name = name.map_or("", |name| name.to_str().unwrap()).to_owned();
                request.into_body().collect().await.unwrap();
                let (answered, answer) = oneshot::channel();
                let call = HeldCall { name, answered };
                tell.send(call).expect("the test is over");
                match answer.await {
                    Ok((status, kind, pieces)) => {
                        let answer = Response::builder().status(status);
                        let answer = answer.header("content-type", kind);
                        answer.body(Body::new(pieces)).unwrap()
                    }
                    Err(_) => Response::new(Body::empty()),
                }
            }
        };
        let addr = start(Router::new().fallback(answer)).await;
        Held { addr, calls }
    }

    /// The next call that reaches it.
    pub(crate) async fn call(&mut self) -> HeldCall {
        soon(self.calls.recv()).await.unwrap()
    }
}

impl Held {
    /// Whether no further call has reached it.
    pub(crate) fn is_unasked(&mut self) -> bool {
        self.calls.try_recv().is_err()
    }
}

impl HeldCall {
    /// Waits until nobody wants its answer.
    pub(crate) async fn given_up(mut self) {
        soon(self.answered.closed()).await;
    }

    /// Sends the headers.
    pub(crate) fn answer(self) -> Answering {
        self.answer_as("application/octet-stream")
    }

    /// The same of a stream of events.
    pub(crate) fn sse(self) -> Answering {
        self.answer_as("text/event-stream")
    }

    /// The same of JSON.
    pub(crate) fn json(self) -> Answering {
        self.answer_as("application/json")
    }

    /// Says that it is overloaded.
    pub(crate) fn fails(self) {
        drop(self.answer_with(503, "application/json"));
    }

    fn answer_as(self, kind: &'static str) -> Answering {
        self.answer_with(200, kind)
    }

    fn answer_with(self, status: u16, kind: &'static str) -> Answering {
        let (pieces, body) = mpsc::unbounded_channel();
        let answer = (status, kind, Pieces(body));
        self.answered.send(answer).expect("given up");
        Answering(pieces)
    }
}

impl Answering {
    pub(crate) fn piece(&self, text: &'static str) {
        self.0.send(Bytes::from_static(text.as_bytes())).unwrap();
    }

    /// Waits until nobody wants the rest.
    pub(crate) async fn given_up(&self) {
        soon(self.0.closed()).await;
    }
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.0.poll_recv(cx);
        piece.map(|piece| piece.map(|bytes| Ok(Frame::data(bytes))))
    }
}
