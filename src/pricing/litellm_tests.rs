use super::*;

#[test]
fn names_of_fields_say_what_of_which_length_and_in_which_tier() {
    let of = |kind, above, tier| Some(Field { kind, above, tier });
    let standard = ServiceTier::Standard;
    for (name, expected) in [
        ("input_cost_per_token", of(Kind::Input, None, standard)),
        (
            "output_cost_per_token_above_272k_tokens_priority",
            of(Kind::Output, Some(272_000), ServiceTier::Priority),
        ),
        (
            "cache_creation_input_token_cost_above_1hr_above_200k_tokens",
            of(Kind::CacheWriteLong, Some(200_000), standard),
        ),
        (
            "cache_creation_input_token_cost_above_12hr_flex",
            of(Kind::CacheWriteLong, None, ServiceTier::Flex),
        ),
        (
            "cache_read_input_token_cost_batches",
            of(Kind::CacheRead, None, ServiceTier::Batch),
        ),
        (
            "input_cost_per_token_cache_hit",
            of(Kind::CacheRead, None, standard),
        ),
        (
            "cache_creation_input_token_cost_above_12hr_above_272k_tokens_ultrafast",
            of(Kind::CacheWriteLong, Some(272_000), ServiceTier::Ultrafast),
        ),
        ("input_cost_per_audio_token", None),
        ("output_cost_per_image", None),
        ("input_cost_per_token_balanced", None),
        ("cache_read_input_token_cost_above_1hr", None),
        ("input_cost_per_token_above_xk_tokens", None),
    ] {
        assert_eq!(field(name), expected, "{name}");
    }
}

const FILE: &str = r#"{
        "sample_spec": {"input_cost_per_token": 0},
        "azure/gpt-x": {"litellm_provider": "azure", "input_cost_per_token": 2.5e-06, "output_cost_per_token": 1e-05,
            "max_output_tokens": 4096, "input_cost_per_image": 0.1, "cache_read_input_token_cost": null},
        "gpt-x": {"litellm_provider": "openai", "input_cost_per_token": 3e-06, "output_cost_per_token": 1e-05},
        "dall-e": {"litellm_provider": "openai", "input_cost_per_pixel": 1e-08},
        "negative": {"litellm_provider": "openai", "input_cost_per_token": -1e-06, "output_cost_per_token": 1e-05}
    }"#;

#[test]
fn each_model_has_its_price_and_what_has_none_is_said() {
    let mut table = PriceTable::new();
    let read = table.read_litellm(FILE).unwrap();
    assert_eq!(
        (read.models, read.left_out),
        (2, vec!["dall-e".to_owned(), "negative".to_owned()])
    );
    assert_eq!(read.not_understood["azure/gpt-x"], ["input_cost_per_image"]);
    let input = |provider| {
        table
            .find(Some(provider), "gpt-x")
            .unwrap()
            .price
            .standard
            .input
    };
    assert_eq!(input("azure"), "2.5".parse().unwrap());
    assert_eq!(input("openai"), "3".parse().unwrap());
    assert!(table.find(Some("openai"), "dall-e").is_none());
}

#[test]
fn what_a_tier_or_a_length_leaves_open_is_not_free() {
    let fields = r#"{"m": {"litellm_provider": "p", "input_cost_per_token": 2e-06, "output_cost_per_token": 4e-06,
            "cache_read_input_token_cost_flex": 1e-07, "output_cost_per_token_above_200k_tokens": 8e-06,
            "input_cost_per_token_above_200k_tokens_flex": 1e-06}}"#;
    let mut table = PriceTable::new();
    table.read_litellm(fields).unwrap();
    let price = table.find(Some("p"), "m").unwrap().price;
    let nanos = |rates: &Rates| {
        (
            rates.input.as_nanos() / 1_000,
            rates.output.as_nanos() / 1_000,
        )
    };
    assert_eq!(nanos(&price.tiers[0].1), (2_000_000, 4_000_000));
    assert_eq!(nanos(&price.long[0].standard), (2_000_000, 8_000_000));
    assert_eq!(nanos(&price.long[0].tiers[0].1), (1_000_000, 8_000_000));
}

fn read(models: &str) -> (PriceTable, LiteLlm) {
    let mut table = PriceTable::new();
    let read = table.read_litellm(models).unwrap();
    (table, read)
}

#[test]
fn of_two_with_one_name_the_own_one_counts() {
    let (table, read) = read(
        r#"{"azure/m": {"litellm_provider": "azure", "input_cost_per_token": 1e-06},
        "azure_ai/m": {"litellm_provider": "azure_ai", "input_cost_per_token": 2e-06},
        "azure_ai/n": {"litellm_provider": "azure_ai", "input_cost_per_token": 3e-06},
        "vertex_ai/c": {"litellm_provider": "vertex_ai-anthropic_models", "input_cost_per_token": 4e-06},
        "d": {"litellm_provider": "deepseek", "input_cost_per_token": 5e-06},
        "deepseek/d": {"litellm_provider": "deepseek", "input_cost_per_token": 6e-06}}"#,
    );
    assert_eq!((read.models, table.len()), (4, 4));
    assert_eq!(
        read.same_name,
        ["d", "azure_ai/m"].map(str::to_owned).to_vec()
    );
    for (provider, model, rate) in [
        ("azure", "m", "1"),
        ("azure", "n", "3"),
        ("vertex_ai", "c", "4"),
        ("deepseek", "d", "6"),
    ] {
        let found = table.find(Some(provider), model).unwrap();
        assert_eq!(found.price.standard.input, rate.parse().unwrap(), "{model}");
    }
}

#[test]
fn a_list_of_lengths() {
    let (table, read) = read(
        r#"{"m": {"litellm_provider": "p", "output_cost_per_token": 9e-06, "tiered_pricing": [
            {"range": [0, 32000.0], "input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06},
            {"range": [32e3, 128000.0], "input_cost_per_token": 3e-06, "output_cost_per_token": 4e-06,
                "cache_read_input_token_cost": 5e-07}]},
        "n": {"litellm_provider": "p", "input_cost_per_token": 1e-06, "tiered_pricing": [{"max_results_range": [0, 25]}],
            "off_peak_pricing": {}}}"#,
    );
    let price = table.find(Some("p"), "m").unwrap().price;
    for (input, nanos) in [(32_000, 32_002_000), (32_001, 96_007_000)] {
        let usage = crate::Usage::new(input, 1);
        assert_eq!(price.cost(&usage, ServiceTier::Standard).as_nanos(), nanos);
    }
    assert_eq!(price.long[0].standard.cache_read, "0.5".parse().ok());
    assert!(!read.not_understood.contains_key("m"));
    assert_eq!(
        read.not_understood["n"],
        ["off_peak_pricing", "tiered_pricing"]
    );
}

#[test]
fn what_is_finer_than_a_rate_is_rounded_up() {
    for (text, nanos) in [
        ("2.9999900000000002e-06", 2_999_990_001),
        ("1.5000020000000002e-05", 15_000_020_001),
        ("8.142857142857142e-08", 81_428_572),
        ("0.00000000000000019", 1),
        ("3e-06", 3_000_000_000),
    ] {
        assert_eq!(rate(text).map(Rate::as_nanos), Some(nanos), "{text}");
    }
    for text in ["-2.9999900000000002e-06", "\"x\"", "1e-99", "."] {
        assert_eq!(rate(text), None, "{text}");
    }
}

#[test]
fn being_served_fast_has_its_factor() {
    let (table, _) = read(
        r#"{"m": {"litellm_provider": "p", "input_cost_per_token": 2e-06, "output_cost_per_token": 4e-06,
            "provider_specific_entry": {"us": 1.1, "fast": 2.0}}}"#,
    );
    let price = table.find(Some("p"), "m").unwrap().price;
    let usage = crate::Usage::new(1_000, 0);
    assert_eq!(price.cost(&usage, ServiceTier::Fast).to_string(), "$0.004");
}

#[test]
fn what_regions_cost_more_is_said_not_to_be_understood() {
    let (table, read) = read(
        r#"{"m": {"litellm_provider": "p", "input_cost_per_token": 2e-06,
            "provider_specific_entry": {"us": 1.1, "fast": 2.0, "schema": "x"},
            "regional_processing_uplift_multiplier_eu": 1.1, "regional_processing_uplift_multiplier_us": null,
            "regional_endpoint_uplift_multiplier": 1.1},
        "n": {"litellm_provider": "p", "input_cost_per_token": 2e-06, "provider_specific_entry": {"fast": 2},
            "regional_endpoint_uplift_multiplier": null},
        "o": {"litellm_provider": "p", "input_cost_per_token": 2e-06, "provider_specific_entry": null}}"#,
    );
    assert_eq!(
        read.not_understood["m"],
        [
            "provider_specific_entry.us",
            "regional_endpoint_uplift_multiplier",
            "regional_processing_uplift_multiplier_eu",
        ]
    );
    assert_eq!((read.not_understood.len(), read.models), (1, 3));
    let price = table.find(Some("p"), "m").unwrap().price;
    let cost = price.cost(&crate::Usage::new(1_000, 0), ServiceTier::Standard);
    assert_eq!(cost.to_string(), "$0.002");
}

#[test]
fn a_longer_length_of_xai_begins_with_its_first_token() {
    let model = |provider: &str| {
        format!(
            r#"{{"m": {{"litellm_provider": "{provider}", "input_cost_per_token": 1e-06,
                "input_cost_per_token_above_200k_tokens": 2e-06}}}}"#
        )
    };
    for (provider, above) in [("xai", 199_999), ("gemini", 200_000)] {
        let (table, _) = read(&model(provider));
        let price = table.find(Some(provider), "m").unwrap().price;
        assert_eq!(price.long[0].above, above, "{provider}");
    }
}

#[test]
fn a_file_that_does_not_read_changes_nothing() {
    let mut table = PriceTable::built_in();
    assert!(table.read_litellm("[]").is_err());
    assert!(table.read_litellm(r#"{"m": 5}"#).is_err());
    assert_eq!(table, PriceTable::built_in());
}
