//! `tower-quota simulate`
#![cfg(all(feature = "gateway", feature = "simulate"))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, process::Command};

use serde_json::Value;
use tempfile::TempDir;

const CONFIG: &str = "rate_limiting:
  store: sqlite:/nowhere/at/all.db
  providers: { openai: { gpt-4o: { rpm: 60 } } }
  max_daily_spend: 100
  failover:
    providers: { openai: { keys: ['${NOBODY_SETS_THIS}', { key: '${NOR_THIS}', label: b }] } }
    routes: { gpt-4o: [openai/gpt-4o] }
gateway:
  upstreams: { openai: { key: '${NOR_THIS_ONE}' } }";

const POPULATION: &str = "groups:
  scouts: { agents: 3, model: gpt-4o, input: 800, output: { uniform: [10, 90] }, max_tokens: 100, latency: 2s, think: 8s, ramp: 1m, for: 5m }";

const TRACE: &str = "at,model,input_tokens,output_tokens,latency
2026-11-26T12:00:00Z,gpt-4o,800,10,1s
";

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Folder(tempfile::tempdir().unwrap());
        folder.write("quota.yaml", CONFIG);
        folder.write("agents.yaml", POPULATION);
        folder.write("calls.csv", TRACE);
        folder
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).unwrap();
    }

    /// Its exit code, what it says, and what it complains about.
    fn simulate(&self, arguments: &str) -> (i32, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_tower-quota"))
            .arg("simulate")
            .args(arguments.split_whitespace())
            .current_dir(self.0.path())
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.code().unwrap(),
            text(output.stdout),
            text(output.stderr),
        )
    }

    fn said(&self, arguments: &str) -> String {
        let (code, said, complaint) = self.simulate(arguments);
        assert_eq!((code, complaint.as_str()), (0, ""), "{arguments}: {said}");
        said
    }
}

#[test]
fn g5_a_trace_needs_no_key_and_opens_no_store() {
    let said = Folder::new().said("--config quota.yaml --trace calls.csv");
    assert!(
        said.starts_with("1 calls in 1.0 s: 1 answered, 0 refused, 0 failed; 1 attempts\n"),
        "{said}"
    );
    assert!(
        said.contains("requests 60/min for provider=openai, model=gpt-4o"),
        "{said}"
    );
    assert!(said.contains("cost $100.00/calendar day in UTC"), "{said}");
}

#[test]
fn g5_a_population_is_told_in_each_format_and_the_same_each_time() {
    let folder = Folder::new();
    let json = folder.said("--config quota.yaml --population agents.yaml --format json");
    let report: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(report["calls"], 90);
    assert_eq!(
        json,
        folder.said("--config quota.yaml --population agents.yaml --format json")
    );
    let other = folder.said("--config quota.yaml --population agents.yaml --format json --seed 9");
    assert_ne!(json, other);
    let said =
        folder.said("--config quota.yaml --population agents.yaml --format svg --output out.svg");
    assert_eq!(said, "");
    let svg = fs::read_to_string(folder.0.path().join("out.svg")).unwrap();
    assert!(
        svg.starts_with("<svg ") && svg.ends_with("</svg>\n"),
        "{svg}"
    );
}

#[test]
fn g5_it_says_how_many_agents_fit() {
    let folder = Folder::new();
    let text = "--config quota.yaml --population agents.yaml --fit scouts --p95-wait 2s";
    let said = folder.said(text);
    assert!(said.contains(" agents of scouts fit\nwith "), "{said}");
    assert!(said.contains("what stops them: requests 60/min"), "{said}");
    let json =
        folder.said("--config quota.yaml --population agents.yaml --fit --most 4 --format json");
    let fitted: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&fitted["agents"], &fitted["beyond"]),
        (&4.into(), &Value::Null)
    );
}

#[test]
fn g5_limits_of_the_provider_show_where_the_configuration_is_laxer() {
    let folder = Folder::new();
    folder.write(
        "truth.yaml",
        "rate_limiting: { providers: { openai: { gpt-4o: { rpm: 10 } } } }",
    );
    let text = "--config quota.yaml --population agents.yaml --provider-limits truth.yaml";
    assert!(folder.said(text).contains("attempts ended with rate_limit"));
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let folder = Folder::new();
    folder.write(
        "bad.csv",
        "at,model,input_tokens,output_tokens,latency\n0,gpt-4o,many,1,1s\n",
    );
    folder.write(
        "bad.yaml",
        "groups: { s: { model: m, input: 1, output: 1, latency: 1s, think: 1s } }",
    );
    folder.write(
        "limits.yaml",
        "rate_limiting: { global: { rpm: '${NOBODY_SETS_THIS}' } }",
    );
    folder.write("empty.csv", "at,model\n");
    for (text, word) in [
        ("--config quota.yaml", "required"),
        (
            "--config quota.yaml --trace calls.csv --population agents.yaml",
            "cannot be used with",
        ),
        (
            "--config quota.yaml --trace calls.csv --fit",
            "a population alone",
        ),
        ("--config none.yaml --trace calls.csv", "none.yaml"),
        (
            "--config quota.yaml --trace none.csv",
            "none.csv: cannot be read",
        ),
        (
            "--config quota.yaml --trace quota.yaml",
            "quota.yaml: is no trace by its name",
        ),
        (
            "--config quota.yaml --trace bad.csv",
            "bad.csv: line 2: `input_tokens` is `many`",
        ),
        (
            "--config quota.yaml --trace empty.csv",
            "empty.csv: there is no call in it",
        ),
        (
            "--config quota.yaml --population bad.yaml",
            "bad.yaml: groups.s.for: is missing",
        ),
        ("--config quota.yaml --population none.yaml", "none.yaml"),
        (
            "--config quota.yaml --population agents.yaml --fit clerks",
            "no group `clerks`",
        ),
        // It is no key, so nothing can stand in its place.
        (
            "--config limits.yaml --trace calls.csv",
            "`NOBODY_SETS_THIS` is not set",
        ),
        (
            "--config quota.yaml --trace calls.csv --start noon",
            "--start",
        ),
        (
            "--config quota.yaml --trace calls.csv --output no/such/place",
            "no/such/place",
        ),
    ] {
        let (code, _, complaint) = folder.simulate(text);
        assert!(
            code > 0 && complaint.contains(word),
            "{text}: {code}: {complaint}"
        );
    }
}
