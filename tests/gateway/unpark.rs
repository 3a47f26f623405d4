//! G6, F6: what is parked is used again when an operator says so: over HTTP, from the command line, after a reload.

use reqwest::Method;
use serde_json::{Value, json};
use tower_quota::sim::{FaultRule, SimConfig, SimServer, Simulator};

use crate::{
    admin::{admin, ask},
    calls::client,
    keys::Keyed,
    process::{Gateway, soon},
};

const PATH: &str = "/quota/targets/unpark";

/// A simulated provider whose account has no money.
pub(crate) async fn without_money() -> SimServer {
    let config = SimConfig {
        faults: vec![FaultRule {
            fault: "insufficient-quota".parse().unwrap(),
            probability: 1.0,
            nth: None,
        }],
        ..SimConfig::default()
    };
    Simulator::start(config).await.unwrap()
}

/// A gateway with a route to two providers, of which a call has found the first without money. It has some now.
struct Parked {
    keyed: Keyed,
    poor: SimServer,
    rich: SimServer,
    /// The key of an admin.
    ops: String,
}

impl Parked {
    async fn start() -> Self {
        let poor = without_money().await;
        let rich = Simulator::start(SimConfig::default()).await.unwrap();
        let mut keyed = Keyed::start("{}", &limits(&poor, &rich, 600)).await;
        let ops = keyed.key(&["ops", "--role", "admin"]).await;
        let parked = Parked {
            keyed,
            poor,
            rich,
            ops,
        };
        parked.call().await;
        assert_eq!(parked.attempts(), (1, 1));
        parked.poor.simulator().set_faults(Vec::new());
        parked
    }

    fn gateway(&self) -> &Gateway {
        &self.keyed.gateway
    }

    async fn call(&self) {
        let call = client()
            .post(self.gateway().url("/v1/chat/completions"))
            .bearer_auth(&self.ops)
            .body(r#"{"model":"gpt-5.5","max_tokens":9,"messages":[]}"#);
        let answer = soon(call.send()).await.unwrap();
        assert_eq!(answer.status(), 200);
        soon(answer.bytes()).await.unwrap();
    }

    /// How many have come to the first, and to the second.
    fn attempts(&self) -> (usize, usize) {
        (self.poor.ledger().attempts(), self.rich.ledger().attempts())
    }

    async fn audit(&self) -> Vec<Value> {
        let asked = (Method::GET, "/quota/audit");
        let (_, said) = ask(self.gateway(), Some(&self.ops), asked, None).await;
        let audit = said["audit"].as_array().unwrap().iter();
        let unparked = audit.filter(|entry| entry["what"] == "unpark");
        unparked.cloned().collect()
    }
}

fn limits(poor: &SimServer, rich: &SimServer, rpm: u32) -> String {
    format!(
        "{{ global: {{ rpm: {rpm} }}, failover: {{
            providers: {{
                poor: {{ base_url: '{}/v1', keys: [{{ label: main, key: sk-of-poor }}] }},
                rich: {{ base_url: '{}/v1', keys: [{{ label: main, key: sk-of-rich }}] }} }},
            routes: {{ gpt-5.5: [poor/gpt-5.5, rich/gpt-5.5] }} }} }}",
        poor.base_url(),
        rich.base_url()
    )
}

/// How many targets are parked.
fn number(said: &Value) -> usize {
    let targets = said["targets"].as_array().unwrap().iter();
    targets
        .filter(|target| target["parked"].is_number())
        .count()
}

#[tokio::test]
async fn an_admin_has_an_account_used_again_and_nobody_else_has() {
    let mut parked = Parked::start().await;
    let eye = parked.keyed.key(&["eye", "--role", "viewer"]).await;
    let (gateway, ops) = (parked.gateway(), Some(&*parked.ops));
    let asked = (Method::GET, "/quota/targets");
    let (_, said) = ask(gateway, Some(&eye), asked, None).await;
    assert_eq!(number(&said), 1, "{said}");

    let poor = json!({ "provider": "poor" });
    for (token, body, expected) in [
        (None, poor.clone(), 401),
        (Some(&*eye), poor.clone(), 403),
        (ops, json!({ "provider": "rich" }), 404),
        (ops, json!({ "provider": "nobody" }), 404),
        (ops, json!({ "provider": "poor", "model": "gpt-5.4" }), 404),
        (ops, json!({ "provider": "poor", "api_key": "west" }), 404),
        (ops, json!({ "model": "gpt-5.5" }), 400),
        (ops, json!({ "provider": "poor", "key": "main" }), 400),
    ] {
        let asked = (Method::POST, PATH);
        let (status, said) = ask(gateway, token, asked, Some(body.clone())).await;
        assert_eq!(status, expected, "{body}: {said}");
        assert!(said["detail"].is_string(), "{said}");
    }
    parked.call().await;
    assert_eq!(parked.attempts(), (1, 2), "it is parked still");
    assert!(parked.audit().await.is_empty());

    let asked = (Method::POST, PATH);
    let why = json!({ "provider": "poor", "why": "topped up" });
    let (status, said) = ask(gateway, ops, asked, Some(why)).await;
    assert_eq!((status, number(&said)), (200, 0), "{said}");
    assert_eq!(said["targets"][0]["provider"], "poor", "{said}");
    parked.call().await;
    assert_eq!(parked.attempts(), (2, 2));

    let (status, said) = ask(gateway, ops, (Method::POST, PATH), Some(poor)).await;
    assert_eq!(status, 404, "{said}");
    assert_eq!(
        said["detail"],
        "there is nothing to take back: no target with provider=poor is parked"
    );
    let audit = parked.audit().await;
    assert_eq!(audit.len(), 1, "{audit:?}");
    let said = ["subject", "by", "why"].map(|field| audit[0][field].as_str().unwrap());
    assert_eq!(said, ["provider=poor", "ops", "topped up"]);
}

#[tokio::test]
async fn it_is_done_from_the_command_line_after_a_reload_and_said() {
    let mut parked = Parked::start().await;
    let text = format!(
        "rate_limiting: {}
gateway: {{ listen: '127.0.0.1:0', state: '{}', upstreams: {{}} }}",
        limits(&parked.poor, &parked.rich, 900),
        parked.keyed.state.display()
    );
    let mut said = parked.keyed.gateway.reload_text(&text).await;
    while !said.contains("reloaded") {
        said = parked.keyed.gateway.complaint().await;
    }
    assert_eq!(
        said,
        "tower-quota: reloaded; requests 900/min, before requests 600/min"
    );
    parked.call().await;
    assert_eq!(parked.attempts(), (1, 2), "a reload takes nothing back");

    let args = [
        "target",
        "unpark",
        "poor",
        "--model",
        "gpt-5.5",
        "--api-key",
        "main",
        "--why",
        "topped up",
    ];
    let (code, said, complaint) = admin(parked.gateway(), &parked.ops, &args).await;
    assert_eq!(code, 0, "{complaint}");
    assert!(said.contains("poor") && said.contains("gpt-5.5"), "{said}");
    parked.call().await;
    assert_eq!(parked.attempts(), (2, 2));
    let audit = parked.audit().await;
    let said = ["subject", "by", "why"].map(|field| audit[0][field].as_str().unwrap());
    let subject = "provider=poor model=gpt-5.5 api_key=main";
    assert_eq!(said, [subject, "ops", "topped up"]);

    let args = ["target", "unpark", "poor"];
    let (code, _, complaint) = admin(parked.gateway(), &parked.ops, &args).await;
    assert!(
        code != 0 && complaint.contains("no target with provider=poor is parked"),
        "{complaint}"
    );
    assert_eq!(
        parked.keyed.gateway.complaint().await,
        "tower-quota: failover: poor/gpt-5.5 (main) is parked no more; that was taken back by hand"
    );
}
