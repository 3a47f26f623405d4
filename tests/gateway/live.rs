//! D3: real providers, where their keys are in the environment and somebody says that money may be spent.
//!
//! `TOWER_QUOTA_LIVE=1 OPENAI_API_KEY=… cargo test --all-features --test gateway live:: -- --ignored --nocapture`

use std::env;

use serde_json::{Value, json};

use crate::{
    calls::{client, json_of},
    process::{ConfigFile, Gateway},
};

/// The variable with the key, the upstream, the path, a cheap model, and where its answer has the tokens of its output.
const PROVIDERS: [(&str, &str, &str, &str, &str); 3] = [
    (
        "OPENAI_API_KEY",
        "openai",
        "/v1/chat/completions",
        "gpt-5-nano",
        "/usage/completion_tokens",
    ),
    (
        "ANTHROPIC_API_KEY",
        "anthropic",
        "/v1/messages",
        "claude-haiku-5-5",
        "/usage/output_tokens",
    ),
    (
        "GEMINI_API_KEY",
        "gemini",
        "/v1beta/models/gemini-2.5-flash-lite:generateContent",
        "gemini-2.5-flash-lite",
        "/usageMetadata/candidatesTokenCount",
    ),
];

fn body(provider: &str, model: &str) -> Value {
    let says = "Say yes.";
    match provider {
        "gemini" => {
            json!({ "contents": [{ "parts": [{ "text": says }] }], "generationConfig": { "maxOutputTokens": 200 } })
        }
        "anthropic" => {
            json!({ "model": model, "max_tokens": 200, "messages": [{ "role": "user", "content": says }] })
        }
        _ => {
            json!({ "model": model, "max_completion_tokens": 500, "messages": [{ "role": "user", "content": says }] })
        }
    }
}

#[tokio::test]
#[ignore = "needs keys of providers"]
async fn d3_a_call_to_each_real_provider_is_answered_and_its_cost_is_known() {
    for (variable, provider, path, model, output) in PROVIDERS {
        let may = env::var("TOWER_QUOTA_LIVE").is_ok_and(|may| may == "1");
        if !may || env::var(variable).is_err() {
            println!(
                "NOT RUN: {provider}: set {variable} and TOWER_QUOTA_LIVE=1 to spend a hundredth of a cent there"
            );
            continue;
        }
        let text = format!(
            "rate_limiting: {{ max_daily_spend: 0.10 }}
gateway: {{ listen: '127.0.0.1:0', upstreams: {{ {provider}: {{ key: '${{{variable}}}' }} }} }}"
        );
        let config = ConfigFile::new(&text);
        let gateway = Gateway::start_args(&["--config", config.path()]).await;
        let call = client()
            .post(gateway.url(path))
            .header("content-type", "application/json")
            .header("anthropic-version", "2023-06-01")
            .body(body(provider, model).to_string());
        let answer = call.send().await.unwrap();
        let cost = answer.headers().get("x-quota-cost").cloned();
        let (status, body) = json_of(answer).await;
        assert_eq!(status, 200, "{provider}: {body}");
        assert!(
            body.pointer(output).and_then(Value::as_u64) > Some(0),
            "{provider}: {body}"
        );
        let cost: f64 = cost.unwrap().to_str().unwrap().parse().unwrap();
        assert!(cost > 0.0 && cost < 0.01, "{provider}: {cost}");
        println!("RUN: {provider}: ${cost}");
    }
}
