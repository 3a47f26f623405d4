//! Settings that would change nothing are refused, and those that do are taken.

use tower_quota::config::Config;

use crate::errors::refused;

#[test]
fn a_share_of_limits_that_do_not_stand_beside_it_is_refused_beside_a_preset_too() {
    for (block, path) in [
        ("global: { FIELDS }", "global"),
        ("agents: { scout: { FIELDS } }", "agents.scout"),
        (
            "presets: [openai/tier-1], providers: { openai: { gpt-4o: { FIELDS } } }",
            "providers.openai.gpt-4o",
        ),
    ] {
        for (fields, field) in [
            ("headroom: 0.8", "headroom"),
            ("adaptive: 0.5", "adaptive"),
            ("max_cost_per_day: 9, headroom: 0.8", "headroom"),
            ("max_requests_per_run: 9, adaptive: 0.5", "adaptive"),
        ] {
            let block = block.replace("FIELDS", fields);
            let (found, said) = refused(&format!("rate_limiting: {{ {block} }}"));
            assert_eq!(found, format!("rate_limiting.{path}.{field}"));
            assert!(
                said.contains("write their amounts, as `rpm: 500`"),
                "{said}"
            );
        }
    }
}

/// What is said of all limits is said of those that it means something for.
#[test]
fn what_is_for_limits_beside_it_or_for_all_limits_is_taken() {
    for block in [
        "global: { rpm: 500, headroom: 0.8, adaptive: 0.5 }",
        "global: { max_requests_per_run: 9, headroom: 0.8 }",
        "presets: [openai/tier-1], providers: { openai: { gpt-4o: { tpm: 9000, headroom: 0.8 } } }",
        "presets: [openai/tier-1], headroom: 0.8",
        "presets: [gemini/tier-1], margin: 250ms, global: { max_requests_per_run: 5, concurrent_requests: 3 }",
    ] {
        let config = Config::from_yaml(&format!("rate_limiting: {{ {block} }}")).unwrap();
        assert!(config.build().is_ok(), "{block}");
    }
}
