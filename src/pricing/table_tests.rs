use super::*;
use crate::Usage;

/// What so many tokens of output cost by the built-in prices, or so many of input that were read, written or written to be
/// kept longer.
fn cost(provider: &str, model: &str, usage: Usage, tier: ServiceTier) -> String {
    let table = PriceTable::built_in();
    let found = table.find(Some(provider), model).unwrap();
    found.price.cost(&usage, tier).to_string()
}

fn read(tokens: u64) -> Usage {
    let mut usage = Usage::new(tokens, 0);
    usage.cache_read = tokens;
    usage
}

fn kept(tokens: u64) -> Usage {
    let mut usage = Usage::new(tokens, 0);
    (usage.cache_write, usage.cache_write_long) = (tokens, tokens);
    usage
}

#[test]
fn ultrafast_has_its_own_price_of_input_and_output_and_caches_in_proportion() {
    for (model, costs) in [
        ("gpt-6-astra", ["$0.06", "$0.30", "$0.006", "$36.00"]),
        ("gpt-6.1-sol", ["$0.012", "$0.06", "$0.0006", "$7.20"]),
    ] {
        let usages = [
            Usage::new(1_000, 0),
            Usage::new(0, 1_000),
            read(1_000),
            Usage::new(300_000, 0),
        ];
        let tier = ServiceTier::Ultrafast;
        let found = usages.map(|usage| cost("openai", model, usage, tier));
        assert_eq!(found, costs, "{model}");
    }
    let tier: ServiceTier = serde_json::from_str(r#""ultrafast""#).unwrap();
    assert_eq!(tier, ServiceTier::Ultrafast);
}

#[test]
fn a_long_input_of_claude_haiku_is_dearer_in_what_is_kept_and_in_what_is_reserved_too() {
    let table = PriceTable::built_in();
    let haiku = table.find(Some("anthropic"), "claude-haiku-5-5").unwrap();
    let standard = ServiceTier::Standard;
    for (usage, expected) in [
        (Usage::new(100_000, 1_000), "$0.0105"),
        (Usage::new(200_000, 1_000), "$0.1025"),
        (read(200_000), "$0.01"),
        (kept(100_000), "$0.02"),
        (kept(200_000), "$0.20"),
    ] {
        let cost = haiku.price.cost(&usage, standard);
        assert_eq!(cost.to_string(), expected, "{usage:?}");
        let bound = haiku.price.bound(usage.input, usage.output, standard);
        assert!(bound >= cost, "{usage:?}: {bound}");
    }
    let bound = haiku.price.bound(200_000, 1_000, standard);
    assert_eq!(bound.to_string(), "$0.2025");
}

#[test]
fn the_first_snapshot_of_gpt_4o_has_a_price_of_its_own() {
    let table = PriceTable::built_in();
    for provider in [Some("openai"), Some("azure"), None] {
        for name in ["gpt-4o-2024-05-13", "openai/gpt-4o-2024-05-13"] {
            let found = table.find(provider, name).unwrap();
            assert_eq!(found.model, "gpt-4o-2024-05-13", "{provider:?}");
            let Rates {
                input,
                output,
                cache_read,
                ..
            } = found.price.standard;
            assert_eq!(input, "5".parse().unwrap());
            assert_eq!(output, "15".parse().unwrap());
            assert_eq!(cache_read, None, "it costs as much as other input");
        }
    }
    let later = table.find(Some("openai"), "gpt-4o-2024-08-06").unwrap();
    assert_eq!(later.model, "gpt-4o");
}

#[test]
fn what_is_cached_is_not_cheaper_in_a_tier_that_does_not_make_it_so() {
    for model in [
        "gemini-2.5-pro",
        "gemini-2.5-flash",
        "gemini-2.5-flash-lite",
        "gemini-3-flash-preview",
        "gemini-3.1-pro-preview",
    ] {
        let cost = |input, tier| cost("gemini", model, read(input), tier);
        for input in [1_000, 300_000] {
            let standard = cost(input, ServiceTier::Standard);
            assert_eq!(cost(input, ServiceTier::Flex), standard, "{model}");
            assert_eq!(cost(input, ServiceTier::Batch), standard, "{model}");
        }
    }
    let cost = |model, tier| cost("gemini", model, read(100_000), tier);
    assert_eq!(cost("gemini-2.5-pro", ServiceTier::Flex), "$0.0125");
    // Where it does, it is in proportion.
    assert_eq!(cost("gemini-3.8-flash", ServiceTier::Flex), "$0.00375");
}

#[test]
fn an_alias_costs_what_its_model_costs() {
    let table = PriceTable::built_in();
    let price = |name| table.find(Some("openai"), name).unwrap().price;
    assert_eq!(price("gpt-5.6-sol"), price("gpt-5.6"));
    assert_eq!(price("gpt-5.6-sol").standard.input, "4".parse().unwrap());
}

/// A price of $2 and $10 with these prices of input that was read, written, and written to be kept longer.
fn with_caches(caches: [Option<&str>; 3]) -> Price {
    let mut price = Price::new("2".parse().unwrap(), "10".parse().unwrap());
    let [read, write, long] = caches.map(|rate| rate.map(|rate| rate.parse().unwrap()));
    let rates = &mut price.standard;
    (rates.cache_read, rates.cache_write, rates.cache_write_long) = (read, write, long);
    price
}

/// Whose price is found, of these, where nobody's is asked for.
fn agreed<const N: usize>(prices: [(&str, Price); N]) -> Option<String> {
    let mut table = PriceTable::new();
    for (provider, price) in prices {
        table.insert(provider, "m", price);
    }
    let found = table.find(None, "m")?;
    Some(found.provider.to_owned())
}

#[test]
fn what_only_one_states_is_no_disagreement_and_the_dearest_counts() {
    let [some, more] = [
        with_caches([Some("0.2"), Some("2.5"), None]),
        with_caches([Some("0.2"), Some("2.5"), Some("5")]),
    ];
    let other = with_caches([Some("0.2"), Some("2.5"), Some("4")]);
    let who = |one: &Price, two: &Price| agreed([("a", one.clone()), ("b", two.clone())]);
    assert_eq!(who(&some, &more).as_deref(), Some("b"));
    assert_eq!(who(&more, &some).as_deref(), Some("a"));
    assert_eq!(who(&more, &other), None, "two prices of the same");
    // Without a price of its own what is cached costs as much as other input.
    let open = with_caches([None, Some("2.5"), None]);
    assert_eq!(who(&some, &open).as_deref(), Some("b"));
    assert_eq!(who(&more, &open), None, "neither is the dearer one in all");
    // Two who disagree do so whatever a third leaves open.
    let third = with_caches([Some("0.2"), None, None]);
    let three = [("a", more), ("b", third), ("c", other)];
    assert_eq!(agreed(three), None);
}

#[test]
fn a_model_that_two_list_has_a_price_for_whoever_is_not_listed() {
    let table = PriceTable::built_in();
    for (provider, name) in [
        (None, "gpt-6-sol"),
        (Some("my-proxy"), "openai/gpt-6-sol"),
        (Some("my-proxy"), "gpt-6-sol-2026-08-01"),
    ] {
        let found = table.find(provider, name).unwrap();
        let cost = found.price.cost(&kept(1_000), ServiceTier::Standard);
        assert_eq!(cost.to_string(), "$0.005", "{name}: {}", found.provider);
    }
    // Azure states no price of what is kept longer.
    let own = table.find(Some("azure"), "gpt-6-sol").unwrap();
    let cost = own.price.cost(&kept(1_000), ServiceTier::Standard);
    assert_eq!(cost.to_string(), "$0.0025");
}
