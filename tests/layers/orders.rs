//! Gates and repeaters in every order: each attempt is claimed and settled exactly once, by our ledger and by
//! the provider's.
#![cfg(feature = "sim")]

use crate::recording;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt as _, Full};
use recording::{Record, RecordingStore};
use tokio::task::JoinSet;
use tower::{Service, ServiceBuilder, ServiceExt as _};
use tower_quota::{
    AdmissionLayer, Limiter, Rejection, RetryLayer, Tag, Tags,
    limit::{Limit, Limits},
    limiter::Call,
    sim::{FaultRule, SimConfig, SimLimit, SimService, Simulator},
};

const PERIOD: Duration = Duration::from_secs(10);
const CALLS: usize = 300;
const REQUESTS: u64 = 40;
const MODEL: &str = "claude-sonnet-5-5";

/// One run: a limiter that writes down what it does, and a provider that refuses a part of what it gets.
struct Bench {
    limiter: Limiter,
    record: Arc<Mutex<Record>>,
    simulator: Simulator,
    limits: Vec<SimLimit>,
}

fn bench(faults: &[(&str, f64)]) -> Bench {
    let limits = Limits::new([
        Limit::requests(REQUESTS)
            .every(PERIOD)
            .when(Tag::Model, MODEL),
        Limit::tokens(20_000).every(PERIOD),
        Limit::requests(CALLS as u64)
            .every(PERIOD * 1_000)
            .per(Tag::Agent),
        Limit::concurrency(25),
    ]);
    let (store, record) = RecordingStore::new(limits.unwrap());
    let limits = vec![
        SimLimit::requests(REQUESTS, PERIOD),
        SimLimit::concurrency(25),
    ];
    let rule = |(fault, probability): &(&str, f64)| FaultRule {
        fault: fault.parse().unwrap(),
        probability: *probability,
        nth: None,
    };
    let simulator = Simulator::new(SimConfig {
        limits: limits.clone(),
        latency: Duration::from_millis(300),
        jitter: Duration::from_millis(900),
        chunk_delay: Duration::from_millis(50),
        // A provider that counts what it refuses is the stricter one.
        count_refused: true,
        faults: faults.iter().map(rule).collect(),
        ..SimConfig::default()
    });
    Bench {
        limiter: Limiter::with_store(store),
        record,
        simulator,
        limits,
    }
}

fn request(number: usize) -> Request<Full<Bytes>> {
    let (tokens, stream) = (100 + number % 7 * 50, number.is_multiple_of(2));
    let body = format!(
        r#"{{"model":"{MODEL}","max_tokens":{tokens},"stream":{stream},"messages":[{{"role":"user","content":"hi"}}]}}"#
    );
    Request::post("http://provider/v1/messages")
        .header("anthropic-version", "2023-06-01")
        .extension(Tags::new().with(Tag::Agent, "only"))
        .body(Full::from(body))
        .unwrap()
}

/// Sends every call at once, reads the answers to their ends, and returns how many were answered with success.
async fn drive<S, R>(service: S) -> usize
where
    S: Service<Request<Full<Bytes>>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    R: Body<Data = Bytes> + Send,
{
    let mut calls = JoinSet::new();
    for number in 0..CALLS {
        let call = service.clone().oneshot(request(number));
        calls.spawn(async move {
            let Ok(response) = call.await else {
                return false;
            };
            let ok = response.status().is_success();
            response.into_body().collect().await.is_ok() && ok
        });
    }
    calls.join_all().await.into_iter().filter(|ok| *ok).count()
}

/// What holds in every order, whatever went wrong on the way.
fn settled_once_each(bench: &Bench, layers: usize) {
    let Bench {
        record,
        simulator,
        limits,
        limiter,
    } = bench;
    let (record, ledger) = (record.lock().unwrap(), simulator.ledger());
    assert_eq!(
        record.granted,
        record.settled.len() + record.released,
        "a claim that never ended"
    );
    assert_eq!(
        record.settled.len(),
        ledger.attempts() * layers,
        "attempts claimed and settled once each"
    );
    assert_eq!(ledger.over_limit(limits), 0, "an attempt left unclaimed");
    assert_eq!(limiter.waiting(), 0);
}

fn usage_is_the_bill(bench: &Bench) {
    let record = bench.record.lock().unwrap();
    let ours: u64 = record
        .settled
        .iter()
        .flatten()
        .map(tower_quota::Usage::total)
        .sum();
    let billed = bench.simulator.ledger().billed();
    assert_eq!(ours, billed.input + billed.output);
}

const BUSY: [(&str, f64); 2] = [
    ("status=429;retry-after=2", 0.15),
    ("status=503;retry-after=1", 0.1),
];

fn retry() -> RetryLayer {
    RetryLayer::new().max_attempts(20.try_into().unwrap())
}

#[tokio::test(start_paused = true)]
async fn retry_outside_admission() {
    let bench = bench(&BUSY);
    let admission = AdmissionLayer::new(bench.limiter.clone());
    let service = ServiceBuilder::new()
        .layer(retry())
        .layer(admission)
        .service(bench.simulator.service());
    assert_eq!(drive(service).await, CALLS);
    settled_once_each(&bench, 1);
    usage_is_the_bill(&bench);
    assert!(
        bench.simulator.ledger().attempts() > CALLS,
        "nothing was repeated, nothing was shown"
    );
}

#[tokio::test(start_paused = true)]
async fn retry_inside_admission() {
    let bench = bench(&BUSY);
    let admission = AdmissionLayer::new(bench.limiter.clone());
    let service = ServiceBuilder::new()
        .layer(admission)
        .layer(retry())
        .service(bench.simulator.service());
    assert_eq!(drive(service).await, CALLS);
    settled_once_each(&bench, 1);
    usage_is_the_bill(&bench);
    assert!(bench.simulator.ledger().attempts() > CALLS);
}

#[tokio::test(start_paused = true)]
async fn two_gates_on_one_limiter_around_a_retry_claim_once() {
    let bench = bench(&BUSY);
    let admission = AdmissionLayer::new(bench.limiter.clone());
    let service = ServiceBuilder::new()
        .layer(admission.clone())
        .layer(retry())
        .layer(admission)
        .service(bench.simulator.service());
    assert_eq!(drive(service).await, CALLS);
    settled_once_each(&bench, 1);
    usage_is_the_bill(&bench);
}

#[tokio::test(start_paused = true)]
async fn two_retries_around_a_gate_settle_once() {
    let bench = bench(&BUSY);
    let admission = AdmissionLayer::new(bench.limiter.clone());
    let few = RetryLayer::new().max_attempts(3.try_into().unwrap());
    let service = ServiceBuilder::new()
        .layer(retry())
        .layer(admission)
        .layer(few)
        .service(bench.simulator.service());
    assert_eq!(drive(service).await, CALLS);
    settled_once_each(&bench, 1);
    usage_is_the_bill(&bench);
}

#[tokio::test(start_paused = true)]
async fn gates_on_two_limiters_around_a_retry_claim_once_each() {
    let bench = bench(&BUSY);
    let narrow =
        Limits::new([Limit::requests(7).every(PERIOD / 5), Limit::concurrency(9)]).unwrap();
    let (store, other) = RecordingStore::new(narrow);
    let service = ServiceBuilder::new()
        .layer(AdmissionLayer::new(Limiter::with_store(store)))
        .layer(retry())
        .layer(AdmissionLayer::new(bench.limiter.clone()))
        .service(bench.simulator.service());
    assert_eq!(drive(service).await, CALLS);
    settled_once_each(&bench, 1);
    let (other, ledger) = (other.lock().unwrap(), bench.simulator.ledger());
    assert_eq!(other.settled.len(), ledger.attempts());
    assert_eq!(other.granted, other.settled.len() + other.released);
    let limits = [SimLimit::requests(7, PERIOD / 5), SimLimit::concurrency(9)];
    assert_eq!(
        ledger.over_limit(&limits),
        0,
        "the outer gate is claimed at every attempt"
    );
}

/// Streams that break, connections that drop, answers that are no JSON, and no retry that helps.
#[tokio::test(start_paused = true)]
async fn whatever_breaks_is_settled_once_in_both_orders() {
    let faults = [
        ("drop", 0.1),
        ("broken-stream", 0.1),
        ("garbage", 0.1),
        ("status=500", 0.1),
        BUSY[0],
    ];
    for inside in [false, true] {
        let bench = bench(&faults);
        let admission = AdmissionLayer::new(bench.limiter.clone());
        let sim: SimService = bench.simulator.service();
        let ok = if inside {
            drive(
                ServiceBuilder::new()
                    .layer(admission)
                    .layer(retry())
                    .service(sim),
            )
            .await
        } else {
            drive(
                ServiceBuilder::new()
                    .layer(retry())
                    .layer(admission)
                    .service(sim),
            )
            .await
        };
        assert!((CALLS / 3..CALLS).contains(&ok), "{ok} succeeded");
        settled_once_each(&bench, 1);
    }
}

/// A limit on the caller's tags counts a call once, whatever it takes to get it answered.
#[tokio::test(start_paused = true)]
async fn a_limit_on_calls_is_not_spent_by_retries_in_either_order() {
    for inside in [false, true] {
        let bench = bench(&BUSY);
        let admission = AdmissionLayer::new(bench.limiter.clone()).reject_when_full();
        let waiting = AdmissionLayer::new(bench.limiter.clone());
        let sim = bench.simulator.service();
        // The limit per agent holds just these calls, and the attempts are more.
        if inside {
            drive(
                ServiceBuilder::new()
                    .layer(waiting)
                    .layer(retry())
                    .service(sim),
            )
            .await;
        } else {
            drive(
                ServiceBuilder::new()
                    .layer(retry())
                    .layer(waiting)
                    .service(sim),
            )
            .await;
        }
        assert!(bench.simulator.ledger().attempts() > CALLS);
        // And one more is one too many.
        let last = ServiceBuilder::new()
            .layer(admission)
            .service(bench.simulator.service());
        let refused = last.oneshot(request(0)).await.unwrap();
        let Some(Rejection::RateLimited(shortage)) = refused.extensions().get() else {
            panic!("{refused:?}")
        };
        assert_eq!(
            (shortage.in_use, shortage.needed),
            (CALLS as u64, 1),
            "{shortage}"
        );
    }
}

/// Callers that go away at any moment: what was not sent is given back, what was is settled.
#[tokio::test(start_paused = true)]
async fn callers_that_hang_up_leave_nothing_behind_in_either_order() {
    for inside in [false, true] {
        let bench = bench(&BUSY);
        let admission = AdmissionLayer::new(bench.limiter.clone());
        let sim = bench.simulator.service();
        let outer = ServiceBuilder::new()
            .layer(admission.clone())
            .layer(retry())
            .service(sim.clone());
        let inner = ServiceBuilder::new()
            .layer(retry())
            .layer(admission)
            .service(sim);
        let mut calls = JoinSet::new();
        for number in 0..CALLS {
            let patience = Duration::from_millis(number as u64 * 37 % 15_000);
            if inside {
                let call = outer.clone().oneshot(request(number));
                calls.spawn(async move {
                    let _ = tokio::time::timeout(patience, async {
                        call.await.unwrap().into_body().collect().await
                    })
                    .await;
                });
            } else {
                let call = inner.clone().oneshot(request(number));
                calls.spawn(async move {
                    let _ = tokio::time::timeout(patience, async {
                        call.await.unwrap().into_body().collect().await
                    })
                    .await;
                });
            }
        }
        calls.join_all().await;
        assert!(bench.simulator.ledger().attempts() > 0);
        settled_once_each(&bench, 1);
    }
}

/// The first attempt was counted as the agent's call. The second takes nothing of that limit, so it does not
/// stand behind one that waits for it.
#[tokio::test(start_paused = true)]
async fn a_repeat_does_not_wait_behind_calls_that_wait_for_what_it_needs_no_more_of() {
    let agent = Tags::new().with(Tag::Agent, "only");
    let limits = Limits::new([Limit::requests(1).every(PERIOD).per(Tag::Agent)]).unwrap();
    let limiter = Limiter::new(limits);
    let attempts = Arc::new(Mutex::new(0));
    let provider = tower::service_fn(move |_: Request<Full<Bytes>>| {
        let mut attempts = attempts.lock().unwrap();
        *attempts += 1;
        let status = if *attempts == 1 { 429 } else { 200 };
        let response = Response::builder().status(status);
        let response = response.header("retry-after-ms", "200");
        async move { response.body(Full::<Bytes>::default()) }
    });
    let service = ServiceBuilder::new()
        .layer(RetryLayer::new())
        .layer(AdmissionLayer::new(limiter.clone()))
        .service(provider);
    let call = tokio::spawn(service.oneshot(request(0)));
    tokio::time::sleep(Duration::from_millis(100)).await;
    let urgent = Call::new().tags(agent).priority(9);
    let urgent = tokio::spawn(async move { limiter.acquire(urgent).await.map(drop) });
    let start = tokio::time::Instant::now();
    assert_eq!(call.await.unwrap().unwrap().status(), 200);
    assert!(start.elapsed() < PERIOD / 2, "{:?}", start.elapsed());
    assert!(!urgent.is_finished());
    urgent.await.unwrap().unwrap();
    assert!(start.elapsed() > PERIOD / 2);
}
