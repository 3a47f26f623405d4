//! Random loads.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use proptest::prelude::*;
use serde_json::json;
use tower_quota::{Tag, Tags};

pub(crate) const AGENTS: [&str; 3] = ["a", "b", "c"];
pub(crate) const MODELS: [&str; 3] = ["m0", "m1", "m2"];
/// Output tokens that are reserved for a call which names no cap, and that the simulator gives at most.
pub(crate) const WITHOUT_CAP: u64 = 1_000;

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// For each model what a million tokens cost, in and out, in nano-dollars.
    pub(crate) prices: Vec<(u64, u64)>,
    pub(crate) stack: Stack,
    /// Thousandths of what all calls may cost: the budget of all, and that of each agent in ten seconds.
    pub(crate) budgets: (u64, u64),
    /// Calls in flight, where something admits.
    pub(crate) places: u64,
    pub(crate) latency: u64,
    pub(crate) chunk_delay: u64,
    pub(crate) chunks: usize,
    /// Bytes of text to a token out.
    pub(crate) token_bytes: u64,
    pub(crate) output_share: f64,
    /// The chance of a refusal that tells a wait.
    pub(crate) refuses: f64,
    pub(crate) seed: u64,
    pub(crate) calls: Vec<Planned>,
}

/// Layers, outermost first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Stack {
    Budget,
    /// Retry, budget, admission.
    Paved,
    /// Budget, retry.
    RetryInside,
    /// Admission, budget.
    AdmissionOutside,
}

#[derive(Clone, Debug)]
pub(crate) struct Planned {
    /// When it comes, in milliseconds.
    pub(crate) comes: u64,
    pub(crate) agent: usize,
    pub(crate) model: usize,
    pub(crate) anthropic: bool,
    pub(crate) stream: bool,
    /// Whether its caller asks for the usage of the stream.
    pub(crate) asks: Option<bool>,
    /// Bytes of its only message.
    pub(crate) text: usize,
    pub(crate) cap: Option<u64>,
    pub(crate) fault: Option<&'static str>,
    pub(crate) gives_up: GiveUp,
}

/// When the caller goes away.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum GiveUp {
    Never,
    /// After so many looks at the response future, while it has no answer.
    AtPoll(u32),
    /// After so many milliseconds, wherever it is.
    AtTime(u64),
    /// With so many frames of the answer, perhaps none.
    AtFrame(u64),
}

pub(crate) fn plan() -> impl Strategy<Value = Plan> {
    // From a nano-dollar for a million tokens to 200 dollars; odd, so that something is rounded.
    let price = || prop_oneof![1 => 0u64..1_000, 4 => 1_000_000u64..200_000_000_000];
    let prices = prop::collection::vec((price(), price()), MODELS.len());
    let stack = prop_oneof![
        Just(Stack::Budget),
        Just(Stack::Paved),
        Just(Stack::RetryInside),
        Just(Stack::AdmissionOutside)
    ];
    let limits = (stack, (10u64..700, 10u64..700), 1u64..12);
    let provider = (0u64..3_000, 0u64..400, 1usize..12, 0.0f64..1.0, 1u64..9);
    let refuses = prop_oneof![Just(0.0), 0.0f64..0.4];
    let calls = prop::collection::vec(planned(), 1..60);
    (prices, limits, provider, refuses, any::<u64>(), calls).prop_map(
        |(prices, (stack, budgets, places), provider, refuses, seed, calls)| {
            let (latency, chunk_delay, chunks, output_share, token_bytes) = provider;
            Plan {
                prices,
                stack,
                budgets,
                places,
                latency,
                chunk_delay,
                chunks,
                token_bytes,
                output_share,
                refuses,
                seed,
                calls,
            }
        },
    )
}

fn planned() -> impl Strategy<Value = Planned> {
    let who = (
        0u64..40_000,
        0..AGENTS.len(),
        0..MODELS.len(),
        any::<bool>(),
    );
    let asks = prop_oneof![Just(None), Just(Some(true)), Just(Some(false))];
    let text = prop_oneof![1usize..40, 1usize..4_000];
    let cap = prop_oneof![4 => (1u64..2_000).prop_map(Some), 1 => Just(None)];
    let fault = prop_oneof![
        12 => Just(None),
        1 => Just(Some("no-usage")),
        1 => Just(Some("broken-stream")),
        1 => Just(Some("garbage")),
        1 => Just(Some("drop")),
        1 => Just(Some("status=500")),
        1 => Just(Some("error-event=first")),
        1 => Just(Some("error-event=opened")),
        1 => Just(Some("error-event=late")),
        1 => Just(Some("slow-headers=5000")),
    ];
    let gives_up = prop_oneof![
        4 => Just(GiveUp::Never),
        2 => (0u32..4).prop_map(GiveUp::AtPoll),
        5 => (0u64..6_000).prop_map(GiveUp::AtTime),
        6 => (0u64..7).prop_map(GiveUp::AtFrame),
    ];
    (
        who,
        prop::bool::weighted(0.65),
        asks,
        text,
        cap,
        fault,
        gives_up,
    )
        .prop_map(
            |((comes, agent, model, anthropic), stream, asks, text, cap, fault, gives_up)| {
                Planned {
                    comes,
                    agent,
                    model,
                    anthropic,
                    stream,
                    asks,
                    text,
                    // The API demands one.
                    cap: if anthropic {
                        cap.or(Some(WITHOUT_CAP))
                    } else {
                        cap
                    },
                    fault,
                    gives_up,
                }
            },
        )
}

/// The name of a call: its key with the provider, and a tag that a budget counts apart.
pub(crate) fn name(number: usize) -> String {
    format!("call-{number}")
}

/// The tag of that name.
pub(crate) fn call_tag() -> Tag {
    Tag::from("call")
}

impl Planned {
    pub(crate) fn body(&self) -> String {
        let mut body = json!({
            "model": MODELS[self.model],
            "stream": self.stream,
            "messages": [{"role": "user", "content": "x".repeat(self.text)}],
        });
        if let Some(cap) = self.cap {
            body["max_tokens"] = cap.into();
        }
        if let (false, true, Some(asks)) = (self.anthropic, self.stream, self.asks) {
            body["stream_options"] = json!({ "include_usage": asks });
        }
        body.to_string()
    }

    pub(crate) fn request(&self, number: usize) -> Request<Full<Bytes>> {
        let path = match self.anthropic {
            true => "http://sim/v1/messages",
            false => "http://sim/v1/chat/completions",
        };
        let name = name(number);
        let mut request = Request::post(path).header("authorization", format!("Bearer {name}"));
        if self.anthropic {
            request = request.header("anthropic-version", "2023-06-01");
        }
        if let Some(fault) = self.fault {
            request = request.header("x-sim-fault", fault);
        }
        let tags = Tags::new()
            .with(Tag::Agent, AGENTS[self.agent])
            .with(call_tag(), name);
        request
            .extension(tags)
            .body(Full::from(self.body()))
            .unwrap()
    }
}
