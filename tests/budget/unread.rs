//! Answers of which nobody can read what they used: what was reserved is charged.

use http::Request;
use serde_json::{Value, json};

use crate::answered::{Of, answered, typed};

const OUTPUT_CAP: u64 = 1_000;

/// What an answer to a chat costs with these headers.
async fn chat(headers: &[(&'static str, &str)]) -> u64 {
    let call = json!({
        "model": "gpt-4o-mini", "max_tokens": OUTPUT_CAP,
        "messages": [{"role": "user", "content": "Name a mineral."}],
    });
    let usage = json!({"prompt_tokens": 10, "completion_tokens": 8, "total_tokens": 18});
    let choice = json!({"index": 0, "message": {"role": "assistant", "content": "Quartz."}, "finish_reason": "stop"});
    let answer = json!({"choices": [choice], "usage": usage, "model": "gpt-4o-mini"});
    let mut answer = typed("application/json", answer.to_string());
    for (name, value) in headers {
        answer.headers_mut().insert(*name, value.parse().unwrap());
    }
    let request = Request::post("http://provider/v1/chat/completions");
    answered([Of::Money], (request, call), answer).await.0[0]
}

/// $0.15 a million in and $0.60 out.
#[tokio::test(start_paused = true)]
async fn what_is_compressed_costs_what_was_reserved() {
    let read = 10 * 150 + 8 * 600;
    assert_eq!(chat(&[]).await, read);
    assert_eq!(chat(&[("content-encoding", "identity")]).await, read);
    for coding in ["gzip", "br", "zstd"] {
        let cost = chat(&[("content-encoding", coding)]).await;
        assert!(cost >= OUTPUT_CAP * 600, "{coding}: {cost}");
    }
}

async fn gemini(stream: bool, usage: Option<Value>) -> u64 {
    const MODEL: &str = "gemini-2.5-flash";
    let mut answer = json!({
        "candidates": [{
            "content": {"role": "model", "parts": [{"text": "Quartz."}]}, "finishReason": "STOP",
        }],
    });
    if let Some(usage) = usage {
        answer["usageMetadata"] = usage;
    }
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
        "generationConfig": {"maxOutputTokens": OUTPUT_CAP},
    });
    let request = Request::post(format!("http://provider/v1beta/models/{MODEL}:{method}"));
    answered([Of::Money], (request, call), typed(kind, body))
        .await
        .0[0]
}

/// Google leaves the usage out where the caller asks for some fields only, and what was cached and thought with it. $0.30 a
/// million in and $2.50 out.
#[tokio::test(start_paused = true)]
async fn an_answer_of_google_without_its_usage_costs_what_was_reserved() {
    for stream in [false, true] {
        let usage =
            json!({"promptTokenCount": 30, "candidatesTokenCount": 8, "totalTokenCount": 38});
        assert_eq!(gemini(stream, Some(usage)).await, 30 * 300 + 8 * 2_500);
        let cost = gemini(stream, None).await;
        assert!(cost >= OUTPUT_CAP * 2_500, "{stream}: {cost}");
    }
}
