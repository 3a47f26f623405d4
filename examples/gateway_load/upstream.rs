//! The upstream: answers at once, or after a while, and counts.

use std::{
    convert::Infallible,
    net::Ipv4Addr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use http::{Method, Request, Response, header};
use http_body_util::BodyExt as _;
use hyper::{
    body::{Body, Bytes, Frame, Incoming, SizeHint},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::{
    Error,
    said::{self, Kind},
};

/// Asked with GET, how many calls there were.
pub(crate) const COUNT: &str = "/count";

struct Upstream {
    delay: Duration,
    answer: Bytes,
    events: Arc<[Bytes]>,
    calls: AtomicU64,
}

pub(crate) async fn serve(delay: Duration) -> Result<(), Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let upstream = Arc::new(Upstream {
        delay,
        answer: said::answer(),
        events: said::events().into(),
        calls: AtomicU64::new(0),
    });
    loop {
        let (connection, _) = listener.accept().await?;
        connection.set_nodelay(true)?;
        let upstream = upstream.clone();
        let service = service_fn(move |request| {
            let upstream = upstream.clone();
            async move { Ok::<_, Infallible>(upstream.answer(request).await) }
        });
        let serving = http1::Builder::new().serve_connection(TokioIo::new(connection), service);
        // Who goes away before the end has said so.
        tokio::spawn(async { drop(serving.await) });
    }
}

impl Upstream {
    async fn answer(&self, request: Request<Incoming>) -> Response<Answer> {
        if request.method() == Method::GET {
            let calls = self.calls.load(Ordering::Relaxed);
            return Response::new(Answer::Whole(Some(calls.to_string().into())));
        }
        let Ok(body) = request.into_body().collect().await else {
            return Response::new(Answer::Whole(None));
        };
        self.calls.fetch_add(1, Ordering::Relaxed);
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        let kind = Kind::of(&body.to_bytes());
        let (content, answer) = match kind {
            Kind::Chat | Kind::Long => {
                ("application/json", Answer::Whole(Some(self.answer.clone())))
            }
            Kind::Stream | Kind::Held => {
                let events = Answer::Events {
                    all: self.events.clone(),
                    next: 0,
                    is_paused: false,
                    is_held: kind == Kind::Held,
                };
                ("text/event-stream", events)
            }
        };
        let mut response = Response::new(answer);
        let content = header::HeaderValue::from_static(content);
        response.headers_mut().insert(header::CONTENT_TYPE, content);
        response
    }
}

enum Answer {
    Whole(Option<Bytes>),
    Events {
        all: Arc<[Bytes]>,
        next: usize,
        is_paused: bool,
        is_held: bool,
    },
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Answer::Whole(answer) => {
                Poll::Ready(answer.take().map(|answer| Ok(Frame::data(answer))))
            }
            // It has begun: nothing more comes, until whoever asked goes away.
            Answer::Events {
                next: 2,
                is_held: true,
                ..
            } => Poll::Pending,
            Answer::Events {
                all,
                next,
                is_paused,
                ..
            } => {
                // Between two events what was said is written: each is sent alone.
                *is_paused = !*is_paused && *next > 0;
                if *is_paused {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                let event = all.get(*next).cloned();
                *next += 1;
                Poll::Ready(event.map(|event| Ok(Frame::data(event))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Answer::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Answer::Whole(answer) => {
                SizeHint::with_exact(answer.as_ref().map_or(0, |answer| answer.len() as u64))
            }
            Answer::Events { .. } => SizeHint::default(),
        }
    }
}
