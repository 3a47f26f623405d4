//! What is set of `RateLimitLayer` and of its parts: nothing of it gets lost, in whatever order it is set.

use std::{
    convert::Infallible,
    num::NonZeroU32,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tower::{Layer as _, ServiceExt as _, service_fn, util::BoxCloneService};
use tower_quota::{
    AdmissionLayer, BudgetLayer, FailoverLayer, Limiter, Money, RateLimitLayer, RetryLayer,
    Statistics, Tag, Tags,
    event::{Event, ObservedCall, Observer},
    failover::{ApiKey, Provider, Route, Routes, Target},
    limit::{CalendarUnit, Limit, Limits},
    limiter::Call,
    pricing::{Price, PriceTable},
    statistics::Figures,
};

pub(crate) const MODEL: &str = "gpt-4o";
/// One without a route.
const OTHER: &str = "gpt-5.5";
const HOUR: Duration = Duration::from_secs(3_600);
const ANSWER: &str = r#"{"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":9,"completion_tokens":1}}"#;

pub(crate) type Req = Request<Full<Bytes>>;
type Res = Response<Full<Bytes>>;
pub(crate) type Lines = Arc<Mutex<Vec<String>>>;

pub(crate) fn lines(of: &Lines) -> Vec<String> {
    of.lock().unwrap().clone()
}

/// Providers that write down which of them is asked. The first one refuses its key, and who is none of ours is busy.
pub(crate) fn providers(sent: &Lines) -> BoxCloneService<Req, Res, Infallible> {
    let sent = sent.clone();
    BoxCloneService::new(service_fn(move |request: Req| {
        let host = request.uri().host().unwrap_or_default().to_owned();
        let (status, body) = match &*host {
            "one" => (
                401,
                r#"{"error":{"message":"Incorrect API key provided","type":"invalid_request_error","code":"invalid_api_key"}}"#,
            ),
            "two" => (200, ANSWER),
            _ => (503, r#"{"error":{"message":"busy","type":"server_error"}}"#),
        };
        // Who looks into a request asks for an answer that can be read.
        let is_read = request.headers().contains_key("accept-encoding");
        let how = if is_read { "read" } else { "as it came" };
        sent.lock().unwrap().push(format!("{host} {how}"));
        async move {
            let response = Response::builder().status(status);
            let response = response.header("content-type", "application/json");
            Ok::<_, Infallible>(response.body(Full::from(body)).unwrap())
        }
    }))
}

pub(crate) fn request(model: &str) -> Req {
    let body = format!(
        r#"{{"model":"{model}","max_tokens":300,"messages":[{{"role":"user","content":"hello"}}]}}"#
    );
    let request = Request::post("https://api.openai.com/v1/chat/completions");
    request.body(Full::from(body)).unwrap()
}

pub(crate) fn failover() -> FailoverLayer {
    let target = |host: &str| {
        let provider = Provider::new(host, &format!("https://{host}/v1")).unwrap();
        let key = ApiKey::new("main", format!("sk-{host}")).unwrap();
        Target::new(&provider.key(key), MODEL)
    };
    let route = Route::ordered([target("one"), target("two")]);
    FailoverLayer::new(Routes::new([(MODEL, route)]).unwrap())
}

/// A million tokens in cost so many dollars, and out ten times that.
pub(crate) fn prices(dollars: u64) -> Arc<PriceTable> {
    let mut table = PriceTable::new();
    let rate = |dollars: u64| dollars.to_string().parse().unwrap();
    let price = Price::new(rate(dollars), rate(10 * dollars));
    for provider in ["one", "two", "openai"] {
        table.insert(provider, MODEL, price.clone());
        table.insert(provider, OTHER, price.clone());
    }
    Arc::new(table)
}

pub(crate) fn limiter() -> Limiter {
    let budget = Limit::cost(Money::from_dollars(100)).every(HOUR);
    Limiter::new(Limits::new([Limit::requests(100).every(HOUR), budget]).unwrap())
}

pub(crate) fn statistics() -> Statistics {
    Statistics::new().wall_clock(|| SystemTime::UNIX_EPOCH)
}

/// All that was recorded.
pub(crate) fn recorded(statistics: &Statistics) -> Figures {
    let report = statistics.report(CalendarUnit::Day, &[Tag::Provider]);
    report.unwrap().total()
}

/// An observer, and what it has heard.
pub(crate) fn ear() -> (Arc<dyn Observer>, Lines) {
    let heard = Lines::default();
    let hears = heard.clone();
    let ear = move |_: &ObservedCall, event: &Event<'_>| {
        hears.lock().unwrap().push(format!("{event:?}"));
    };
    let ear: Arc<dyn Observer> = Arc::new(ear);
    (ear, heard)
}

const SETTINGS: [&str; 8] = [
    "failover",
    "on_failover",
    "routed_only",
    "retry",
    "budget",
    "statistics",
    "observe",
    "off",
];

/// Where it is seen what a setting does.
struct World {
    limiter: Limiter,
    /// What a listener hears of targets.
    targets: Lines,
    statistics: Statistics,
    ear: Arc<dyn Observer>,
    heard: Lines,
}

#[derive(Debug, PartialEq)]
struct Seen {
    statuses: Vec<u16>,
    sent: Vec<String>,
    heard: Vec<String>,
    targets: Vec<String>,
    recorded: Figures,
    /// Of requests, and of money.
    in_use: Vec<u64>,
}

impl World {
    fn new() -> Self {
        let (ear, heard) = ear();
        World {
            limiter: limiter(),
            targets: Lines::default(),
            statistics: statistics(),
            ear,
            heard,
        }
    }

    fn set(&self, layer: RateLimitLayer, what: &str) -> RateLimitLayer {
        match what {
            "failover" => layer.failover(failover()),
            "on_failover" => {
                let targets = self.targets.clone();
                layer.on_failover(move |event| targets.lock().unwrap().push(event.to_string()))
            }
            "routed_only" => layer.routed_only(),
            "retry" => layer.retry(RetryLayer::new().max_attempts(NonZeroU32::MIN)),
            "budget" => layer.budget(BudgetLayer::new(self.limiter.clone(), prices(2))),
            "statistics" => layer.statistics(self.statistics.clone()),
            "observe" => layer.observe(self.ear.clone()),
            "off" => layer.off(),
            other => panic!("no such setting: {other}"),
        }
    }

    /// What comes of three calls, the second of which has no route, where this is set, in this order.
    async fn play(self, settings: &[&str]) -> Seen {
        fastrand::seed(7);
        let budget = BudgetLayer::new(self.limiter.clone(), prices(1));
        let layer = RateLimitLayer::new(self.limiter.clone()).budget(budget);
        let set = |layer, what: &&str| self.set(layer, what);
        let (layer, sent) = (settings.iter().fold(layer, set), Lines::default());
        let service = layer.layer(providers(&sent));
        let mut statuses = Vec::new();
        for model in [MODEL, OTHER, MODEL] {
            let response = service.clone().oneshot(request(model)).await.unwrap();
            statuses.push(response.status().as_u16());
            response.into_body().collect().await.unwrap();
        }
        let standings = self.limiter.explain(&Call::new()).await.unwrap().limits;
        Seen {
            statuses,
            sent: lines(&sent),
            heard: lines(&self.heard),
            targets: lines(&self.targets),
            recorded: recorded(&self.statistics),
            in_use: standings.iter().map(|limit| limit.in_use).collect(),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn any_two_settings_do_the_same_in_either_order() {
    for (number, one) in SETTINGS.into_iter().enumerate() {
        for other in SETTINGS.into_iter().skip(number + 1) {
            let (pair, turned) = ([one, other], [other, one]);
            let seen = World::new().play(&pair).await;
            assert_eq!(World::new().play(&turned).await, seen, "{pair:?}");
            let has = |what| pair.contains(&what);
            if has("off") {
                let unrouted = "api.openai.com as it came";
                assert_eq!(seen.sent, [unrouted; 3], "{pair:?}");
                assert_eq!(seen.in_use, [0, 0], "{pair:?}");
                let told = seen.heard.len() + seen.targets.len();
                assert!(told == 0 && seen.recorded.is_empty(), "{pair:?}: {seen:?}");
                continue;
            }
            assert!(seen.in_use[0] > 0 || has("routed_only"), "{pair:?}");
            assert_eq!(seen.heard.is_empty(), !has("observe"), "{pair:?}");
            // What has no route does not come to the layer that records.
            let records = has("statistics") && !has("routed_only");
            assert_eq!(seen.recorded.is_empty(), !records, "{pair:?}");
            let parked = has("failover") && has("on_failover");
            assert_eq!(seen.targets.len(), usize::from(parked), "{pair:?}");
            let routed = if has("failover") { 200 } else { 503 };
            let statuses: [u16; 3] = match has("routed_only") {
                true if has("failover") => [200, 404, 200],
                true => [404; 3],
                false => [routed, 503, routed],
            };
            assert_eq!(seen.statuses, statuses, "{pair:?}");
        }
    }
}

/// In which order a listener and routes are set makes no difference to where they are known by.
#[tokio::test(start_paused = true)]
async fn what_is_known_of_targets_is_shared_with_the_layer_that_made_the_service() {
    for settings in [["on_failover", "failover"], ["failover", "on_failover"]] {
        let world = World::new();
        let budget = BudgetLayer::new(world.limiter.clone(), prices(1));
        let layer = RateLimitLayer::new(world.limiter.clone()).budget(budget);
        let layer = settings
            .iter()
            .fold(layer, |layer, what| world.set(layer, what));
        let sent = Lines::default();
        // Two services of one layer, one of which is set otherwise besides.
        let open = layer.layer(providers(&sent));
        let routed = layer.clone().routed_only().layer(providers(&sent));
        for service in [open, routed] {
            service.oneshot(request(MODEL)).await.unwrap();
        }
        assert_eq!(lines(&sent), ["one read", "two read", "two read"]);
        let one = Tags::new().with(Tag::Provider, "one");
        assert_eq!(layer.unpark(&one), 1, "{settings:?}");
        assert_eq!(lines(&world.targets).len(), 2, "{settings:?}");
    }
}

/// The parts that have observers of their own.
const PARTS: [&str; 5] = ["this layer", "failover", "retry", "budget", "admission"];

/// A layer whose parts have these observers, in the order of [`PARTS`].
fn observed(limiter: &Limiter, ears: [Vec<Arc<dyn Observer>>; 5]) -> RateLimitLayer {
    let [own, failover, retry, budget, admission] = ears.map(Vec::into_iter);
    let layers = (
        FailoverLayer::new(Routes::default()),
        BudgetLayer::new(limiter.clone(), prices(1)),
    );
    let failover = failover.fold(layers.0, |layer, ear| layer.observe(ear));
    let budget = budget.fold(layers.1, |layer, ear| layer.observe(ear));
    let retry = retry.fold(RetryLayer::new(), |layer, ear| layer.observe(ear));
    let layer = AdmissionLayer::new(limiter.clone());
    let admission = admission.fold(layer, |layer, ear| layer.observe(ear));
    let layer = RateLimitLayer::of(retry, admission);
    let layer = layer.budget(budget).failover(failover);
    own.fold(layer, |layer, ear| layer.observe(ear))
}

#[tokio::test(start_paused = true)]
async fn observers_of_any_two_parts_are_told_all_and_each_once() {
    for one in 0..PARTS.len() {
        for other in 0..PARTS.len() {
            let what = format!("{} and {}", PARTS[one], PARTS[other]);
            let [(first, of_first), (second, of_second), (both, of_both)] =
                std::array::from_fn(|_| ear());
            let mut ears: [Vec<Arc<dyn Observer>>; 5] = std::array::from_fn(|_| Vec::new());
            ears[one].extend([first, both.clone()]);
            ears[other].extend([second, both]);
            let limiter = Limiter::new(Limits::new([]).unwrap());
            let sent = Lines::default();
            let service = observed(&limiter, ears).layer(providers(&sent));
            let mut request = request(MODEL);
            *request.uri_mut() = "https://two/v1/chat/completions".parse().unwrap();
            request
                .extensions_mut()
                .insert(Tags::new().with(Tag::Provider, "two"));
            let response = service.oneshot(request).await.unwrap();
            response.into_body().collect().await.unwrap();
            let heard = lines(&of_both);
            assert_eq!(heard.len(), 3, "{what}: {heard:?}");
            assert!(
                heard[0] == "Came" && heard[2].starts_with("Over("),
                "{what}"
            );
            // Whoever is told hears what it cost: nine in, one out.
            assert!(heard[1].contains("19000"), "{what}: {heard:?}");
            assert_eq!(lines(&of_first), heard, "{what}");
            assert_eq!(lines(&of_second), heard, "{what}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn all_places_are_recorded_in_and_each_once() {
    for (where_one, where_other) in [("own", "budget"), ("own", "own"), ("budget", "budget")] {
        let [one, other, both] = std::array::from_fn(|_| statistics());
        let limiter = limiter();
        let mut budget = BudgetLayer::new(limiter.clone(), prices(1));
        let mut layer = RateLimitLayer::new(limiter).retry(RetryLayer::new().off());
        for (place, statistics) in [(where_one, &one), (where_other, &other)] {
            for statistics in [statistics, &both] {
                match place {
                    "own" => layer = layer.statistics(statistics.clone()),
                    _ => budget = budget.statistics(statistics.clone()),
                }
            }
        }
        let service = layer.budget(budget).layer(providers(&Lines::default()));
        service.oneshot(request(OTHER)).await.unwrap();
        let expected = recorded(&both);
        assert_eq!((expected.requests, expected.unpriced), (1, 0));
        for statistics in [&one, &other] {
            assert_eq!(recorded(statistics), expected, "{where_one} {where_other}");
        }
    }
}

/// By hand too: where the inner gate finds claimed what it would claim, it records all the same.
#[tokio::test(start_paused = true)]
async fn two_gates_of_one_limiter_record_each_where_it_does() {
    let (limiter, outer, inner) = (limiter(), statistics(), statistics());
    let gate = || BudgetLayer::new(limiter.clone(), prices(1));
    let inside = gate().statistics(inner.clone());
    let service = gate()
        .statistics(outer.clone())
        .layer(inside.layer(providers(&Lines::default())));
    service.oneshot(request(OTHER)).await.unwrap();
    assert_eq!(recorded(&outer).requests, 1);
    assert_eq!(recorded(&inner), recorded(&outer));
}
