//! How many agents fit.

use std::time::Duration;

use tower_quota::simulate::{Fit, SimulateError, Simulation};

use crate::{config, population, trace};

const SCOUTS: &str = "groups:
  scouts: { agents: 2, model: gpt-4o, input: 800, output: 100, max_tokens: 100, latency: 2s, think: 8s, ramp: 1m, for: 10m }
  clerks: { agents: 1, model: gpt-4o-mini, input: 100, output: 10, max_tokens: 10, latency: 1s, think: 59s, for: 10m }";

#[test]
fn what_fits_fits_and_one_more_does_not() {
    let limits = config("  providers: { openai: { gpt-4o: { rpm: 60 } } }");
    let simulation = Simulation::new(&limits, population(SCOUTS));
    let fit = Fit::new().group("scouts");
    let fitted = simulation.fit(&fit).unwrap();
    assert!((9..=13).contains(&fitted.agents), "{fitted}");
    let report = fitted.report.as_ref().unwrap();
    assert!(report.waits.p95 <= Duration::from_secs(5) && report.refused == 0);
    let beyond = fitted.beyond.as_ref().unwrap();
    assert_eq!(beyond.agents, fitted.agents + 1);
    assert_eq!(
        beyond.limit.as_deref(),
        Some("requests 60/min for provider=openai, model=gpt-4o")
    );
    assert!(
        beyond.why.contains("95 of 100 calls wait"),
        "{}",
        beyond.why
    );
    // As a run by hand says.
    let by_hand = |agents: u32| {
        let load = SCOUTS.replace("agents: 2", &format!("agents: {agents}"));
        Simulation::new(&limits, population(&load)).run().unwrap()
    };
    assert_eq!(&by_hand(fitted.agents), report);
    assert!(by_hand(fitted.agents + 1).waits.p95 > Duration::from_secs(5));
    let text = fitted.to_string();
    assert!(
        text.starts_with(&format!(
            "{} agents of scouts fit\nwith {}: ",
            fitted.agents, beyond.agents
        )),
        "{text}"
    );
}

#[test]
fn a_budget_stops_by_refusals() {
    let limits = config("  max_hourly_spend: 2");
    let fitted = Simulation::new(&limits, population(SCOUTS))
        .fit(&Fit::new().group("scouts"))
        .unwrap();
    let beyond = fitted.beyond.unwrap();
    assert!(
        fitted.agents >= 1 && beyond.why.contains("budget exceeded"),
        "{}",
        beyond.why
    );
    assert!(beyond.limit.unwrap().starts_with("cost $2.00"));
    // More of them are well where some may be refused.
    let lenient = Fit::new().group("scouts").refused(500);
    let more = Simulation::new(&limits, population(SCOUTS))
        .fit(&lenient)
        .unwrap();
    assert!(more.agents > fitted.agents);
}

#[test]
fn all_grow_by_their_parts() {
    let limits = config("  global: { rpm: 60 }");
    let fitted = Simulation::new(&limits, population(SCOUTS))
        .fit(&Fit::new())
        .unwrap();
    let report = fitted.report.unwrap();
    let agents = report
        .by
        .iter()
        .find(|by| by.tag.name() == "agent")
        .unwrap();
    let of = |name: &str| {
        agents
            .values
            .iter()
            .filter(|one| one.value.starts_with(name))
            .count()
    };
    let (scouts, clerks) = (of("scouts"), of("clerks"));
    assert_eq!(scouts + clerks, fitted.agents as usize);
    assert!((2 * clerks).abs_diff(scouts) <= 2, "{scouts} and {clerks}");
}

#[test]
fn where_not_even_one_fits_none_does_and_where_all_do_no_more_are_tried() {
    let simulation = |limits: &str| Simulation::new(&config(limits), population(SCOUTS));
    let none = simulation("  providers: { openai: { gpt-4o: { tpm: 50 } } }");
    let none = none.fit(&Fit::new().group("scouts")).unwrap();
    assert_eq!((none.agents, none.report.is_none()), (0, true));
    assert!(none.beyond.unwrap().why.contains("never fits"));
    let all = simulation("  global: { rpm: 1000000 }");
    let all = all.fit(&Fit::new().most(20)).unwrap();
    assert_eq!((all.agents, all.beyond.is_none()), (20, true));
}

#[test]
fn nobody_fits_into_a_trace_or_an_unknown_group() {
    let limits = config("  global: { rpm: 60 }");
    let error = Simulation::new(&limits, trace(&[(0.0, "a", 1, 1, 1)])).fit(&Fit::new());
    assert!(matches!(error, Err(SimulateError::NoPopulation)));
    let error = Simulation::new(&limits, population(SCOUTS)).fit(&Fit::new().group("scout"));
    let said = error.unwrap_err().to_string();
    assert!(
        said.contains("no group `scout`; its groups are clerks, scouts"),
        "{said}"
    );
}

#[test]
fn nobody_fits_where_nothing_is_limited_or_nobody_calls() {
    let off = config("  enabled: false\n  global: { rpm: 60 }");
    let error = Simulation::new(&off, population(SCOUTS)).fit(&Fit::new());
    assert!(matches!(error, Err(SimulateError::SwitchedOff)));
    let empty = SCOUTS.replace("agents: 2", "agents: 0");
    let empty = empty.replace("agents: 1", "agents: 0");
    let limits = config("  global: { rpm: 60 }");
    let simulation = Simulation::new(&limits, population(&empty));
    let error = simulation.fit(&Fit::new());
    assert!(matches!(error, Err(SimulateError::NoAgent)));
    // One group may still be asked for: it is as large as is tried.
    let fitted = simulation.fit(&Fit::new().group("scouts")).unwrap();
    assert!((9..=13).contains(&fitted.agents), "{fitted}");
}

/// What was refused and went on is not what stops the calls that the provider fails.
#[test]
fn what_fails_at_the_provider_is_no_refusal() {
    let ours = config(
        "  retry: { max_attempts: 1 }
  providers: { openai: { gpt-4o: { tpm: 50 } } }
  failover:
    providers:
      openai: { keys: [sk-a] }
      azure: { base_url: 'https://mine.openai.azure.com/openai/v1', keys: [sk-b] }
    routes: { gpt-4o: [openai/gpt-4o, azure/gpt-4o] }",
    );
    let theirs = config("  providers: { azure: { gpt-4o: { rpm: 3 } } }");
    let load = SCOUTS.replace("clerks: { agents: 1", "clerks: { agents: 0");
    let simulation = Simulation::new(&ours, population(&load)).provider_limits(&theirs);
    let report = simulation.run().unwrap();
    assert!(report.failed > 0 && report.refused == 0, "{report}");
    assert!(report.refusals[0].attempts > 0 && report.refusals[0].calls == 0);
    let fitted = simulation.fit(&Fit::new().group("scouts")).unwrap();
    let beyond = fitted.beyond.unwrap();
    let (calls, rest) = beyond.why.split_once(' ').unwrap();
    assert!(calls.parse::<u64>().unwrap() > 0);
    assert_eq!(rest, "calls fail at the provider, most by rate_limit");
    assert_eq!(beyond.limit, None);
}
