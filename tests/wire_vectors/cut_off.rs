//! Streams that come to more than a hard budget has: they end there, in the words of their dialect.

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt as _, Full};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_quota::{
    BudgetLayer, Limiter, Money,
    limit::{Limit, Limits},
    limiter::{Call, Explained},
    wire::{Dialect, Meter},
};

use crate::{
    LaterStore,
    calls::{INPUT, OUTPUT, prices, request},
    sample::{Sample, samples},
    shown::{begun, shown},
};

const HOUR: Duration = Duration::from_secs(3_600);
/// What is reserved of output for calls that name no cap.
const WITHOUT_CAP: u64 = 5;
/// How often the event that brings text is there.
const LONG: usize = 200;

/// An answer, and how it comes.
#[derive(Clone)]
struct Answer {
    name: String,
    dialect: Dialect,
    headers: HeaderMap,
    chunks: Vec<Bytes>,
    /// What its first text and all before it cost, as far as the provider reports that.
    first: u64,
    /// Whether it says how long it is.
    tells_length: bool,
}

impl Answer {
    /// The stream of a sample, with its first text again and again.
    fn of(sample: &Sample) -> Option<Answer> {
        let events = sample.events();
        let first = begun(&events);
        let text = events[first - 1];
        if shown(&events[..first]).failed_first {
            return None;
        }
        let mut meter = sample.meter();
        events[..first].iter().for_each(|event| meter.push(event));
        let reported = meter.reading().usage.unwrap_or_default();
        let repeated = std::iter::repeat_n(text, LONG);
        let chunks = events[..first - 1].iter().copied().chain(repeated);
        let chunks = chunks.chain(events[first..].iter().copied());
        Some(Answer {
            name: sample.name.clone(),
            dialect: sample.dialect,
            headers: sample.headers.clone(),
            chunks: chunks.map(Bytes::copy_from_slice).collect(),
            first: reported.input * INPUT + reported.output * OUTPUT,
            tells_length: false,
        })
    }

    /// The same events of Gemini as a list, which is how they come without `alt=sse`.
    fn as_list(&self) -> Answer {
        let element = |chunk: &Bytes| {
            let text = String::from_utf8(chunk.to_vec()).unwrap();
            text.trim().strip_prefix("data: ").unwrap().to_owned()
        };
        let mut list: Vec<String> = self.chunks.iter().map(element).collect();
        let last = list.len() - 1;
        for (place, element) in list.iter_mut().enumerate() {
            let before = if place == 0 { "[" } else { ",\r\n" };
            let after = if place == last { "]" } else { "" };
            *element = format!("{before}{element}{after}");
        }
        let mut answer = self.clone();
        let kind = HeaderValue::from_static("application/json");
        answer.headers.insert("content-type", kind);
        answer.name.push_str(" as a list");
        answer.chunks = list.into_iter().map(Bytes::from).collect();
        answer
    }

    /// The same bytes in other pieces.
    fn in_pieces(&self, length: usize) -> Answer {
        let whole = self.chunks.concat();
        let mut answer = self.clone();
        answer.name.push_str(" in pieces");
        answer.chunks = whole.chunks(length).map(Bytes::copy_from_slice).collect();
        answer
    }

    fn bytes(&self) -> Vec<u8> {
        self.chunks.concat()
    }

    fn read(&self, bytes: &[u8]) -> tower_quota::wire::Reading {
        let mut meter = Meter::new(self.dialect, StatusCode::OK, &self.headers);
        meter.push(bytes);
        meter.end();
        meter.reading()
    }
}

/// Every answer, in events and in pieces that know nothing of events.
fn answers() -> Vec<Answer> {
    let all = samples();
    let streams = all.iter().filter(|sample| sample.is_stream());
    let mut answers: Vec<Answer> = streams.filter_map(Answer::of).collect();
    let gemini = answers
        .iter()
        .find(|answer| answer.dialect == Dialect::Gemini);
    answers.push(gemini.unwrap().as_list());
    let pieces: Vec<Answer> = answers.iter().map(|answer| answer.in_pieces(61)).collect();
    answers.extend(pieces);
    assert!(answers.len() >= 30, "{}", answers.len());
    answers
}

/// A body of these chunks, which says when it is let go.
struct Chunks {
    left: VecDeque<Bytes>,
    /// Whether it let others go ahead before the next one.
    rested: bool,
    tells_length: bool,
    gone: Arc<AtomicBool>,
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.rested = !self.rested;
        if self.rested {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.left.pop_front().map(|chunk| Ok(Frame::data(chunk))))
    }

    fn size_hint(&self) -> SizeHint {
        if self.tells_length {
            let left: usize = self.left.iter().map(Bytes::len).sum();
            SizeHint::with_exact(left as u64)
        } else {
            SizeHint::default()
        }
    }
}

impl Drop for Chunks {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::Relaxed);
    }
}

/// What came of a call.
struct Outcome {
    seen: Vec<u8>,
    /// Whether the provider's body was let go when the caller saw the last of it.
    gone: bool,
    counted: Explained,
}

/// What is reserved for a call to this dialect.
fn reserved(dialect: Dialect) -> u64 {
    let body = request(dialect, None).into_body();
    body.size_hint().exact().unwrap() * INPUT + WITHOUT_CAP * OUTPUT
}

/// A call under a budget of so much.
async fn call(answer: &Answer, limit: Limit) -> Outcome {
    let limits = Limits::new([limit.every(HOUR)]).unwrap();
    call_under(answer, &Limiter::new(limits)).await
}

async fn call_under(answer: &Answer, limiter: &Limiter) -> Outcome {
    let layer = BudgetLayer::new(limiter.clone(), prices(answer.dialect));
    let layer = layer.output_without_cap(WITHOUT_CAP).as_it_came();
    let gone = Arc::new(AtomicBool::new(false));
    let (told, given) = (gone.clone(), answer.clone());
    let service = layer.layer(service_fn(move |_: Request<Full<Bytes>>| {
        let mut response = Response::new(Chunks {
            left: given.chunks.clone().into(),
            rested: false,
            tells_length: given.tells_length,
            gone: told.clone(),
        });
        *response.headers_mut() = given.headers.clone();
        async { Ok::<_, Infallible>(response) }
    }));
    let call = service.oneshot(request(answer.dialect, None));
    let response = call.await.unwrap();
    assert_eq!(response.status(), StatusCode::OK, "{}", answer.name);
    let mut body = response.into_body();
    let mut seen = Vec::new();
    while !body.is_end_stream() {
        let Some(frame) = body.frame().await else {
            break;
        };
        seen.extend_from_slice(&frame.unwrap().into_data().unwrap());
    }
    let gone = gone.load(Ordering::Relaxed);
    drop(body);
    // Some stores settle later.
    tokio::time::sleep(Duration::from_millis(1)).await;
    Outcome {
        seen,
        gone,
        counted: counted(limiter).await,
    }
}

async fn counted(limiter: &Limiter) -> Explained {
    let explained = limiter.explain(&Call::new().cost(Money::ZERO)).await;
    explained.unwrap().limits[0].clone()
}

fn budget(nanos: u64) -> Limit {
    Limit::cost(Money::from_nanos(nanos))
}

/// What a further text costs at most.
const EACH: u64 = 32 * OUTPUT;

/// B6: a stream that would pass a budget is cut cleanly.
#[tokio::test(start_paused = true)]
async fn a_stream_that_comes_to_more_than_the_budget_has_is_ended_where_it_does() {
    for answer in answers() {
        let name = &answer.name;
        let most = reserved(answer.dialect) + answer.first + 10 * OUTPUT;
        let whole = answer.bytes();
        let Outcome {
            seen,
            gone,
            counted,
        } = call(&answer, budget(most)).await;

        let same = seen.iter().zip(&whole).take_while(|(a, b)| a == b).count();
        assert!(same < whole.len() && same > 0, "{name}: it was not ended");
        assert!(gone, "{name}: the provider goes on");
        // Read again, it is what was there before, an error that says why, and nothing more.
        let reading = answer.read(&seen);
        let said = reading
            .error
            .as_ref()
            .map(|error| &*error.message)
            .unwrap_or_default();
        assert!(
            said.starts_with("this answer was cut off: budget exceeded: cost $")
                && said.contains("settled"),
            "{name}: {said}"
        );
        assert!(!reading.complete && !reading.usage_is_final, "{name}");
        if answer.headers["content-type"] == "application/json" {
            let list: Vec<serde_json::Value> = serde_json::from_slice(&seen).unwrap();
            assert_eq!(list.last().unwrap()["error"]["code"], 402, "{name}");
        }
        // It is charged what came, and the budget is passed by no more than one text.
        assert_eq!(counted.reserved, 0, "{name}");
        let charged = counted.in_use;
        let about = most.saturating_sub(EACH)..=most + EACH;
        assert!(about.contains(&charged), "{name}: {charged} of {most}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_comes_to_more_than_was_reserved_goes_on_while_the_budget_has_more() {
    for answer in answers() {
        let name = &answer.name;
        let Outcome { seen, counted, .. } = call(&answer, budget(1 << 40)).await;
        assert!(seen == answer.bytes(), "{name}: every byte passes");
        assert_eq!(counted.reserved, 0, "{name}: nothing stays held");
        let usage = answer.read(&seen).usage.unwrap_or_default();
        assert!(counted.in_use >= usage.output * OUTPUT, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_only_watches_ends_nothing() {
    for answer in answers() {
        let most = reserved(answer.dialect);
        let Outcome { seen, counted, .. } = call(&answer, budget(most).shadow()).await;
        assert!(seen == answer.bytes(), "{}", answer.name);
        assert!(
            counted.in_use > most,
            "{}: it counts all the same",
            answer.name
        );
    }
}

/// Its provider has generated all of it, and charges all of it.
#[tokio::test(start_paused = true)]
async fn an_answer_whose_length_is_known_is_not_ended() {
    for mut answer in answers() {
        answer.tells_length = true;
        let most = reserved(answer.dialect);
        let Outcome { seen, counted, .. } = call(&answer, budget(most)).await;
        assert!(seen == answer.bytes(), "{}", answer.name);
        assert!(counted.in_use > most, "{}: it is booked", answer.name);
    }
}

/// Its provider is asked by many at once, and none knows of the others.
#[tokio::test(start_paused = true)]
async fn many_streams_together_pass_a_budget_by_no_more_than_a_text_each() {
    const MANY: u64 = 30;
    let all = answers();
    let answer = all
        .iter()
        .find(|answer| answer.dialect == Dialect::OpenAiChat);
    let answer = answer.unwrap();
    let spare = 40 * OUTPUT;
    let most = MANY * reserved(answer.dialect) + spare;
    let limits = Limits::new([budget(most).every(HOUR)]).unwrap();
    let limiter = Limiter::new(limits);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..MANY {
        let (answer, limiter) = (answer.clone(), limiter.clone());
        calls.spawn(async move { call_under(&answer, &limiter).await.seen });
    }
    let whole = answer.bytes();
    let mut ended = 0;
    while let Some(seen) = calls.join_next().await {
        ended += u64::from(seen.unwrap() != whole);
    }
    let counted = counted(&limiter).await;
    assert_eq!((ended, counted.reserved), (MANY, 0));
    let charged = counted.in_use;
    assert!(
        charged > most - spare && charged <= most + MANY * EACH,
        "{charged} of {most}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_store_that_answers_later_is_waited_for() {
    for answer in answers().iter().step_by(5) {
        let name = &answer.name;
        let most = reserved(answer.dialect) + answer.first + 10 * OUTPUT;
        for (most, is_ended) in [(most, true), (1 << 40, false)] {
            let limits = Limits::new([budget(most).every(HOUR)]).unwrap();
            let limiter = Limiter::with_store(LaterStore::new(limits));
            let Outcome { seen, counted, .. } = call_under(answer, &limiter).await;
            assert_eq!(seen != answer.bytes(), is_ended, "{name}");
            let said = answer.read(&seen).error.unwrap_or_default().message;
            assert_eq!(said.contains("was cut off"), is_ended, "{name}: {said}");
            assert_eq!(counted.reserved, 0, "{name}");
            assert!(counted.in_use <= most + EACH, "{name}");
        }
    }
}
