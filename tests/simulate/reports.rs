//! What a report says, in figures that are known beforehand.

use std::time::Duration;

use serde_json::Value;
use tower_quota::simulate::{Load, SimulateError, Simulation};

use crate::{config, population, run, seconds, trace};

const MINUTE: &str = "  margin: 0s\n  global: { rpm: 2 }";

#[test]
fn waits_are_those_of_the_windows() {
    let calls: Vec<_> = (0..6)
        .map(|n| (f64::from(n), "scout", 10, 10, 100))
        .collect();
    let report = run(&config(MINUTE), trace(&calls));
    // Two a minute: at 0 and 1, at 60 and 61, at 120 and 121.
    assert_eq!((report.calls, report.answered, report.attempts), (6, 6, 6));
    assert_eq!(report.waits.calls, 4);
    assert_eq!(
        report.waits.mean,
        seconds(f64::from(58 + 58 + 116 + 116) / 6.0)
    );
    assert_eq!(report.waits.p50, seconds(58.0));
    assert_eq!(
        (report.waits.p90, report.waits.longest),
        (seconds(116.0), seconds(116.0))
    );
    assert_eq!(report.makespan, seconds(122.0));
    let limit = &report.limits[0];
    assert_eq!(limit.limit, "requests 2/min");
    assert_eq!(
        (limit.held, limit.held_for, limit.fullest),
        (4, seconds(348.0), 1.0)
    );
    assert_eq!(report.tightest(), Some(limit));
    assert!(report.refusals.is_empty() && report.errors.is_empty());
}

#[test]
fn nothing_waits_where_there_is_room() {
    let calls: Vec<_> = (0..6)
        .map(|n| (f64::from(n) * 60.0, "scout", 10, 10, 100))
        .collect();
    let report = run(&config(MINUTE), trace(&calls));
    assert_eq!(
        (report.waits.calls, report.waits.longest),
        (0, Duration::ZERO)
    );
    assert_eq!((report.limits[0].held, report.limits[0].fullest), (0, 0.5));
    assert_eq!(report.makespan, seconds(301.0));
}

#[test]
fn refusals_are_told_by_kind_with_a_message_and_the_limit() {
    let config = config(
        "  global: { max_requests_per_run: 2 }
  providers: { openai: { gpt-4o: { tpm: 500 } } }",
    );
    let csv = "at,model,run,input_tokens,output_tokens,max_tokens,latency
        0,gpt-4o,a,1,1,10,1
        1,gpt-4o,a,1,1,10,1
        2,gpt-4o,a,1,1,10,1
        3,gpt-4o,b,1,1,900,1";
    let report = run(&config, Load::from_csv(csv.as_bytes()).unwrap());
    assert_eq!(
        (report.answered, report.refused, report.attempts),
        (2, 2, 2)
    );
    let kinds: Vec<(&str, u64)> = report
        .refusals
        .iter()
        .map(|one| (one.kind, one.calls))
        .collect();
    assert_eq!(kinds, [("never_fits", 1), ("run_used_up", 1)]);
    assert!(
        report.refusals[0]
            .message
            .contains("never fits: tokens 500/min")
    );
    let refused: Vec<u64> = report.limits.iter().map(|limit| limit.refused).collect();
    assert_eq!(refused, [1, 1]);
    let text = report.to_string();
    assert!(
        text.contains("refused 1 calls (never_fits): this call never fits"),
        "{text}"
    );
}

#[test]
fn urgent_calls_wait_less_and_deadlines_refuse() {
    let csv = "at,model,agent,priority,max_wait,input_tokens,output_tokens,latency
        0,gpt-4o,first,0,,1,1,1
        1,gpt-4o,calm,0,,1,1,1
        2,gpt-4o,urgent,9,,1,1,1
        3,gpt-4o,hasty,0,10s,1,1,1";
    let config = config("  margin: 0s\n  global: { rpm: 1 }");
    let report = run(&config, Load::from_csv(csv.as_bytes()).unwrap());
    let agents = report
        .by
        .iter()
        .find(|by| by.tag.name() == "agent")
        .unwrap();
    let of = |name: &str| {
        agents
            .values
            .iter()
            .find(|level| level.value == name)
            .unwrap()
    };
    assert_eq!(of("urgent").waits.longest, seconds(58.0));
    assert_eq!(of("calm").waits.longest, seconds(119.0));
    assert_eq!((of("hasty").refused, of("calm").refused), (1, 0));
    assert_eq!(report.refusals[0].kind, "deadline_exceeded");
}

#[test]
fn limits_that_only_watch_say_what_they_would_have_refused() {
    let config = config("  limits: [{ quantity: requests, amount: 1, every: 1m, shadow: true }]");
    let calls: Vec<_> = (0..5).map(|n| (f64::from(n), "a", 1, 1, 1)).collect();
    let report = run(&config, trace(&calls));
    assert_eq!(report.waits.calls, 0);
    assert_eq!(report.limits[0].would_have_refused, Some(4));
}

#[test]
fn calls_that_name_no_cap_are_counted() {
    let csv = "at,model,input_tokens,output_tokens,max_tokens,latency
        0,gpt-4o,1,1,10,1
        1,claude-sonnet-4-5,1,1,,1
        2,gpt-4o,1,1,,1";
    let load = Load::from_csv(csv.as_bytes()).unwrap();
    let report = run(&config(MINUTE), load);
    let json: Value = serde_json::from_str(&report.json()).unwrap();
    assert_eq!(
        (&json["uncapped"], &json["left_out"]),
        (&2.into(), &0.into())
    );
    let text = report.to_string();
    assert!(text.contains("\n2 calls name no cap on output: "), "{text}");
    let capped = run(&config(MINUTE), trace(&[(0.0, "a", 1, 1, 10)]));
    let text = capped.to_string();
    assert!(
        !text.contains("no cap") && !text.contains("left out"),
        "{text}"
    );
}

#[test]
fn json_is_of_the_documented_shape() {
    let calls: Vec<_> = (0..3)
        .map(|n| (f64::from(n), "scout", 10, 10, 100))
        .collect();
    let report = run(
        &config(&format!("{MINUTE}\n  max_daily_spend: 5")),
        trace(&calls),
    );
    let json: Value = serde_json::from_str(&report.json()).unwrap();
    assert_eq!(json["calls"], 3);
    assert_eq!(json["waits"]["longest"], 58.0);
    assert_eq!(json["limits"][0]["limit"], "requests 2/min");
    assert_eq!(json["by"][0]["tag"], "provider");
    assert_eq!(json["budgets"][0]["amount"], "5.00");
    let cost: f64 = json["cost"].as_str().unwrap().parse().unwrap();
    assert!(cost > 0.0);
    let moments = json["over_time"]["moments"].as_array().unwrap();
    let waiting: Vec<u64> = moments
        .iter()
        .map(|m| m["waiting"].as_u64().unwrap())
        .collect();
    assert_eq!(waiting.iter().max(), Some(&1));
    let came: u64 = moments.iter().map(|m| m["came"].as_u64().unwrap()).sum();
    assert_eq!(came, 3);
    assert_eq!(json["over_time"]["limits"][0], "requests 2/min");
}

#[test]
fn the_picture_is_well_formed_and_has_its_words() {
    let config = config(
        "  margin: 0s\n  limits: [{ quantity: requests, amount: 2, every: 1m, when: { team: '<a&b>' } }]",
    );
    let report = run(
        &config,
        population(
            "groups: { s: { agents: 9, tags: { team: '<a&b>' }, model: gpt-4o, input: 1, output: 1, latency: 1s, think: 1s, calls: 1 } }",
        ),
    );
    let svg = report.svg();
    assert!(
        svg.contains("requests 2/min for team=&lt;a&amp;b&gt;"),
        "{svg}"
    );
    assert_eq!(
        svg.matches("<path").count(),
        6,
        "two axes of two lines, an area, a limit"
    );
    assert!(!svg.contains("NaN") && !svg.contains("inf"));
    let text: Vec<&str> = svg.split('<').skip(1).collect();
    let (open, shut) = (
        text.iter().filter(|t| t.starts_with("text ")),
        text.iter().filter(|t| t.starts_with("/text>")),
    );
    assert_eq!(open.count(), shut.count());
}

/// Callers have written the values of tags.
#[test]
fn tags_steer_no_terminal() {
    let config = config(
        "  margin: 0s
  limits: [{ quantity: requests, amount: 1, every: 1m, per: [agent] }]
  agents: { \"\\e[2J\": { max_requests_per_run: 1 } }",
    );
    let csv = "at,model,agent,run,max_wait,input_tokens,output_tokens,max_tokens,latency
        0,gpt-4o,\u{1b}[2J,r,,1,1,1,1
        1,gpt-4o,\u{1b}[2J,s,1s,1,1,1,1
        99,gpt-4o,\u{1b}[2J,r,,1,1,1,1";
    let report = run(&config, Load::from_csv(csv.as_bytes()).unwrap());
    assert_eq!(report.refused, 2);
    let raw = |text: &str| text.chars().any(|c| c.is_control() && c != '\n');
    let text = report.to_string();
    assert!(text.contains("agent=\\u{1b}[2J") && !raw(&text), "{text:?}");
    assert!(!raw(&report.svg()));
    // Programs have it as it is.
    let json: Value = serde_json::from_str(&report.json()).unwrap();
    let by = json["by"].as_array().unwrap();
    let agent = by.iter().find(|by| by["tag"] == "agent").unwrap();
    assert_eq!(agent["values"][0]["value"], "\u{1b}[2J");
}

/// Hundreds of agents are a hundred and the rest of them.
#[test]
fn many_values_of_a_tag_are_bounded() {
    let load = population(
        "groups: { s: { agents: 250, model: gpt-4o, input: 1, output: 1, latency: 1s, think: 1s, calls: 2 } }",
    );
    let report = run(&config("  global: { rpm: 100000 }"), load);
    let agents = report
        .by
        .iter()
        .find(|by| by.tag.name() == "agent")
        .unwrap();
    assert_eq!(agents.values.len(), 100);
    let others = agents.others.as_ref().unwrap();
    assert_eq!((others.value.as_str(), others.calls), ("150 others", 300));
}

/// Nothing is counted there, and 0 calls would look like an answer.
#[test]
fn what_is_switched_off_says_so() {
    let config = config(&format!("  enabled: false\n{MINUTE}"));
    let load = trace(&[(0.0, "scout", 10, 10, 100)]);
    let error = Simulation::new(&config, load).run().unwrap_err();
    assert!(matches!(error, SimulateError::SwitchedOff));
    assert!(error.to_string().contains("switched off"), "{error}");
}
