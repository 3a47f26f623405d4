//! The built-in prices, model by model, held against an independent computation from the same list: in floats, by
//! the rules as LiteLLM states them, sharing nothing with the crate's own arithmetic.
#![allow(clippy::cast_precision_loss, reason = "counts are small")]

use std::collections::HashMap;

use tower_quota::{
    Usage,
    pricing::{BUILT_IN_DATE, Price, PriceTable, ServiceTier},
};

const LIST: &str = include_str!("../../src/pricing/prices.tsv");

/// One line of the list: its columns by name, those that are not empty.
struct Row(HashMap<&'static str, &'static str>);

impl Row {
    fn number(&self, column: &str) -> Option<f64> {
        self.0.get(column).map(|text| text.parse().unwrap())
    }

    /// Dollars for a million tokens of each kind: input, read, written, written for long, output.
    fn rates(&self, long: bool, tier: ServiceTier) -> [f64; 5] {
        let standard = |column: &str| self.number(column);
        let kind = |column: &str, long_column: &str| match (long, standard(long_column)) {
            (true, Some(rate)) => Some(rate),
            // No price of its own: as much dearer as other input.
            (true, None) => standard(column)
                .map(|rate| rate * standard("long_input").unwrap() / standard("input").unwrap()),
            (false, _) => standard(column),
        };
        let input = kind("input", "long_input").unwrap();
        let output = if long {
            standard("long_output").unwrap()
        } else {
            standard("output").unwrap_or(0.0)
        };
        let read = kind("cache_read", "long_cache_read").unwrap_or(input);
        let written = kind("cache_write", "long_cache_write").unwrap_or(input);
        let kept = kind("cache_write_long", "").unwrap_or(written);
        let name = match tier {
            ServiceTier::Batch => "batch",
            ServiceTier::Flex => "flex",
            ServiceTier::Priority => "priority",
            ServiceTier::Ultrafast => "ultrafast",
            ServiceTier::Fast => {
                let factor = standard("fast_times").unwrap_or(1.0);
                return [input, read, written, kept, output].map(|rate| rate * factor);
            }
            _ => return [input, read, written, kept, output],
        };
        let Some(tier_input) = standard(&format!("{name}_input")) else {
            return [input, read, written, kept, output];
        };
        let inputs = tier_input / standard("input").unwrap();
        let tier_output = standard(&format!("{name}_output")).unwrap_or(0.0);
        let outputs = standard("output")
            .filter(|rate| *rate > 0.0)
            .map_or(0.0, |rate| tier_output / rate);
        // Its own price of cached input, or as much less as other input.
        let reads = standard(&format!("{name}_cache_read"))
            .map_or(inputs, |rate| rate / standard("cache_read").unwrap());
        [
            input * inputs,
            read * reads,
            written * inputs,
            kept * inputs,
            output * outputs,
        ]
    }
}

fn rows() -> Vec<Row> {
    let mut lines = LIST.lines().filter(|line| !line.starts_with('#'));
    let columns: Vec<&str> = lines.next().unwrap().split('\t').collect();
    let row = |line: &'static str| {
        let fields = columns.iter().copied().zip(line.split('\t'));
        Row(fields.filter(|(_, field)| !field.is_empty()).collect())
    };
    lines.map(row).collect()
}

/// Each kind of token alone, and all together.
fn usages(input: u64) -> Vec<Usage> {
    let usage = |read: u64, written: u64, kept: u64, output: u64| {
        let mut usage = Usage::new(input, output);
        (usage.cache_read, usage.cache_write, usage.cache_write_long) = (read, written, kept);
        usage
    };
    vec![
        usage(0, 0, 0, 0),
        usage(0, 0, 0, 777),
        usage(input, 0, 0, 0),
        usage(0, input, 0, 0),
        usage(0, input, input, 0),
        usage(input / 3, input / 4, input / 9, 1_234),
    ]
}

/// B4: prices.
#[test]
fn every_model_kind_tier_and_length_costs_what_the_list_says() {
    let table = PriceTable::built_in();
    let (mut checked, rows) = (0u32, rows());
    assert!(rows.len() > 75, "{} models", rows.len());
    assert_eq!(table.len(), rows.len());
    let tiers = [
        ServiceTier::Standard,
        ServiceTier::Batch,
        ServiceTier::Flex,
        ServiceTier::Priority,
        ServiceTier::Fast,
        ServiceTier::Ultrafast,
    ];
    for row in &rows {
        let found = table.find(Some(row.0["provider"]), row.0["model"]).unwrap();
        assert_eq!((found.model, found.steps.len()), (row.0["model"], 0));
        let above: Option<u64> = row.0.get("long_above").map(|above| above.parse().unwrap());
        let lengths = [
            Some(0),
            Some(1),
            Some(1_000),
            above,
            above.map(|above| above + 1),
        ];
        for (tier, input) in tiers.iter().flat_map(|tier| {
            let lengths = lengths.iter().flatten();
            lengths.map(move |input| (*tier, *input))
        }) {
            let long = above.is_some_and(|above| input > above);
            let [plain, read, written, kept, output] = row.rates(long, tier);
            for usage in usages(input) {
                let plain_tokens = input - usage.cache_read - usage.cache_write;
                let dollars = (plain_tokens as f64 * plain
                    + usage.cache_read as f64 * read
                    + (usage.cache_write - usage.cache_write_long) as f64 * written
                    + usage.cache_write_long as f64 * kept
                    + usage.output as f64 * output)
                    / 1e6;
                let ours = found.price.cost(&usage, tier).as_nanos() as f64;
                // Rounded up once, and rates in proportion to the millionth of a nano-dollar a token.
                let (least, most) = (dollars * 1e9 - 0.01, dollars * 1e9 * (1.0 + 1e-12) + 1.5);
                assert!(
                    (least..=most).contains(&ours),
                    "{} {tier:?} {usage:?}: {ours} nano-dollars, not {}",
                    row.0["model"],
                    dollars * 1e9
                );
                checked += 1;
            }
        }
    }
    println!(
        "{checked} costs of {} models, as of {BUILT_IN_DATE}",
        rows.len()
    );
}

#[test]
fn the_names_in_many_configurations_have_a_price() {
    let table = PriceTable::built_in();
    for (provider, model) in [
        ("openai", "gpt-4"),
        ("openai", "gpt-3.5-turbo"),
        ("anthropic", "claude-sonnet-4"),
        ("anthropic", "claude-sonnet-4-20250514"),
        ("openai", "gpt-4o-2024-08-06"),
        ("bedrock", "us.anthropic.claude-opus-5-5"),
        ("bedrock", "us-gov.anthropic.claude-opus-5-5"),
        (
            "bedrock",
            "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-pro-v1:0",
        ),
        ("azure", "gpt-4o"),
        ("gemini", "models/gemini-2.5-pro"),
        ("fireworks_ai", "accounts/fireworks/models/kimi-k3"),
    ] {
        assert!(
            table.find(Some(provider), model).is_some(),
            "{provider} {model}"
        );
    }
    // Regions are dearer than what has none in front.
    for (model, input) in [
        ("anthropic.claude-opus-5-5", "$4.00 per million tokens"),
        (
            "global.anthropic.claude-opus-5-5",
            "$4.00 per million tokens",
        ),
        ("eu.anthropic.claude-opus-5-5", "$4.40 per million tokens"),
        ("eu.amazon.nova-2-lite-v1:0", "$0.429 per million tokens"),
    ] {
        let found = table.find(Some("bedrock"), model).unwrap();
        assert_eq!(found.price.standard.input.to_string(), input, "{model}");
    }
    // No price is better than somebody else's.
    assert!(table.find(Some("openai"), "gpt-4o-mini-tts").is_none());
    assert!(table.find(Some("openai"), "claude-opus-5-5").is_none());
    assert!(table.find(None, "claude-opus-5-5").is_some());
    // Two who agree on what tokens cost, of whom one has more tiers, or takes longer inputs.
    for model in ["gpt-4o", "gpt-5.5"] {
        let vendored = format!("openai/{model}");
        let found = table.find(Some("my-proxy"), &vendored).unwrap();
        let own = table.find(Some("openai"), model).unwrap();
        assert_eq!(found.price.standard, own.price.standard, "{model}");
        assert!(found.price.tiers.len() >= own.price.tiers.len(), "{model}");
    }
    // One of the two states no price of cached input, which costs as much as other input there.
    let found = table.find(None, "openai/gpt-oss-120b").unwrap();
    assert_eq!(found.provider, "together");
    let mut table = PriceTable::built_in();
    let dearer = Price::new("0.2".parse().unwrap(), "0.6".parse().unwrap());
    table.insert("my-proxy", "openai/gpt-oss-120b", dearer);
    assert!(
        table.find(None, "openai/gpt-oss-120b").is_none(),
        "two providers, two prices"
    );
}
