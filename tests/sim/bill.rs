//! What our layers meter of an answer is what the simulator bills for it, in every dialect that it speaks: text and calls of
//! tools, whole and streamed. Of a stream that is hung up it is never less.
#![cfg(feature = "sim")]

use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use proptest::prelude::*;
use serde_json::{Value, json};
use tower::{Layer as _, ServiceExt as _};
use tower_quota::{
    BudgetLayer, Limiter, Money, Statistics,
    limit::{CalendarUnit, Limit, Limits},
    pricing::{Price, PriceTable},
    sim::{Dialect, Outcome, SimConfig, Simulator},
    statistics::Figures,
};

/// What a token in costs, and one out, in nano-dollars.
const RATES: (u64, u64) = (1_000, 10_000);

const DIALECTS: [Dialect; 6] = [
    Dialect::OpenAi,
    Dialect::OpenAiResponses,
    Dialect::OpenAiEmbeddings,
    Dialect::Anthropic,
    Dialect::Gemini,
    Dialect::GeminiEmbeddings,
];

/// A call, and the provider that bills it.
#[derive(Clone, Debug)]
struct Call {
    dialect: Dialect,
    stream: bool,
    /// Gemini's other form of a stream.
    list: bool,
    tools: bool,
    words: usize,
    cap: u64,
    chunks: usize,
    token_bytes: usize,
    /// Frames after which the caller hangs up.
    frames: Option<usize>,
}

fn calls() -> impl Strategy<Value = Call> {
    let what = (proptest::sample::select(&DIALECTS[..]), any::<[bool; 3]>());
    let sizes = (0..300_usize, 1..200_u64, 1..12_usize, 1..9_usize);
    let ends = proptest::option::of(0..9_usize);
    (what, sizes, ends).prop_map(|((dialect, flags), sizes, frames)| {
        let [stream, list, tools] = flags;
        let (words, cap, chunks, token_bytes) = sizes;
        Call {
            dialect,
            stream,
            list,
            tools,
            words,
            cap,
            chunks,
            token_bytes,
            frames,
        }
    })
}

impl Call {
    fn request(&self) -> Request<Full<Bytes>> {
        let (uri, mut body) = self.asked();
        if self.tools {
            body["tools"] = self.tool();
        }
        let mut request = Request::post(format!("http://sim{uri}"));
        if self.dialect == Dialect::Anthropic {
            request = request.header("anthropic-version", "2023-06-01");
        }
        request.body(body.to_string().into()).unwrap()
    }

    fn asked(&self) -> (&'static str, Value) {
        let (text, cap, stream) = ("word ".repeat(self.words), self.cap, self.stream);
        let messages = json!([{"role": "user", "content": text}]);
        let parts = json!({"parts": [{"text": text}]});
        match self.dialect {
            Dialect::OpenAi => (
                "/v1/chat/completions",
                json!({"model": "m", "messages": messages, "max_tokens": cap, "stream": stream}),
            ),
            Dialect::OpenAiResponses => (
                "/v1/responses",
                json!({"model": "m", "input": messages, "max_output_tokens": cap, "stream": stream}),
            ),
            Dialect::OpenAiEmbeddings => (
                "/v1/embeddings",
                json!({"model": "m", "input": [text, text]}),
            ),
            Dialect::Anthropic => (
                "/v1/messages",
                json!({"model": "m", "messages": messages, "max_tokens": cap, "stream": stream}),
            ),
            Dialect::Gemini => (
                match (stream, self.list) {
                    (false, _) => "/v1beta/models/m:generateContent",
                    (true, false) => "/v1beta/models/m:streamGenerateContent?alt=sse",
                    (true, true) => "/v1beta/models/m:streamGenerateContent",
                },
                json!({"contents": [parts], "generationConfig": {"maxOutputTokens": cap}}),
            ),
            Dialect::GeminiEmbeddings => (
                "/v1beta/models/m:batchEmbedContents",
                json!({"requests": [{"content": parts}, {"content": parts}]}),
            ),
        }
    }

    fn tool(&self) -> Value {
        let schema = json!({"type": "object", "required": ["city"],
            "properties": {"city": {"type": "string", "minLength": self.words}}});
        match self.dialect {
            Dialect::OpenAi => {
                json!([{"type": "function", "function": {"name": "look", "parameters": schema}}])
            }
            Dialect::Anthropic => json!([{"name": "look", "input_schema": schema}]),
            Dialect::Gemini => {
                json!([{"functionDeclarations": [{"name": "look", "parameters": schema}]}])
            }
            _ => json!([{"type": "function", "name": "look", "parameters": schema}]),
        }
    }
}

/// What both sides say of a call: what we have metered, and what was billed, with how it ended.
async fn both(call: &Call) -> (Figures, (u64, u64), Outcome) {
    let simulator = Simulator::new(SimConfig {
        chunks: call.chunks,
        token_bytes: call.token_bytes,
        output_share: 0.7,
        ..SimConfig::default()
    });
    let mut prices = PriceTable::new();
    for provider in ["openai", "anthropic", "gemini"] {
        let price = Price::new("1".parse().unwrap(), "10".parse().unwrap());
        prices.insert(provider, "m", price);
    }
    let day = std::time::Duration::from_secs(86_400);
    let wide = Limit::cost(Money::from_dollars(1_000)).every(day);
    let limiter = Limiter::new(Limits::new([wide]).unwrap());
    let statistics = Statistics::new();
    let service = BudgetLayer::new(limiter.clone(), Arc::new(prices))
        .statistics(statistics.clone())
        .layer(simulator.service());
    let answer = service.oneshot(call.request()).await.unwrap();
    assert_eq!(answer.status(), 200, "{call:?}");
    let mut body = answer.into_body();
    match call.frames {
        None => drop(body.collect().await.unwrap()),
        Some(frames) => {
            for _ in 0..frames {
                if body.frame().await.is_none_or(|frame| frame.is_err()) {
                    break;
                }
            }
            drop(body);
        }
    }
    simulator.idle().await;
    let figures = statistics.report(CalendarUnit::Day, &[]).unwrap().total();
    assert_eq!(figures.requests, 1);
    assert_eq!(limiter.budgets().await.unwrap()[0].settled, figures.cost);
    let ledger = simulator.ledger();
    let (billed, outcome) = (ledger.billed(), ledger.entries()[0].outcome);
    assert_eq!(ledger.entries()[0].dialect, call.dialect);
    (figures, (billed.input, billed.output), outcome)
}

fn cost((input, output): (u64, u64)) -> Money {
    Money::from_nanos(input * RATES.0 + output * RATES.1)
}

fn paused(call: &Call) -> (Figures, (u64, u64), Outcome) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.unwrap().block_on(both(call))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_call_that_is_answered_is_metered_as_it_is_billed(call in calls()) {
        let call = Call { frames: None, ..call };
        let (figures, billed, outcome) = paused(&call);
        prop_assert_eq!(outcome, Outcome::Completed);
        prop_assert_eq!((figures.input, figures.output), billed);
        prop_assert_eq!((figures.cost, figures.estimated), (cost(billed), 0));
    }

    #[test]
    fn a_stream_that_is_hung_up_is_metered_at_no_less(call in calls()) {
        let (figures, billed, _) = paused(&call);
        prop_assert!(figures.cost >= cost(billed), "{figures:?} {billed:?}");
    }
}

/// What the properties would not show of calls that they happen not to make.
#[test]
fn each_dialect_is_billed_both_ways() {
    for dialect in DIALECTS {
        for (stream, tools) in [(false, false), (true, false), (false, true), (true, true)] {
            let call = Call {
                dialect,
                stream,
                list: false,
                tools,
                words: 40,
                cap: 100,
                chunks: 4,
                token_bytes: 4,
                frames: None,
            };
            let (figures, billed, _) = paused(&call);
            let generates = !matches!(
                dialect,
                Dialect::OpenAiEmbeddings | Dialect::GeminiEmbeddings
            );
            let expected = match (generates, tools) {
                (true, false) => (50, 70),
                // The four bytes of the name, and the 51 of the arguments.
                (true, true) => (50, 14),
                (false, _) => (100, 0),
            };
            assert_eq!(billed, expected, "{call:?}");
            assert_eq!((figures.input, figures.output), expected, "{call:?}");
        }
    }
}
