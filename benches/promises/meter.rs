//! What the layers cost each chunk of a stream, on what providers send.

use std::{
    convert::Infallible,
    hint::black_box,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    vec,
};

use bytes::Bytes;
use http::{Request, Response, header::CONTENT_TYPE};
use http_body::{Body, Frame};
use http_body_util::Full;
use tokio::runtime::Runtime;
use tower::{Service, ServiceExt as _, service_fn};
use tower_layer::Layer as _;
use tower_quota::{
    BudgetLayer, Limiter, Money, RateLimitLayer,
    limit::{Limit, Limits},
    pricing::{Price, PriceTable},
};

use crate::{
    calls::MINUTE,
    measure::{Verdicts, by_turns, timed},
};

/// Nanoseconds a chunk, as promised.
const PROMISED: f64 = 300.0;
/// So often the events that bring text are there: a real answer has hundreds of them.
const LONG: usize = 50;
const ROUNDS: u32 = 400;

const OPENAI: Stream = Stream {
    path: "/v1/chat/completions",
    sample: include_str!("../../tests/wire/openai-chat-stream.sse"),
    end: "\n\n",
    brings_text: r#""delta":{"content""#,
};
const ANTHROPIC: Stream = Stream {
    path: "/v1/messages",
    sample: include_str!("../../tests/wire/anthropic-stream.sse"),
    end: "\n\n",
    brings_text: r#""type":"content_block_delta""#,
};
const GEMINI: Stream = Stream {
    path: "/v1beta/models/m:streamGenerateContent",
    sample: include_str!("../../tests/wire/gemini-stream.sse"),
    end: "\r\n\r\n",
    brings_text: r#""role":"model"},"index":0}"#,
};

struct Stream {
    path: &'static str,
    sample: &'static str,
    end: &'static str,
    /// What stands in the events that do, and in no other.
    brings_text: &'static str,
}

impl Stream {
    /// The events of an answer, each a chunk: those that bring text `LONG` times, the others once.
    fn chunks(&self) -> Vec<Bytes> {
        let events: Vec<_> = self.sample.split_inclusive(self.end).collect();
        let brings_text = |event: &&str| event.contains(self.brings_text);
        let first = events.iter().position(brings_text);
        let last = events.iter().rposition(brings_text);
        let (first, last) = first.zip(last).expect("text in the sample");
        let text = std::iter::repeat_n(&events[first..=last], LONG).flatten();
        let all = events[..first]
            .iter()
            .chain(text)
            .chain(&events[last + 1..]);
        all.map(|event| Bytes::from_static(event.as_bytes()))
            .collect()
    }
}

/// A body of these chunks, all of which are there.
struct Chunks(vec::IntoIter<Bytes>);

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.next().map(|chunk| Ok(Frame::data(chunk))))
    }
}

fn plenty() -> Limiter {
    let limits = [
        Limit::requests(1 << 40),
        Limit::input_tokens(1 << 40),
        Limit::output_tokens(1 << 40),
    ];
    let limits = Limits::new(limits.map(|limit| limit.every(MINUTE)));
    Limiter::new(limits.expect("limits that make sense"))
}

/// Nanoseconds a chunk, from the first to the end of the body; the call before that is not in it.
async fn passed<S, R>(service: S, path: &str, count: usize) -> f64
where
    S: Service<Request<Full<Bytes>>, Response = Response<R>, Error = Infallible>,
    R: Body<Data = Bytes, Error = Infallible>,
{
    let request = Request::post(path).header("anthropic-version", "2023-06-01");
    let body = Full::from(r#"{"model":"m","max_tokens":100,"messages":[]}"#);
    let request = request.body(body).expect("a request");
    let Ok(response) = service.oneshot(request).await;
    let mut body = Box::pin(response.into_body());
    let cx = &mut Context::from_waker(Waker::noop());
    let mut chunks = 0;
    let time = timed(|| {
        while let Poll::Ready(Some(frame)) = body.as_mut().poll_frame(cx) {
            let _ = black_box(frame);
            chunks += 1;
        }
    });
    assert_eq!(chunks, count, "all of it passes");
    time.as_secs_f64() * 1e9 / f64::from(u32::try_from(chunks).expect("few"))
}

/// A budget that has plenty, beside the same limits: a call asks it for more when it comes to more than its cap says.
fn budget() -> RateLimitLayer {
    let dollars = Money::from_dollars(1_000_000);
    let limits = Limits::new([
        Limit::output_tokens(1 << 40).every(MINUTE),
        Limit::cost(dollars).every(MINUTE),
    ]);
    let limiter = Limiter::new(limits.expect("limits that make sense"));
    let mut prices = PriceTable::new();
    let rate = |dollars: &str| dollars.parse().expect("a rate");
    prices.insert("openai", "m", Price::new(rate("1"), rate("10")));
    let budget = BudgetLayer::new(limiter.clone(), Arc::new(prices));
    RateLimitLayer::new(limiter).budget(budget)
}

fn measure(runtime: &Runtime, layer: &RateLimitLayer, stream: &Stream) -> f64 {
    let chunks = stream.chunks();
    let count = chunks.len();
    let inner = service_fn(move |_: Request<Full<Bytes>>| {
        let answer = Response::builder().header(CONTENT_TYPE, "text/event-stream");
        let answer = answer.body(Chunks(chunks.clone().into_iter()));
        async { Ok::<_, Infallible>(answer.expect("an answer")) }
    });
    let service = layer.layer(inner);
    runtime.block_on(passed(service, stream.path, count))
}

pub(crate) fn run(verdicts: &mut Verdicts) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let (layer, budget) = (RateLimitLayer::new(plenty()), budget());
    let [openai, anthropic, gemini, budgeted] = by_turns(
        ROUNDS,
        [
            &mut || measure(&runtime, &layer, &OPENAI),
            &mut || measure(&runtime, &layer, &ANTHROPIC),
            &mut || measure(&runtime, &layer, &GEMINI),
            &mut || measure(&runtime, &budget, &OPENAI),
        ],
    );
    verdicts.most("a chunk of OpenAI chat, ns", openai, PROMISED);
    verdicts.most("a chunk of Anthropic, ns", anthropic, PROMISED);
    verdicts.most(
        "a chunk of Gemini, which counts in each, ns",
        gemini,
        PROMISED,
    );
    verdicts.most(
        "a chunk of OpenAI chat, under a budget, ns",
        budgeted,
        PROMISED,
    );
}
