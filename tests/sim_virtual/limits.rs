//! What fits, what does not, and when it fits again.

use tower_quota::sim::{SimCharge, SimConfig, SimLimit, SimQuantity, SimShape};

use super::*;

/// Fills a limit of 3 requests a second, the first at 100 ms and the others at 300 ms.
async fn filled(shape: SimShape) -> Simulator {
    let simulator = limited([SimLimit::requests(3, ms(1_000)).shape(shape)]);
    pass(ms(100)).await;
    assert_eq!(status(&simulator, &chat()).await, 200);
    pass(ms(200)).await;
    assert_eq!(status(&simulator, &chat()).await, 200);
    assert_eq!(status(&simulator, &chat()).await, 200);
    simulator
}

/// The call is refused now; it is refused again one millisecond before the told time, and
/// admitted at it. Returns the told milliseconds.
async fn is_told_the_truth(simulator: &Simulator, call: &Call) -> u64 {
    let refused = send(simulator, call).await;
    assert_eq!(refused.status, 429);
    let millis = refused.number("retry-after-ms");
    assert_eq!(refused.number("retry-after"), millis.div_ceil(1_000));
    pass(ms(millis - 1)).await;
    let refused = send(simulator, call).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.number("retry-after-ms"), 1);
    assert_eq!(refused.number("retry-after"), 1);
    pass(ms(1)).await;
    assert_eq!(status(simulator, call).await, 200);
    millis
}

#[tokio::test(start_paused = true)]
async fn refuses_the_call_over_a_sliding_window_until_the_oldest_has_left() {
    let simulator = filled(SimShape::Sliding).await;
    assert_eq!(is_told_the_truth(&simulator, &chat()).await, 800);
    assert_eq!(is_told_the_truth(&simulator, &chat()).await, 200);
}

#[tokio::test(start_paused = true)]
async fn refuses_the_call_over_a_fixed_window_until_the_next_begins() {
    let simulator = filled(SimShape::Fixed).await;
    assert_eq!(is_told_the_truth(&simulator, &chat()).await, 700);
    assert_eq!(status(&simulator, &chat()).await, 200);
    assert_eq!(status(&simulator, &chat()).await, 200);
    assert_eq!(is_told_the_truth(&simulator, &chat()).await, 1_000);
}

#[tokio::test(start_paused = true)]
async fn refuses_the_call_over_a_bucket_until_one_has_been_refilled() {
    let simulator = filled(SimShape::Bucket).await;
    // Empty but for the 0.6 refilled between the first call and the others.
    assert_eq!(is_told_the_truth(&simulator, &chat()).await, 134);
    assert_eq!(is_told_the_truth(&simulator, &chat()).await, 333);
}

#[tokio::test(start_paused = true)]
async fn refuses_the_call_over_a_slice_inside_an_unspent_period() {
    let sliced = SimShape::Sliced { slice: ms(1_000) };
    let simulator = limited([SimLimit::requests(120, MINUTE).shape(sliced)]);
    assert_eq!(status(&simulator, &chat()).await, 200);
    let last = send(&simulator, &chat()).await;
    assert_eq!(last.status, 200);
    assert_eq!(last.number("x-ratelimit-limit-requests"), 120);
    assert_eq!(last.number("x-ratelimit-remaining-requests"), 118);
    assert_eq!(is_told_the_truth(&simulator, &chat()).await, 1_000);
}

#[tokio::test(start_paused = true)]
async fn tells_tokens_the_time_at_which_that_very_call_fits() {
    let simulator = limited([SimLimit::tokens(100, MINUTE)]);
    for wait in [0, 10_000, 10_000] {
        pass(ms(wait)).await;
        assert_eq!(status(&simulator, &chat().cap(30)).await, 200);
    }
    let refused = send(&simulator, &chat().cap(41)).await;
    assert_eq!(refused.number("retry-after-ms"), 50_000);
    assert_eq!(is_told_the_truth(&simulator, &chat().cap(40)).await, 40_000);
}

#[tokio::test(start_paused = true)]
async fn charges_all_limits_or_none() {
    let simulator = limited([
        SimLimit::requests(2, ms(1_000)),
        SimLimit::tokens(100, MINUTE),
    ]);
    assert_eq!(status(&simulator, &chat().cap(90)).await, 200);
    // Refused for its tokens, so the place among the requests is still free.
    assert_eq!(status(&simulator, &chat().cap(11)).await, 429);
    assert_eq!(status(&simulator, &chat().cap(10)).await, 200);
    // Both are full, and the tokens have room last.
    let refused = send(&simulator, &chat().cap(10)).await;
    assert_eq!(refused.number("retry-after-ms"), 60_000);
    let refusals = simulator.ledger();
    let by: Vec<_> = refusals.entries().iter().map(|a| a.refused_by).collect();
    assert_eq!(by, [None, Some(1), None, Some(1)]);
}

#[tokio::test(start_paused = true)]
async fn calls_a_request_too_large_that_no_waiting_helps() {
    let simulator = limited([SimLimit::tokens(30_000, MINUTE)]);
    let refused = send(&simulator, &chat().cap(30_001)).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("retry-after"), None);
    assert_eq!(refused.header("retry-after-ms"), None);
    let message = refused.json()["error"]["message"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        message.starts_with("Request too large for gpt "),
        "{message}"
    );
    assert!(
        message.contains("Limit 30000, Requested 30001."),
        "{message}"
    );
    assert_eq!(status(&simulator, &chat().cap(30_000)).await, 200);
}

#[tokio::test(start_paused = true)]
async fn explains_a_refusal_in_the_words_of_each_dialect() {
    let simulator = limited([SimLimit::tokens(1_000, MINUTE)]);
    assert_eq!(status(&simulator, &chat().cap(900)).await, 200);
    let openai = send(&simulator, &chat().cap(200)).await.json();
    assert_eq!(
        openai,
        json!({"error": {
            "message": "Rate limit reached for gpt in organization org-sim on tokens per min \
                (TPM): Limit 1000, Used 900, Requested 200. Please try again in 1m0s.",
            "type": "tokens", "param": null, "code": "rate_limit_exceeded"
        }})
    );
    let anthropic = send(&simulator, &message().cap(200)).await;
    assert_eq!(anthropic.header("retry-after"), Some("60"));
    assert_eq!(anthropic.header("retry-after-ms"), None);
    assert_eq!(anthropic.json()["type"], "error");
    assert_eq!(
        anthropic.json()["error"],
        json!({
            "type": "rate_limit_error",
            "message": "This request would exceed your organization's rate limit of 1,000 tokens \
                per minute."
        })
    );
    assert_eq!(
        anthropic.json()["request_id"],
        anthropic.header("request-id").unwrap()
    );
}

#[tokio::test(start_paused = true)]
async fn counts_each_key_and_each_model_for_itself_where_told_to() {
    let one = SimLimit::requests(1, MINUTE);
    let shared = limited([one.clone()]);
    assert_eq!(status(&shared, &chat().key("a")).await, 200);
    assert_eq!(status(&shared, &chat().key("b").model("other")).await, 429);

    let per_key = limited([one.clone().per_key()]);
    assert_eq!(status(&per_key, &chat().key("a")).await, 200);
    assert_eq!(status(&per_key, &chat().key("b")).await, 200);
    assert_eq!(status(&per_key, &chat().key("a").model("other")).await, 429);

    let per_model = limited([one.clone().per_model()]);
    assert_eq!(status(&per_model, &chat()).await, 200);
    assert_eq!(status(&per_model, &chat().model("other")).await, 200);
    assert_eq!(status(&per_model, &chat().key("b")).await, 429);

    let only = limited([one.for_model("gpt")]);
    assert_eq!(status(&only, &chat()).await, 200);
    assert_eq!(status(&only, &chat()).await, 429);
    for _ in 0..3 {
        let other = send(&only, &chat().model("other")).await;
        assert_eq!(other.status, 200);
        assert_eq!(other.header("x-ratelimit-limit-requests"), None);
    }
}

#[tokio::test(start_paused = true)]
async fn charges_the_larger_part_or_the_sum_and_never_corrects_it() {
    let tokens = SimLimit::tokens(1_000, MINUTE);
    let remaining = |limit: SimLimit, call: Call| async move {
        let simulator = limited([limit]);
        send(&simulator, &call).await;
        let later = send(&simulator, &chat().text(1)).await;
        later.number("x-ratelimit-remaining-tokens") + 1
    };
    let larger = tokens.clone();
    assert_eq!(
        remaining(larger.clone(), chat().text(10).cap(300)).await,
        700
    );
    assert_eq!(
        remaining(larger.clone(), chat().text(400).cap(300)).await,
        600
    );
    assert_eq!(remaining(larger, chat().text(10)).await, 990);
    let sum = tokens.charge(SimCharge::Sum);
    assert_eq!(remaining(sum, chat().text(10).cap(300)).await, 690);
}

#[tokio::test(start_paused = true)]
async fn charges_the_generated_output_when_the_answer_ends() {
    let limit = SimLimit::tokens(200, MINUTE).charge(SimCharge::Actual);
    let simulator = started(SimConfig {
        limits: vec![limit],
        chunk_delay: ms(1_000),
        chunks: 2,
        output_share: 0.5,
        ..SimConfig::default()
    });
    let open = begin(&simulator, &message().cap(200).stream())
        .await
        .unwrap();
    let remaining = "anthropic-ratelimit-tokens-remaining";
    assert_eq!(open.headers()[remaining], "190");
    read(open).await;
    // 10 of input at 0 s, 100 of output at 2 s, and 10 of this call's input.
    let next = send(&simulator, &message()).await;
    assert_eq!(next.number(remaining), 80);
    // The output counts from the end on: the first input leaves first.
    pass(ms(58_000)).await;
    assert_eq!(
        send(&simulator, &message().text(1)).await.number(remaining),
        39
    );
}

#[tokio::test(start_paused = true)]
async fn counts_input_and_output_apart() {
    let simulator = limited([
        SimLimit::new(SimQuantity::InputTokens, 100, MINUTE),
        SimLimit::new(SimQuantity::OutputTokens, 25, MINUTE),
    ]);
    // 10 tokens of output each: the third begins with room for 5, the fourth with none.
    for _ in 0..3 {
        assert_eq!(status(&simulator, &message()).await, 200);
    }
    let refused = send(&simulator, &message()).await;
    assert_eq!(refused.status, 429);
    assert_eq!(
        refused.number("anthropic-ratelimit-input-tokens-remaining"),
        70
    );
    assert_eq!(
        refused.number("anthropic-ratelimit-output-tokens-remaining"),
        0
    );
    let why = refused.json()["error"]["message"].to_string();
    assert!(
        why.contains("rate limit of 25 output tokens per minute"),
        "{why}"
    );
    pass(MINUTE).await;
    assert_eq!(status(&simulator, &message()).await, 200);
}

#[tokio::test(start_paused = true)]
async fn holds_a_slot_until_the_body_has_ended_or_was_dropped() {
    let simulator = limited([SimLimit::concurrency(1)]);
    let open = begin(&simulator, &chat().stream()).await.unwrap();
    let refused = send(&simulator, &chat()).await;
    assert_eq!(refused.status, 429);
    // Nobody knows when the other call will end.
    assert_eq!(refused.header("retry-after"), None);
    read(open).await;
    let open = begin(&simulator, &chat().stream()).await.unwrap();
    assert_eq!(open.status(), 200);
    assert_eq!(status(&simulator, &chat()).await, 429);
    drop(open);
    assert_eq!(status(&simulator, &chat()).await, 200);
}

#[tokio::test(start_paused = true)]
async fn frees_the_slot_of_a_call_given_up_before_its_answer() {
    let simulator = started(SimConfig {
        limits: vec![SimLimit::concurrency(1)],
        latency: ms(500),
        ..SimConfig::default()
    });
    let (call, early) = (chat(), ms(100));
    let given_up = tokio::time::timeout(early, begin(&simulator, &call)).await;
    assert!(given_up.is_err());
    assert_eq!(status(&simulator, &chat()).await, 200);
    assert_eq!(simulator.ledger().entries()[0].status, None);
}

#[tokio::test(start_paused = true)]
async fn charges_refused_calls_to_the_requests_only_where_told_to() {
    for (count_refused, wait) in [(false, 500), (true, 1_000)] {
        let simulator = started(SimConfig {
            limits: vec![
                SimLimit::requests(2, ms(1_000)),
                SimLimit::tokens(100, MINUTE),
            ],
            count_refused,
            ..SimConfig::default()
        });
        assert_eq!(status(&simulator, &chat()).await, 200);
        pass(ms(500)).await;
        assert_eq!(status(&simulator, &chat()).await, 200);
        let refused = send(&simulator, &chat()).await;
        assert_eq!(refused.number("x-ratelimit-remaining-tokens"), 80);
        assert_eq!(refused.number("retry-after-ms"), wait);
        pass(ms(wait)).await;
        assert_eq!(status(&simulator, &chat()).await, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn only_records_where_it_does_not_enforce() {
    let simulator = started(SimConfig {
        limits: vec![SimLimit::requests(1, MINUTE)],
        enforce: false,
        ..SimConfig::default()
    });
    for _ in 0..3 {
        assert_eq!(status(&simulator, &chat()).await, 200);
    }
    assert_eq!(simulator.ledger().refused(), 0);
}

#[tokio::test(start_paused = true)]
async fn tells_openai_the_time_to_a_full_limit_as_go_durations() {
    let bucket = |limit: SimLimit| limit.shape(SimShape::Bucket);
    let simulator = limited([
        bucket(SimLimit::requests(500, MINUTE)),
        bucket(SimLimit::tokens(30_000, MINUTE)),
    ]);
    let reply = send(&simulator, &chat().cap(600)).await;
    assert_eq!(reply.header("x-ratelimit-limit-requests"), Some("500"));
    assert_eq!(reply.header("x-ratelimit-remaining-requests"), Some("499"));
    assert_eq!(reply.header("x-ratelimit-reset-requests"), Some("120ms"));
    assert_eq!(reply.header("x-ratelimit-limit-tokens"), Some("30000"));
    assert_eq!(reply.header("x-ratelimit-remaining-tokens"), Some("29400"));
    assert_eq!(reply.header("x-ratelimit-reset-tokens"), Some("1.2s"));
    assert_eq!(reply.header("retry-after"), None);
    assert!(reply.header("x-request-id").is_some());
}

#[tokio::test(start_paused = true)]
async fn tells_anthropic_the_instant_of_a_full_limit_by_its_own_date() {
    let simulator = limited([SimLimit::requests(50, MINUTE)]);
    let reply = send(&simulator, &message()).await;
    assert_eq!(
        reply.header("anthropic-ratelimit-requests-limit"),
        Some("50")
    );
    assert_eq!(
        reply.header("anthropic-ratelimit-requests-remaining"),
        Some("49")
    );
    let date = httpdate::parse_http_date(reply.header("date").unwrap()).unwrap();
    let full = date + MINUTE;
    let reset = reply.header("anthropic-ratelimit-requests-reset").unwrap();
    // The date is rounded down to the second, the reset up.
    let told = [full, full + ms(1_000)].map(httpdate::fmt_http_date);
    let time = &reset[11..19];
    assert!(
        told.iter().any(|told| told.contains(time)),
        "{reset} is not in {told:?}"
    );
    assert!(reset.ends_with('Z'));
}

#[tokio::test(start_paused = true)]
async fn tells_a_limit_of_nothing_that_is_never_full_again() {
    let simulator = started(SimConfig {
        limits: vec![SimLimit::requests(0, MINUTE).shape(SimShape::Bucket)],
        enforce: false,
        ..SimConfig::default()
    });
    let reply = send(&simulator, &message()).await;
    assert_eq!(
        reply.header("anthropic-ratelimit-requests-reset"),
        Some("9999-12-31T23:59:59Z")
    );
    assert_eq!(status(&simulator, &chat()).await, 200);
}

#[tokio::test(start_paused = true)]
async fn another_amount_holds_at_once_and_what_was_charged_stays() {
    for shape in [SimShape::Sliding, SimShape::Fixed, SimShape::Bucket] {
        let simulator = limited([SimLimit::requests(4, MINUTE).shape(shape)]);
        assert_eq!(status(&simulator, &chat()).await, 200);
        assert_eq!(status(&simulator, &chat()).await, 200);
        simulator.set_amount(0, 2);
        let refused = send(&simulator, &chat()).await;
        assert_eq!(refused.status, 429, "{shape:?}");
        assert_eq!(refused.number("x-ratelimit-limit-requests"), 2);
        simulator.set_amount(0, 3);
        assert_eq!(status(&simulator, &chat()).await, 200, "{shape:?}");
        assert_eq!(status(&simulator, &chat()).await, 429, "{shape:?}");
        simulator.set_amount(1, 100);
        assert_eq!(
            status(&simulator, &chat()).await,
            429,
            "there is no such limit"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn another_amount_is_shared_out_over_slices() {
    let shape = SimShape::Sliced { slice: ms(1_000) };
    let simulator = limited([SimLimit::requests(120, MINUTE).shape(shape)]);
    simulator.set_amount(0, 60);
    assert_eq!(status(&simulator, &chat()).await, 200);
    simulator.set_amount(0, 60);
    assert_eq!(status(&simulator, &chat()).await, 429);
    simulator.set_amount(0, 180);
    assert_eq!(status(&simulator, &chat()).await, 200);
    assert_eq!(status(&simulator, &chat()).await, 200);
    assert_eq!(status(&simulator, &chat()).await, 429);
}
