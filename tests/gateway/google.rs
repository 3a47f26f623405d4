//! What all of Google's APIs know, and takes the usage out of an answer: it is refused where that would be read.

use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::{
    calls::{client, json_of},
    process::{Gateway, soon},
    upstream::echo,
};

const GENERATE: &str = "/v1beta/models/gemini-2.5-pro:generateContent";

async fn asked(call: RequestBuilder) -> (u16, Value) {
    json_of(soon(call.send()).await.unwrap()).await
}

/// In front of these upstreams.
async fn started() -> Gateway {
    let at = echo().await;
    let upstreams = format!(
        "{{ gemini: {{ url: 'http://{at}', key: sk-of-gemini }}, openai: {{ url: 'http://{at}' }} }}"
    );
    let text = format!(
        "rate_limiting: {{}}\ngateway: {{ listen: '127.0.0.1:0', upstreams: {upstreams} }}"
    );
    Gateway::start_text("", &text).await
}

fn post(gateway: &Gateway, path: &str) -> RequestBuilder {
    let body = json!({"model": "gemini-2.5-pro", "contents": [], "messages": [], "content": {}});
    client().post(gateway.url(path)).body(body.to_string())
}

#[tokio::test]
async fn what_takes_the_usage_out_of_an_answer_is_refused_in_googles_words() {
    let gateway = started().await;
    for query in [
        "fields=candidates",
        "%24fields=candidates",
        "alt=proto",
        "$alt=media",
        "callback=f",
    ] {
        for method in ["generateContent", "streamGenerateContent", "embedContent"] {
            let path = format!("/v1beta/models/gemini-2.5-pro:{method}?key=x&{query}");
            let (status, body) = asked(post(&gateway, &path)).await;
            let error = &body["error"];
            let expected = (400, &json!("INVALID_ARGUMENT"));
            assert_eq!((status, &error["status"]), expected, "{path}: {body}");
            let message = error["message"].as_str().unwrap();
            assert!(message.starts_with("leave out `"), "{message}");
        }
    }
    let masked = post(&gateway, GENERATE).header("x-goog-fieldmask", "candidates");
    let (status, body) = asked(masked).await;
    assert_eq!(status, 400, "{body}");
    assert!(body.to_string().contains("x-goog-fieldmask"), "{body}");
    // The same of the API of Google's that is like OpenAI's.
    let path = "/gemini/v1beta/openai/chat/completions?fields=choices";
    let (status, body) = asked(post(&gateway, path)).await;
    assert_eq!(
        (status, &body["error"]["code"]),
        (400, &json!("bad_request"))
    );
}

#[tokio::test]
async fn what_leaves_it_there_passes_and_so_does_what_is_not_metered() {
    let gateway = started().await;
    for (path, expected) in [
        (format!("{GENERATE}?alt=sse&prettyPrint=false"), None),
        (format!("{GENERATE}?$alt=json"), None),
        (
            format!("{GENERATE}?%24alt=json%3Benum-encoding%3Dint"),
            Some(GENERATE),
        ),
        (
            "/v1beta/models/gemini-2.5-pro:countTokens?fields=totalTokens".to_owned(),
            None,
        ),
        // No API of Google's.
        ("/v1/chat/completions?fields=choices&alt=x".to_owned(), None),
    ] {
        let (status, seen) = asked(post(&gateway, &path)).await;
        assert_eq!(status, 200, "{path}: {seen}");
        assert_eq!(seen["path"], expected.unwrap_or(&path), "{seen}");
    }
    let list = client().get(gateway.url("/v1beta/models?fields=models"));
    let (status, seen) = asked(list.header("x-goog-fieldmask", "models")).await;
    assert_eq!(
        (status, &seen["path"]),
        (200, &json!("/v1beta/models?fields=models"))
    );
}

#[tokio::test]
async fn of_a_route_any_target_may_be_googles() {
    let at = echo().await;
    let text = format!(
        "rate_limiting:
  failover:
    providers: {{ google: {{ base_url: 'http://{at}/v1beta/openai', keys: [sk-of-google] }} }}
    routes: {{ gemini-2.5-pro: [google/gemini-2.5-pro] }}
gateway: {{ listen: '127.0.0.1:0' }}"
    );
    let gateway = Gateway::start_text("", &text).await;
    let path = "/v1/chat/completions";
    let (status, body) = asked(post(&gateway, &format!("{path}?fields=choices"))).await;
    assert_eq!(status, 400, "{body}");
    let (status, seen) = asked(post(&gateway, &format!("{path}?x=1"))).await;
    assert_eq!(
        (status, &seen["path"]),
        (200, &json!("/v1beta/openai/chat/completions?x=1"))
    );
}
