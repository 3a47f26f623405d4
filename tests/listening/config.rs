//! What a file says of learning.

use tower_quota::config::Config;

fn limits(block: &str) -> Result<Vec<String>, String> {
    let config = Config::from_yaml(&format!("rate_limiting: {{ {block} }}")).expect(block);
    let stack = config.build().map_err(|error| error.to_string())?;
    let limits = stack.limiter.limits();
    Ok(limits.iter().map(ToString::to_string).collect())
}

#[test]
fn a_block_and_a_limit_say_that_they_learn() {
    assert_eq!(
        limits(
            "providers: { openai: { m: { rpm: 500, tpm: 9000, concurrent_requests: 5, max_requests_per_run: 7, \
             adaptive: 0.25 } } }, \
             limits: [ { quantity: requests, amount: 60, every: 1m, adaptive: 1 }, \
             { quantity: requests, amount: 600, every: 1h } ]"
        ),
        Ok([
            "requests 500/min for provider=openai, model=m (adaptive)",
            "tokens 9000/min for provider=openai, model=m (adaptive)",
            "concurrency 5 for provider=openai, model=m (adaptive)",
            "requests 7/run for provider=openai, model=m per run",
            "requests 60/min (adaptive)",
            "requests 600/hour",
        ]
        .map(str::to_owned)
        .to_vec())
    );
}

#[test]
fn a_floor_that_makes_no_sense_is_refused_by_its_path() {
    let limit =
        |rest: &str| format!("limits: [ {{ quantity: requests, amount: 9, every: 1m, {rest} }} ]");
    for (block, path, reason) in [
        (
            limit("adaptive: 0"),
            "rate_limiting.limits[0]",
            "more than 0 and at most 1",
        ),
        (
            limit("adaptive: 1.01"),
            "rate_limiting.limits[0]",
            "`adaptive` is 1.01",
        ),
        (
            limit("adaptive: -0.5"),
            "rate_limiting.limits[0]",
            "`adaptive` is -0.5",
        ),
        (
            limit("adaptive: .nan"),
            "rate_limiting.limits[0]",
            "`adaptive` is NaN",
        ),
        (
            limit("adaptive: 0.5, per: [agent]"),
            "rate_limiting.limits[0]",
            "the caller's tags",
        ),
        (
            "global: { rpm: 5, adaptive: 0 }".to_owned(),
            "rate_limiting.global.adaptive",
            "more than 0 and at most 1",
        ),
        (
            "agents: { scout: { rpm: 5, adaptive: 0.5 } }".to_owned(),
            "rate_limiting.agents.scout.requests_per_minute",
            "the caller's tags",
        ),
    ] {
        let error = limits(&block).expect_err(&block);
        assert!(
            error.starts_with(path) && error.contains(reason),
            "{block}: {error}"
        );
    }
}

#[test]
fn counters_are_absorbed_unless_the_file_says_otherwise() {
    let config = |text| Config::from_yaml(text).unwrap().rate_limiting;
    assert!(config("rate_limiting: {}").absorb_counters);
    assert!(!config("rate_limiting: { absorb_counters: false }").absorb_counters);
}
