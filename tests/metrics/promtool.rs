//! The text, read by Prometheus' own tool.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use tower::{Layer as _, ServiceExt as _};
use tower_quota::{
    AdmissionLayer, Money, RateLimitLayer, RetryLayer, Tag, limit::Limit, metrics::Metrics,
};

use super::{
    ANSWER, json, read, request,
    support::{Answer, Frames, HOUR, MINUTE, Upstream, limiter},
};

/// What the tool says of a text, and whether it has nothing against it.
fn check(text: &str) -> (bool, String) {
    let tool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut tool = tool.expect("promtool is there: scripts/test installs it");
    tool.stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = tool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

#[test]
fn the_tool_finds_what_is_wrong() {
    assert!(!check("a_total{b=\"c} 1\n").0);
    let (fine, said) = check("# TYPE seconds counter\nseconds 1\n");
    assert!(!fine, "no help, and a counter's name: {said}");
}

#[tokio::test(start_paused = true)]
async fn the_tool_has_nothing_against_the_text() {
    let limiter = limiter([
        Limit::requests(3).every(MINUTE).per(Tag::Agent),
        Limit::cost(Money::from_dollars(1))
            .every(HOUR)
            .thresholds([0.000_1]),
    ]);
    let metrics = Metrics::builder()
        .tags([Tag::Agent])
        .resource("service.name", "a \"test\"")
        .build();
    let upstream = Upstream::new().answers([
        json(ANSWER),
        Answer::Busy(1, Frames::of(["{}"])),
        json(ANSWER),
        Answer::Status(500),
    ]);
    let layer = RateLimitLayer::of(
        RetryLayer::new(),
        AdmissionLayer::new(limiter.clone()).reject_when_full(),
    );
    let layer = layer.budget(
        tower_quota::BudgetLayer::new(limiter.clone(), std::sync::Arc::default())
            .allow_unknown_prices(),
    );
    let service = metrics.attach(layer, &limiter).layer(upstream);
    for agent in ["scout", "a \"b\" \\ \n c", "ü", "scout", "scout", "scout"] {
        read(
            service
                .clone()
                .oneshot(request(agent))
                .await
                .unwrap()
                .into_body(),
        )
        .await;
    }
    let text = metrics.render().await;
    let (fine, said) = check(&text);
    assert!(fine, "{said}\n{text}");
    assert_eq!(said, "", "{text}");
    // All that a call can come to is in it.
    for name in [
        "calls_total",
        "refusals_total",
        "retries_total",
        "limit_used",
        "budget_amount_usd",
        "waiting",
    ] {
        assert!(
            text.contains(&format!("\ntower_quota_{name}")),
            "{name}: {text}"
        );
    }
    assert!(
        text.contains("target_info{service_name=\"a \\\"test\\\"\""),
        "{text}"
    );
    assert_eq!(Metrics::CONTENT_TYPE, "text/plain; version=0.0.4");
}
