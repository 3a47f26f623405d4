//! `RateLimitLayer`, which is one service, against the four layers that it stands for, one around the other: whatever the
//! providers do, both answer the same, send the same, tell observers the same, and leave the same counts behind.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use proptest::{collection::vec, prelude::*};
use tokio::time::timeout;
use tower::{Service, ServiceExt as _, service_fn};
use tower_layer::Layer;
use tower_quota::{
    AdmissionLayer, BudgetLayer, FailoverLayer, Limiter, Money, RateLimitLayer, Rejection,
    RetryLayer, Statistics, Tag, Tags,
    event::{Event, ObservedCall, Observer},
    failover::{ApiKey, Provider, Route, Routes, Target},
    limit::{CalendarUnit, Limit, Limits},
    limiter::{Call, Explained},
    pricing::PriceTable,
    retry::Attempts,
    statistics::Report,
};

const HOSTS: [&str; 2] = ["one", "two"];
const MODEL: &str = "gpt-4o";
const MINUTE: Duration = Duration::from_secs(60);

/// What the client fails with.
#[derive(Clone, Debug, PartialEq)]
struct Broken;

/// What a provider does with one attempt.
#[derive(Clone, Copy, Debug)]
enum Does {
    Answers(u64),
    /// A stream that begins with an error.
    Stumbles,
    Refuses {
        status: u16,
        wait: Option<u64>,
    },
    Breaks,
}

/// One call, and after how long its caller loses patience.
#[derive(Clone, Debug)]
struct Made {
    /// Whether its model has a route.
    has_route: bool,
    agent: Option<&'static str>,
    patience: Duration,
    attempts: Vec<Does>,
    pause: Duration,
}

#[derive(Clone, Debug)]
struct Scene {
    requests: u64,
    cents: u64,
    /// Whether a gate stands around it all, with so much room.
    around: Option<u64>,
    /// Whether anybody observes.
    is_observed: bool,
    calls: Vec<Made>,
    seed: u64,
}

/// What is seen of a scene: of each call what it came to, what was sent, what observers heard, and what is left behind.
#[derive(Debug, PartialEq)]
struct Seen {
    calls: Vec<Option<Result<Came, Broken>>>,
    sent: Vec<(String, Option<String>, String)>,
    heard: Vec<String>,
    limits: Vec<Explained>,
    report: Report,
}

#[derive(Debug, PartialEq)]
struct Came {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
    attempts: Option<Attempts>,
    rejection: Option<Rejection>,
}

fn does() -> impl Strategy<Value = Does> {
    let status = prop_oneof![
        Just(429_u16),
        Just(503),
        Just(529),
        Just(500),
        Just(400),
        Just(401),
        Just(402)
    ];
    let wait = prop::option::of(prop_oneof![1_u64..2_000, Just(30_000), Just(120_000)]);
    prop_oneof![
        3 => (0_u64..500).prop_map(Does::Answers),
        1 => Just(Does::Stumbles),
        4 => (status, wait).prop_map(|(status, wait)| Does::Refuses { status, wait }),
        1 => Just(Does::Breaks),
    ]
}

fn made() -> impl Strategy<Value = Made> {
    let agent = prop_oneof![Just(None), Just(Some("scout")), Just(Some("planner"))];
    let patience = prop_oneof![3 => Just(600_000_u64), 1 => 0_u64..3_000];
    (
        any::<bool>(),
        agent,
        patience,
        vec(does(), 0..6),
        0_u64..90_000,
    )
        .prop_map(|(has_route, agent, patience, attempts, pause)| Made {
            has_route,
            agent,
            patience: Duration::from_millis(patience),
            attempts,
            pause: Duration::from_millis(pause),
        })
}

fn scene() -> impl Strategy<Value = Scene> {
    let around = prop::option::of(1_u64..4);
    let observed = prop::bool::weighted(0.8);
    let calls = vec(made(), 1..8);
    (1_u64..5, 1_u64..4, around, observed, calls, any::<u64>()).prop_map(
        |(requests, cents, around, is_observed, calls, seed)| Scene {
            requests,
            cents,
            around,
            is_observed,
            calls,
            seed,
        },
    )
}

type Script = Arc<Mutex<VecDeque<Does>>>;
type Sent = Arc<Mutex<Vec<(String, Option<String>, String)>>>;

/// Writes down all that it is told, and in which order.
#[derive(Clone, Default)]
struct Ear(Arc<Mutex<Vec<String>>>);

impl Observer for Ear {
    fn on_event(&self, call: &ObservedCall, event: &Event<'_>) {
        let line = format!("{:?} {:?}: {event:?}", call.dialect(), call.tags());
        self.0.lock().unwrap().push(line);
    }
}

/// The providers: what they do next, and what was sent to them.
fn providers(
    script: &Script,
    sent: &Sent,
) -> impl Service<Request<Full<Bytes>>, Response = Response<Full<Bytes>>, Error = Broken, Future: Send>
+ Clone
+ Send
+ 'static
+ use<> {
    let (script, sent) = (script.clone(), sent.clone());
    service_fn(move |request: Request<Full<Bytes>>| {
        let (script, sent) = (script.clone(), sent.clone());
        async move {
            let (parts, body) = request.into_parts();
            let key = parts.headers.get("authorization");
            let key = key.map(|key| key.to_str().unwrap().to_owned());
            let body = body.collect().await.unwrap().to_bytes();
            let body = String::from_utf8(body.to_vec()).unwrap();
            sent.lock()
                .unwrap()
                .push((parts.uri.to_string(), key, body));
            tokio::time::sleep(Duration::from_millis(200)).await;
            let does = script.lock().unwrap().pop_front();
            answer(does.unwrap_or(Does::Answers(7)))
        }
    })
}

fn answer(does: Does) -> Result<Response<Full<Bytes>>, Broken> {
    let (status, kind, body, wait) = match does {
        Does::Breaks => return Err(Broken),
        Does::Answers(output) => {
            let usage = format!(r#"{{"prompt_tokens":9,"completion_tokens":{output}}}"#);
            let body =
                format!(r#"{{"choices":[{{"message":{{"content":"x"}}}}],"usage":{usage}}}"#);
            (200, "application/json", body, None)
        }
        Does::Stumbles => {
            let body = "data: {\"error\":{\"type\":\"server_error\",\"message\":\"m\"}}\n\n";
            (200, "text/event-stream", body.to_owned(), None)
        }
        Does::Refuses { status, wait } => {
            let body = r#"{"error":{"message":"no","type":"t"}}"#.to_owned();
            (status, "application/json", body, wait)
        }
    };
    let mut response = Response::builder()
        .status(status)
        .header("content-type", kind);
    if let Some(wait) = wait {
        response = response.header("retry-after-ms", wait.to_string());
    }
    Ok(response.body(Full::from(body)).unwrap())
}

fn limiter(scene: &Scene) -> Limiter {
    let limits = [
        Limit::requests(scene.requests)
            .every(MINUTE)
            .when(Tag::Provider, "one"),
        Limit::tokens(3_000).every(MINUTE).per(Tag::Agent),
        Limit::concurrency(2),
        Limit::cost(Money::from_nanos(scene.cents * 10_000_000)).every(10 * MINUTE),
    ];
    Limiter::new(Limits::new(limits).unwrap())
}

fn failover() -> FailoverLayer {
    let target = |host: &&str| {
        let provider = Provider::new(*host, &format!("https://{host}/v1")).unwrap();
        Target::new(
            &provider.key(ApiKey::new("main", format!("sk-{host}")).unwrap()),
            MODEL,
        )
    };
    let route = Route::ordered(HOSTS.iter().map(target));
    FailoverLayer::new(Routes::new([(MODEL, route)]).unwrap())
}

fn request(made: &Made) -> Request<Full<Bytes>> {
    let model = if made.has_route { MODEL } else { "gpt-5.5" };
    let body = format!(
        r#"{{"model":"{model}","max_tokens":300,"messages":[{{"role":"user","content":"hello"}}]}}"#
    );
    let mut request = Request::post("https://api.openai.com/v1/chat/completions")
        .header("authorization", "Bearer sk-of-the-caller")
        .body(Full::from(body))
        .unwrap();
    if let Some(agent) = made.agent {
        request
            .extensions_mut()
            .insert(Tags::new().with(Tag::Agent, agent));
    }
    request
}

/// Plays a scene with the layers that `layers` puts around the providers.
fn play<L, S, R>(
    scene: &Scene,
    layers: impl FnOnce(Limiter, Statistics, Option<Ear>) -> L,
    inner: impl FnOnce(&Script, &Sent) -> S,
) -> Seen
where
    L: Layer<S>,
    L::Service: Service<Request<Full<Bytes>>, Response = Response<R>, Error = Broken, Future: Send>
        + Clone
        + Send
        + 'static,
    R: http_body::Body<Data = Bytes, Error: std::fmt::Debug + Send> + Send + 'static,
{
    fastrand::seed(scene.seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let (script, sent) = (Script::default(), Sent::default());
        let limiter = limiter(scene);
        let statistics = Statistics::new().wall_clock(|| SystemTime::UNIX_EPOCH);
        let ear = Ear::default();
        // Of the layers that a call comes to the outermost tells.
        let observer = scene.is_observed.then(|| ear.clone());
        let layers = layers(limiter.clone(), statistics.clone(), observer.clone());
        let stack = layers.layer(inner(&script, &sent));
        let mut calls = Vec::new();
        match scene.around {
            Some(most) => {
                let around = Limit::requests(most)
                    .every(MINUTE)
                    .when(Tag::Provider, "two");
                let around = Limiter::new(Limits::new([around]).unwrap());
                let around = AdmissionLayer::new(around);
                let around = match observer {
                    Some(ear) => around.observe(ear),
                    None => around,
                };
                let stack = around.layer(stack);
                for made in &scene.calls {
                    calls.push(send(&stack, made, &script).await);
                }
            }
            None => {
                for made in &scene.calls {
                    calls.push(send(&stack, made, &script).await);
                }
            }
        }
        // Whatever was dropped has been settled, and nothing is dated yet that will be.
        let tags = Tags::new()
            .with(Tag::Provider, "one")
            .with(Tag::Agent, "scout");
        let limits = limiter
            .explain(&Call::new().tags(tags))
            .await
            .unwrap()
            .limits;
        let report = statistics
            .report(CalendarUnit::Day, &[Tag::Provider])
            .unwrap();
        let sent = sent.lock().unwrap().clone();
        let heard = ear.0.lock().unwrap().clone();
        Seen {
            calls,
            sent,
            heard,
            limits,
            report,
        }
    })
}

/// What one call comes to; nothing where its caller went away.
async fn send<S, R>(stack: &S, made: &Made, script: &Script) -> Option<Result<Came, Broken>>
where
    S: Service<Request<Full<Bytes>>, Response = Response<R>, Error = Broken> + Clone,
    R: http_body::Body<Data = Bytes, Error: std::fmt::Debug>,
{
    *script.lock().unwrap() = made.attempts.iter().copied().collect();
    let call = async {
        let response = stack.clone().oneshot(request(made)).await?;
        let (parts, body) = response.into_parts();
        Ok(Came {
            status: parts.status.as_u16(),
            headers: parts.headers,
            attempts: parts.extensions.get().cloned(),
            rejection: parts.extensions.get().cloned(),
            body: body.collect().await.unwrap().to_bytes(),
        })
    };
    let came = timeout(made.patience, call).await.ok();
    tokio::time::sleep(made.pause).await;
    came
}

/// The paved order, built by hand.
struct OneAroundTheOther(Limiter, Statistics, Option<Ear>);

impl<S> Layer<S> for OneAroundTheOther {
    type Service = tower_quota::failover::Failover<
        tower_quota::retry::Retry<
            tower_quota::budget::Budget<tower_quota::admission::Admission<S>>,
        >,
    >;

    fn layer(&self, inner: S) -> Self::Service {
        let OneAroundTheOther(limiter, statistics, ear) = self;
        let prices = Arc::new(PriceTable::built_in());
        let mut budget = BudgetLayer::new(limiter.clone(), prices).statistics(statistics.clone());
        let mut failover = failover().watch(limiter.clone());
        if let Some(ear) = ear {
            (budget, failover) = (budget.observe(ear.clone()), failover.observe(ear.clone()));
        }
        let gates = budget.layer(AdmissionLayer::new(limiter.clone()).layer(inner));
        failover.layer(RetryLayer::new().layer(gates))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn one_service_does_what_the_four_do(scene in scene()) {
        let paved = play(
            &scene,
            |limiter, statistics, ear| {
                let layer = RateLimitLayer::new(limiter).failover(failover()).statistics(statistics);
                match ear {
                    Some(ear) => layer.observe(ear),
                    None => layer,
                }
            },
            providers,
        );
        let four = play(&scene, OneAroundTheOther, providers);
        let are_over = paved.heard.iter().filter(|line| line.contains(": Over(")).count();
        // A call that its caller gives up is over too, and so is one that was refused.
        prop_assert_eq!(are_over, if scene.is_observed { scene.calls.len() } else { 0 });
        prop_assert_eq!(paved, four);
    }
}
