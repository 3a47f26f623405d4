//! Providers that keep two accounts: limits go by what was read and written, money by what is billed.

use http::Request;
use serde_json::{Value, json};

use crate::answered::{Of, answered, typed};

/// What counts as input, as output and as money once Cohere has answered a call with this usage.
async fn counted(stream: bool, usage: &Value) -> [u64; 3] {
    let (kind, body) = answer(stream, usage);
    let call = json!({
        "model": "command-a-03-2025", "max_tokens": 20, "stream": stream,
        "messages": [{"role": "user", "content": "Name a mineral."}],
    });
    let asked = (Request::post("http://provider/v2/chat"), call);
    let of = [Of::Input, Of::Output, Of::Money];
    answered(of, asked, typed(kind, body)).await.0
}

/// Seven letters, whole or as a stream.
fn answer(stream: bool, usage: &Value) -> (&'static str, String) {
    if !stream {
        let answer = json!({
            "id": "1", "finish_reason": "COMPLETE", "usage": usage,
            "message": {"role": "assistant", "content": [{"type": "text", "text": "Quartz."}]},
        });
        return ("application/json", answer.to_string());
    }
    let text = json!({
        "type": "content-delta", "index": 0,
        "delta": {"message": {"content": {"text": "Quartz."}}},
    });
    let end = json!({
        "type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": usage},
    });
    let body = format!("event: content-delta\ndata: {text}\n\nevent: message-end\ndata: {end}\n\n");
    ("text/event-stream", body)
}

#[tokio::test(start_paused = true)]
async fn cohere_charges_what_it_bills_and_not_what_its_model_reads() {
    let sample = include_str!("../wire/cohere-chat.json");
    let sample: Value = serde_json::from_str(sample).unwrap();
    let usage = &sample["usage"];
    // 12 tokens at $2.50 a million, and 7 at $10.
    for stream in [false, true] {
        assert_eq!(counted(stream, usage).await, [507, 10, 100_000], "{stream}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_both_billed_counts_tokens_are_charged() {
    let tokens = json!({"input_tokens": 507, "output_tokens": 10});
    let read = [507, 10, 507 * 2_500 + 10 * 10_000];
    for billed in [
        json!({}),
        json!({"input_tokens": 12}),
        json!({"output_tokens": 7}),
        // Nothing for an answer that was seen.
        json!({"input_tokens": 12, "output_tokens": 0}),
    ] {
        let usage = json!({"billed_units": billed, "tokens": tokens});
        for stream in [false, true] {
            assert_eq!(counted(stream, &usage).await, read, "{usage}, {stream}");
        }
    }
    let billed_alone = json!({"billed_units": {"input_tokens": 12, "output_tokens": 7}});
    assert_eq!(counted(false, &billed_alone).await, [12, 7, 100_000]);
}

/// What counts as input and as money once Cohere has embedded something and charges so.
async fn embedded(billed: &Value) -> [u64; 2] {
    let answer = json!({
        "id": "1", "embeddings": {"float": [[0.5]]}, "meta": {"billed_units": billed},
    });
    let call = json!({
        "model": "embed-v4.0", "texts": ["Quartz."], "images": ["data:image/png;base64,QUJD"],
    });
    let asked = (Request::post("http://provider/v2/embed"), call);
    let answer = typed("application/json", answer.to_string());
    answered([Of::Input, Of::Money], asked, answer).await.0
}

#[tokio::test(start_paused = true)]
async fn images_are_charged_as_input() {
    for (billed, tokens) in [
        (json!({"input_tokens": 3}), 3),
        (json!({"input_tokens": 3, "image_tokens": 258}), 261),
        (json!({"image_tokens": 258}), 258),
    ] {
        // At $0.12 a million.
        assert_eq!(embedded(&billed).await, [tokens, tokens * 120], "{billed}");
    }
    let [estimate, money] = embedded(&json!({"images": 1})).await;
    assert!(estimate > 0);
    assert_eq!(money, estimate * 120);
}
