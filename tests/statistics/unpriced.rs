//! What is charged for in other ways than by the token.

use super::*;

/// What is counted as unpriced of one call in this API that is answered so.
async fn unpriced(path: &str, model: &str, answer: serde_json::Value) -> u64 {
    let statistics = statistics();
    let provider = tower::service_fn(move |_: Request<Full<Bytes>>| {
        let answer = Response::builder()
            .header("content-type", "application/json")
            .body(Full::<Bytes>::from(answer.to_string()));
        std::future::ready(Ok::<_, SimError>(answer.unwrap()))
    });
    let service = BudgetLayer::new(limiter([wide()]), Arc::new(PriceTable::built_in()))
        .statistics(statistics.clone())
        .layer(provider);
    let body = json!({
        "model": model, "max_tokens": 50, "max_output_tokens": 50, "input": "hello",
        "messages": [{"role": "user", "content": "hello"}],
    });
    let request = Request::post(format!("http://sim{path}"))
        .header("anthropic-version", "2023-06-01")
        .body(Full::from(body.to_string()))
        .unwrap();
    assert_eq!(ask(&service, request).await, 200);
    let all = all(&statistics);
    assert!(all.requests == 1 && all.cost > Money::ZERO, "{all:?}");
    all.unpriced
}

/// B13: what tokens do not show.
#[tokio::test(start_paused = true)]
async fn what_is_charged_besides_tokens_is_said_not_to_be_in_the_cost() {
    let responses = |tool: &str| {
        json!({
            "object": "response", "status": "completed", "model": "gpt-4o",
            "output": [{"type": tool, "status": "completed"}],
            "usage": {"input_tokens": 30, "output_tokens": 8, "total_tokens": 38},
        })
    };
    for (tool, count) in [
        ("web_search_call", 1),
        ("file_search_call", 1),
        ("code_interpreter_call", 1),
        ("image_generation_call", 1),
        // The caller's own.
        ("function_call", 0),
        ("message", 0),
    ] {
        let seen = unpriced("/v1/responses", "gpt-4o", responses(tool)).await;
        assert_eq!(seen, count, "{tool}");
    }
    let chat = |audio: u64| {
        json!({
            "model": "gpt-4o", "choices": [{"index": 0, "finish_reason": "stop"}],
            "usage": {
                "prompt_tokens": 30, "completion_tokens": 8, "total_tokens": 38,
                "prompt_tokens_details": {"audio_tokens": audio},
            },
        })
    };
    for (audio, count) in [(20, 1), (0, 0)] {
        let seen = unpriced("/v1/chat/completions", "gpt-4o", chat(audio)).await;
        assert_eq!(seen, count, "{audio} tokens of audio");
    }
    let message = |place: &str, tool: &str, times: u64| {
        json!({
            "type": "message", "model": "claude-sonnet-4-5", "content": [], "stop_reason": "end_turn",
            "usage": {
                "input_tokens": 30, "output_tokens": 8, "inference_geo": place,
                "server_tool_use": {tool: times},
            },
        })
    };
    for (place, tool, times, count) in [
        ("us", "web_search_requests", 0, 1),
        ("global", "web_search_requests", 2, 1),
        ("global", "web_search_requests", 0, 0),
        ("not_available", "web_fetch_requests", 3, 0),
    ] {
        let answer = message(place, tool, times);
        let seen = unpriced("/v1/messages", "claude-sonnet-4-5", answer).await;
        assert_eq!(seen, count, "{place}, {times} {tool}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cost_that_the_provider_names_leaves_nothing_out() {
    let answer = |usage: serde_json::Value| {
        json!({
            "model": "gpt-4o", "choices": [{"index": 0, "finish_reason": "stop"}], "usage": usage,
        })
    };
    let mut usage = json!({
        "prompt_tokens": 30, "completion_tokens": 8, "total_tokens": 38,
        "prompt_tokens_details": {"audio_tokens": 20},
    });
    let path = "/v1/chat/completions";
    assert_eq!(unpriced(path, "gpt-4o", answer(usage.clone())).await, 1);
    usage["cost"] = json!(0.01);
    assert_eq!(unpriced(path, "gpt-4o", answer(usage)).await, 0);
}
