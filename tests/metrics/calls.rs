//! What becomes of calls.

use std::sync::Arc;

use tower::{Layer as _, ServiceExt as _};
use tower_quota::{
    AdmissionLayer, BudgetLayer, RateLimitLayer, RetryLayer, Tag, Tags,
    limit::Limit,
    metrics::Metrics,
    pricing::{Price, PriceTable},
};

use super::{
    ANSWER, Text, json, read, request,
    support::{Answer, Broken, Frames, HOUR, MINUTE, Upstream, limiter, one_a_minute, secs},
};

fn prices() -> Arc<PriceTable> {
    let mut table = PriceTable::new();
    let price = Price::new("1000".parse().unwrap(), "10000".parse().unwrap());
    table.insert("openai", "m", price);
    Arc::new(table)
}

#[tokio::test(start_paused = true)]
async fn a_call_is_told_by_the_names_of_the_conventions() {
    let limiter = limiter([Limit::requests(1).every(MINUTE)]);
    let metrics = Metrics::builder()
        .tags([Tag::Agent, Tag::Run, Tag::ApiKey])
        .build();
    let upstream = Upstream::new().latency(secs(2)).answers([
        json(ANSWER),
        Answer::Busy(70, Frames::of(["{}"])),
        json(ANSWER),
    ]);
    let layer = RateLimitLayer::new(limiter.clone())
        .budget(BudgetLayer::new(limiter.clone(), prices()))
        .retry(RetryLayer::new().longest_wait(HOUR));
    let service = metrics.attach(layer, &limiter).layer(upstream);
    for _ in 0..2 {
        read(
            service
                .clone()
                .oneshot(request("scout"))
                .await
                .unwrap()
                .into_body(),
        )
        .await;
    }
    let text = metrics.render().await;
    let said = Text::of(&text);
    let target = [
        ("gen_ai_provider_name", "openai"),
        ("gen_ai_request_model", "m"),
    ];
    let with = |label: (&'static str, &'static str)| [target[0], target[1], label];

    let duration = "gen_ai_client_operation_duration_seconds";
    let ok = with(("gen_ai_response_model", "m-2026"));
    assert_eq!(said.one(&format!("{duration}_count"), &ok), 2.0);
    assert_eq!(said.one(&format!("{duration}_sum"), &ok), 4.0);
    assert_eq!(
        said.one(&format!("{duration}_bucket"), &[ok[2], ("le", "2.56")]),
        2.0
    );
    assert_eq!(
        said.one(&format!("{duration}_bucket"), &[ok[2], ("le", "1.28")]),
        0.0
    );
    assert_eq!(
        said.one(
            &format!("{duration}_count"),
            &with(("error_type", "rate_limit"))
        ),
        1.0
    );
    for (kind, tokens) in [("input", 18.0), ("output", 2.0)] {
        let labels = with(("gen_ai_token_type", kind));
        assert_eq!(said.one("gen_ai_client_token_usage_sum", &labels), tokens);
        assert_eq!(said.one("gen_ai_client_token_usage_count", &labels), 2.0);
    }
    for (kind, tokens) in [("input", 18.0), ("cache_read", 8.0), ("output", 2.0)] {
        let labels = with(("tower_quota_kind", kind));
        assert_eq!(said.one("tower_quota_tokens_total", &labels), tokens);
    }
    let agent = with(("tower_quota_agent", "scout"));
    // A thousand dollars a million tokens in, ten thousand out: twice (9 + 10) thousandths.
    let cost = said.one("tower_quota_cost_usd_total", &agent);
    assert!((cost - 0.038).abs() < 1e-9, "{cost}");
    assert_eq!(
        said.one(
            "tower_quota_attempts_total",
            &with(("http_response_status_code", "200"))
        ),
        2.0
    );
    assert_eq!(
        said.one(
            "tower_quota_attempts_total",
            &with(("http_response_status_code", "429"))
        ),
        1.0
    );
    assert_eq!(
        said.one(
            "tower_quota_retries_total",
            &with(("tower_quota_cause", "rate_limit"))
        ),
        1.0
    );
    assert_eq!(
        said.one(
            "tower_quota_calls_total",
            &[("tower_quota_outcome", "ok"), agent[2]]
        ),
        2.0
    );
    assert_eq!(said.one("tower_quota_calls_active", &[]), 0.0);
    assert_eq!(said.one("tower_quota_cooldowns_total", &target), 1.0);
    assert_eq!(said.one("tower_quota_waiting", &[]), 0.0);
    let waited = [
        ("tower_quota_limit", "requests 1/min"),
        ("tower_quota_has_room", "true"),
    ];
    assert_eq!(
        said.one("tower_quota_wait_duration_seconds_sum", &waited),
        58.5
    );
    assert!(!text.contains("r-1"), "a run is no label");
    assert!(!text.contains("tower_quota_api_key"));
    // Nothing was refused, failed over, or went wrong: nothing of it is there.
    for name in [
        "tower_quota_refusals",
        "tower_quota_failovers",
        "tower_quota_store_errors",
    ] {
        assert_eq!(said.names(name), [""; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn tags_that_are_called_as_labels_are_other_labels_and_mix_no_figures_up() {
    let limiter = limiter([Limit::requests(1).every(HOUR).per(Tag::from("limit"))]);
    let tags = ["kind", "limit", "outcome"].map(Tag::from);
    let metrics = Metrics::builder().tags(tags).build();
    metrics.watch(&limiter);
    let service = AdmissionLayer::new(limiter)
        .reject_when_full()
        .observe(metrics.clone())
        .layer(Upstream::new().answers([json(ANSWER)]));
    for status in [200, 429] {
        let mut call = request("scout");
        let tags = Tags::new()
            .with(Tag::from("kind"), "batch")
            .with(Tag::from("limit"), "none")
            .with(Tag::from("outcome"), "good");
        call.extensions_mut().insert(tags);
        let answer = service.clone().oneshot(call).await.unwrap();
        assert_eq!(answer.status(), status);
        read(answer.into_body()).await;
    }
    let said = Text::of(&metrics.render().await);
    let batch = ("tower_quota_tag_kind", "batch");
    for (kind, tokens) in [("input", 9.0), ("cache_read", 4.0), ("output", 1.0)] {
        let labels = [batch, ("tower_quota_kind", kind)];
        assert_eq!(said.one("tower_quota_tokens_total", &labels), tokens);
    }
    assert_eq!(said.sum("tower_quota_tokens_total", &[]), 14.0);
    let limit = [
        ("tower_quota_limit", "requests 1/hour per limit"),
        ("tower_quota_tag_limit", "none"),
    ];
    assert_eq!(said.one("tower_quota_refusals_total", &limit), 1.0);
    assert_eq!(said.one("tower_quota_limit_used", &limit), 1.0);
    for outcome in ["ok", "refused"] {
        let labels = [
            ("tower_quota_outcome", outcome),
            ("tower_quota_tag_outcome", "good"),
        ];
        assert_eq!(said.one("tower_quota_calls_total", &labels), 1.0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_under_way_is_counted_while_it_is() {
    let (limiter, metrics) = (one_a_minute(), Metrics::new());
    let service = metrics
        .attach(RateLimitLayer::new(limiter.clone()), &limiter)
        .layer(Upstream::new().latency(secs(5)));
    let calls: Vec<_> = (0..3)
        .map(|_| tokio::spawn(service.clone().oneshot(request("a"))))
        .collect();
    tokio::time::sleep(secs(1)).await;
    let said = Text::of(&metrics.render().await);
    assert_eq!(
        said.one(
            "tower_quota_calls_active",
            &[("gen_ai_operation_name", "chat")]
        ),
        3.0
    );
    assert_eq!(said.one("tower_quota_waiting", &[]), 2.0);
    calls.iter().for_each(tokio::task::JoinHandle::abort);
    for call in calls {
        assert!(call.await.is_err());
    }
    let said = Text::of(&metrics.render().await);
    assert_eq!(said.one("tower_quota_calls_active", &[]), 0.0);
    assert_eq!(said.one("tower_quota_waiting", &[]), 0.0);
    assert_eq!(
        said.one(
            "tower_quota_calls_total",
            &[("tower_quota_outcome", "given_up")]
        ),
        3.0
    );
    assert_eq!(
        said.one("tower_quota_attempts_total", &[("error_type", "given_up")]),
        1.0
    );
    let gave_up = [("tower_quota_has_room", "false")];
    assert_eq!(
        said.one("tower_quota_wait_duration_seconds_count", &gave_up),
        2.0
    );
}

#[tokio::test(start_paused = true)]
async fn refusals_are_told_by_kind_and_by_the_limit_as_it_was_given() {
    let limiter = limiter([Limit::requests(1).every(MINUTE).per(Tag::Agent)]);
    let metrics = Metrics::new();
    let service = AdmissionLayer::new(limiter)
        .reject_when_full()
        .observe(metrics.clone())
        .layer(Upstream::new());
    for agent in ["a", "b"] {
        for _ in 0..3 {
            drop(service.clone().oneshot(request(agent)).await.unwrap());
        }
    }
    let text = metrics.render().await;
    let said = Text::of(&text);
    let refused = [
        ("tower_quota_kind", "rate_limited"),
        ("tower_quota_limit", "requests 1/min per agent"),
    ];
    assert_eq!(said.one("tower_quota_refusals_total", &refused), 4.0);
    let calls = [("tower_quota_outcome", "refused"), refused[0]];
    assert_eq!(said.one("tower_quota_calls_total", &calls), 4.0);
    assert!(!text.contains("agent=a"), "whose it was is no label");
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_inner_service_and_a_stream_that_breaks_off_are_told() {
    let (limiter, metrics) = (limiter([]), Metrics::new());
    let stream = Frames::of([
        "data: {\"model\":\"m\",\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\" you\"}}]}\n\n",
    ]);
    let upstream = Upstream::new()
        .latency(secs(1))
        .answers([Answer::Fails(Broken(1)), Answer::Stream(stream)]);
    let layer = RateLimitLayer::new(limiter.clone())
        .retry(RetryLayer::new().max_attempts(1.try_into().unwrap()));
    let service = metrics.attach(layer, &limiter).layer(upstream);
    assert!(service.clone().oneshot(request("a")).await.is_err());
    drop(service.oneshot(request("a")).await.unwrap());
    let said = Text::of(&metrics.render().await);
    let duration = "gen_ai_client_operation_duration_seconds_count";
    assert_eq!(said.one(duration, &[("error_type", "connection")]), 1.0);
    assert_eq!(said.one(duration, &[("gen_ai_response_model", "m")]), 1.0);
    assert_eq!(
        said.one(
            "gen_ai_client_operation_time_to_first_chunk_seconds_sum",
            &[]
        ),
        1.0
    );
    // Nobody has said what it used: it is estimated, and no usage by the conventions.
    assert_eq!(said.names("gen_ai_client_token_usage"), [""; 0]);
    assert!(
        said.sum(
            "tower_quota_tokens_total",
            &[("tower_quota_kind", "output")]
        ) > 0.0
    );
}
