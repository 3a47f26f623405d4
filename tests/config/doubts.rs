//! Names that read and that hardly anybody means are told: what stands under them would count nothing, without a word.
#![cfg(feature = "config")]

use tower_quota::config::Config;

fn config(block: &str) -> Config {
    Config::from_yaml(&format!("rate_limiting: {{ {block} }}")).unwrap()
}

/// What is doubted of a block, without what all paths begin with.
fn doubts(block: &str) -> Vec<String> {
    let doubts = config(block).build().unwrap().doubts;
    let doubts = doubts.iter();
    doubts
        .map(|doubt| doubt.replacen("rate_limiting.", "", 1))
        .collect()
}

/// A limit on requests, with further fields.
fn limit(fields: &str) -> String {
    format!("limits: [{{ quantity: requests, amount: 5, every: 1m, {fields} }}]")
}

/// A budget, with further fields.
fn budget(fields: &str) -> String {
    format!("budgets: [{{ amount: 5, every: day, {fields} }}]")
}

#[test]
fn a_free_tag_that_is_nearly_a_built_in_one_is_doubted_by_its_place() {
    for (block, place, tag, meant) in [
        (limit("per: [Agent]"), "limits[0].per[0]", "Agent", "agent"),
        (
            limit("per: [team, agents]"),
            "limits[0].per[1]",
            "agents",
            "agent",
        ),
        (
            limit("when: { models: gpt-4o }"),
            "limits[0].when",
            "models",
            "model",
        ),
        (
            limit("shares: { taem: { a: 0.5 } }"),
            "limits[0].shares",
            "taem",
            "team",
        ),
        (
            budget("when: { Team: x }"),
            "budgets[0].when",
            "Team",
            "team",
        ),
        (budget("per: usr"), "budgets[0].per[0]", "usr", "user"),
        (
            "queue: { share_by: Agent }".to_owned(),
            "queue.share_by",
            "Agent",
            "agent",
        ),
    ] {
        let expected = format!(
            "{place}: `{tag}` is a tag of your own, which calls have only where it is set by this name; did you mean \
             `{meant}`?"
        );
        assert_eq!(doubts(&block), [expected], "{block}");
    }
    for block in [
        limit("per: [agent, tenant], when: { model: gpt-4o, mode: fast }"),
        budget("per: project, when: { team: x, session: z }"),
        "queue: { share_by: customer }".to_owned(),
    ] {
        assert_eq!(doubts(&block), Vec::<String>::new(), "{block}");
    }
}

#[test]
fn what_looks_like_a_pattern_is_doubted_wherever_it_stands() {
    for (block, place, value) in [
        (
            "agents: { 'scout-*': { rpm: 5 } }".to_owned(),
            "agents",
            "scout-*",
        ),
        (
            "providers: { openai: { 'gpt-*': { rpm: 5 } } }".to_owned(),
            "providers.openai",
            "gpt-*",
        ),
        (
            "prices: { openai: { 'tune-*': { cost_per_1k: 1 } } }".to_owned(),
            "prices.openai",
            "tune-*",
        ),
        (
            "queue: { weights: { '*': 2 } }".to_owned(),
            "queue.weights",
            "*",
        ),
        (
            "failover: { providers: { openai: {} }, routes: { 'gpt-*': [openai/gpt-5.5] } }"
                .to_owned(),
            "failover.routes",
            "gpt-*",
        ),
        (
            limit("when: { model: [gpt-4o, 'gpt-5*'] }"),
            "limits[0].when.model",
            "gpt-5*",
        ),
        (
            limit("per: team, amounts: { 'a*': 9 }"),
            "limits[0].amounts",
            "a*",
        ),
        (
            limit("shares: { team: { 'a*': 0.5 } }"),
            "limits[0].shares.team",
            "a*",
        ),
        (
            budget("when: { user: '*@example.com' }"),
            "budgets[0].when.user",
            "*@example.com",
        ),
        (
            budget("per: team, amounts: { 'a*': 9 }"),
            "budgets[0].amounts",
            "a*",
        ),
    ] {
        let expected = format!(
            "{place}: `{value}` is taken as it stands, with its `*`: there are no patterns; name each value"
        );
        assert!(doubts(&block).contains(&expected), "{:?}", doubts(&block));
    }
}

#[test]
fn a_provider_that_is_nearly_a_known_one_is_doubted_where_nothing_is_called_so() {
    for (block, place, name, meant) in [
        (
            "providers: { OpenAI: { m: { rpm: 5 } } }".to_owned(),
            "providers.OpenAI",
            "OpenAI",
            "openai",
        ),
        (
            "providers: { opanai: { m: { rpm: 5 } } }".to_owned(),
            "providers.opanai",
            "opanai",
            "openai",
        ),
        (
            limit("when: { provider: Anthropic }"),
            "limits[0].when.provider",
            "Anthropic",
            "anthropic",
        ),
        (
            budget("when: { provider: [mistal, openai] }"),
            "budgets[0].when.provider",
            "mistal",
            "mistral",
        ),
    ] {
        let expected = format!(
            "{place}: no provider that is known or named here is called `{name}`; did you mean `{meant}`?"
        );
        assert_eq!(doubts(&block), [expected], "{block}");
    }
    let own = "failover: { providers: { opanai: { base_url: 'https://x/v1' },
                                        east: { base_url: 'https://y/v1', provider: OpenAI } },
                           routes: { m: [opanai/m, east/m] } },
               providers: { opanai: { m: { rpm: 5 } }, OpenAI: { m: { rpm: 5 } }, openai-eu: { m: { rpm: 5 } } }";
    assert_eq!(doubts(own), Vec::<String>::new());
}

#[cfg(feature = "gateway")]
#[test]
fn a_provider_that_an_upstream_is_called_like_is_not_doubted() {
    let doubts = |gateway: &str| {
        let text = format!(
            "rate_limiting: {{ providers: {{ opanai: {{ m: {{ rpm: 5 }} }} }} }}\ngateway: {{ upstreams: {{ {gateway} }} }}"
        );
        let config = tower_quota::gateway::Config::from_yaml(&text).unwrap();
        config.rate_limiting.build().unwrap().doubts
    };
    assert_eq!(doubts("openai: {}").len(), 1);
    assert!(doubts("opanai: { url: 'https://x' }").is_empty());
    assert!(doubts("mine: { url: 'https://x', provider: opanai }").is_empty());
}

#[test]
fn a_share_to_warn_at_is_doubted_where_there_is_no_budget() {
    let expected = "alert_threshold: there is no budget that it could warn of";
    assert_eq!(
        doubts("alert_threshold: 0.8, global: { rpm: 5 }"),
        [expected]
    );
    for with in [
        "max_daily_spend: 5",
        "agents: { a: { max_cost_per_run: 1 } }",
    ] {
        let block = format!("alert_threshold: 0.8, cap_output: 10, {with}");
        assert_eq!(doubts(&block), Vec::<String>::new(), "{with}");
    }
}

#[test]
fn nothing_is_doubted_of_what_is_off() {
    let block = format!(
        "enabled: false, alert_threshold: 0.8, {}",
        limit("per: [Agent]")
    );
    assert_eq!(doubts(&block), Vec::<String>::new());
}

#[tokio::test]
async fn a_reload_doubts_the_same() {
    let stack = config("global: { rpm: 5 }").build().unwrap();
    let other = config(&limit("per: [Agent]"));
    let reloaded = stack.reload(&other).await.unwrap();
    assert_eq!(reloaded.doubts, other.build().unwrap().doubts);
    assert_eq!(reloaded.doubts.len(), 1);
}
