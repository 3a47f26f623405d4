//! Tiers that Google's answers say they were served in.

use http::Request;
use serde_json::{Value, json};

use crate::answered::{Of, answered, typed};

const MODEL: &str = "gemini-2.5-flash";

/// What an answer costs of which a header or its usage name a tier, whole or as a stream.
async fn cost(header: Option<&'static str>, stream: bool, usage: &Value) -> u64 {
    let answer = json!({
        "candidates": [{
            "content": {"role": "model", "parts": [{"text": "Quartz."}]}, "finishReason": "STOP",
        }],
        "usageMetadata": usage, "modelVersion": MODEL,
    });
    let (kind, method, body) = match stream {
        true => (
            "text/event-stream",
            "streamGenerateContent?alt=sse",
            format!("data: {answer}\r\n\r\n"),
        ),
        false => ("application/json", "generateContent", answer.to_string()),
    };
    let call = json!({
        "contents": [{"parts": [{"text": "Name a mineral."}]}],
        "generationConfig": {"maxOutputTokens": 20},
    });
    let request = Request::post(format!("http://provider/v1beta/models/{MODEL}:{method}"));
    let mut answer = typed(kind, body);
    if let Some(tier) = header {
        let tier = tier.parse().unwrap();
        answer.headers_mut().insert("x-gemini-service-tier", tier);
    }
    answered([Of::Money], (request, call), answer).await.0[0]
}

/// $0.30 a million in and $2.50 out; half of it where there is room, and 1.8 times as much before others.
#[tokio::test(start_paused = true)]
async fn the_tier_of_an_answer_is_in_its_usage_and_in_a_header() {
    let [usual, flex, priority] = [
        30 * 300 + 8 * 2_500,
        30 * 150 + 8 * 1_250,
        30 * 540 + 8 * 4_500,
    ];
    for (header, key, tier, expected) in [
        (None, "serviceTier", "standard", usual),
        (None, "serviceTier", "flex", flex),
        (None, "serviceTier", "priority", priority),
        (None, "serviceTier", "PRIORITY", priority),
        (None, "trafficType", "ON_DEMAND_PRIORITY", priority),
        (Some("standard"), "x", "", usual),
        (Some("flex"), "x", "", flex),
        (Some("priority"), "x", "", priority),
        (Some("Standard"), "serviceTier", "priority", priority),
        // It was asked for in one, and is said to have been served in the other.
        (Some("priority"), "serviceTier", "standard", usual),
    ] {
        let usage = json!({
            "promptTokenCount": 30, "candidatesTokenCount": 8, "totalTokenCount": 38, key: tier,
        });
        for stream in [false, true] {
            let cost = cost(header, stream, &usage).await;
            assert_eq!(cost, expected, "{header:?}, {usage}, {stream}");
        }
    }
}
