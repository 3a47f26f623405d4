//! Each fault, and the call beside it that has none.

use tower_quota::sim::{FaultRule, Outcome};

use super::*;

fn outcome(simulator: &Simulator) -> Outcome {
    simulator.ledger().entries().last().unwrap().outcome
}

#[tokio::test(start_paused = true)]
async fn answers_any_status_in_the_shape_of_the_dialect() {
    let simulator = limited([]);
    let openai = send(&simulator, &chat().fault("status=503")).await;
    assert_eq!(openai.status, 503);
    assert_eq!(openai.json()["error"]["code"], "server_is_overloaded");
    let anthropic = send(&simulator, &message().stream().fault("status=529")).await;
    assert_eq!(anthropic.status, 529);
    assert_eq!(anthropic.header("content-type"), Some("application/json"));
    assert_eq!(anthropic.json()["error"]["type"], "overloaded_error");
    assert_eq!(status(&simulator, &chat()).await, 200);
    assert_eq!(simulator.ledger().ok(), 1);
    assert_eq!(simulator.ledger().billed().input, 10);
}

#[tokio::test(start_paused = true)]
async fn sends_retry_after_with_a_status_only_where_told_to() {
    let simulator = limited([]);
    let without = send(&simulator, &chat().fault("status=429")).await;
    assert_eq!((without.status, without.header("retry-after")), (429, None));
    let with = send(&simulator, &chat().fault("status=429;retry-after=7")).await;
    assert_eq!((with.status, with.header("retry-after")), (429, Some("7")));
}

#[tokio::test(start_paused = true)]
async fn charges_every_fault_but_the_429() {
    for (fault, next) in [
        ("status=429", 200),
        ("insufficient-quota", 200),
        ("status=500", 429),
    ] {
        let simulator = limited([SimLimit::requests(1, MINUTE)]);
        send(&simulator, &chat().fault(fault)).await;
        assert_eq!(status(&simulator, &chat()).await, next, "after {fault}");
    }
}

#[tokio::test(start_paused = true)]
async fn refuses_by_the_limit_before_it_fails_by_a_fault() {
    let simulator = limited([SimLimit::requests(0, MINUTE)]);
    for fault in ["status=503", "drop", "garbage"] {
        assert_eq!(status(&simulator, &chat().fault(fault)).await, 429);
    }
    assert_eq!(
        simulator
            .ledger()
            .over_limit(&[SimLimit::requests(0, MINUTE)]),
        3
    );
}

#[tokio::test(start_paused = true)]
async fn closes_the_connection_before_the_answer() {
    let simulator = limited([]);
    let error = begin(&simulator, &chat().fault("drop")).await.unwrap_err();
    assert_eq!(error, SimError::Dropped);
    let attempt = simulator.ledger().entries()[0].clone();
    assert_eq!((attempt.status, attempt.outcome), (None, Outcome::Spoilt));
    assert_eq!(attempt.finish, Some(Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn breaks_the_body_off_midway() {
    let simulator = limited([]);
    let whole = send(&simulator, &chat().cap(200)).await;
    assert!(whole.whole);
    let broken = send(&simulator, &chat().cap(200).fault("broken-stream")).await;
    assert_eq!((broken.status, broken.whole), (200, false));
    assert!(!broken.text.is_empty() && broken.text.len() < whole.text.len());
    assert_eq!(outcome(&simulator), Outcome::Spoilt);

    let stream = message().cap(200).stream().fault("broken-stream");
    let broken = send(&simulator, &stream).await;
    assert!(!broken.whole);
    assert_eq!(broken.text.matches("content_block_delta\n").count(), 4);
    assert!(!broken.text.contains("message_stop"));
    assert_eq!(simulator.ledger().entries()[2].billed.output, 10);
    assert_eq!(simulator.ledger().ok(), 1);
}

#[tokio::test(start_paused = true)]
async fn ends_a_stream_with_an_error_event_first_or_after_the_opening_or_late() {
    for (fault, opened, content) in [
        ("error-event", false, 0),
        ("error-event=opened", true, 0),
        ("error-event=late", true, 4),
    ] {
        let simulator = limited([]);
        let openai = send(&simulator, &chat().cap(200).stream().fault(fault)).await;
        assert_eq!((openai.status, openai.whole), (200, true));
        assert!(!openai.text.contains("[DONE]"));
        let events = openai.events();
        assert_eq!(events.last().unwrap()["error"]["type"], "server_error");
        assert_eq!(openai.text.contains("\"role\""), opened);
        assert_eq!(openai.text.matches(" ebb").count(), content * 20 / 8);

        let anthropic = send(&simulator, &message().cap(200).stream().fault(fault)).await;
        let events = anthropic.events();
        let error = events.last().unwrap();
        assert_eq!(error["type"], "error");
        assert_eq!(error["error"]["type"], "overloaded_error");
        assert!(!anthropic.text.contains("message_stop"));
        assert_eq!(anthropic.text.contains("message_start"), opened);
        assert_eq!(anthropic.text.matches("text_delta").count(), content);
        assert_eq!(outcome(&simulator), Outcome::Spoilt);
        assert_eq!(
            simulator.ledger().billed().output,
            2 * content as u64 * 20 / 8
        );
    }
}

#[tokio::test(start_paused = true)]
async fn knows_no_error_event_in_an_answer_that_is_not_streamed() {
    let reply = send(&limited([]), &chat().fault("error-event")).await;
    assert_eq!(reply.json()["object"], "chat.completion");
}

#[tokio::test(start_paused = true)]
async fn sends_the_headers_late() {
    let simulator = limited([]);
    begin(&simulator, &chat()).await.unwrap();
    assert_eq!(simulator.now(), Duration::ZERO);
    begin(&simulator, &chat().fault("slow-headers=250"))
        .await
        .unwrap();
    assert_eq!(simulator.now(), ms(250));
}

#[tokio::test(start_paused = true)]
async fn leaves_the_rate_headers_out() {
    let simulator = limited([SimLimit::requests(2, MINUTE)]);
    let call = chat().fault("missing-headers");
    let name = "x-ratelimit-limit-requests";
    assert!(send(&simulator, &chat()).await.header(name).is_some());
    assert!(send(&simulator, &call).await.header(name).is_none());
    let refused = send(&simulator, &call).await;
    assert_eq!(refused.status, 429);
    for name in [name, "retry-after", "retry-after-ms"] {
        assert_eq!(refused.header(name), None);
    }
}

#[tokio::test(start_paused = true)]
async fn leaves_the_usage_out_and_bills_it_all_the_same() {
    let simulator = limited([]);
    for call in [
        chat(),
        chat().stream().usage(),
        message(),
        message().stream(),
    ] {
        let reply = send(&simulator, &call.cap(200).fault("no-usage")).await;
        assert_eq!(reply.status, 200);
        assert!(!reply.text.contains("usage"), "{}", reply.text);
    }
    assert_eq!(simulator.ledger().billed().output, 4 * 20);
    assert_eq!(simulator.ledger().ok(), 4);
}

#[tokio::test(start_paused = true)]
async fn answers_200_with_something_that_is_not_json() {
    let simulator = limited([]);
    let reply = send(&simulator, &chat().fault("garbage")).await;
    assert_eq!(reply.status, 200);
    assert!(serde_json::from_str::<Value>(&reply.text).is_err());
    assert_eq!(outcome(&simulator), Outcome::Spoilt);
}

#[tokio::test(start_paused = true)]
async fn says_that_the_quota_is_used_up_without_a_time_to_retry() {
    let simulator = limited([]);
    let openai = send(&simulator, &chat().fault("insufficient-quota")).await;
    assert_eq!((openai.status, openai.header("retry-after")), (429, None));
    assert_eq!(openai.json()["error"]["code"], "insufficient_quota");
    let anthropic = send(&simulator, &message().fault("insufficient-quota")).await;
    let error = &anthropic.json()["error"];
    assert_eq!(
        error["details"]["error_code"],
        "enforced_spend_limit_reached"
    );
}

#[tokio::test(start_paused = true)]
async fn strikes_by_rule_the_nth_call_and_a_share_that_the_seed_decides() {
    let run = |rule: FaultRule, seed| async move {
        let simulator = started(SimConfig {
            faults: vec![rule],
            seed,
            ..SimConfig::default()
        });
        let mut struck = Vec::new();
        for number in 1..=200 {
            if status(&simulator, &chat()).await == 500 {
                struck.push(number);
            }
        }
        struck
    };
    let fault = || "status=500".parse().unwrap();
    let third = FaultRule {
        fault: fault(),
        nth: Some(3),
        ..FaultRule::default()
    };
    assert_eq!(run(third, 0).await, [3]);
    let share = || FaultRule {
        fault: fault(),
        probability: 0.2,
        ..FaultRule::default()
    };
    let one = run(share(), 1).await;
    assert!((20..60).contains(&one.len()), "{one:?}");
    assert_eq!(one, run(share(), 1).await);
    assert_ne!(one, run(share(), 2).await);
}
