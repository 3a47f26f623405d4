//! What is asked and what is answered is kept nowhere and said nowhere (S8): the program over a run with a file, whose texts
//! are marked.

use axum::{Json, Router, http::StatusCode, response::IntoResponse as _, routing::post};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{
    folder::Folder,
    outputs::{Outputs, secret},
    process::Gateway,
};

const LIMITS: &str = "
  global: { rpm: 6 }
  max_daily_spend: 1
  alert_threshold: 0.000001";

/// An upstream whose answers, and the errors of which, say what is marked.
async fn upstream() -> String {
    let answer = async |Json(asked): Json<Value>| {
        let said = secret("answer");
        let usage = json!({ "prompt_tokens": 9, "completion_tokens": 5 });
        if asked["user"] == "wrong" {
            let error = json!({ "error": { "message": said, "type": "invalid_request_error" } });
            return (StatusCode::BAD_REQUEST, Json(error)).into_response();
        }
        if asked["stream"] == true {
            let delta = json!({ "choices": [{ "delta": { "content": said } }] });
            let last = json!({ "choices": [], "usage": usage });
            let body = format!("data: {delta}\n\ndata: {last}\n\ndata: [DONE]\n\n");
            return ([("content-type", "text/event-stream")], body).into_response();
        }
        let message = json!({ "role": "assistant", "content": said });
        Json(json!({ "model": "gpt-4o-mini", "choices": [{ "message": message }], "usage": usage }))
            .into_response()
    };
    let app = Router::new().route("/v1/chat/completions", post(answer));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, app).await });
    format!("http://{addr}")
}

/// S8: no text of a prompt or an answer is ever stored or logged.
#[tokio::test]
async fn no_text_of_a_prompt_or_an_answer_is_kept_or_said() {
    let (outputs, folder) = (Outputs::default(), Folder::new());
    let file = folder.file("ledger.db");
    let store = format!("{LIMITS}\n  store: 'sqlite:{}'", file.display());
    let gateway = Gateway::start(&upstream().await, &store).await;
    let client = Client::builder().no_proxy().build().unwrap();
    let mut answered = 0;
    for number in 0..8 {
        let asked = json!({
            "model": "gpt-4o-mini", "max_tokens": 50, "stream": number % 2 == 1,
            "user": if number == 2 { "wrong" } else { "right" },
            "messages": [
                { "role": "system", "content": secret("system") },
                { "role": "user", "content": secret("prompt") },
            ],
            "tools": [{ "type": "function", "function": { "name": "f", "description": secret("tool") } }],
        });
        let call = client.post(gateway.url("/v1/chat/completions"));
        let call = call.header("content-type", "application/json");
        // Two too many, which do not wait: something is refused.
        let call = call.header("x-quota-deadline", "0s");
        let answer = call.body(asked.to_string()).send().await.unwrap();
        let status = answer.status();
        outputs.debug("the headers of an answer", answer.headers());
        let text = answer.text().await.unwrap();
        answered += usize::from(text.contains(&secret("answer")));
        if status == 429 {
            outputs.text("a refusal", text);
        }
    }
    assert_eq!(answered, 6, "the marks go through to who asked");
    for path in [
        "/metrics",
        "/quota/status",
        "/quota/calls",
        "/quota/refusals",
        "/quota/audit",
        "/quota/costs",
    ] {
        let answer = client.get(gateway.url(path)).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        outputs.text(path, answer.text().await.unwrap());
    }
    for line in gateway.said().await {
        outputs.text("what the program says", line);
    }
    let mut kept = 0;
    for entry in std::fs::read_dir(file.parent().unwrap()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        kept += bytes.len();
        outputs.text("a file", String::from_utf8_lossy(&bytes));
    }
    assert!(kept > 10_000, "the file has something in it: {kept}");
    outputs.are_clean(20);
}
