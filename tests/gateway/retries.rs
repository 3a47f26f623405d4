//! Callers that repeat their calls themselves, and what they are told so that their repeats and ours do not multiply.

use http::HeaderMap;
use serde_json::json;
use tower_quota::sim::{SimConfig, Simulator};

use crate::{calls::chat, ports::taken, process::Gateway};

/// The status and the headers of a chat with this fault, by a caller that says which try it is, or does not.
async fn answered(gateway: &Gateway, fault: &str, tries: Option<&str>) -> (u16, HeaderMap) {
    let mut call = chat(gateway, json!({})).header("x-sim-fault", fault);
    if let Some(tries) = tries {
        call = call.header("x-stainless-retry-count", tries);
    }
    let answer = call.send().await.unwrap();
    (answer.status().as_u16(), answer.headers().clone())
}

fn says_no(headers: &HeaderMap) -> bool {
    let says = headers.get("x-should-retry");
    says.is_some_and(|says| says == "false")
}

const FAULTS: [(&str, u16); 4] = [
    ("status=429;retry-after=0", 429),
    ("status=503", 503),
    ("drop", 502),
    ("insufficient-quota", 429),
];

#[tokio::test]
async fn whoever_repeats_itself_is_told_that_it_was_done() {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let gateway = Gateway::start(&sim.base_url(), "{ retry: { max_attempts: 2 } }").await;
    for (fault, expected) in FAULTS {
        let before = sim.ledger().attempts();
        let (status, headers) = answered(&gateway, fault, Some("0")).await;
        assert_eq!(status, expected, "{fault}");
        assert!(says_no(&headers), "{fault}: {headers:?}");
        let tried = if fault == "insufficient-quota" { 1 } else { 2 };
        assert_eq!(sim.ledger().attempts() - before, tried, "{fault}");

        // Whoever comes again all the same has one attempt each time.
        let before = sim.ledger().attempts();
        let (_, headers) = answered(&gateway, fault, Some("1")).await;
        assert!(says_no(&headers), "{fault}: {headers:?}");
        assert_eq!(sim.ledger().attempts() - before, 1, "{fault}");
    }
}

#[tokio::test]
async fn whoever_does_not_is_told_nothing() {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let gateway = Gateway::start(&sim.base_url(), "{ retry: { max_attempts: 2 } }").await;
    for (fault, expected) in FAULTS {
        let (status, headers) = answered(&gateway, fault, None).await;
        assert_eq!(status, expected, "{fault}");
        assert!(!headers.contains_key("x-should-retry"), "{fault}");
    }
}

#[tokio::test]
async fn where_nothing_is_repeated_here_callers_may() {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    for off in ["{ retry: { max_attempts: 1 } }", "{ enabled: false }"] {
        let gateway = Gateway::start(&sim.base_url(), off).await;
        for (fault, expected) in &FAULTS[..3] {
            let before = sim.ledger().attempts();
            let (status, headers) = answered(&gateway, fault, Some("0")).await;
            assert_eq!(status, *expected, "{fault}");
            assert!(!headers.contains_key("x-should-retry"), "{off}, {fault}");
            assert_eq!(sim.ledger().attempts() - before, 1, "{fault}");
        }
    }
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_told_likewise() {
    let (_taken, addr) = taken();
    let gateway = Gateway::start(&format!("http://{addr}"), "{}").await;
    let (status, headers) = answered(&gateway, "", Some("0")).await;
    assert_eq!(status, 502);
    assert!(says_no(&headers), "{headers:?}");
    let (status, headers) = answered(&gateway, "", None).await;
    assert_eq!((status, says_no(&headers)), (502, false));
    // What is the caller's fault no waiting helps, and no SDK repeats.
    let wrong = chat(&gateway, json!({})).header("x-quota-priority", "high");
    let wrong = wrong.header("x-stainless-retry-count", "0").send().await;
    let wrong = wrong.unwrap();
    assert_eq!(
        (wrong.status().as_u16(), says_no(wrong.headers())),
        (400, false)
    );
}

/// It had begun: nobody here repeats it, so its caller may.
#[tokio::test]
async fn an_answer_that_breaks_off_was_not_repeated() {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let gateway = Gateway::start(&sim.base_url(), "{ retry: { max_attempts: 2 } }").await;
    let (status, headers) = answered(&gateway, "broken-stream", Some("0")).await;
    assert_eq!(status, 502);
    let help = headers["link"].to_str().unwrap();
    assert!(help.contains("#upstream_broke_off>"), "{help}");
    assert!(!headers.contains_key("x-should-retry"), "{headers:?}");
    assert_eq!(sim.ledger().attempts(), 1);
}

/// Where nothing is repeated at one target, what was tried at another is: of the call itself, not of others.
#[tokio::test]
async fn whether_a_call_was_repeated_goes_by_the_targets_that_it_went_to() {
    let (_taken, addr) = taken();
    let text = format!(
        "gateway: {{ listen: '127.0.0.1:0', upstream: 'http://{addr}' }}
rate_limiting:
  retry: {{ max_attempts: 1 }}
  failover:
    providers:
      one: {{ base_url: 'http://{addr}/v1', keys: [sk-of-one] }}
      two: {{ base_url: 'http://{addr}/v1', keys: [sk-of-two] }}
    routes: {{ both: [one/gpt-5.5, two/gpt-5.5], alone: [one/gpt-5.5] }}
"
    );
    let gateway = Gateway::start_text("", &text).await;
    for (model, is_told) in [("sim-1", false), ("alone", false), ("both", true)] {
        let call = chat(&gateway, json!({ "model": model }));
        let answer = call.header("x-stainless-retry-count", "0").send().await;
        let answer = answer.unwrap();
        assert_eq!(answer.status(), 502, "{model}");
        assert_eq!(says_no(answer.headers()), is_told, "{model}");
    }
}
