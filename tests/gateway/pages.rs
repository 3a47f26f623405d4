//! Browsers: no page of an upstream is shown in the place of the dashboard, and no script of one runs there.

use axum::{body::Body, response::Response};
use reqwest::RequestBuilder;
use serde_json::json;

use crate::{
    calls::{chat, client, json_of},
    process::{Gateway, soon},
    upstream::{answering, echo},
};

#[tokio::test]
async fn what_a_browser_would_show_or_run_is_refused_and_what_programs_ask_for_passes() {
    let gateway = Gateway::start(&format!("http://{}", echo().await), "{}").await;
    let get = || client().get(gateway.url("/v1/models"));
    let refused = async |call: RequestBuilder, what: &str| {
        let answer = soon(call.send()).await.unwrap();
        let help = answer.headers()["link"].to_str().unwrap().to_owned();
        assert!(help.contains("#no_page>"), "{help}");
        let (status, body) = json_of(answer).await;
        let code = &body["error"]["code"];
        assert_eq!((status, code), (403, &json!("no_page")), "{what}");
        let message = body["error"]["message"].as_str().unwrap();
        assert!(message.contains("/quota/"), "{message}");
    };
    for dest in [
        "document",
        "iframe",
        "frame",
        "object",
        "embed",
        "script",
        "worker",
        "sharedworker",
        "serviceworker",
    ] {
        // As of an address that is typed.
        let call = get().header("sec-fetch-site", "none");
        refused(call.header("sec-fetch-dest", dest), dest).await;
    }
    refused(get().header("service-worker", "script"), "service-worker").await;
    refused(
        chat(&gateway, json!({})).header("sec-fetch-dest", "document"),
        "a form",
    )
    .await;
    for call in [
        get(),
        chat(&gateway, json!({})),
        // The SDKs, in a page of this machine.
        chat(&gateway, json!({}))
            .header("origin", "http://localhost:3000")
            .header("sec-fetch-site", "same-site")
            .header("sec-fetch-mode", "cors")
            .header("sec-fetch-dest", "empty"),
        get().header("sec-fetch-dest", "image"),
    ] {
        assert_eq!(soon(call.send()).await.unwrap().status(), 200);
    }
    // What is the gateway's own is shown.
    let own = client().get(gateway.url("/quota/"));
    let own = own.header("sec-fetch-dest", "document").send();
    let own = soon(own).await.unwrap();
    assert_eq!(own.status(), 200);
    let policy = own.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("script-src 'self'"), "{policy}");
}

#[tokio::test]
async fn an_answer_that_a_browser_could_show_is_shut_in_and_others_are_as_they_came() {
    let at = answering(|parts| {
        let kind = match parts.uri.path() {
            "/html" => "text/html; charset=utf-8",
            "/svg" => "image/svg+xml",
            "/xml" => "application/xml",
            "/stream" => "text/event-stream",
            _ => "application/json",
        };
        Response::builder()
            .header("content-type", kind)
            .header("service-worker-allowed", "/")
            .header("clear-site-data", "\"*\"")
            .body(Body::from("{}"))
            .unwrap()
    })
    .await;
    let gateway = Gateway::start(&format!("http://{at}"), "{}").await;
    for (path, is_page) in [
        ("/html", true),
        ("/svg", true),
        ("/xml", true),
        ("/stream", false),
        ("/json", false),
    ] {
        let answer = client().get(gateway.url(path)).send();
        let answer = soon(answer).await.unwrap();
        let headers = answer.headers().clone();
        let has = |name: &str, value: &str| headers.get(name).is_some_and(|is| is == value);
        let is_shut_in = has("content-security-policy", "sandbox");
        assert_eq!(is_shut_in, is_page, "{path}: {headers:?}");
        let is_as_said = has("x-content-type-options", "nosniff");
        assert_eq!(is_as_said, is_page, "{path}: {headers:?}");
        for gone in ["service-worker-allowed", "clear-site-data"] {
            assert!(!headers.contains_key(gone), "{path}: {headers:?}");
        }
        assert_eq!(soon(answer.text()).await.unwrap(), "{}");
    }
}
