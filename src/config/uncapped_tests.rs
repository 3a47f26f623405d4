use crate::config::Config;

/// Nothing is known of this model but what stands here: an answer of a million tokens costs ten dollars.
const PRICE: &str = "prices: { mine: { big: { input: 1, output: 10, max_output: 1000000 } } }";

fn doubts(block: &str) -> Vec<String> {
    let config = Config::from_yaml(&format!("rate_limiting: {{ {block} }}")).unwrap();
    config.build().unwrap().doubts
}

#[test]
fn a_budget_of_less_than_four_calls_without_a_cap_is_doubted() {
    assert_eq!(
        doubts(&format!("{PRICE}, max_daily_spend: 39.99")),
        [
            "rate_limiting.max_daily_spend: a call for `big` that names no cap on its output reserves $10.00, of $39.99 in all, \
             so that few such calls run at a time, or none; set `rate_limiting.cap_output`"
        ]
    );
    for enough in [
        "max_daily_spend: 40",
        "max_daily_spend: 5, cap_output: 100",
        "max_daily_spend: 5, enabled: false",
        "budgets: [{ amount: 5, every: day, mode: soft }]",
        "budgets: [{ amount: 5, every: day, when: { model: other } }]",
        "budgets: [{ amount: 5, every: day, when: { provider: other } }]",
        "global: { rpm: 5 }",
    ] {
        let doubts = doubts(&format!("{PRICE}, {enough}"));
        assert!(doubts.is_empty(), "{enough}: {doubts:?}");
    }
    // Anthropic's API takes no call without one.
    let anthropic = "max_daily_spend: 25, providers: { anthropic: { claude-opus-5: { rpm: 50 } } }";
    assert!(doubts(anthropic).is_empty());
}

#[test]
fn of_several_budgets_the_tightest_is_told_of_and_of_several_models_the_dearest() {
    for (block, path, model) in [
        (
            format!("{PRICE}, max_daily_spend: 30, agents: {{ a: {{ max_cost_per_run: 5 }} }}"),
            "agents.a.max_cost_per_run",
            "big",
        ),
        (
            "budgets: [{ amount: 5, every: hour }], max_daily_spend: 6, \
             limits: [{ quantity: requests, amount: 5, every: 1m, when: { provider: openai, model: [gpt-5.4-mini, gpt-5.5] } }]"
                .to_owned(),
            "budgets[0]",
            "gpt-5.5",
        ),
        (
            "max_daily_spend: 10, providers: { openai: { gpt-5.5: { rpm: 5 } } }".to_owned(),
            "max_daily_spend",
            "gpt-5.5",
        ),
        (
            "max_daily_spend: 10, failover: { providers: { mine: { provider: openai, base_url: 'http://x' } }, \
             routes: { fast: [mine/gpt-5.5] } }"
                .to_owned(),
            "max_daily_spend",
            "gpt-5.5",
        ),
    ] {
        let doubts = doubts(&block);
        assert_eq!(doubts.len(), 1, "{block}: {doubts:?}");
        let begins = format!("rate_limiting.{path}: a call for `{model}` ");
        assert!(doubts[0].starts_with(&begins), "{block}: {doubts:?}");
    }
}
