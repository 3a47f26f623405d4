//! Each kind of refusal has an entry, under a heading that is the kind, so that its anchor is too; and each entry a kind.

use std::{collections::BTreeSet, fs, path::Path};

use tower_quota::{
    Rejection,
    sim::{SimConfig, Simulator},
};

use crate::{
    pages::{pages, text},
    process::Gateway,
};

/// The kinds that have an entry.
fn entries() -> BTreeSet<String> {
    let page = text("troubleshooting.md");
    let lines = page.lines().filter_map(|line| line.strip_prefix("## "));
    let headings: Vec<&str> = lines.collect();
    let entries: BTreeSet<String> = headings.iter().map(|&kind| kind.to_owned()).collect();
    assert_eq!(entries.len(), headings.len(), "a heading is there twice");
    entries
}

/// The kinds that the sources have: each stands there as `kind!("…")`, and one that the crate has no entry of does not
/// compile.
fn kinds(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            kinds(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).unwrap();
            let named = source.split("kind!(\"").skip(1);
            found.extend(named.map(|rest| rest.split('"').next().unwrap().to_owned()));
        }
    }
}

#[test]
fn each_kind_has_an_entry_and_each_entry_a_kind() {
    let mut found = BTreeSet::new();
    kinds(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut found,
    );
    assert!(found.len() > 20, "{found:?}");
    assert_eq!(entries(), found);
}

#[test]
fn the_address_is_that_of_a_page_that_the_documentation_has() {
    let rejection = Rejection::BodyTooLarge { cap: 1 };
    let help = rejection.help();
    let (page, anchor) = help.split_once('#').unwrap();
    assert_eq!(anchor, "body_too_large");
    let page = page
        .strip_prefix("https://docs.rs/tower-quota/latest/tower_quota/guide/")
        .unwrap();
    let module = page.strip_suffix("/index.html").unwrap();
    assert!(pages().contains(&format!("{module}.md")));
    let source = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/guide.rs"));
    assert!(source.unwrap().contains(&format!("page!({module},")));
}

/// Where a header `Link` leads to.
fn help(answer: &reqwest::Response) -> String {
    let link = answer.headers()["link"].to_str().unwrap();
    let link = link
        .strip_prefix('<')
        .and_then(|link| link.strip_suffix(">; rel=\"help\""));
    link.unwrap().to_owned()
}

#[tokio::test]
async fn refusals_of_layers_and_of_the_gateway_link_their_entries_and_answers_do_not() {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let limits = "{ providers: { openai: { sim-small: { tpm: 100 } } } }";
    let gateway = Gateway::start(&sim.base_url(), limits).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let chat = |model: &str| {
        let body = format!(r#"{{"model":"{model}","max_tokens":200,"messages":[]}}"#);
        client
            .post(gateway.url("/v1/chat/completions"))
            .header("content-type", "application/json")
            .body(body)
    };
    let ask = |path: &str| client.get(gateway.url(path));
    for (call, kind, is_problem) in [
        (chat("sim-small"), "never_fits", false),
        (
            chat("sim-1").header("x-quota-priority", "high"),
            "bad_header",
            false,
        ),
        (
            ask("/healthz").header("host", "example.com"),
            "not_local",
            true,
        ),
        (ask("/quota/nothing"), "not_found", true),
        (
            client.delete(gateway.url("/quota/claims/none")),
            "not_found",
            true,
        ),
    ] {
        let answer = call.send().await.unwrap();
        assert!(!answer.status().is_success());
        let help = help(&answer);
        assert_eq!(help.split_once('#').unwrap().1, kind);
        if is_problem {
            let body = answer.text().await.unwrap();
            let body: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!((&body["type"], &body["code"]), (&help.into(), &kind.into()));
        }
    }
    let answer = chat("sim-1").send().await.unwrap();
    assert!(answer.status().is_success());
    assert!(answer.headers().get("link").is_none());
}
