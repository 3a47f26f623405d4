//! What is told, and that it is told once.

use std::time::SystemTime;

use serde_json::Value;
use tower::{Layer as _, ServiceExt as _};
use tower_quota::{
    FailoverLayer, Limiter, Money, RateLimitLayer, RetryLayer, Tag, Tags, Usage,
    alerts::{Form, Kind},
    failover::{ApiKey, BreakerOptions, Provider, Route, Routes, Target},
    limit::{CalendarUnit, Limit},
    store::Correction,
};

use super::{
    Receiver, agent, run, settle,
    support::{self, Answer, Frames, HOUR, MINUTE, Upstream, limiter, secs},
    webhook,
};

pub(crate) fn cost(dollars: u64) -> Usage {
    let mut usage = Usage::new(10, 10);
    usage.cost = Some(Money::from_dollars(dollars));
    usage
}

fn one_attempt(limiter: &Limiter, failover: FailoverLayer) -> RateLimitLayer {
    RateLimitLayer::new(limiter.clone())
        .failover(failover)
        .retry(RetryLayer::new().max_attempts(1.try_into().unwrap()))
}

fn routes(breaker: Option<BreakerOptions>) -> FailoverLayer {
    let target = |name: &str| {
        let provider = Provider::new(name, "http://host/v1").unwrap();
        Target::new(
            &provider.key(ApiKey::new("main", "sk-MARKED").unwrap()),
            "m",
        )
    };
    let route = Route::ordered([target("one"), target("two")]);
    let layer = FailoverLayer::new(Routes::new([("m", route)]).unwrap());
    match breaker {
        Some(breaker) => layer.breaker(breaker),
        None => layer,
    }
}

#[tokio::test(start_paused = true)]
async fn a_threshold_is_told_once_for_each_budget_and_share() {
    let budget = Limit::cost(Money::from_dollars(10))
        .every(HOUR)
        .thresholds([0.5, 0.8]);
    let limiter = limiter([budget.per(Tag::Agent)]);
    let receiver = Receiver::default();
    let alerts = receiver.alerts([webhook()]);
    alerts.watch(&limiter);
    let running = run(&alerts);
    limiter.record(&agent("a"), cost(4)).await.unwrap();
    settle().await;
    assert_eq!(receiver.kinds(), [""; 0], "no threshold is passed");
    limiter.record(&agent("a"), cost(2)).await.unwrap();
    settle().await;
    let got = receiver.got();
    assert_eq!(got.len(), 1);
    let body = &got[0].2;
    assert_eq!(body["kind"], "threshold");
    assert_eq!(body["subject"], "cost $10.00/hour for agent=a at 0.5");
    assert_eq!(
        body["text"],
        "cost $10.00/hour for agent=a: 50 % of it is spent; $6.00 of $10.00 spent"
    );
    // It is passed a second time within the period: below it, and above.
    limiter
        .correct(&agent("a"), Correction::Less(Money::from_dollars(3)), "x")
        .await
        .unwrap();
    limiter.record(&agent("a"), cost(3)).await.unwrap();
    settle().await;
    assert_eq!(receiver.kinds(), [""; 0]);
    limiter.record(&agent("a"), cost(3)).await.unwrap();
    limiter.record(&agent("b"), cost(5)).await.unwrap();
    settle().await;
    assert_eq!(receiver.kinds(), ["threshold", "threshold"]);
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_threshold_is_told_once_in_each_period_however_short_that_is() {
    let minute = Limit::cost(Money::from_dollars(10)).every(MINUTE);
    let limiter = limiter([minute.thresholds([0.5])]);
    let receiver = Receiver::default();
    let alerts = receiver.alerts([webhook()]);
    alerts.watch(&limiter);
    let running = run(&alerts);
    for _ in 0..3 {
        for dollars in [6, 1] {
            limiter.record(&agent("a"), cost(dollars)).await.unwrap();
        }
        settle().await;
        assert_eq!(receiver.kinds(), ["threshold"]);
        tokio::time::sleep(MINUTE * 2).await;
    }
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_circuit_is_over_also_where_its_budget_was_raised_before() {
    let budget = |dollars| {
        Limit::cost(Money::from_dollars(dollars))
            .every(HOUR)
            .circuit()
    };
    let limiter = limiter([budget(1)]);
    let receiver = Receiver::default();
    let alerts = receiver.alerts([webhook()]);
    alerts.watch(&limiter);
    let running = run(&alerts);
    limiter.record(&agent("a"), cost(2)).await.unwrap();
    let raised = limiter.limits().with(budget(5)).unwrap();
    limiter.reconfigure(&raised).await.unwrap();
    limiter.reset(&agent("a"), "looked into").await.unwrap();
    settle().await;
    let got = receiver.got();
    let said = got.iter().map(|got| (&got.2["subject"], &got.2["is_over"]));
    let subject = "cost/hour (circuit)".into();
    assert_eq!(
        said.collect::<Vec<_>>(),
        [(&subject, &false.into()), (&subject, &true.into())]
    );
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_circuit_is_told_when_it_opens_and_when_it_is_reset() {
    let limiter = limiter([Limit::cost(Money::from_dollars(1)).every(HOUR).circuit()]);
    let receiver = Receiver::default();
    let alerts = receiver.alerts([webhook()]);
    alerts.watch(&limiter);
    let running = run(&alerts);
    limiter.record(&agent("a"), cost(2)).await.unwrap();
    limiter.record(&agent("a"), cost(2)).await.unwrap();
    settle().await;
    assert_eq!(receiver.kinds(), ["circuit"]);
    limiter.reset(&agent("a"), "looked into").await.unwrap();
    settle().await;
    let got = receiver.got();
    assert_eq!(
        (&got[0].2["kind"], &got[0].2["is_over"]),
        (&"circuit".into(), &true.into())
    );
    assert!(got[0].2["text"].as_str().unwrap().contains("looked into"));
    limiter.reset(&agent("a"), "again").await.unwrap();
    limiter.record(&agent("a"), cost(2)).await.unwrap();
    settle().await;
    assert_eq!(receiver.kinds(), ["circuit"], "it is another one");
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn that_calls_are_refused_for_money_is_told_once_and_other_refusals_are_not() {
    let limiter = limiter([
        Limit::cost(Money::from_dollars(1))
            .every(HOUR * 24)
            .per(Tag::Agent),
        Limit::requests(1).every(HOUR).when(Tag::Agent, "busy"),
    ]);
    let receiver = Receiver::default();
    let alerts = receiver.alerts([webhook()]);
    let layer = RateLimitLayer::of(
        RetryLayer::new(),
        tower_quota::AdmissionLayer::new(limiter.clone()).reject_when_full(),
    );
    let service = alerts.attach(layer, &limiter).layer(Upstream::new());
    let running = run(&alerts);
    let call = |name: &'static str| {
        let mut request = priced();
        request.extensions_mut().insert(agent(name));
        let service = service.clone();
        async move { service.oneshot(request).await.unwrap().status().as_u16() }
    };
    assert_eq!(call("busy").await, 200);
    assert_eq!(call("busy").await, 429);
    settle().await;
    assert_eq!(receiver.kinds(), [""; 0]);
    limiter.record(&agent("a"), cost(1)).await.unwrap();
    for _ in 0..3 {
        assert_eq!(call("a").await, 402);
    }
    settle().await;
    let got = receiver.got();
    assert_eq!(got.len(), 1, "{got:?}");
    assert_eq!(got[0].2["kind"], "spent");
    assert_eq!(got[0].2["subject"], "cost $1.00/day for agent=a");
    tokio::time::sleep(HOUR).await;
    assert_eq!(call("a").await, 402);
    settle().await;
    assert_eq!(
        receiver.kinds(),
        ["spent"],
        "an hour later it is told again"
    );
    running.end().await;
}

/// A call of which the price is known.
pub(crate) fn priced() -> http::Request<http_body_util::Full<bytes::Bytes>> {
    let body = r#"{"model":"gpt-4o","max_tokens":10,"messages":[{"role":"user","content":"Hi"}]}"#;
    http::Request::post("https://api.openai.com/v1/chat/completions")
        .header("content-type", "application/json")
        .body(body.into())
        .unwrap()
}

async fn call<S>(service: &S)
where
    S: tower::Service<http::Request<http_body_util::Full<bytes::Bytes>>> + Clone,
    S::Error: std::fmt::Debug,
{
    drop(service.clone().oneshot(support::chat()).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_breaker_is_told_when_it_opens_and_when_its_target_serves_again() {
    let limiter = limiter([]);
    let receiver = Receiver::default();
    let alerts = receiver.alerts([webhook()]);
    let upstream = Upstream::new().answers((0..40).map(|_| Answer::Status(500)));
    let layer = one_attempt(&limiter, routes(Some(BreakerOptions::new())));
    let service = alerts.attach(layer, &limiter).layer(upstream);
    let running = run(&alerts);
    let mut told = Vec::new();
    for _ in 0..200 {
        call(&service).await;
        tokio::time::sleep(secs(20)).await;
        told.extend(
            receiver
                .got()
                .into_iter()
                .filter(|got| got.2["subject"].as_str().unwrap().starts_with("one/m")),
        );
    }
    running.end().await;
    let over: Vec<bool> = told
        .iter()
        .map(|got| got.2["is_over"].as_bool().unwrap())
        .collect();
    assert_eq!(over, [false, true], "{told:?}");
    assert!(told.iter().all(|got| got.2["kind"] == "breaker"));
    assert!(
        told[0].2["text"]
            .as_str()
            .unwrap()
            .starts_with("one/m (main) fails; passed over for ")
    );
    assert_eq!(told[1].2["text"], "one/m (main) serves again");
}

#[tokio::test(start_paused = true)]
async fn a_parked_key_is_told_with_until_when_and_once() {
    let limiter = limiter([]);
    let receiver = Receiver::default();
    let alerts = receiver.alerts([webhook(), webhook().on([Kind::Threshold])]);
    let quota = r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}"#;
    let parked = || Answer::Busy(600, Frames::of([quota]));
    let upstream = Upstream::new().answers([parked(), Answer::Status(200), parked()]);
    let service = alerts
        .attach(one_attempt(&limiter, routes(None)), &limiter)
        .layer(upstream);
    let running = run(&alerts);
    call(&service).await;
    settle().await;
    let got = receiver.got();
    assert_eq!(
        got.len(),
        1,
        "one webhook is told of thresholds alone: {got:?}"
    );
    let text = got[0].2["text"].as_str().unwrap();
    assert_eq!(
        (&got[0].2["kind"], &got[0].2["subject"]),
        (&"parked".into(), &"one/m (main)".into())
    );
    assert!(
        text.contains("parked for 600 s, until 20") && !text.contains("MARKED"),
        "{text}"
    );
    tokio::time::sleep(secs(601)).await;
    call(&service).await;
    settle().await;
    assert_eq!(
        receiver.kinds(),
        [""; 0],
        "it is parked again within the hour"
    );
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn that_a_parked_key_is_used_again_is_told_and_the_next_time_is_another() {
    let limiter = limiter([]);
    let receiver = Receiver::default();
    let alerts = receiver.alerts([webhook()]);
    let quota = r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}"#;
    let parked = || Answer::Busy(600, Frames::of([quota]));
    let upstream = Upstream::new().answers([parked(), Answer::Status(200), parked()]);
    let layer = alerts.attach(one_attempt(&limiter, routes(None)), &limiter);
    let service = layer.layer(upstream);
    let running = run(&alerts);
    let one = Tags::new().with(Tag::Provider, "one");
    assert_eq!(layer.unpark(&one), 0);
    call(&service).await;
    assert_eq!(layer.unpark(&one), 1);
    assert_eq!(layer.unpark(&one), 0);
    settle().await;
    assert_eq!(receiver.kinds(), ["parked", "parked over"]);
    call(&service).await;
    settle().await;
    assert_eq!(receiver.kinds(), ["parked"], "it is parked within the hour");
    running.end().await;
}

/// A time zone in which it is six o'clock, or soon seven: no day ends while the test runs.
fn zone_of_a_morning() -> String {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let hour = i64::try_from(since / 3_600 % 24).unwrap();
    let ahead = if hour > 18 { 30 - hour } else { 6 - hour };
    format!("Etc/GMT{:+}", -ahead)
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_ends_too_early_is_told_before() {
    let budget = Limit::cost(Money::from_dollars(100));
    let limiter = limiter([budget.every_calendar(CalendarUnit::Day, zone_of_a_morning())]);
    let receiver = Receiver::default();
    let alerts = receiver.alerts([webhook().on([Kind::Forecast])]);
    alerts.watch(&limiter);
    let running = run(&alerts);
    tokio::time::sleep(MINUTE).await;
    limiter.record(&agent("a"), cost(20)).await.unwrap();
    for _ in 0..9 {
        tokio::time::sleep(MINUTE).await;
    }
    assert_eq!(receiver.kinds(), [""; 0], "not a quarter of it is spent");
    limiter.record(&agent("a"), cost(20)).await.unwrap();
    for _ in 0..9 {
        tokio::time::sleep(MINUTE).await;
    }
    let got = receiver.got();
    assert_eq!(got.len(), 1, "{got:?}");
    let text = got[0].2["text"].as_str().unwrap();
    assert!(
        text.contains("at the pace of late, $") && text.contains("its period ends at"),
        "{text}"
    );
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn whom_callers_name_themselves_for_is_called_by_no_message() {
    let limiter = limiter([Limit::cost(Money::from_dollars(1))
        .every(HOUR)
        .per(Tag::Agent)
        .thresholds([0.5])]);
    let receiver = Receiver::default();
    let alerts = receiver.alerts([webhook().form(Form::Slack)]);
    alerts.watch(&limiter);
    let running = run(&alerts);
    limiter
        .record(&agent("<!channel>\n& co"), cost(1))
        .await
        .unwrap();
    settle().await;
    let got = receiver.got();
    let Value::Object(body) = &got[0].2 else {
        panic!("{got:?}")
    };
    assert_eq!(body.len(), 2, "{body:?}");
    assert_eq!(
        body["text"],
        "tower-quota, threshold: cost $1.00/hour for agent=&lt;!channel&gt; &amp; co: 50 % of it is spent; $1.00 of $1.00 spent"
    );
    running.end().await;
}
