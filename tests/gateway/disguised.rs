//! Calls that tell the upstream that they are others than they look like, and answers that lead elsewhere.

use axum::{body::Body, response::Response};
use http::Method;
use reqwest::redirect::Policy;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    calls::{client, json_of},
    process::{Gateway, soon},
    upstream::{answering, echo},
};

/// Of OpenAI's, with a key, and of a server of one's own, to which all may pass.
async fn started() -> Gateway {
    let at = echo().await;
    let text = format!(
        "rate_limiting: {{}}
gateway:
  listen: '127.0.0.1:0'
  upstreams:
    openai: {{ url: 'http://{at}', key: sk-of-openai }}
    own: {{ url: 'http://{at}', unmetered: allow }}"
    );
    Gateway::start_text("", &text).await
}

#[tokio::test]
async fn a_call_that_says_it_is_of_another_method_is_refused() {
    let gateway = started().await;
    for path in ["/v1/chat/completions", "/own/x"] {
        for name in [
            "x-http-method-override",
            "x-http-method",
            "x-method-override",
            "x_http_method_override",
        ] {
            for method in [Method::GET, Method::POST] {
                let call = client().request(method, gateway.url(path));
                let answer = soon(call.header(name, "POST").send()).await.unwrap();
                let (status, body) = json_of(answer).await;
                assert_eq!(status, 400, "{name}: {body}");
                assert!(body.to_string().contains("of another method"), "{body}");
            }
        }
        for query in ["$httpMethod=POST", "a=1&%24HttpMethod=POST"] {
            let call = client().get(gateway.url(&format!("{path}?{query}")));
            let answer = soon(call.send()).await.unwrap();
            assert_eq!(answer.status(), 400, "{query}");
        }
    }
    let fine = client().get(gateway.url("/own/x?method=$httpMethod"));
    let fine = fine.header("x-method", "POST").send();
    assert_eq!(soon(fine).await.unwrap().status(), 200);
}

#[tokio::test]
async fn what_says_another_path_ends_here() {
    let gateway = started().await;
    for path in ["/v1/models", "/own/x"] {
        let call = client()
            .get(gateway.url(path))
            .header("x-original-url", "/v1/chat/completions")
            .header("x-rewrite-url", "/v1/chat/completions")
            .header("x-original-host", "kept");
        let (status, seen) = json_of(soon(call.send()).await.unwrap()).await;
        assert_eq!(status, 200, "{seen}");
        assert!(!seen.to_string().contains("completions"), "{seen}");
        assert_eq!(seen["headers"]["x-original-host"], "kept");
    }
}

#[tokio::test]
async fn a_method_in_other_letters_is_none() {
    let gateway = started().await;
    for (method, expected) in [
        ("post", "405"),
        ("Post", "405"),
        ("get", "405"),
        ("PROPFIND", "200"),
    ] {
        let mut stream = TcpStream::connect(gateway.addr()).await.unwrap();
        let request = format!(
            "{method} /own/v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        soon(stream.read_to_string(&mut answer)).await.unwrap();
        let status = answer.split(' ').nth(1);
        assert_eq!(status, Some(expected), "{method}: {answer}");
    }
}

#[tokio::test]
async fn an_answer_leads_nobody_to_another_host() {
    let at = answering(|parts| {
        let to = match parts.uri.path() {
            "/tab" => "/\t/evil.example",
            "/bytes" => "/\u{e9}vil",
            "/slashes" => "//evil.example",
            _ => "/here",
        };
        let to = http::HeaderValue::from_bytes(to.as_bytes()).unwrap();
        let moved = Response::builder().status(307).header("location", to);
        moved.body(Body::empty()).unwrap()
    })
    .await;
    let gateway = Gateway::start(&format!("http://{at}"), "{}").await;
    let client = reqwest::Client::builder().no_proxy();
    let client = client.redirect(Policy::none()).build().unwrap();
    for (path, expected) in [
        ("/tab", None),
        ("/bytes", None),
        ("/slashes", None),
        ("/plain", Some(json!("/here"))),
    ] {
        let answer = soon(client.get(gateway.url(path)).send()).await.unwrap();
        let to = answer.headers().get("location");
        let to = to.map(|to| json!(to.to_str().unwrap()));
        assert_eq!((answer.status().as_u16(), to), (307, expected), "{path}");
    }
}
