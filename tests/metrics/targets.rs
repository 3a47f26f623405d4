//! How targets are.

use tower::{Layer as _, ServiceExt as _};
use tower_quota::{
    FailoverLayer, RateLimitLayer, RetryLayer, Tag, Tags,
    failover::{ApiKey, BreakerOptions, Provider, Route, Routes, Target},
    metrics::Metrics,
};

use super::{
    ANSWER, Text, json, read, request,
    support::{Answer, Frames, HOUR, Upstream, limiter, secs},
};

fn failover() -> FailoverLayer {
    let target = |name: &str| {
        let provider = Provider::new(name, "http://host/v1").unwrap();
        Target::new(
            &provider.key(ApiKey::new("labelled", "sk-MARKED").unwrap()),
            "m",
        )
    };
    let route = Route::ordered([target("one"), target("two")]);
    FailoverLayer::new(Routes::new([("m", route)]).unwrap())
}

#[tokio::test(start_paused = true)]
async fn breakers_cooldowns_and_parked_accounts_come_and_go() {
    let (limiter, metrics) = (limiter([]), Metrics::new());
    let quota = r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}"#;
    let upstream = Upstream::new().answers([Answer::Busy(30, Frames::of(["{}"])), json(ANSWER)]);
    let layer = RateLimitLayer::new(limiter.clone())
        .failover(failover())
        .retry(RetryLayer::new().max_attempts(1.try_into().unwrap()));
    let service = metrics.attach(layer, &limiter).layer(upstream.clone());
    let call = || async {
        read(
            service
                .clone()
                .oneshot(request("a"))
                .await
                .unwrap()
                .into_body(),
        )
        .await;
        let text = metrics.render().await;
        assert!(
            !text.contains("MARKED") && !text.contains("labelled"),
            "{text}"
        );
        Text::of(&text)
    };
    let said = call().await;
    let one = ("gen_ai_provider_name", "one");
    assert_eq!(
        said.one("tower_quota_cooldown_remaining_seconds", &[one]),
        30.0
    );
    assert_eq!(
        said.one(
            "tower_quota_failovers_total",
            &[one, ("tower_quota_cause", "rate_limited")]
        ),
        1.0
    );
    tokio::time::sleep(secs(31)).await;
    let said = Text::of(&metrics.render().await);
    assert_eq!(said.names("tower_quota_cooldown_remaining"), [""; 0]);
    assert_eq!(said.names("tower_quota_parked"), [""; 0]);

    let upstream = upstream.answers([Answer::Busy(3_600, Frames::of([quota])), json(ANSWER)]);
    drop(upstream);
    let said = call().await;
    assert_eq!(said.one("tower_quota_parked", &[one]), 1.0);
    assert_eq!(said.one("tower_quota_breaker_open", &[one]), 0.0);
    tokio::time::sleep(HOUR + secs(1)).await;
    let said = Text::of(&metrics.render().await);
    assert_eq!(said.one("tower_quota_parked", &[one]), 0.0);
}

#[tokio::test(start_paused = true)]
async fn what_is_parked_is_shown_until_that_is_taken_back() {
    let (limiter, metrics) = (limiter([]), Metrics::new());
    let quota = r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}"#;
    let answers = [Answer::Busy(3_600, Frames::of([quota])), json(ANSWER)];
    let layer = RateLimitLayer::new(limiter.clone())
        .failover(failover())
        .retry(RetryLayer::new().max_attempts(1.try_into().unwrap()));
    let layer = metrics.attach(layer, &limiter);
    let service = layer.layer(Upstream::new().answers(answers));
    let answer = service.oneshot(request("a")).await.unwrap();
    read(answer.into_body()).await;
    let one = ("gen_ai_provider_name", "one");
    let said = Text::of(&metrics.render().await);
    assert_eq!(said.one("tower_quota_parked", &[one]), 1.0);
    let parked = || {
        let targets = metrics.targets().into_iter();
        targets.filter(|target| target.parked.is_some()).count()
    };
    assert_eq!(parked(), 1);

    assert_eq!(layer.unpark(&Tags::new().with(Tag::Provider, "one")), 1);
    assert_eq!(parked(), 0);
    let said = Text::of(&metrics.render().await);
    assert_eq!(said.one("tower_quota_parked", &[one]), 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_breaker_that_opens_is_shown_until_its_target_serves_again() {
    let (limiter, metrics) = (limiter([]), Metrics::new());
    let failing = (0..40).map(|_| Answer::Status(500));
    let layer = RateLimitLayer::new(limiter.clone())
        .failover(failover().breaker(BreakerOptions::new()))
        .retry(RetryLayer::new().max_attempts(1.try_into().unwrap()));
    let upstream = Upstream::new().answers(failing);
    let service = metrics.attach(layer, &limiter).layer(upstream);
    let mut opened = false;
    let mut closed = false;
    for _ in 0..200 {
        read(
            service
                .clone()
                .oneshot(request("a"))
                .await
                .unwrap()
                .into_body(),
        )
        .await;
        let said = Text::of(&metrics.render().await);
        let open = said.sum(
            "tower_quota_breaker_open",
            &[("gen_ai_provider_name", "one")],
        );
        opened |= open > 0.0;
        closed |= opened && open == 0.0;
        tokio::time::sleep(secs(20)).await;
    }
    assert!(opened && closed, "opened: {opened}, closed: {closed}");
}
