//! What is charged for in other ways than by the token.

use super::*;

/// What is counted as unpriced of one call in this API that is answered so, by the built-in prices.
async fn unpriced(path: &str, model: &str, answer: serde_json::Value) -> u64 {
    unpriced_by(Arc::new(PriceTable::built_in()), path, model, answer).await
}

/// The same by these prices.
async fn unpriced_by(
    prices: Arc<PriceTable>,
    path: &str,
    model: &str,
    answer: serde_json::Value,
) -> u64 {
    let statistics = statistics();
    let provider = tower::service_fn(move |_: Request<Full<Bytes>>| {
        let answer = Response::builder()
            .header("content-type", "application/json")
            .body(Full::<Bytes>::from(answer.to_string()));
        std::future::ready(Ok::<_, SimError>(answer.unwrap()))
    });
    let service = BudgetLayer::new(limiter([wide()]), prices)
        .statistics(statistics.clone())
        .layer(provider);
    let body = json!({
        "model": model, "max_tokens": 50, "max_output_tokens": 50, "input": "hello", "texts": ["hello"],
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

#[tokio::test(start_paused = true)]
async fn searches_of_gemini_are_said_not_to_be_in_the_cost() {
    let answer = |grounding: serde_json::Value| {
        json!({
            "candidates": [{
                "content": {"role": "model", "parts": [{"text": "hello"}]},
                "finishReason": "STOP", "groundingMetadata": grounding,
            }],
            "usageMetadata": {"promptTokenCount": 30, "candidatesTokenCount": 8, "totalTokenCount": 38},
            "modelVersion": "gemini-2.5-flash",
        })
    };
    let path = "/v1beta/models/gemini-2.5-flash:generateContent";
    for (grounding, count) in [
        (json!({"webSearchQueries": ["a", "b"]}), 1),
        (json!({"webSearchQueries": []}), 0),
        (json!({}), 0),
    ] {
        let seen = unpriced(path, "gemini-2.5-flash", answer(grounding.clone())).await;
        assert_eq!(seen, count, "{grounding}");
    }
}

#[tokio::test(start_paused = true)]
async fn tools_of_chats_are_said_not_to_be_in_the_cost() {
    let path = "/v1/chat/completions";
    let chat = |message: serde_json::Value, told: Option<f64>| {
        json!({
            "model": "gpt-4o", "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
            "usage": {
                "prompt_tokens": 30, "completion_tokens": 8, "total_tokens": 38, "cost": told,
            },
        })
    };
    let searched = json!({"executed_tools": [{"index": 0, "type": "search", "arguments": "{}"}]});
    let computed = json!({"executed_tools": [{"index": 0, "type": "python", "arguments": "{}"}]});
    let cites = json!({"annotations": [{"type": "url_citation", "url_citation": {"url": "u"}}]});
    let none = json!({"annotations": [], "executed_tools": null});
    for (message, count) in [(searched, 1), (computed, 1), (cites, 1), (none, 0)] {
        let seen = unpriced(path, "gpt-4o", chat(message.clone(), None)).await;
        assert_eq!(seen, count, "{message}");
        let told = unpriced(path, "gpt-4o", chat(message.clone(), Some(0.01))).await;
        assert_eq!(told, 0, "{message}");
    }
}

#[tokio::test(start_paused = true)]
async fn images_that_cohere_charges_are_said_not_to_be_in_the_cost() {
    let embed = |billed: serde_json::Value| {
        let meta = json!({ "billed_units": billed });
        json!({"id": "1", "embeddings": {"float": [[0.5]]}, "meta": meta})
    };
    for (billed, count) in [
        (json!({"input_tokens": 30}), 0),
        (json!({"input_tokens": 30, "image_tokens": 258}), 1),
        (json!({"image_tokens": 258}), 1),
        // No tokens at all: it is paid for as it was estimated.
        (json!({"images": 1}), 1),
    ] {
        let seen = unpriced("/v2/embed", "embed-v4.0", embed(billed.clone())).await;
        assert_eq!(seen, count, "{billed}");
    }
}

/// B13: dearer tiers of which nobody knows what they cost.
#[tokio::test(start_paused = true)]
async fn a_dearer_tier_without_rates_is_said_not_to_be_in_the_cost() {
    let converse = |tier: &str, latency: &str| {
        json!({
            "output": {"message": {"role": "assistant", "content": [{"text": "hello"}]}},
            "stopReason": "end_turn", "serviceTier": {"type": tier},
            "performanceConfig": {"latency": latency},
            "usage": {"inputTokens": 30, "outputTokens": 8, "totalTokens": 38},
        })
    };
    let (claude, nova) = ("anthropic.claude-opus-5-5", "amazon.nova-pro-v1:0");
    for (model, tier, latency, count) in [
        (claude, "default", "standard", 0),
        (claude, "priority", "standard", 1),
        (claude, "flex", "standard", 0),
        (claude, "default", "optimized", 1),
        (nova, "priority", "standard", 0),
        (nova, "flex", "standard", 0),
        (nova, "default", "optimized", 1),
    ] {
        let path = format!("/model/{model}/converse");
        let seen = unpriced(&path, model, converse(tier, latency)).await;
        assert_eq!(seen, count, "{model}, {tier}, {latency}");
    }
    let message = |tier: &str, speed: &str| {
        json!({
            "type": "message", "content": [], "stop_reason": "end_turn",
            "usage": {
                "input_tokens": 30, "output_tokens": 8, "service_tier": tier, "speed": speed,
            },
        })
    };
    for (model, tier, speed, count) in [
        ("claude-sonnet-4-5", "standard", "standard", 0),
        ("claude-sonnet-4-5", "standard", "fast", 1),
        ("claude-opus-4-8", "standard", "fast", 0),
        // Bought ahead.
        ("claude-sonnet-4-5", "priority", "standard", 0),
    ] {
        let seen = unpriced("/v1/messages", model, message(tier, speed)).await;
        assert_eq!(seen, count, "{model}, {tier}, {speed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_price_of_ones_own_knows_the_tiers_that_it_names() {
    let path = "/v1/chat/completions";
    let chat = |tier: &str, told: Option<f64>| {
        json!({
            "model": "m", "choices": [{"index": 0, "finish_reason": "stop"}],
            "service_tier": tier,
            "usage": {
                "prompt_tokens": 30, "completion_tokens": 8, "total_tokens": 38, "cost": told,
            },
        })
    };
    for (tier, told, count) in [
        ("default", None, 0),
        ("flex", None, 0),
        ("priority", None, 1),
        ("priority", Some(0.01), 0),
        ("ultrafast", None, 1),
        // Whatever that is.
        ("turbo", None, 1),
        ("turbo", Some(0.01), 0),
    ] {
        let seen = unpriced_by(prices(), path, "m", chat(tier, told)).await;
        assert_eq!(seen, count, "{tier}, {told:?}");
    }
    let mut price = Price::new("1".parse().unwrap(), "10".parse().unwrap());
    let dearer = Price::new("2".parse().unwrap(), "20".parse().unwrap());
    price.tiers = vec![(ServiceTier::Priority, dearer.standard)];
    let mut table = PriceTable::new();
    table.insert("openai", "m", price);
    let table = Arc::new(table);
    assert_eq!(
        unpriced_by(table, path, "m", chat("priority", None)).await,
        0
    );
}
