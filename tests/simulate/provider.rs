//! A provider that allows less, or as much.

use tower_quota::simulate::{Report, Simulation};

use crate::{config, population, trace};

const LOAD: &str = "groups: { s: { agents: 20, model: gpt-4o, input: 500, output: 100, max_tokens: 200, latency: 1s, rate: 10/min, for: 5m } }";
const ALLOWED: &str = "  providers: { openai: { gpt-4o: { rpm: 100, tpm: 60000 } } }";

fn against(ours: &str, theirs: &str) -> Report {
    let simulation = Simulation::new(&config(ours), population(LOAD));
    simulation.provider_limits(&config(theirs)).run().unwrap()
}

#[test]
fn what_keeps_to_its_limits_never_hears_no() {
    let report = against(ALLOWED, ALLOWED);
    assert!(
        report.errors.is_empty() && report.waits.calls > 0,
        "{report}"
    );
    assert_eq!(report.answered, report.calls);
}

#[test]
fn what_does_not_hears_it() {
    let report = against(
        "  providers: { openai: { gpt-4o: { rpm: 500 } } }\n  retry: { max_attempts: 1 }",
        ALLOWED,
    );
    assert!(report.errors["rate_limit"] > 0, "{report}");
    assert_eq!(report.failed, report.errors["rate_limit"]);
    assert!(report.failed < report.calls);
    // A told wait holds back those that come next.
    assert!(
        report
            .limits
            .iter()
            .any(|limit| limit.limit == "cooldown" && limit.held > 0)
    );
    let text = report.to_string();
    assert!(text.contains("attempts ended with rate_limit"), "{text}");
}

#[test]
fn a_route_goes_on_to_the_next_target() {
    let ours = "  failover:
    providers:
      openai: { keys: [sk-a] }
      azure: { base_url: 'https://mine.openai.azure.com/openai/v1', keys: [sk-b] }
    routes: { gpt-4o: [openai/gpt-4o, azure/gpt-4o] }";
    let theirs = "  providers: { openai: { gpt-4o: { rpm: 50 } } }";
    let report = against(ours, theirs);
    assert_eq!(report.answered, report.calls, "{report}");
    let providers = report
        .by
        .iter()
        .find(|by| by.tag.name() == "provider")
        .unwrap();
    let attempts = |name: &str| {
        providers
            .values
            .iter()
            .find(|one| one.value == name)
            .map(|one| one.attempts)
    };
    assert!(
        attempts("azure") > Some(100) && attempts("openai") > Some(100),
        "{report}"
    );
}

/// The margin of ours is for what is not known of it.
#[test]
fn it_has_no_margin_but_its_own() {
    let failed = |margin: &str| {
        let calls = [0.0, 1.0, 60.0].map(|at| (at, "a", 1, 1, 1));
        let theirs = config(&format!(
            "{margin}  providers: {{ openai: {{ gpt-4o: {{ rpm: 2 }} }} }}"
        ));
        let simulation = Simulation::new(&config("  retry: { max_attempts: 1 }"), trace(&calls));
        simulation.provider_limits(&theirs).run().unwrap().failed
    };
    assert_eq!(failed(""), 0);
    assert_eq!(failed("  margin: 5s\n"), 1);
}
