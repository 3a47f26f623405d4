//! G6: what operators do over HTTP and from the command line: with the right alone, and in the audit log.

use reqwest::Method;
use serde_json::{Value, json};
use tower_quota::sim::{SimConfig, SimServer, Simulator};

use crate::{
    calls::{client, json_of},
    keys::Keyed,
    process::{Gateway, run, soon, tower_quota},
    unpark::without_money,
};

const BUDGETS: &str = "{ budgets: [
    { amount: 10, every: hour, per: [team] },
    { amount: 1, every: day, when: { agent: scout }, mode: circuit } ] }";

const HOURLY: &str = "cost $10.00/calendar hour in UTC per team";

pub(crate) async fn ask(
    gateway: &Gateway,
    token: Option<&str>,
    (method, path): (Method, &str),
    body: Option<Value>,
) -> (u16, Value) {
    let mut call = client().request(method, gateway.url(path));
    if let Some(token) = token {
        call = call.header("authorization", format!("Bearer {token}"));
    }
    if let Some(body) = body {
        let json = call.header("content-type", "application/json");
        call = json.body(body.to_string());
    }
    json_of(call.send().await.unwrap()).await
}

/// `tower-quota admin` with these arguments: its exit code, stdout and stderr.
pub(crate) async fn admin(gateway: &Gateway, token: &str, args: &[&str]) -> (i32, String, String) {
    let args = [&["admin", "--url", &gateway.base_url], args].concat();
    let mut command = tower_quota(&args);
    command.env("TOWER_QUOTA_KEY", token);
    let output = soon(command.output()).await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

pub(crate) async fn started() -> (Keyed, SimServer, String) {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let upstreams = format!("{{ openai: {{ url: '{}' }} }}", sim.base_url());
    let mut keyed = Keyed::start(&upstreams, BUDGETS).await;
    let ops = keyed.key(&["ops", "--role", "admin"]).await;
    (keyed, sim, ops)
}

/// The same with a target that a call has found without money.
async fn started_with_a_parked_target() -> (Keyed, SimServer, String) {
    let sim = without_money().await;
    let failover = format!(
        "{{ failover: {{
            providers: {{ openai: {{ base_url: '{}/v1', keys: [sk-of-openai] }} }},
            routes: {{ gpt-5.5: [openai/gpt-5.5] }} }}, budgets:",
        sim.base_url()
    );
    let limits = BUDGETS.replacen("{ budgets:", &failover, 1);
    let mut keyed = Keyed::start("{}", &limits).await;
    let ops = keyed.key(&["ops", "--role", "admin"]).await;
    let call = client()
        .post(keyed.gateway.url("/v1/chat/completions"))
        .bearer_auth(&ops)
        .body(r#"{"model":"gpt-5.5","max_tokens":9,"messages":[]}"#);
    assert_eq!(soon(call.send()).await.unwrap().status(), 429);
    (keyed, sim, ops)
}

/// Everything that can be asked: method, path, body, the least role.
fn everything() -> Vec<(Method, &'static str, Option<Value>, &'static str)> {
    let scout = || json!({ "agent": "scout" });
    vec![
        (Method::GET, "/quota/keys", None, "admin"),
        (
            Method::POST,
            "/quota/keys",
            Some(json!({ "name": "new" })),
            "admin",
        ),
        (Method::POST, "/quota/keys/new/disable", None, "admin"),
        (
            Method::POST,
            "/quota/keys/new/enable",
            Some(json!({ "why": "back" })),
            "admin",
        ),
        (Method::DELETE, "/quota/keys/new", None, "admin"),
        (Method::GET, "/quota/budgets", None, "viewer"),
        (
            Method::POST,
            "/quota/spend/correct",
            Some(
                json!({ "tags": scout(), "correction": { "more": "2" }, "why": "the bill says so" }),
            ),
            "admin",
        ),
        (
            Method::POST,
            "/quota/circuits/reset",
            Some(json!({ "tags": scout() })),
            "admin",
        ),
        (Method::GET, "/quota/limits", None, "viewer"),
        (
            Method::POST,
            "/quota/limits/amount",
            Some(json!({ "limit": HOURLY, "of": "blue", "amount": "25.5" })),
            "admin",
        ),
        (Method::GET, "/quota/pauses", None, "viewer"),
        (
            Method::POST,
            "/quota/pauses",
            Some(json!({ "tags": scout(), "why": "it loops" })),
            "admin",
        ),
        (
            Method::POST,
            "/quota/pauses/end",
            Some(json!({ "tags": scout() })),
            "admin",
        ),
        (
            Method::POST,
            "/quota/targets/unpark",
            Some(json!({ "provider": "openai" })),
            "admin",
        ),
        (Method::GET, "/quota/calls", None, "viewer"),
        (Method::GET, "/quota/status", None, "viewer"),
        (Method::GET, "/quota/refusals", None, "viewer"),
        (Method::GET, "/quota/costs", None, "viewer"),
        (Method::GET, "/quota/minutes", None, "viewer"),
        (Method::GET, "/quota/targets", None, "viewer"),
        (Method::GET, "/quota/audit", None, "viewer"),
    ]
}

#[tokio::test]
async fn each_command_is_refused_without_the_right_and_done_with_it() {
    let (mut keyed, _sim, ops) = started_with_a_parked_target().await;
    let caller = keyed.key(&["caller"]).await;
    let viewer = keyed.key(&["viewer", "--role", "viewer"]).await;
    let gateway = &keyed.gateway;
    for (method, path, body, least) in everything() {
        for (token, expected) in [
            (None, 401),
            (Some("tq-unknown"), 401),
            (Some(&*caller), 403),
            (Some(&*viewer), if least == "viewer" { 200 } else { 403 }),
        ] {
            let asked = (method.clone(), path);
            let (status, said) = ask(gateway, token, asked, body.clone()).await;
            assert_eq!(status, expected, "{method} {path}: {said}");
            if expected != 200 {
                assert!(said["detail"].is_string(), "{said}");
            }
        }
        let (status, said) = ask(gateway, Some(&ops), (method.clone(), path), body).await;
        assert!((200..300).contains(&status), "{method} {path}: {said}");
    }
    // Nothing but what was allowed is in the log, and who did it.
    let (_, audit) = ask(gateway, Some(&ops), (Method::GET, "/quota/audit"), None).await;
    let audit = audit["audit"].as_array().unwrap();
    let by_ops: Vec<(&str, &str)> = audit
        .iter()
        .filter(|entry| entry["by"] == "ops")
        .map(|entry| {
            (
                entry["what"].as_str().unwrap(),
                entry["subject"].as_str().unwrap(),
            )
        })
        .collect();
    let budget = "cost $1.00/calendar day in UTC for agent=scout (circuit)";
    let raised = "cost $10.00/calendar hour in UTC per team (other amounts for 1)";
    let of_no_team = "cost $10.00/calendar hour in UTC for team=(none)";
    assert_eq!(
        by_ops,
        [
            ("key", "new"),
            ("key", "new"),
            ("key", "new"),
            ("key", "new"),
            ("correct", of_no_team),
            ("correct", budget),
            ("reset", budget),
            ("limit", raised),
            ("limit", "agent=scout is paused"),
            ("limit", "agent=scout is paused"),
            ("unpark", "provider=openai"),
        ],
        "{audit:#?}"
    );
    assert!(audit.iter().any(|entry| entry["why"] == "the bill says so"));
}

#[tokio::test]
async fn the_same_is_done_from_the_command_line() {
    let (keyed, _sim, ops) = started().await;
    let gateway = &keyed.gateway;
    let (code, token, _) = admin(
        gateway,
        &ops,
        &["key", "create", "cli", "--tag", "team=red"],
    )
    .await;
    assert_eq!(code, 0);
    let call = client()
        .post(gateway.url("/v1/chat/completions"))
        .header("authorization", format!("Bearer {}", token.trim()))
        .body(r#"{"model":"gpt-4o","max_tokens":9,"messages":[]}"#);
    assert_eq!(call.send().await.unwrap().status(), 200);

    let (code, budgets, _) = admin(gateway, &ops, &["budget", "list"]).await;
    assert_eq!(code, 0);
    assert!(
        budgets.contains("cost $10.00/calendar hour") && budgets.contains("team=red"),
        "{budgets}"
    );
    let correct = [
        "spend",
        "correct",
        "agent=scout",
        "--more",
        "2.5",
        "--why",
        "a test",
    ];
    let (code, said, _) = admin(gateway, &ops, &correct).await;
    assert!(code == 0 && said.contains("2.5"), "{said}");
    let reset = ["circuit", "reset", "agent=scout"];
    let (code, said, _) = admin(gateway, &ops, &reset).await;
    assert_eq!((code, &*said), (0, "closed: 1\n"));
    for (verb, word) in [
        ("disable", "disabled"),
        ("enable", "good"),
        ("delete", "good"),
    ] {
        let (code, said, _) = admin(gateway, &ops, &["key", verb, "cli"]).await;
        assert!(
            code == 0 && said.contains(&format!("state: {word}")),
            "{said}"
        );
    }
    let (_, keys, _) = admin(gateway, &ops, &["key", "list"]).await;
    assert!(
        keys.contains("ops") && !keys.contains("cli") && !keys.contains("sha256"),
        "{keys}"
    );
    let (_, audit, _) = admin(gateway, &ops, &["audit", "--json"]).await;
    let audit: Value = serde_json::from_str(&audit).unwrap();
    assert!(
        audit["audit"]
            .as_array()
            .unwrap()
            .iter()
            .any(|entry| entry["why"] == "a test")
    );

    for (token, args, word) in [
        (
            &*ops,
            &["key", "disable", "nobody"][..],
            "there is no key `nobody`",
        ),
        (
            &*ops,
            &["key", "create", "ops"],
            "there is a key `ops` already",
        ),
        (&*ops, &["key", "create", "a b"], "is no name of a key"),
        (
            &*ops,
            &["key", "create", "x", "--expires", "soon"],
            "neither an instant",
        ),
        (
            &*ops,
            &["key", "create", "x", "--tag", "model=y"],
            "cannot set the tag `model`",
        ),
        ("tq-wrong", &["key", "list"], "not known here"),
    ] {
        let (code, said, complaint) = admin(gateway, token, args).await;
        assert_ne!(code, 0, "{said}");
        assert!(
            complaint.starts_with("tower-quota: ") && complaint.contains(word),
            "{complaint}"
        );
    }
}

#[tokio::test]
async fn a_key_that_nobody_means_is_not_made() {
    let (keyed, _sim, ops) = started().await;
    let (gateway, state) = (&keyed.gateway, keyed.state.to_str().unwrap());
    for (more, word) in [
        (
            &["--expires", "2001-01-01T00:00:00Z"][..],
            "is over already",
        ),
        (&["--expires", "0s"], "is over already"),
        (&["--tag", "=a"], "are written as team=blue"),
        (&["--may", "=a"], "are written as team=blue"),
        (
            &["--tag", "team=a", "--tag", "team=b"],
            "`team` is there more than once",
        ),
        (&["--max-priority", "5000"], "-1000..=1000"),
        (&["--max-priority", "-1001"], "-1000..=1000"),
    ] {
        let create = [&["key", "create", "new"], more].concat();
        let (code, _, complaint) = admin(gateway, &ops, &create).await;
        assert!(code == 2 && complaint.contains(word), "{complaint}");
        let offline = [&["admin", "--state", state], &*create].concat();
        let output = run(&offline).await;
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{complaint}");
        assert!(complaint.contains(word), "{complaint}");
    }
    for (more, word) in [
        (
            json!({ "expires": "2001-01-01T00:00:00Z" }),
            "is over already",
        ),
        (json!({ "tags": { "": "a" } }), "a tag has no name"),
        (json!({ "may": { "": ["a"] } }), "a tag has no name"),
        (json!({ "max_priority": 1_001 }), "from -1000 to 1000"),
    ] {
        let mut body = more;
        body["name"] = "new".into();
        let asked = (Method::POST, "/quota/keys");
        let (status, said) = ask(gateway, Some(&ops), asked, Some(body)).await;
        assert_eq!(status, 400, "{said}");
        assert!(said["detail"].as_str().unwrap().contains(word), "{said}");
    }
    let (_, keys) = ask(gateway, Some(&ops), (Method::GET, "/quota/keys"), None).await;
    assert_eq!(keys["keys"].as_array().unwrap().len(), 1, "{keys}");
    let pause = ["pause", "begin", "agent=a", "agent=b"];
    let (code, _, complaint) = admin(gateway, &ops, &pause).await;
    assert!(
        code == 2 && complaint.contains("`agent` is there more than once"),
        "{complaint}"
    );
}

#[tokio::test]
async fn without_keys_others_than_this_machine_cannot_ask_and_nobody_can_change() {
    let gateway = Gateway::start("http://127.0.0.1:1", BUDGETS).await;
    let asked = (Method::GET, "/quota/budgets");
    assert_eq!(ask(&gateway, None, asked, None).await.0, 200);
    let asked = (Method::POST, "/quota/keys");
    let (status, said) = ask(&gateway, None, asked, Some(json!({ "name": "a" }))).await;
    assert_eq!(status, 403);
    assert!(
        said["detail"].as_str().unwrap().contains("gateway.state"),
        "{said}"
    );
}

#[tokio::test]
async fn what_makes_no_sense_is_said_and_never_passed_to_an_upstream() {
    let (keyed, sim, ops) = started().await;
    let gateway = &keyed.gateway;
    let post = |path| (Method::POST, path);
    for (asked, body, expected) in [
        (
            post("/quota/keys"),
            Some(json!({ "name": "a", "rolle": "admin" })),
            400,
        ),
        (post("/quota/keys"), Some(json!([])), 400),
        (post("/quota/keys"), None, 400),
        (
            post("/quota/spend/correct"),
            Some(json!({ "tags": {} })),
            400,
        ),
        (post("/quota/nothing"), Some(json!({})), 404),
        (post("/quota/calls/9999/cancel"), None, 404),
        (post("/quota/calls/abc/cancel"), None, 404),
        (
            post("/quota/keys/ops/disable"),
            Some(json!({ "wyh": 1 })),
            400,
        ),
        ((Method::GET, "/quota/assets/none.js"), None, 404),
        ((Method::GET, "/quota/keys/ops/x/y"), None, 404),
    ] {
        let (status, said) = ask(gateway, Some(&ops), asked.clone(), body).await;
        assert_eq!(status, expected, "{asked:?}: {said}");
        assert!(said["detail"].is_string(), "{said}");
    }
    assert_eq!(sim.ledger().attempts(), 0);
}

#[tokio::test]
async fn what_is_paused_or_raised_is_so_at_once_and_stays_over_a_reload() {
    let (mut keyed, sim, ops) = started().await;
    let call = |gateway: &Gateway, agent: &str| {
        client()
            .post(gateway.url("/v1/chat/completions"))
            .header("authorization", format!("Bearer {ops}"))
            .header("x-quota-agent", agent)
            .body(r#"{"model":"gpt-4o","max_tokens":9,"messages":[]}"#)
            .send()
    };
    let gateway = &keyed.gateway;
    let (code, said, _) = admin(gateway, &ops, &["pause", "begin", "agent=scout"]).await;
    assert_eq!((code, &*said), (0, "agent=scout is paused\n"));
    let (_, said, _) = admin(gateway, &ops, &["limit", "set", HOURLY, "0.000001"]).await;
    assert!(said.contains("cost $0.000001/calendar hour"), "{said}");
    keyed.key(&["another"]).await;
    let gateway = &keyed.gateway;
    let answer = call(gateway, "scout").await.unwrap();
    assert_eq!(answer.headers()["x-should-retry"], "false");
    let (status, body) = json_of(answer).await;
    assert_eq!(
        (status, &body["error"]["code"]),
        (403, &json!("paused")),
        "{body}"
    );
    let (status, body) = json_of(call(gateway, "other").await.unwrap()).await;
    assert_eq!(status, 413, "{body}");
    assert_eq!(sim.ledger().attempts(), 0);

    let small = "cost $0.000001/calendar hour in UTC per team";
    assert_eq!(
        admin(gateway, &ops, &["limit", "set", small, "7"]).await.0,
        0
    );
    assert_eq!(
        admin(gateway, &ops, &["pause", "end", "agent=scout"])
            .await
            .0,
        0
    );
    let (_, none, _) = admin(gateway, &ops, &["pause", "list"]).await;
    assert_eq!(none, "none\n");
    for agent in ["scout", "other"] {
        assert_eq!(call(gateway, agent).await.unwrap().status(), 200);
    }
    for (args, word) in [
        (&["pause", "end", "agent=scout"][..], "nothing to end"),
        (
            &["limit", "set", "requests 1/min", "2"],
            "there is no limit `requests 1/min`; there are: cost",
        ),
        // Whether that is an amount is not known without the limit.
        (
            &["limit", "set", "cost $10/hour per team", "12.50"],
            "there is no limit `cost $10/hour per team`; there are: cost",
        ),
        (
            &[
                "limit",
                "set",
                "cost $7.00/calendar hour in UTC per team",
                "many",
            ],
            "is not an amount of dollars",
        ),
        (
            &[
                "limit",
                "set",
                "cost $7.00/calendar hour in UTC per team",
                "0",
            ],
            "amount",
        ),
    ] {
        let (code, _, complaint) = admin(gateway, &ops, args).await;
        assert!(code != 0 && complaint.contains(word), "{complaint}");
    }
}
