//! What a load costs.

use tower_quota::{Money, simulate::Load};

use crate::{config, population, run};

const TEAMS: &str = "groups:
  a: { agents: 5, tags: { team: blue }, models: { gpt-4o: 1, claude-sonnet-4-5: 1 }, input: { p50: 800, p95: 9000 }, output: { uniform: [10, 900] }, max_tokens: 1000, latency: 2s, think: 3s, for: 5m }
  b: { agents: 3, tags: { team: red }, models: [gpt-4o-mini, gemini-2.5-flash], input: 500, output: 90, max_tokens: 100, latency: 1s, rate: 20/min, for: 5m }";

/// Every way of adding up comes to the same, and that is what the budget counts.
#[test]
fn the_sum_of_costs_is_what_budgets_have_spent() {
    let load = population(TEAMS);
    let report = run(
        &config(
            "  max_monthly_spend: 1000\n  budgets: [{ amount: 500, every: month, per: [team] }]",
        ),
        load,
    );
    assert!(report.cost > Money::from_nanos(0) && report.unpriced == 0);
    let month = report
        .budgets
        .iter()
        .find(|budget| !budget.budget.contains("team"))
        .unwrap();
    assert_eq!(month.spent, report.cost);
    let teams = report
        .budgets
        .iter()
        .filter(|budget| budget.budget.contains("team"));
    assert_eq!(teams.map(|budget| budget.spent).sum::<Money>(), report.cost);
    for by in &report.by {
        let sum: Money = by.values.iter().map(|level| level.cost).sum();
        assert_eq!(sum, report.cost, "{}", by.tag);
    }
    let over_time: Money = report
        .over_time
        .moments
        .iter()
        .map(|moment| moment.spent)
        .sum();
    assert_eq!(over_time, report.cost);
}

/// Prices are known without a budget, too, and are the same.
#[test]
fn it_costs_the_same_without_a_budget() {
    let with = run(&config("  max_monthly_spend: 1000"), population(TEAMS));
    let without = run(&config("  global: { rpm: 100000 }"), population(TEAMS));
    assert_eq!(with.cost, without.cost);
}

#[test]
fn what_has_no_price_is_said() {
    let load = population(
        "groups: { a: { model: our-own, input: 1, output: 1, latency: 1s, think: 1s, calls: 4 } }",
    );
    let report = run(&config("  global: { rpm: 100 }"), load.clone());
    assert_eq!((report.unpriced, report.cost), (4, Money::from_nanos(0)));
    let refused = run(&config("  max_monthly_spend: 1000"), load);
    assert_eq!(refused.refusals[0].kind, "unknown_price");
}

/// What is read from a cache costs less: gpt-4o $2.50 and $1.25 a million, $10 out.
#[test]
fn cached_input_costs_what_it_costs() {
    let csv = "at,model,input_tokens,cache_read_tokens,output_tokens,latency
        0,gpt-4o,1000000,400000,100000,1";
    let report = run(
        &config("  global: { rpm: 10 }"),
        Load::from_csv(csv.as_bytes()).unwrap(),
    );
    assert_eq!(report.cost, "3.00".parse().unwrap());
}

/// What is written to a cache costs more: claude-opus-5-5 $4 a million, $5 written to a cache, $0.20 read, $20 out.
#[test]
fn input_that_is_written_to_a_cache_costs_what_it_costs() {
    let csv = "at,model,input_tokens,cache_read_tokens,cache_write_tokens,output_tokens,latency
        0,claude-opus-5-5,100000,20000,50000,10000,1";
    let report = run(
        &config("  global: { rpm: 10 }"),
        Load::from_csv(csv.as_bytes()).unwrap(),
    );
    // 0.12 + 0.004 + 0.25 + 0.2
    assert_eq!(report.cost, "0.574".parse().unwrap());
}

/// A budget that is used up refuses, and nothing is spent above it.
#[test]
fn a_budget_stops_what_does_not_fit() {
    let load = population(
        "groups: { a: { agents: 4, model: gpt-4o, input: 20000, output: 1000, max_tokens: 1000, latency: 2s, think: 1s, for: 10m } }",
    );
    let report = run(&config("  max_daily_spend: 2"), load);
    assert!(report.refused > 0 && report.cost <= Money::from_dollars(2));
    assert!(report.cost > Money::from_dollars(1), "{}", report.cost);
    assert_eq!(report.refusals[0].kind, "budget_exceeded");
}
