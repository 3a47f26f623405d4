//! The program, over a run with callers that show their secrets.

use reqwest::{Client, RequestBuilder};
use tower_quota::sim::{SimConfig, Simulator};

use crate::{
    outputs::{Outputs, secret},
    ports::taken,
    process::{ConfigFile, Gateway, run},
};

/// A budget that warns at once, so that something is said.
const LIMITS: &str = "
  global: { rpm: 1000 }
  max_daily_spend: 1
  alert_threshold: 0.000001
  agents: { once: { max_requests_per_run: 1 } }";

fn chat(gateway: &Gateway, fault: &str) -> RequestBuilder {
    let body =
        r#"{"model":"gpt-4o-mini","max_tokens":10,"messages":[{"role":"user","content":"hello"}]}"#;
    let url = format!(
        "/v1/chat/completions?key={}&api-key={}",
        secret("query"),
        secret("other")
    );
    let client = Client::builder().no_proxy().build().unwrap();
    client
        .post(gateway.url(&url))
        .header(
            "authorization",
            format!("Bearer {}", secret("authorization")),
        )
        .header("x-api-key", secret("header"))
        .header("x-stainless-retry-count", "0")
        .header("x-sim-fault", fault)
        .body(body)
}

async fn answer(outputs: &Outputs, call: RequestBuilder) -> u16 {
    let response = call.send().await.unwrap();
    let status = response.status().as_u16();
    outputs.debug("the headers of an answer", response.headers());
    if let Ok(body) = response.text().await {
        outputs.text("the body of an answer", body);
    }
    status
}

/// S8: nor in what the program says.
#[tokio::test]
async fn the_program_says_nothing_of_its_callers_secrets() {
    let outputs = Outputs::default();
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let gateway = Gateway::start(&sim.base_url(), LIMITS).await;
    for (fault, expected) in [
        ("", 200),
        ("status=400", 400),
        ("status=429;retry-after=0", 429),
        ("insufficient-quota", 429),
        ("drop", 502),
        ("garbage", 200),
    ] {
        let status = answer(&outputs, chat(&gateway, fault)).await;
        assert_eq!(status, expected, "{fault}");
    }
    for _ in 0..2 {
        let once = chat(&gateway, "").header("x-quota-agent", "once");
        answer(&outputs, once.header("x-quota-run", "1")).await;
    }
    let wrong = chat(&gateway, "").header("x-quota-priority", "high");
    assert_eq!(answer(&outputs, wrong).await, 400);
    let key = sim.ledger().entries()[0].key.clone();
    assert!(key.starts_with("MARKED"), "it was sent: {key}");
    let said = gateway.said().await;
    assert!(said.iter().any(|line| line.contains("budget")), "{said:?}");
    for line in said {
        outputs.text("what the program says", line);
    }

    let (_taken, addr) = taken();
    let gateway = Gateway::start(&format!("http://{addr}"), "{}").await;
    assert_eq!(answer(&outputs, chat(&gateway, "")).await, 502);
    for line in gateway.said().await {
        outputs.text("what the program says", line);
    }
    outputs.are_clean(30);
}

#[tokio::test]
async fn nor_of_the_secrets_in_its_file_and_its_arguments() {
    let outputs = Outputs::default();
    let password = format!("http://me:{}@host", secret("password"));
    let query = format!("http://host?key={}", secret("query"));
    for upstream in [password, query] {
        let in_file = format!("rate_limiting: {{}}\ngateway: {{ upstream: '{upstream}' }}");
        let file = ConfigFile::new(&in_file);
        let right = ConfigFile::new(&format!("rate_limiting: {{}}\n# {upstream}\n"));
        let serve = ["serve", "--config"];
        let in_file = [serve[0], serve[1], file.path()];
        let given = [serve[0], serve[1], right.path(), "--upstream", &upstream];
        for args in [&in_file[..], &given[..]] {
            let output = run(args).await;
            assert_eq!(output.status.code(), Some(2));
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(said.starts_with("tower-quota: "), "{said}");
            outputs.text("what the program ends with", said);
        }
    }
    outputs.are_clean(4);
}
