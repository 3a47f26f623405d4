//! O2, G5: `status` and `report`: what stands and what it cost, in a terminal, as JSON and as CSV.

use serde_json::Value;
use tower_quota::sim::Simulator;

use crate::{
    calls::client,
    keys::Keyed,
    process::{Gateway, soon, tower_quota},
};

const LIMITS: &str = "{ limits: [
    { quantity: requests, amount: 4, every: 1h, per: [agent] },
    { quantity: requests, amount: 1000, every: 1h } ],
  budgets: [ { amount: 10, every: day, per: [team] } ] }";

/// With this configuration four calls were answered, one found no room, and one was for a model whose name would steer a
/// terminal.
async fn started() -> (Keyed, String, String) {
    let sim = Simulator::start(tower_quota::sim::SimConfig::default())
        .await
        .unwrap();
    let upstreams = format!("{{ openai: {{ url: '{}' }} }}", sim.base_url());
    let mut keyed = Keyed::start(&upstreams, LIMITS).await;
    let caller = keyed.key(&["caller", "--tag", "team=blue"]).await;
    let eye = keyed.key(&["eye", "--role", "viewer"]).await;
    let own = keyed
        .key(&["own", "--role", "viewer", "--tag", "team=blue"])
        .await;
    let models = [
        "gpt-4o",
        "gpt-4o",
        "gpt-4o",
        "gpt-4o",
        "gpt-4o",
        "m\\u001b[31m\\u202e",
    ];
    for (model, expected) in models.into_iter().zip([200, 200, 200, 200, 429, 402]) {
        let call = client()
            .post(keyed.gateway.url("/v1/chat/completions"))
            .header("authorization", format!("Bearer {caller}"))
            .header("x-quota-agent", if expected == 402 { "b" } else { "a" })
            .header("x-quota-deadline", "1s")
            .body(format!(
                r#"{{"model":"{model}","max_tokens":100,"messages":[]}}"#
            ));
        let answer = soon(call.send()).await.unwrap();
        assert_eq!(answer.status().as_u16(), expected);
        soon(answer.bytes()).await.unwrap();
    }
    sim.simulator().idle().await;
    drop(sim);
    (keyed, eye, own)
}

async fn said(gateway: &Gateway, token: &str, args: &[&str]) -> (i32, String, String) {
    let args = [args, &["--url", &gateway.base_url]].concat();
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

#[tokio::test]
async fn a_status_shows_bars_with_their_numbers_and_no_colour_where_nobody_sees_it() {
    let (keyed, eye, own) = started().await;
    let (code, text, _) = said(&keyed.gateway, &eye, &["status"]).await;
    assert_eq!(code, 0);
    assert!(text.contains("\\u{1b}[31m\\u{202e}"), "{text}");
    assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
    let line = |word: &str| {
        text.lines()
            .find(|line| line.contains(word))
            .unwrap_or_else(|| panic!("{word}: {text}"))
    };
    assert!(line("agent=a").contains(&"█".repeat(24)), "{text}");
    assert!(line("agent=a").contains("100 %  4 of 4"), "{text}");
    assert!(line("requests 1000/hour").contains("4 of 1000"), "{text}");
    assert!(line("for team=blue").contains("of $10.00"), "{text}");
    assert!(
        line("deadline_exceeded").contains("requests 4/hour for agent=a"),
        "{text}"
    );

    let (code, text, _) = said(&keyed.gateway, &eye, &["status", "--json"]).await;
    let status: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, text.lines().count()), (0, 1));
    assert_eq!(status["refusals"].as_array().unwrap().len(), 2);
    // A key that sees what is its own is no error, and shows less.
    let (code, text, _) = said(&keyed.gateway, &own, &["status"]).await;
    assert!(
        code == 0 && text.contains("team=blue") && !text.contains("1000/hour"),
        "{text}"
    );
    let (code, _, error) = said(&keyed.gateway, "tq-unknown", &["status"]).await;
    assert!(code == 1 && error.contains("key"), "{error}");
}

#[tokio::test]
async fn a_status_is_shown_anew_until_nobody_reads() {
    let (keyed, eye, _) = started().await;
    let mut command = tower_quota(&[
        "status",
        "--json",
        "--watch",
        "10ms",
        "--url",
        &keyed.gateway.base_url,
    ]);
    command.env("TOWER_QUOTA_KEY", eye);
    let mut child = command.spawn().unwrap();
    use tokio::io::{AsyncBufReadExt as _, BufReader};
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..3 {
        let line = soon(lines.next_line()).await.unwrap().unwrap();
        assert!(serde_json::from_str::<Value>(&line).unwrap()["at"].is_number());
    }
    drop(lines);
    assert!(soon(child.wait()).await.unwrap().success());
}

#[tokio::test]
async fn a_report_of_a_gateway_says_what_today_cost() {
    let (keyed, eye, _) = started().await;
    let gateway = &keyed.gateway;
    // An attempt is recorded when its end was seen, which may be after its answer was.
    let text = loop {
        let args = ["report", "--by", "agent", "--since", "month"];
        let (code, text, error) = said(gateway, &eye, &args).await;
        assert_eq!(code, 0, "{error}");
        assert!(error.contains("counts from its start on"), "{error}");
        if text.contains("a      4") {
            break text;
        }
    };
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0].starts_with("agent") && lines[0].ends_with("cost"),
        "{text}"
    );
    assert!(lines[1].starts_with("a "), "{text}");
    assert!(lines.last().unwrap().starts_with("(all)"), "{text}");
    let (_, csv, _) = said(
        gateway,
        &eye,
        &["report", "--by", "agent", "--format", "csv"],
    )
    .await;
    assert!(
        csv.starts_with("agent,requests,") && csv.contains("\r\na,4,"),
        "{csv}"
    );
    let (_, json, _) = said(
        gateway,
        &eye,
        &["report", "--by", "agent", "--format", "json"],
    )
    .await;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["rows"][0]["requests"], 4);
    let (_, none, _) = said(gateway, &eye, &["report", "--since", "yesterday"]).await;
    assert!(none.contains("(all)  0"), "{none}");
    for (args, word) in [
        (
            &["report", "--since", "7d"][..],
            "ask the file, with --ledger",
        ),
        (&["report", "--when", "team=x"], "--ledger"),
        (&["report", "--by", "shoe"], "no sums by shoe"),
    ] {
        let (code, _, error) = said(gateway, &eye, args).await;
        assert!(code != 0 && error.contains(word), "{args:?}: {error}");
    }
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_report_of_a_file_is_of_any_tags_and_time_and_equals_the_bill() {
    use tower_quota::sim::SimConfig;

    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("counts.db");
    let limits = format!(
        "{{ store: 'sqlite:{}', budgets: [ {{ amount: 10, every: day }} ] }}",
        file.display()
    );
    let gateway = Gateway::start(&sim.base_url(), &limits).await;
    for agent in ["a", "a", "b, \"c\""] {
        let call = client()
            .post(gateway.url("/v1/chat/completions"))
            .header("x-quota-agent", agent)
            .header("x-quota-team", "blue")
            .body(r#"{"model":"gpt-4o","max_tokens":100,"messages":[{"role":"user","content":"hi"}]}"#);
        let answer = soon(call.send()).await.unwrap();
        assert_eq!(answer.status(), 200);
        soon(answer.bytes()).await.unwrap();
    }
    let billed = sim.ledger().billed();
    let cost = (billed.input * 2_500 + billed.output * 10_000) as f64 / 1e9;
    let path = file.to_str().unwrap();
    let report = |args: &[&str]| {
        let args: Vec<String> = [&["report", "--ledger", path], args]
            .concat()
            .iter()
            .map(ToString::to_string)
            .collect();
        async move {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let output = soon(tower_quota(&args).output()).await.unwrap();
            let text = |bytes| String::from_utf8(bytes).unwrap();
            (
                output.status.code().unwrap(),
                text(output.stdout),
                text(output.stderr),
            )
        }
    };
    // The last rows come with the next commit.
    let json = loop {
        let (code, json, error) =
            report(&["--by", "agent", "--when", "team=blue", "--format", "json"]).await;
        assert_eq!(code, 0, "{error}");
        let json: Value = serde_json::from_str(&json).unwrap();
        if json["totals"]["attempts"] == 3 {
            break json;
        }
    };
    assert_eq!(
        json["totals"]["cost"]
            .as_str()
            .unwrap()
            .parse::<f64>()
            .unwrap(),
        cost
    );
    assert_eq!(json["rows"][0]["tags"]["agent"], "a");
    let (_, csv, _) = report(&["--by", "agent,team", "--format", "csv"]).await;
    assert!(csv.contains("\r\n\"b, \"\"c\"\"\",blue,1,"), "{csv}");
    let (_, table, _) = report(&[
        "--by",
        "model",
        "--since",
        "today",
        "--time-zone",
        "Asia/Tokyo",
    ])
    .await;
    assert!(table.contains("gpt-4o  3"), "{table}");
    let (_, none, _) = report(&["--when", "team=red"]).await;
    assert!(none.contains("(all)  0"), "{none}");
    let (_, each, _) = report(&["--attempts", "--format", "json"]).await;
    assert_eq!(each.lines().count(), 3, "{each}");
    for (args, word) in [
        (&["--since", "soon"][..], "`soon` is none of"),
        (&["--time-zone", "Mars/Base"], "Mars/Base"),
        (&["--since", "2999-01-01"], "--since: it begins after now"),
        (
            &["--since", "today", "--until", "yesterday"],
            "--until: it ends before it begins",
        ),
    ] {
        let (code, _, error) = report(args).await;
        assert!(code == 2 && error.contains(word), "{error}");
    }
    let missing = soon(tower_quota(&["report", "--ledger", "/nowhere.db"]).output())
        .await
        .unwrap();
    assert_eq!(missing.status.code(), Some(2));
    let error = String::from_utf8(missing.stderr).unwrap();
    assert!(
        error.contains("No such file") && !error.contains("its directory"),
        "{error}"
    );
}

#[cfg(all(feature = "demo", unix))]
#[tokio::test]
async fn g5_a_demonstration_shows_itself_without_a_key_and_says_what_came_of_it() {
    use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};

    let args = [
        "demo",
        "--listen",
        "127.0.0.1:0",
        "--no-open",
        "--agents",
        "6",
    ];
    let mut child = tower_quota(&args).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    soon(out.read_line(&mut line)).await.unwrap();
    let url = line.trim().strip_prefix("the dashboard: ").unwrap();
    let page = soon(client().get(url).send()).await.unwrap();
    assert_eq!(page.status(), 200);
    let ask = async |path: &str| -> Value {
        let answer = soon(client().get(format!("{url}{path}")).send())
            .await
            .unwrap();
        soon(answer.json()).await.unwrap()
    };
    let status = ask("status").await;
    assert!(status["limits"].as_array().unwrap().len() > 5, "{status}");
    let answered = async {
        while ask("costs").await["periods"][0]["total"]["requests"].as_u64() < Some(5) {
            tokio::task::yield_now().await;
        }
    };
    soon(answered).await;
    let pid = child.id().unwrap().to_string();
    let killed = tokio::process::Command::new("kill")
        .args(["-TERM", &pid])
        .status();
    assert!(killed.await.unwrap().success());
    let mut rest = String::new();
    soon(out.read_to_string(&mut rest)).await.unwrap();
    assert!(soon(child.wait()).await.unwrap().success());
    let answered = rest
        .lines()
        .find(|line| line.contains("calls were answered"))
        .unwrap();
    assert!(!answered.starts_with("0 "), "{rest}");
    assert!(answered.ends_with(" 0 failed."), "{rest}");
    for line in rest.lines().filter(|line| line.contains("attempts")) {
        assert!(line.contains(" 0 of them over its limits"), "{rest}");
    }
}
