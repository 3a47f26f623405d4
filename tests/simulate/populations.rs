//! Agents that are made up.

use tower_quota::simulate::{Population, SimulateError, Simulation};

use crate::{config, population, run, seconds};

const WIDE: &str = "  global: { rpm: 1000000 }";

#[test]
fn agents_of_a_closed_loop_wait_for_their_answers() {
    let load = "groups: { s: { agents: 3, model: gpt-4o, input: 1, output: 1, latency: 2s, think: 8s, for: 1m } }";
    let report = run(&config(WIDE), population(load));
    // At 0, 10, … 50.
    assert_eq!((report.calls, report.makespan), (18, seconds(52.0)));
    let slow = load.replace("latency: 2s", "latency: 12s");
    assert_eq!(run(&config(WIDE), population(&slow)).calls, 9);
}

#[test]
fn agents_of_an_open_loop_do_not() {
    let load = "groups: { s: { agents: 10, model: gpt-4o, input: 1, output: 1, latency: 50s, rate: 60/min, for: 10m } }";
    let report = run(&config(WIDE), population(load));
    assert!((5_700..6_300).contains(&report.calls), "{}", report.calls);
}

#[test]
fn they_begin_one_by_one_and_make_as_many_calls_as_said() {
    let load = "groups: { s: { agents: 4, model: gpt-4o, input: 1, output: 1, latency: 1s, think: 1s, calls: 5, ramp: 40s, calls_per_run: 2 } }";
    let report = run(&config(WIDE), population(load));
    assert_eq!((report.calls, report.makespan), (20, seconds(39.0)));
    let runs = report.by.iter().find(|by| by.tag.name() == "run").unwrap();
    assert_eq!(runs.values.len(), 12);
    assert!(
        runs.values
            .iter()
            .any(|run| run.value == "s-4/3" && run.calls == 1)
    );
}

#[test]
fn where_nobody_is_there_it_is_said() {
    let group = |agents: u32| {
        format!(
            "{{ agents: {agents}, model: gpt-4o, input: 1, output: 1, latency: 1s, think: 1s, calls: 2 }}"
        )
    };
    let load = |one, other| {
        let (one, other) = (group(one), group(other));
        population(&format!("groups: {{ a: {one}, b: {other} }}"))
    };
    let wide = config(WIDE);
    let error = Simulation::new(&wide, load(0, 0)).run().unwrap_err();
    assert!(matches!(error, SimulateError::NoAgent));
    assert!(error.to_string().contains("no agent"), "{error}");
    assert_eq!(run(&wide, load(0, 1)).calls, 2);
}

#[test]
fn who_is_refused_does_not_come_again_at_once() {
    let load = "groups: { s: { model: gpt-4o, input: 1, output: 1, max_tokens: 900, latency: 0s, think: 0s, for: 10s } }";
    let report = run(
        &config("  global: { tokens_per_minute: 100 }"),
        population(load),
    );
    assert_eq!((report.calls, report.refused), (10, 10));
}

/// Another agent changes nothing of what the others draw.
#[test]
fn agents_draw_for_themselves() {
    let load = |agents: u32| {
        population(&format!(
            "groups: {{ s: {{ agents: {agents}, model: gpt-4o, input: {{ p50: 800, p95: 4000 }}, output: 5, latency: 1s, think: {{ uniform: [1s, 9s] }}, for: 5m }} }}"
        ))
    };
    let input = |agents: u32| {
        let report = run(&config(WIDE), load(agents));
        let agents = report
            .by
            .iter()
            .find(|by| by.tag.name() == "agent")
            .unwrap();
        let first = agents
            .values
            .iter()
            .find(|level| level.value == "s-1")
            .unwrap();
        (first.calls, first.input_tokens)
    };
    assert_eq!(input(1), input(20));
}

#[test]
fn the_same_seed_gives_the_same_and_another_does_not() {
    let load = "seed: 3\ngroups: { s: { agents: 30, models: { gpt-4o: 1, gpt-4o-mini: 2 }, input: { p50: 800, p95: 4000 }, output: { uniform: [1, 500] }, latency: { p50: 2s, p95: 8s }, rate: 10/min, for: 2m } }";
    let limits = config(
        "  global: { rpm: 150, tpm: 300000, concurrent_requests: 20 }\n  max_hourly_spend: 3",
    );
    let (one, other) = (
        run(&limits, population(load)),
        run(&limits, population(load)),
    );
    assert!(one.waits.calls > 0);
    assert_eq!(one, other);
    assert_eq!(one.json(), other.json());
    let seeded = |seed| {
        Simulation::new(&limits, population(load))
            .seed(seed)
            .run()
            .unwrap()
    };
    assert_eq!(seeded(3), one);
    assert_ne!(seeded(4).input_tokens, one.input_tokens);
}

#[test]
fn what_makes_no_sense_is_told_with_its_place() {
    let group = |more: &str| {
        format!("groups: {{ s: {{ model: m, input: 1, output: 1, latency: 1s{more} }} }}")
    };
    for (yaml, word) in [
        ("groups: {}".to_owned(), "groups: is empty"),
        ("group: {}".to_owned(), "the key `group` is not known"),
        (
            group(", think: 1s"),
            "groups.s.for: is missing, and so is `calls`",
        ),
        (
            group(", for: 1m"),
            "groups.s.think: is missing, and so is `rate`",
        ),
        (
            group(", for: 1m, think: 1s, rate: 1/s"),
            "groups.s.rate: does not go with `think`",
        ),
        (
            group(", for: 1m, think: 1s, calls_per_run: 0"),
            "groups.s.calls_per_run: is 0",
        ),
        (
            group(", for: 1m, rate: often"),
            "groups.s.rate: `often` is no rate",
        ),
        (
            group(", for: 1m, rate: 1e-20"),
            "groups.s.rate: is less than once in 100 years",
        ),
        (
            group(", for: 1m, think: 1s, ramp: 10000000000000000000s"),
            "groups.s.ramp: is longer than 100 years",
        ),
        (
            group(", for: 6000w, think: 1s"),
            "groups.s.for: is longer than 100 years",
        ),
        (
            group(", for: 1m, think: { p50: 1s, p95: 10000000000s }"),
            "groups.s.think: is longer than 100 years",
        ),
        (
            group(", calls: 1, think: 1s, max_wait: 10000000000000000000s"),
            "groups.s.max_wait: is longer than 100 years",
        ),
        (
            "groups: { s: { model: m, input: 1, output: 1, latency: { uniform: [1s, 10000000000000000000s] }, think: 1s, calls: 1 } }"
                .to_owned(),
            "groups.s.latency: is longer than 100 years",
        ),
        (
            group(", for: 1m, think: { p50: 1s }"),
            "groups.s.think: wanted is",
        ),
        (
            group(", agnets: 2, for: 1m, think: 1s"),
            "the key `agnets` is not known",
        ),
        (
            group(", for: soon, think: 1s"),
            "groups.s.for: `soon` is no duration",
        ),
        (
            "start: noon\ngroups: {}".to_owned(),
            "start: `noon` is no date",
        ),
        (
            "groups: { s: { models: {}, input: 1 } }".to_owned(),
            "no model that is ever called",
        ),
        (
            "groups: { s: { models: [''], input: 1 } }".to_owned(),
            "a model has no name",
        ),
        ("groups: { s: { input: 1 } }".to_owned(), "models"),
    ] {
        let error = Population::from_yaml(&yaml).unwrap_err().to_string();
        assert!(error.contains(word), "{yaml}: {error}");
    }
}

/// The rarest and the longest that can be said.
#[test]
fn spans_of_a_hundred_years_run_to_their_end() {
    let load = population(
        "groups:
  s: { agents: 3, model: gpt-4o, input: 1, output: 1, latency: 5000w, rate: 1e-9, calls: 3, ramp: 5000w }
  t: { agents: 2, model: gpt-4o, input: 18446744073709551615, output: 1, latency: { p50: 1s, p95: 5000w }, think: 5000w, calls: 2, max_wait: 5000w }",
    );
    let report = run(&config("  queue: { max_waiting: 9 }"), load);
    assert_eq!((report.calls, report.answered), (13, 13));
}

/// Whoever sets a field by hand is not held to bounds; nobody panics.
#[test]
fn what_comes_after_all_time_does_not_come() {
    let yaml = "groups: { s: { agents: 2, model: gpt-4o, input: 1, output: 1, latency: 1s, think: 1s, calls: 1 } }";
    let mut population = Population::from_yaml(yaml).unwrap();
    let group = population.groups.get_mut("s").unwrap();
    group.ramp = std::time::Duration::MAX.into();
    assert_eq!(run(&config(WIDE), population.into()).calls, 1);
}
