//! How alerts are sent, again and in the end; in paused time.

use std::time::Duration;

use http::Response;
use tokio::time::Instant;
use tower_quota::{
    Limiter, Money, Tag, Usage,
    alerts::{Alerts, Kind, NotDelivered, Outcome},
    limit::Limit,
};

use super::{
    Receiver, Running, agent,
    kinds::priced,
    run, settle, status,
    support::{HOUR, MINUTE, Upstream, limiter, millis, secs},
    webhook,
};

/// Budgets of which each agent passes a threshold by a single call.
async fn told(alerts: &Alerts) -> Limiter {
    let budget = Limit::cost(Money::from_dollars(1))
        .every(HOUR)
        .thresholds([0.5]);
    let limiter = limiter([budget.per(Tag::Agent)]);
    alerts.watch(&limiter);
    limiter
}

async fn pass(limiter: &Limiter, name: &str) {
    let mut usage = Usage::new(1, 1);
    usage.cost = Some(Money::from_dollars(1));
    limiter.record(&agent(name), usage).await.unwrap();
}

fn retry_after(code: u16, seconds: &'static str) -> Response<()> {
    let mut answer = status(code);
    answer
        .headers_mut()
        .insert("retry-after", seconds.parse().unwrap());
    answer
}

#[tokio::test(start_paused = true)]
async fn what_may_pass_is_tried_again_and_told_waits_are_kept() {
    let receiver = Receiver::default();
    let alerts = receiver.alerts([webhook()]);
    let (limiter, running) = (told(&alerts).await, run(&alerts));
    receiver.answers([
        Some(status(503)),
        Some(retry_after(429, "30")),
        Some(retry_after(500, "0")),
    ]);
    let start = Instant::now();
    pass(&limiter, "a").await;
    tokio::time::sleep(MINUTE).await;
    let got = receiver.got();
    let at: Vec<Duration> = got.iter().map(|(at, ..)| *at - start).collect();
    assert_eq!(at.len(), 4);
    assert!(secs(1) <= at[1] && at[1] <= secs(2), "{at:?}");
    let told = at[2] - at[1];
    assert!(secs(30) <= told && told <= secs(33), "{at:?}");
    assert!(at[3] - at[2] <= millis(100), "{at:?}");
    let ids: Vec<_> = got
        .iter()
        .map(|(_, headers, body)| (&headers["idempotency-key"], &body["id"]))
        .collect();
    assert!(
        ids.iter()
            .all(|id| *id == ids[0] && ids[0].1 == ids[0].0.to_str().unwrap()),
        "{ids:?}"
    );
    assert_eq!(running.outcomes(), ["again", "again", "again", "delivered"]);
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_no_is_a_no_and_tries_have_an_end() {
    let receiver = Receiver::default();
    let alerts = receiver.alerts([webhook().tries(3)]);
    let (limiter, running) = (told(&alerts).await, run(&alerts));
    for code in [400, 401, 404, 410, 302] {
        receiver.answers([Some(status(code))]);
        pass(&limiter, &code.to_string()).await;
        tokio::time::sleep(MINUTE).await;
        assert_eq!(receiver.got().len(), 1, "{code}");
        assert_eq!(running.outcomes(), ["failed"], "{code}");
    }
    receiver.answers((0..3).map(|_| Some(status(500))));
    pass(&limiter, "b").await;
    tokio::time::sleep(MINUTE).await;
    assert_eq!(receiver.got().len(), 3);
    assert_eq!(running.outcomes(), ["again", "again", "failed"]);
    // A wait that is told and absurd is not waited for.
    receiver.answers([Some(retry_after(503, "90000"))]);
    pass(&limiter, "c").await;
    tokio::time::sleep(MINUTE).await;
    assert_eq!(running.outcomes(), ["failed"]);
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn one_that_hangs_is_given_up_and_holds_up_neither_calls_nor_others() {
    let (hangs, other) = (Receiver::default(), Receiver::default());
    hangs.answers([None, None]);
    let alerts = hangs.alerts([webhook().tries(2)]);
    let others = other.alerts([webhook()]);
    let limiter = told(&alerts).await;
    others.watch(&limiter);
    let (running, other_running) = (run(&alerts), run(&others));
    let start = Instant::now();
    pass(&limiter, "a").await;
    assert_eq!(start.elapsed(), Duration::ZERO, "nothing waits for it");
    settle().await;
    assert_eq!(other.kinds(), ["threshold"]);
    tokio::time::sleep(MINUTE).await;
    let told = std::mem::take(&mut *running.told.lock().unwrap());
    assert_eq!(told.len(), 2);
    assert_eq!(told[1].outcome, Outcome::Failed(NotDelivered::TooLate));
    running.end().await;
    other_running.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_finds_the_queue_full_is_dropped_and_said() {
    let receiver = Receiver::default();
    receiver.answers([None]);
    let alerts = receiver.alerts([webhook()]);
    let (limiter, running) = (told(&alerts).await, run(&alerts));
    pass(&limiter, "first").await;
    settle().await;
    for number in 0..300 {
        pass(&limiter, &number.to_string()).await;
    }
    assert_eq!(running.outcomes(), ["dropped"; 300 - 256]);
    tokio::time::sleep(MINUTE).await;
    assert_eq!(receiver.got().len(), 2 + 256, "the first was sent twice");
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn in_the_end_what_waits_goes_out_within_five_seconds_and_what_does_not_is_said() {
    let receiver = Receiver::default();
    let alerts = receiver.alerts([webhook()]);
    let (limiter, running) = (told(&alerts).await, run(&alerts));
    for name in ["a", "b", "c"] {
        pass(&limiter, name).await;
    }
    running.end().await;
    assert_eq!(receiver.kinds(), ["threshold"; 3]);

    let receiver = Receiver::default();
    receiver.answers([None]);
    let alerts = receiver.alerts([webhook()]);
    let (limiter, running) = (told(&alerts).await, run(&alerts));
    for name in ["a", "b", "c"] {
        pass(&limiter, name).await;
    }
    let (start, outcomes) = (Instant::now(), running.told.clone());
    running.end().await;
    assert_eq!(start.elapsed(), secs(5));
    let outcomes: Vec<&str> = outcomes
        .lock()
        .unwrap()
        .iter()
        .map(|told| told.outcome.name())
        .collect();
    assert_eq!(outcomes, ["dropped"; 3]);
    // And afterwards.
    pass(&limiter, "d").await;
    assert_eq!(receiver.got().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn other_webhooks_take_over_while_it_runs_and_those_that_stay_remember() {
    let receiver = Receiver::default();
    let alerts = receiver.alerts([webhook()]);
    let (limiter, running) = (told(&alerts).await, run(&alerts));
    pass(&limiter, "a").await;
    settle().await;
    assert_eq!(receiver.got().len(), 1);
    alerts.set_webhooks([webhook().named("new"), webhook()]);
    pass(&limiter, "b").await;
    settle().await;
    assert_eq!(receiver.got().len(), 2);
    alerts.set_webhooks([webhook().on([Kind::Parked])]);
    pass(&limiter, "c").await;
    settle().await;
    assert_eq!(receiver.got().len(), 0);
    // What waits for one that goes is sent still.
    alerts.set_webhooks([webhook()]);
    receiver.answers([None]);
    pass(&limiter, "d").await;
    pass(&limiter, "e").await;
    settle().await;
    alerts.set_webhooks([]);
    pass(&limiter, "f").await;
    tokio::time::sleep(MINUTE).await;
    let subjects = receiver
        .got()
        .into_iter()
        .map(|got| got.2["subject"].to_string());
    let subjects: Vec<String> = subjects.collect();
    assert_eq!(subjects.len(), 3, "{subjects:?}");
    assert!(
        subjects[1].contains("agent=d") && subjects[2].contains("agent=e"),
        "{subjects:?}"
    );
    running.end().await;
}

/// A call that its budget has no money for: it is told again only after an hour.
async fn refused(limiter: &Limiter, alerts: &Alerts) {
    use tower::{Layer as _, ServiceExt as _};
    let layer = tower_quota::AdmissionLayer::new(limiter.clone()).reject_when_full();
    let layer = tower_quota::RateLimitLayer::of(tower_quota::RetryLayer::new(), layer);
    let service = layer.observe(alerts.clone()).layer(Upstream::new());
    let mut request = priced();
    request.extensions_mut().insert(agent("a"));
    assert_eq!(service.oneshot(request).await.unwrap().status(), 402);
}

#[tokio::test(start_paused = true)]
async fn one_that_has_another_place_or_another_timeout_remembers_what_it_was_told() {
    let receiver = Receiver::default();
    let alerts = receiver.alerts([webhook().named("alerts[0]")]);
    let (limiter, running) = (told(&alerts).await, run(&alerts));
    pass(&limiter, "a").await;
    refused(&limiter, &alerts).await;
    settle().await;
    assert_eq!(receiver.kinds(), ["threshold", "spent"]);
    let elsewhere = tower_quota::alerts::Webhook::new("http://other.test/").unwrap();
    let moved = webhook().named("alerts[1]").timeout(secs(1));
    alerts.set_webhooks([elsewhere.on([Kind::Parked]), moved]);
    refused(&limiter, &alerts).await;
    settle().await;
    assert_eq!(receiver.kinds(), [""; 0]);
    // Another one knows nothing of that.
    let another = tower_quota::alerts::Webhook::new("http://other.test/x").unwrap();
    alerts.set_webhooks([another]);
    refused(&limiter, &alerts).await;
    settle().await;
    assert_eq!(receiver.kinds(), ["spent"]);
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_one_that_goes_before_anybody_delivers_is_sent_still() {
    let receiver = Receiver::default();
    let alerts = receiver.alerts([webhook()]);
    let limiter = told(&alerts).await;
    pass(&limiter, "a").await;
    alerts.set_webhooks([]);
    let running = run(&alerts);
    settle().await;
    assert_eq!(receiver.kinds(), ["threshold"]);
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_test_goes_to_each_whatever_it_is_for_and_says_what_it_answers() {
    let receiver = Receiver::default();
    receiver.answers([Some(status(204)), Some(status(503)), None]);
    let hooks = ["a", "b", "c"].map(|name| webhook().named(name).on([Kind::Parked]));
    let answers = receiver.alerts(hooks).test().await;
    let answers: Vec<_> = answers
        .iter()
        .map(|(name, answer)| (&**name, answer.clone()))
        .collect();
    assert_eq!(
        answers,
        [
            ("a", Ok(204)),
            ("b", Err(NotDelivered::Answered(503))),
            ("c", Err(NotDelivered::TooLate)),
        ]
    );
    assert_eq!(receiver.kinds(), ["test"; 3]);
}
