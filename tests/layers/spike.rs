//! 10 000 calls at once under real sizes, 3 500 requests a minute, in virtual time: the whole stack around
//! the simulated provider, without sockets.
#![cfg(feature = "sim")]

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use tower::{Service, ServiceBuilder, ServiceExt as _};
use tower_quota::{
    AdmissionLayer, Limiter, RateLimitLayer, RetryLayer, Tag,
    limit::{Charge, Limit, Limits},
    sim::{Ledger, SimConfig, SimLimit, SimShape, Simulator},
};

const CALLS: usize = 10_000;
const MINUTE: Duration = Duration::from_secs(60);
const MODELS: [&str; 2] = ["gpt-5.5", "claude-sonnet-5-5"];
const REQUESTS: u64 = 3_500;
const TOKENS: u64 = 6_000_000;

/// What a paced spike keeps to: a slice of one second, and little margin, because nothing jitters here.
const PACED: Option<Duration> = Some(Duration::from_secs(1));
const SLICED: SimShape = SimShape::Sliced {
    slice: Duration::from_secs(1),
};

fn limiter(slice: Option<Duration>, period: Duration) -> Limiter {
    let tokens = MODELS.map(|model| {
        Limit::tokens(TOKENS)
            .every(period)
            .when(Tag::Model, model)
            .charge(Charge::openai())
    });
    let limits = [Limit::requests(REQUESTS).every(period)]
        .into_iter()
        .chain(tokens);
    let limits = limits.map(|limit| match slice {
        Some(slice) => limit.slice(slice),
        None => limit,
    });
    Limiter::new(Limits::new(limits).unwrap())
}

fn simulator(shape: SimShape, period: Duration) -> (Simulator, Vec<SimLimit>) {
    let tokens = MODELS.map(|model| SimLimit::tokens(TOKENS, period).for_model(model));
    let limits = [SimLimit::requests(REQUESTS, period)]
        .into_iter()
        .chain(tokens);
    let limits: Vec<SimLimit> = limits.map(|limit| limit.shape(shape)).collect();
    let config = SimConfig {
        limits: limits.clone(),
        latency: Duration::from_millis(800),
        jitter: Duration::from_millis(400),
        chunk_delay: Duration::from_millis(20),
        output_share: 0.01,
        ..SimConfig::default()
    };
    (Simulator::new(config), limits)
}

fn request(random: &mut fastrand::Rng) -> Request<Full<Bytes>> {
    let model = MODELS[random.usize(..2)];
    let tokens = 10.0 * 2_000f64.powf(random.f64());
    let stream = random.bool();
    let body = format!(
        r#"{{"model":"{model}","max_tokens":{tokens:.0},"stream":{stream},"messages":[{{"role":"user","content":"hi"}}]}}"#
    );
    let anthropic = model.starts_with("claude");
    let path = if anthropic {
        "/v1/messages"
    } else {
        "/v1/chat/completions"
    };
    let request = Request::post(format!("http://provider{path}"));
    let request = if anthropic {
        request.header("anthropic-version", "2023-06-01")
    } else {
        request
    };
    request.body(Full::from(body)).unwrap()
}

/// Sends every call at once and reads the answers to their ends.
async fn send_all<S, R>(service: S) -> usize
where
    S: Service<Request<Full<Bytes>>, Response = http::Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: std::fmt::Debug,
    R: http_body::Body<Error: std::fmt::Debug> + Send,
    R::Data: Send,
{
    let mut random = fastrand::Rng::with_seed(7);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..CALLS {
        let call = service.clone().oneshot(request(&mut random));
        calls.spawn(async move {
            let response = call.await.unwrap();
            let status = response.status();
            response.into_body().collect().await.unwrap();
            status.is_success()
        });
    }
    calls.join_all().await.into_iter().filter(|ok| *ok).count()
}

/// One attempt each: a refusal would show as a failed call, too.
async fn spike(shape: SimShape, slice: Option<Duration>) -> (Ledger, Vec<SimLimit>) {
    spike_of(shape, slice, MINUTE).await
}

async fn spike_of(
    shape: SimShape,
    slice: Option<Duration>,
    period: Duration,
) -> (Ledger, Vec<SimLimit>) {
    let (ok, ledger, limits) = send_spike(shape, slice, period).await;
    assert_eq!(
        (ok, ledger.refused(), ledger.over_limit(&limits)),
        (CALLS, 0, 0)
    );
    (ledger, limits)
}

async fn send_spike(
    shape: SimShape,
    slice: Option<Duration>,
    period: Duration,
) -> (usize, Ledger, Vec<SimLimit>) {
    let (simulator, limits) = simulator(shape, period);
    let layer = RateLimitLayer::of(
        RetryLayer::new().max_attempts(1.try_into().unwrap()),
        AdmissionLayer::new(limiter(slice, period)),
    );
    let ok = send_all(
        ServiceBuilder::new()
            .layer(layer)
            .service(simulator.service()),
    )
    .await;
    let ledger = simulator.ledger();
    let (least, makespan) = (ledger.least(&limits), ledger.makespan());
    println!(
        "{shape:?}: {ok} ok, {} refused, least {least:?}, makespan {makespan:?}",
        ledger.refused()
    );
    (ok, ledger, limits)
}

fn ends_in_time(ledger: &Ledger, limits: &[SimLimit]) {
    let (least, makespan) = (ledger.least(limits), ledger.makespan());
    assert!(
        makespan <= least.mul_f64(1.02),
        "{makespan:?} is more than 1.02 times {least:?}"
    );
    assert!((120..300).contains(&makespan.as_secs()));
}

/// X2: a spike.
#[tokio::test(start_paused = true)]
async fn every_call_succeeds_in_the_least_time_against_a_sliding_window() {
    let (ledger, limits) = spike(SimShape::Sliding, None).await;
    ends_in_time(&ledger, &limits);
}

#[tokio::test(start_paused = true)]
async fn every_call_succeeds_in_the_least_time_against_a_fixed_window() {
    let (ledger, limits) = spike(SimShape::Fixed, None).await;
    ends_in_time(&ledger, &limits);
}

/// A bucket is full at the start and refills meanwhile, so less time is the least for it than an exact
/// window allows. The zeros hold all the same.
#[tokio::test(start_paused = true)]
async fn nothing_is_refused_by_a_token_bucket() {
    spike(SimShape::Bucket, None).await;
}

/// Its headers cannot tell a limit of ten seconds from one of a minute, so that some of them are about no limit of
/// ours: whoever goes ahead to hear of it hears nothing, and the others do not wait for ever.
#[tokio::test(start_paused = true)]
async fn nobody_waits_for_counters_that_do_not_come() {
    let (ledger, limits) = spike_of(SimShape::Bucket, None, MINUTE / 10).await;
    let (least, makespan) = (ledger.least(&limits), ledger.makespan());
    assert!(makespan <= least * 2, "{makespan:?} of {least:?}");
}

#[tokio::test(start_paused = true)]
async fn every_call_succeeds_in_the_least_time_against_slices_of_a_second() {
    let (ledger, limits) = spike(SLICED, PACED).await;
    let (least, makespan) = (ledger.least(&limits), ledger.makespan());
    let most = least.mul_f64(1.02) + Duration::from_secs(1);
    assert!(makespan <= most, "{makespan:?} is more than {most:?}");
}

/// The window of a minute is kept, and the provider refuses a good part of it: what slices are for. Told waits hold
/// back those that would be refused next, or hardly two in a hundred would succeed, and let them go on in groups.
#[tokio::test(start_paused = true)]
async fn without_pacing_slices_refuse_what_the_minute_has_room_for() {
    let (ok, ledger, limits) = send_spike(SLICED, None, MINUTE).await;
    assert!(
        (CALLS * 7 / 10..CALLS * 9 / 10).contains(&ok),
        "{ok} succeeded"
    );
    assert_eq!(ledger.refused(), CALLS - ok);
    assert_eq!(ledger.over_limit(&limits), CALLS - ok);
}

/// The same without our layers: the tests above would notice if they did nothing.
#[tokio::test(start_paused = true)]
async fn without_the_layers_most_calls_are_refused() {
    let (simulator, limits) = simulator(SimShape::Sliding, MINUTE);
    let ok = send_all(simulator.service()).await;
    let ledger = simulator.ledger();
    assert!(ok < CALLS / 2, "{ok} succeeded");
    assert_eq!(ledger.refused(), CALLS - ok);
    assert_eq!(ledger.over_limit(&limits), CALLS - ok);
}
