//! Streams that are dropped, wherever they are: what has come of them is charged, in tokens and in money.

use std::{
    collections::VecDeque,
    convert::Infallible,
    future::Future as _,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, Full};
use serde_json::Value;
use tokio::time::timeout;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_quota::{
    BudgetLayer, Limiter, Money, RateLimitLayer,
    limit::{Limit, Limits},
    limiter::Call,
};

use crate::{
    calls::{INPUT, OUTPUT, prices, request},
    sample::{Sample, samples},
    shown::{begun, shown},
};

const HOUR: Duration = Duration::from_secs(3_600);
/// The cap on output that each call names: more than any of the answers has.
const CAP: u64 = 10_000;

/// A stream that brings these events, and then nothing for ever.
struct Stalled(VecDeque<Bytes>);

impl Body for Stalled {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.0.pop_front() {
            Some(event) => Poll::Ready(Some(Ok(Frame::data(event)))),
            None => Poll::Pending,
        }
    }
}

/// What counts under limits on output, on all tokens, and on money.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Counted {
    output: u64,
    tokens: u64,
    nanos: u64,
}

async fn counted(limiter: &Limiter) -> Counted {
    let explained = limiter.explain(&Call::new().cost(Money::ZERO)).await;
    let in_use: Vec<u64> = explained
        .unwrap()
        .limits
        .iter()
        .map(|limit| limit.in_use)
        .collect();
    let [output, tokens, nanos] = in_use[..] else {
        panic!("{in_use:?}");
    };
    Counted {
        output,
        tokens,
        nanos,
    }
}

/// What its caller does before it drops it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Caller {
    /// Waits for the response and reads all that comes.
    Reads,
    /// Waits for the response, and does not look at its body.
    Waits,
    /// Goes away at once, response or not.
    Leaves,
}

/// What counts while the first `kept` events of a stream are there and no more, and what when it is dropped then.
async fn dropped(sample: &Sample, kept: usize, caller: Caller) -> (Counted, Counted) {
    let limits = [
        Limit::output_tokens(1 << 40).every(HOUR),
        Limit::tokens(1 << 40).every(HOUR),
        Limit::cost(Money::from_dollars(1_000)).every(HOUR),
    ];
    let limiter = Limiter::new(Limits::new(limits).unwrap());
    let budget = BudgetLayer::new(limiter.clone(), prices(sample.dialect));
    let layer = RateLimitLayer::new(limiter.clone()).budget(budget);
    let events: VecDeque<Bytes> = sample.events()[..kept]
        .iter()
        .map(|event| Bytes::copy_from_slice(event))
        .collect();
    let headers = sample.headers.clone();
    let service = layer.layer(service_fn(move |_: Request<Full<Bytes>>| {
        let (events, headers) = (events.clone(), headers.clone());
        async move {
            let mut response = Response::new(Stalled(events));
            *response.headers_mut() = headers;
            Ok::<_, Infallible>(response)
        }
    }));
    let call = service.oneshot(request(sample.dialect, Some(CAP)));
    let open;
    if caller == Caller::Leaves {
        // One poll: either the response is there, or its beginning is waited for.
        let mut call = Box::pin(call);
        let response = std::future::poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await;
        open = counted(&limiter).await;
        drop((call, response));
    } else {
        let mut body = call.await.unwrap().into_body();
        let moment = Duration::from_millis(1);
        while caller == Caller::Reads && matches!(timeout(moment, body.frame()).await, Ok(Some(_)))
        {
        }
        open = counted(&limiter).await;
    }
    (open, counted(&limiter).await)
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_dropped_is_charged_what_has_come_of_it() {
    let (mut drops, mut with_output, mut failed) = (0, 0, 0);
    for sample in samples().iter().filter(|sample| sample.is_stream()) {
        let events = sample.events();
        for kept in 0..=events.len() {
            for caller in [Caller::Reads, Caller::Waits, Caller::Leaves] {
                let name = format!("{} after {kept}, {caller:?}", sample.name);
                let (open, charged) = dropped(sample, kept, caller).await;
                let read = match caller {
                    Caller::Reads => kept,
                    Caller::Waits | Caller::Leaves => begun(&events[..kept]),
                };
                let shown = shown(&events[..read]);
                let cost = shown.input * INPUT + shown.output * OUTPUT;
                assert!(charged.output >= shown.output, "{name}: {charged:?}");
                assert!(
                    charged.tokens >= shown.input + shown.output,
                    "{name}: {charged:?}"
                );
                assert!(charged.nanos >= cost, "{name}: {charged:?} for {shown:?}");
                if shown.output > 0 || shown.failed_first {
                    // It is known to be less than was reserved, unless it is shown to be more.
                    let less = |charged, open, shown| charged < open || shown >= open;
                    let all = shown.input + shown.output;
                    assert!(
                        charged.output < open.output,
                        "{name}: {charged:?} of {open:?}"
                    );
                    assert!(
                        less(charged.tokens, open.tokens, all),
                        "{name}: {charged:?} of {open:?}"
                    );
                    assert!(
                        less(charged.nanos, open.nanos, cost),
                        "{name}: {charged:?} of {open:?}"
                    );
                    with_output += u32::from(shown.output > 0);
                    failed += u32::from(shown.failed_first);
                } else {
                    // It left, and nobody knows what it came to.
                    assert!(charged.tokens > 0, "{name}: {charged:?}");
                    assert_eq!(charged.nanos, open.nanos, "{name}");
                }
                drops += 1;
            }
        }
    }
    println!("{drops} drops: {with_output} after output, {failed} after an error that came first");
    assert!(drops >= 300 && with_output >= 200 && failed >= 4);
}

/// What is whole is charged exactly, though nobody waits for the end of the body.
#[tokio::test(start_paused = true)]
async fn a_stream_that_is_dropped_after_its_last_event_is_charged_what_it_used() {
    let mut whole = 0;
    for sample in samples().iter().filter(|sample| sample.is_stream()) {
        let usage = &sample.expected["usage"];
        if !usage.is_object() || usage["partial"] == true {
            continue;
        }
        let (_, charged) = dropped(sample, sample.events().len(), Caller::Reads).await;
        let beside = &usage["extra_iterations"];
        let count = |value: &Value| value.as_u64().unwrap_or(0);
        let input = count(&usage["input_total"]) + count(&beside["input"]);
        let output = count(&usage["output_total"]) + count(&beside["output"]);
        let told = usage["cost_usd"].as_f64().unwrap_or(0.0).to_string();
        let told: Money = told.parse().unwrap();
        let expected = Counted {
            output,
            tokens: input + output,
            nanos: (input * INPUT + output * OUTPUT).max(told.as_nanos()),
        };
        assert_eq!(charged, expected, "{}", sample.name);
        whole += 1;
    }
    assert!(whole >= 10, "{whole}");
}
