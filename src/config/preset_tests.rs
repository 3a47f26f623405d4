use super::*;
use crate::{config::Config, limit::Limits};

fn words(yaml: &str) -> Vec<String> {
    let stack = Config::from_yaml(yaml).unwrap().build().unwrap();
    stack
        .limiter
        .limits()
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn refused(yaml: &str) -> String {
    let built = Config::from_yaml(yaml).and_then(|config| config.build().map(drop));
    built.unwrap_err().to_string()
}

#[test]
fn c3_every_line_of_the_table_reads_whole() {
    let names: Vec<&str> = TABLE.lines().nth(4).unwrap().split('\t').collect();
    let numbers = ["rpm", "tpm", "itpm", "otpm", "rpd", "concurrent"];
    for line in TABLE.lines().skip(5) {
        let fields: Vec<&'static str> = line.split('\t').collect();
        assert_eq!(fields.len(), names.len(), "{line}");
        let fields: HashMap<&str, &'static str> = names.iter().copied().zip(fields).collect();
        let said = numbers
            .iter()
            .filter(|name| !fields[*name].is_empty())
            .count();
        let read = Line::of(&fields);
        assert!(said > 0 && read.amounts.len() == said, "{line}");
        assert!(
            !read.published.date.is_empty() && !read.published.source.is_empty(),
            "{line}"
        );
        for yes in ["shared", "cached"] {
            assert!(["", "yes"].contains(&fields[yes]), "{line}");
        }
        assert!(
            ["docs", "console", "third"].contains(&fields["kind"]),
            "{line}"
        );
    }
}

#[test]
fn c3_every_preset_is_found_by_its_name_and_its_limits_stand_together() {
    let all = Preset::all();
    assert!(all.len() > 12, "{}", all.len());
    for preset in &all {
        assert_eq!(Preset::find(&preset.to_string()).as_ref(), Some(preset));
        let limits = Limits::new(preset.limits().map(|(limit, _)| limit));
        assert!(
            limits.is_ok_and(|limits| limits.iter().count() > 0),
            "{preset}"
        );
        assert!(preset.date().starts_with("202"), "{preset}");
        let yaml = format!("rate_limiting: {{ presets: [{preset}] }}");
        assert_eq!(words(&yaml).len(), preset.limits().count(), "{preset}");
    }
    let each: std::collections::BTreeSet<&str> = all.iter().map(Preset::provider).collect();
    let one: Vec<String> = each
        .iter()
        .map(|provider| {
            let tier = all
                .iter()
                .find(|preset| preset.provider() == *provider)
                .unwrap()
                .tier();
            format!("{provider}/{tier}")
        })
        .collect();
    assert!(
        words(&format!(
            "rate_limiting: {{ presets: [{}] }}",
            one.join(", ")
        ))
        .len()
            > 20
    );
}

#[test]
fn c3_a_family_shares_a_limit_and_other_models_of_a_line_have_each_their_own() {
    let limits =
        words("rate_limiting: { presets: [anthropic/start, openai/tier-1, gemini/tier-1] }");
    let has = |words: &str| limits.iter().any(|limit| limit == words);
    assert!(has(
        "requests 1000/min for provider=anthropic, model=claude-sonnet-4-5|claude-sonnet-4-6"
    ));
    assert!(has(
        "input_tokens 2000000/min for provider=anthropic, model=claude-sonnet-4-5|claude-sonnet-4-6"
    ));
    assert!(has("tokens 500000/min for provider=openai, model=gpt-5.5"));
    assert!(has(
        "tokens 500000/min for provider=openai, model=gpt-6-astra"
    ));
    // One name leads to the other.
    assert!(has(
        "tokens 500000/min for provider=openai, model=gpt-5.6|gpt-5.6-sol"
    ));
    assert!(has(
        "requests 10000/day for provider=openai, model=gpt-4o-mini"
    ));
    assert!(
        has(
            "requests 1000/calendar day in America/Los_Angeles for provider=gemini, model=gemini-2.5-pro"
        ),
        "{limits:?}"
    );
}

#[test]
fn c3_what_is_said_takes_the_place_of_the_presets_value_and_of_no_other() {
    let limits = words(
        "rate_limiting:
           presets: [openai/tier-1, anthropic/start]
           headroom: 0.5
           providers:
             openai: { gpt-4o: { rpm: 7 } }
             anthropic: { claude-sonnet-4-5: { rpm: 9 } }
           limits:
             - { quantity: requests, amount: 8, every: 1m,
                 when: { provider: anthropic, model: [claude-opus-4-8, claude-opus-4-7, claude-opus-4-6, claude-opus-4-5] } }",
    );
    let of = |quantity: &str, model: &str| -> Vec<&String> {
        let named = limits.iter().filter(|limit| limit.starts_with(quantity));
        named
            .filter(|limit| limit.split(['=', '|', ',', ' ']).any(|word| word == model))
            .collect()
    };
    assert_eq!(
        of("requests", "gpt-4o"),
        ["requests 3/min (0.5 of 7) for provider=openai, model=gpt-4o"]
    );
    assert_eq!(
        of("tokens", "gpt-4o"),
        ["tokens 15000/min (0.5 of 30000) for provider=openai, model=gpt-4o"]
    );
    // Out of the family's limit, which the others go on sharing.
    assert_eq!(
        of("requests", "claude-sonnet-4-5"),
        ["requests 4/min (0.5 of 9) for provider=anthropic, model=claude-sonnet-4-5"]
    );
    assert_eq!(
        of("requests", "claude-sonnet-4-6"),
        ["requests 500/min (0.5 of 1000) for provider=anthropic, model=claude-sonnet-4-6"]
    );
    // In place of the family's.
    assert_eq!(of("requests", "claude-opus-4-5").len(), 1);
    assert!(of("requests", "claude-opus-4-5")[0].starts_with("requests 4/min (0.5 of 8)"));
}

/// Those of requests in a day of Gemini 2.5 Pro, with this beside the preset.
fn per_day(said: &str) -> Vec<String> {
    let mut limits = words(&format!(
        "rate_limiting: {{ presets: [gemini/tier-1], {said} }}"
    ));
    limits.retain(|limit| {
        let of_model = limit.contains("gemini-2.5-pro");
        of_model && limit.starts_with("requests") && limit.contains("day")
    });
    limits
}

#[test]
fn c3_requests_per_day_replace_those_of_a_preset_and_end_with_its_providers_day() {
    let day = "calendar day in America/Los_Angeles";
    assert_eq!(
        per_day("providers: { gemini: { gemini-2.5-pro: { rpd: 5000 } } }"),
        [format!(
            "requests 5000/{day} for provider=gemini, model=gemini-2.5-pro"
        )]
    );
    assert_eq!(
        per_day("providers: { google: { gemini-2.5-pro: { rpd: 5000, adaptive: 0.5 } } }"),
        [format!(
            "requests 5000/{day} for provider=gemini|google, model=gemini-2.5-pro (adaptive)"
        )]
    );
    // A limit that is written in full is as it is written.
    assert_eq!(
        per_day(
            "limits: [{ quantity: requests, amount: 5000, every: 24h,
                when: { provider: gemini, model: gemini-2.5-pro } }]"
        ),
        ["requests 5000/day for model=gemini-2.5-pro, provider=gemini"]
    );
    // Of what is said of a minute the day of the preset knows nothing.
    assert_eq!(
        per_day("providers: { gemini: { gemini-2.5-pro: { rpm: 7 } } }"),
        [format!(
            "requests 1000/{day} for provider=gemini, model=gemini-2.5-pro"
        )]
    );
    // Out of the family's limit, which the other goes on having.
    let mut family = words(
        "rate_limiting: { presets: [gemini/tier-1], providers: { gemini: { gemini-3-flash: { rpd: 9 } } } }",
    );
    family.retain(|limit| limit.contains("day") && limit.contains("gemini-3-flash"));
    family.sort();
    assert_eq!(
        family,
        [
            format!("requests 10000/{day} for provider=gemini, model=gemini-3-flash-preview"),
            format!("requests 9/{day} for provider=gemini, model=gemini-3-flash"),
        ]
    );
}

#[test]
fn c3_requests_per_day_without_a_preset_that_says_otherwise_are_of_any_24_hours() {
    for presets in ["", "presets: [openai/tier-1],"] {
        let limits = words(&format!(
            "rate_limiting: {{ {presets} providers: {{ gemini: {{ m: {{ rpd: 5 }} }}, openai: {{ gpt-4o-mini: {{ rpd: 7 }} }} }} }}"
        ));
        let days: Vec<&String> = limits
            .iter()
            .filter(|limit| limit.contains("day") && !limit.contains("omni-moderation"))
            .collect();
        assert_eq!(
            days,
            [
                "requests 5/day for provider=gemini, model=m",
                "requests 7/day for provider=openai, model=gpt-4o-mini",
            ]
        );
    }
}

#[test]
fn c3_a_provider_may_be_called_otherwise_where_it_is_said() {
    let limits = words(
        "rate_limiting: { presets: [gemini/tier-1], providers: { google: { gemini-2.5-pro: { rpm: 7 } } } }",
    );
    let of_model = limits
        .iter()
        .filter(|limit| limit.starts_with("requests") && limit.ends_with("=gemini-2.5-pro"));
    let of_model: Vec<&String> = of_model.filter(|limit| limit.contains("/min")).collect();
    assert_eq!(
        of_model,
        ["requests 7/min for provider=gemini|google, model=gemini-2.5-pro"]
    );
}

#[test]
fn c3_an_unknown_preset_is_answered_with_the_nearest_name_and_all_of_them() {
    let said = refused("rate_limiting: { presets: [openai/tier1] }");
    assert!(
        said.starts_with("rate_limiting.presets[0]: the preset `openai/tier1` is not known; did you mean `openai/tier-1`? There are "),
        "{said}"
    );
    for preset in Preset::all() {
        assert!(said.contains(&preset.to_string()), "{preset}: {said}");
    }
    let twice = refused("rate_limiting: { presets: [openai/tier-1, openai/tier-2] }");
    assert_eq!(
        twice,
        "rate_limiting.presets[1]: `openai/tier-1` is there already; an account has one tier"
    );
}
