//! What a stream begins with is held back until it is known whether it begins with an error.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use tokio::time::{Instant, Sleep, sleep};
use tower::{Layer as _, Service, ServiceExt as _, service_fn, util::BoxCloneSyncService};
use tower_quota::{
    AdmissionLayer, CallOptions, Limiter, RetryLayer,
    limit::{Limit, Limits},
    limiter::{Call, QueueOptions},
    retry::{Attempts, Outcome},
    store::MemoryStore,
    wire::{ErrorClass, ProviderError},
};

const HOUR: Duration = Duration::from_secs(3_600);
/// The longest that a beginning is held back.
const HELD: Duration = Duration::from_secs(1);

const CREATED: &str = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"status\":\"in_progress\",\"error\":null}}\n\n";
const TEXT: &str = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"Hi\"}\n\n";
const COMPLETED: &str = "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\",\"usage\":{\"input_tokens\":31,\"output_tokens\":17,\"total_tokens\":48}}}\n\n";
/// Tells a wait of 1.035 s.
const LIMITED: &str = include_str!("../wire/openai-responses-stream-ratelimit.sse");
const TOLD: Duration = Duration::from_millis(1_035);
/// Tells that the money is used up.
const FAILED: &str = include_str!("../wire/openai-responses-stream-failed.sse");

#[derive(Debug)]
struct Broken;

/// What comes of a body, each after so long.
#[derive(Clone)]
enum Step {
    Chunk(u64, Bytes),
    Breaks(u64),
}

fn chunk(after: u64, text: &str) -> Step {
    Step::Chunk(after, Bytes::copy_from_slice(text.as_bytes()))
}

/// A stream in chunks of one event, all of which are there at once.
fn events(text: &str) -> Vec<Step> {
    let events = text.split_inclusive("\n\n");
    events.map(|event| chunk(0, event)).collect()
}

struct Script {
    left: VecDeque<Step>,
    wait: Option<Pin<Box<Sleep>>>,
    given: Arc<AtomicUsize>,
}

impl Body for Script {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let after = match self.left.front() {
            None => return Poll::Ready(None),
            Some(Step::Chunk(after, _) | Step::Breaks(after)) => *after,
        };
        if after > 0 {
            let wait = || Box::pin(sleep(Duration::from_millis(after)));
            ready!(self.wait.get_or_insert_with(wait).as_mut().poll(cx));
            self.wait = None;
        }
        self.given.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(self.left.pop_front().map(|step| match step {
            Step::Chunk(_, chunk) => Ok(Frame::data(chunk)),
            Step::Breaks(_) => Err(Broken),
        }))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

type Provider = BoxCloneSyncService<Request<Full<Bytes>>, Response<Script>, Broken>;

/// A provider that gives one answer after the other, and what it noted.
struct Notes {
    provider: Provider,
    /// When calls came.
    sent: Arc<Mutex<Vec<Duration>>>,
    /// How many chunks were taken.
    given: Arc<AtomicUsize>,
}

impl Notes {
    fn sent(&self) -> Vec<Duration> {
        self.sent.lock().unwrap().clone()
    }

    fn given(&self) -> usize {
        self.given.load(Ordering::Relaxed)
    }
}

fn provider(kind: &'static str, answers: impl IntoIterator<Item = Vec<Step>>) -> Notes {
    let answers: VecDeque<Vec<Step>> = answers.into_iter().collect();
    let answers = Arc::new(Mutex::new(answers));
    let (sent, given) = (Arc::<Mutex<Vec<Duration>>>::default(), Arc::default());
    let start = Instant::now();
    let (noted, taken) = (Arc::clone(&sent), Arc::clone(&given));
    let provider = service_fn(move |_: Request<Full<Bytes>>| {
        noted.lock().unwrap().push(start.elapsed());
        let left = answers.lock().unwrap().pop_front().unwrap();
        let body = Script {
            left: left.into(),
            wait: None,
            given: Arc::clone(&taken),
        };
        let response = Response::builder().header("content-type", kind).body(body);
        async { Ok::<_, Broken>(response.unwrap()) }
    });
    Notes {
        provider: BoxCloneSyncService::new(provider),
        sent,
        given,
    }
}

const SSE: &str = "text/event-stream";

fn request() -> Request<Full<Bytes>> {
    let body = r#"{"model":"m","stream":true,"max_output_tokens":100,"input":"Hi"}"#;
    let request = Request::post("http://provider/v1/responses");
    request.body(Full::from(body)).unwrap()
}

fn store(limits: impl IntoIterator<Item = Limit>) -> (Limiter, Arc<MemoryStore>) {
    let store = Arc::new(MemoryStore::new(Limits::new(limits).unwrap()));
    (Limiter::build(store.clone(), QueueOptions::new()), store)
}

fn tokens() -> Limiter {
    store([Limit::tokens(1_000).every(HOUR)]).0
}

async fn counted(limiter: &Limiter) -> u64 {
    limiter.explain(&Call::new()).await.unwrap().limits[0].in_use
}

type Stack =
    BoxCloneSyncService<Request<Full<Bytes>>, Response<UnsyncBoxBody<Bytes, Broken>>, Broken>;

fn erase<S, B>(service: S) -> Stack
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error = Broken>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes, Error = Broken> + Send + 'static,
{
    BoxCloneSyncService::new(
        service.map_response(|response| response.map(|body| body.boxed_unsync())),
    )
}

/// Layers by the letter, outermost first.
fn stack(order: &str, limiter: &Limiter, provider: Provider) -> Stack {
    let around = |inner, letter| match letter {
        'A' => erase(AdmissionLayer::new(limiter.clone()).layer(inner)),
        'R' => erase(RetryLayer::new().layer(inner)),
        // One that repeats nothing that may have been billed.
        'W' => erase(RetryLayer::new().repeats_uncertain(false).layer(inner)),
        other => panic!("no such layer: {other}"),
    };
    order.chars().rev().fold(erase(provider), around)
}

async fn text<B: Body<Data = Bytes, Error = Broken>>(body: B) -> String {
    let bytes = body.collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

const ORDERS: [&str; 5] = ["AR", "RA", "ARA", "RAR", "R"];

#[tokio::test(start_paused = true)]
async fn a_stream_that_begins_with_an_error_is_repeated_where_that_tells_a_wait() {
    let good = [CREATED, TEXT, COMPLETED].concat();
    for order in ORDERS {
        let limiter = tokens();
        let notes = provider(SSE, [events(LIMITED), events(&good)]);
        let service = stack(order, &limiter, notes.provider.clone());
        let response = service.oneshot(request()).await.unwrap();
        let error = response.extensions().get::<ProviderError>();
        assert_eq!(error, None, "{order}: it is the second answer's");
        assert_eq!(text(response.into_body()).await, good, "{order}");
        let sent = notes.sent();
        assert_eq!(sent.len(), 2, "{order}");
        assert!(
            sent[1] >= TOLD && sent[1] <= TOLD.mul_f64(1.1),
            "{order}: {sent:?}"
        );
        if order != "R" {
            assert_eq!(
                counted(&limiter).await,
                48,
                "{order}: the failed one cost nothing"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_not_worth_repeating_is_handed_on_as_it_is_and_told_apart() {
    for order in ["A", "AR", "RA", "ARA", "RAR", "R"] {
        let limiter = tokens();
        let notes = provider(SSE, [events(FAILED)]);
        let service = stack(order, &limiter, notes.provider.clone());
        let response = service.oneshot(request()).await.unwrap();
        let error = *response.extensions().get::<ProviderError>().unwrap();
        assert_eq!(
            (error.class, error.retryable),
            (ErrorClass::Quota, false),
            "{order}"
        );
        assert_eq!(text(response.into_body()).await, FAILED, "{order}");
        assert_eq!(notes.sent().len(), 1, "{order}");
        if order != "R" {
            assert_eq!(counted(&limiter).await, 0, "{order}: but for its request");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn attempts_end_and_the_last_answer_is_handed_on_whole() {
    let notes = provider(SSE, [events(LIMITED), events(LIMITED), events(LIMITED)]);
    let service = stack("RA", &tokens(), notes.provider.clone());
    let response = service.oneshot(request()).await.unwrap();
    let error = response.extensions().get::<ProviderError>().unwrap();
    assert_eq!(error.wait, Some(TOLD));
    assert_eq!(text(response.into_body()).await, LIMITED);
    assert_eq!(notes.sent().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn it_is_heard_as_a_refusal_is() {
    let adaptive = Limit::tokens(100_000).every(HOUR / 60).adaptive(0.1);
    let (limiter, store) = store([adaptive]);
    let notes = provider(SSE, [events(LIMITED)]);
    let service = stack("A", &limiter, notes.provider.clone());
    drop(service.oneshot(request()).await.unwrap());
    let cooldowns = store.cooldowns();
    assert_eq!(cooldowns.len(), 1);
    assert!(
        cooldowns[0].0.contains("model=m") && cooldowns[0].1 == TOLD,
        "{cooldowns:?}"
    );
    assert!(store.learnt()[0].amount < 100_000, "{:?}", store.learnt());
}

#[tokio::test(start_paused = true)]
async fn an_error_after_something_was_generated_is_the_caller_s() {
    let late = [
        CREATED,
        TEXT,
        LIMITED.split_inclusive("\n\n").last().unwrap(),
    ]
    .concat();
    for order in ORDERS {
        let (limiter, store) = store([Limit::tokens(1_000).every(HOUR)]);
        let notes = provider(SSE, [events(&late)]);
        let service = stack(order, &limiter, notes.provider.clone());
        let response = service.oneshot(request()).await.unwrap();
        assert!(
            response.extensions().get::<ProviderError>().is_none(),
            "{order}"
        );
        assert_eq!(text(response.into_body()).await, late, "{order}");
        assert_eq!(notes.sent().len(), 1, "{order}");
        assert!(store.cooldowns().is_empty(), "{order}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_beginning_is_held_for_no_longer_than_a_second() {
    let slow = vec![chunk(0, CREATED), chunk(10_000, TEXT), chunk(0, COMPLETED)];
    let notes = provider(SSE, [slow]);
    let start = Instant::now();
    let service = stack("RA", &tokens(), notes.provider.clone());
    let mut body = service.oneshot(request()).await.unwrap().into_body();
    assert_eq!(start.elapsed(), HELD);
    for (expected, at) in [(CREATED, 1), (TEXT, 10), (COMPLETED, 10)] {
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(frame, expected);
        assert_eq!(start.elapsed(), Duration::from_secs(at));
    }
    assert!(body.frame().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn an_error_that_comes_later_than_that_is_heard_and_not_repeated() {
    let (limiter, store) = store([Limit::tokens(1_000).every(HOUR)]);
    let failed = LIMITED.split_inclusive("\n\n").last().unwrap();
    let notes = provider(SSE, [vec![chunk(0, CREATED), chunk(5_000, failed)]]);
    let service = stack("RA", &limiter, notes.provider.clone());
    let response = service.oneshot(request()).await.unwrap();
    assert!(response.extensions().get::<ProviderError>().is_none());
    assert_eq!(text(response.into_body()).await, [CREATED, failed].concat());
    assert_eq!(notes.sent().len(), 1);
    assert_eq!(store.cooldowns().len(), 1);
    assert_eq!(counted(&limiter).await, 0);
}

#[tokio::test(start_paused = true)]
async fn no_more_than_64_kib_are_held_and_all_of_them_pass() {
    let long = CREATED.replace(
        "null",
        &format!("null,\"instructions\":\"{}\"", "x".repeat(1_000)),
    );
    let many: Vec<Step> = (0..200).map(|_| chunk(0, &long)).collect();
    let notes = provider(SSE, [many]);
    let service = stack("RA", &tokens(), notes.provider.clone());
    let response = service.oneshot(request()).await.unwrap();
    let most = (64 << 10) / long.len() + 1;
    assert_eq!(notes.given(), most);
    assert_eq!(text(response.into_body()).await, long.repeat(200));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_read_ahead_once_something_was_generated() {
    let good = [CREATED, TEXT, TEXT, TEXT, COMPLETED].concat();
    let notes = provider(SSE, [events(&good)]);
    let service = stack("RA", &tokens(), notes.provider.clone());
    let start = Instant::now();
    let mut body = service.oneshot(request()).await.unwrap().into_body();
    assert_eq!((notes.given(), start.elapsed()), (2, Duration::ZERO));
    for given in [2, 2, 3, 4, 5] {
        assert!(body.frame().await.unwrap().is_ok());
        assert_eq!(notes.given(), given);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_stream_is_not_touched() {
    let notes = provider("application/json", [vec![chunk(5_000, "{}")]]);
    let start = Instant::now();
    let service = stack("RA", &tokens(), notes.provider.clone());
    let response = service.oneshot(request()).await.unwrap();
    assert_eq!((notes.given(), start.elapsed()), (0, Duration::ZERO));
    assert_eq!(text(response.into_body()).await, "{}");
}

/// A stream that breaks before anything was generated.
fn broken() -> Vec<Step> {
    vec![chunk(0, CREATED), Step::Breaks(100)]
}

/// Whether it breaks for whoever reads it where it broke for the layers.
async fn breaks<B: Body<Data = Bytes, Error = Broken> + Unpin>(mut body: B) -> bool {
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    first == CREATED && body.frame().await.unwrap().is_err()
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_at_its_beginning_is_repeated_though_it_may_have_been_billed() {
    let good = [CREATED, TEXT, COMPLETED].concat();
    for order in ORDERS {
        let limiter = tokens();
        let notes = provider(SSE, [broken(), events(&good)]);
        let service = stack(order, &limiter, notes.provider.clone());
        let response = service.oneshot(request()).await.unwrap();
        let error = response.extensions().get::<ProviderError>();
        assert_eq!(error, None, "{order}: it is the second answer's");
        if order.starts_with('R') {
            let attempts = response.extensions().get::<Attempts>().unwrap();
            let first = Outcome::Answered {
                status: 200,
                error: Some("server"),
            };
            assert_eq!(attempts.made[0].outcome, first, "{order}");
        }
        assert_eq!(text(response.into_body()).await, good, "{order}");
        assert_eq!(notes.sent().len(), 2, "{order}");
        if order != "R" {
            assert!(
                counted(&limiter).await > 48,
                "{order}: nobody knows what was generated"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_not_repeated_breaks_for_the_caller_at_the_same_place() {
    for order in ["A", "W", "AW", "WA", "AWA"] {
        let notes = provider(SSE, [broken()]);
        let limiter = tokens();
        let service = stack(order, &limiter, notes.provider.clone());
        let response = service.oneshot(request()).await.unwrap();
        let error = *response.extensions().get::<ProviderError>().unwrap();
        assert!(error.broke_off && error.class == ErrorClass::Server);
        assert!(breaks(response.into_body()).await, "{order}");
        if order != "W" {
            assert!(
                counted(&limiter).await > 0,
                "{order}: nobody knows what was generated"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_breaks_each_time_does_so_for_the_caller_too() {
    for order in ORDERS {
        let notes = provider(SSE, [broken(), broken(), broken()]);
        let service = stack(order, &tokens(), notes.provider.clone());
        let response = service.oneshot(request()).await.unwrap();
        assert!(breaks(response.into_body()).await, "{order}");
        assert_eq!(notes.sent().len(), 3, "{order}");
    }
}

#[tokio::test(start_paused = true)]
async fn so_it_does_where_there_is_no_room_to_ask_again() {
    for order in ["AR", "RA", "ARA"] {
        let (limiter, _) = store([Limit::requests(1).every(HOUR)]);
        let notes = provider(SSE, [broken()]);
        let service = stack(order, &limiter, notes.provider.clone());
        let mut hurried = request();
        let options = CallOptions::new().max_wait(Duration::from_secs(5));
        hurried.extensions_mut().insert(options);
        let response = service.oneshot(hurried).await.unwrap();
        assert!(breaks(response.into_body()).await, "{order}");
        assert_eq!(notes.sent().len(), 1, "{order}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_breaks_after_something_was_generated_is_the_caller_s() {
    let late = vec![chunk(0, CREATED), chunk(0, TEXT), Step::Breaks(100)];
    for order in ORDERS {
        let notes = provider(SSE, [late.clone()]);
        let service = stack(order, &tokens(), notes.provider.clone());
        let response = service.oneshot(request()).await.unwrap();
        assert!(response.extensions().get::<ProviderError>().is_none());
        assert!(response.into_body().collect().await.is_err(), "{order}");
        assert_eq!(notes.sent().len(), 1, "{order}");
    }
}

/// What is held counts for the length that a body says that it has.
#[tokio::test(start_paused = true)]
async fn a_length_that_was_told_stays_true() {
    let whole = [CREATED, TEXT, COMPLETED].concat();
    let length = whole.len() as u64;
    let service =
        AdmissionLayer::new(tokens()).layer(service_fn(move |_: Request<Full<Bytes>>| {
            let response = Response::builder().header("content-type", SSE);
            let response = response.body(Full::<Bytes>::from(whole.clone())).unwrap();
            async { Ok::<_, Broken>(response) }
        }));
    let mut body = service.oneshot(request()).await.unwrap().into_body();
    assert_eq!(body.size_hint().exact(), Some(length));
    assert!(!body.is_end_stream());
    let frame = body.frame().await.unwrap().unwrap();
    assert_eq!(frame.data_ref().unwrap().len() as u64, length);
    assert!(body.is_end_stream());
    assert_eq!(body.size_hint().exact(), Some(0));
}
