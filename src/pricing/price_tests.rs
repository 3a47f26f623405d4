//! What usage costs.

use super::*;

fn rate(dollars: &str) -> Rate {
    dollars.parse().unwrap()
}

/// $4 and $20; cache read $0.20, written $5, kept long $8; above 100 tokens twice as much.
fn price() -> Price {
    let rates = Rates {
        input: rate("4"),
        output: rate("20"),
        cache_read: Some(rate("0.2")),
        cache_write: Some(rate("5")),
        cache_write_long: Some(rate("8")),
        ..Rates::default()
    };
    let twice = |rate: Rate| rate.times(2, 1);
    let long = Rates {
        input: twice(rates.input),
        output: twice(rates.output),
        cache_read: rates.cache_read.map(twice),
        cache_write: rates.cache_write.map(twice),
        ..Rates::default()
    };
    let priority = Rates {
        input: rate("10"),
        output: rate("50"),
        ..Rates::default()
    };
    Price {
        standard: rates,
        long: vec![Long {
            above: 100,
            standard: long,
            tiers: Vec::new(),
        }],
        tiers: vec![(ServiceTier::Priority, priority)],
        ..Price::default()
    }
}

fn usage(input: u64, read: u64, written: u64, long: u64, output: u64) -> Usage {
    let mut usage = Usage::new(input, output);
    usage.cache_read = read;
    usage.cache_write = written;
    usage.cache_write_long = long;
    usage
}

fn nanos(usage: Usage, tier: ServiceTier) -> u64 {
    price().cost(&usage, tier).as_nanos()
}

#[test]
fn a_tier_has_rates_where_it_is_said_what_it_costs() {
    let mut price = price();
    let known = |price: &Price, input| {
        [
            ServiceTier::Standard,
            ServiceTier::Priority,
            ServiceTier::Fast,
        ]
        .map(|tier| price.has_rates(input, tier))
    };
    assert_eq!(known(&price, 1), [true, true, false]);
    // In proportion to shorter ones.
    assert_eq!(known(&price, 101), [true, true, false]);
    price.long[0].tiers = std::mem::take(&mut price.tiers);
    assert_eq!(known(&price, 100), [true, false, false]);
    assert_eq!(known(&price, 101), [true, true, false]);
}

#[test]
fn every_kind_of_token_has_its_own_price() {
    let cost = |usage| nanos(usage, ServiceTier::Standard);
    assert_eq!(cost(usage(1, 0, 0, 0, 0)), 4_000);
    assert_eq!(cost(usage(0, 0, 0, 0, 1)), 20_000);
    assert_eq!(cost(usage(1, 1, 0, 0, 0)), 200);
    assert_eq!(cost(usage(1, 0, 1, 0, 0)), 5_000);
    assert_eq!(cost(usage(1, 0, 1, 1, 0)), 8_000);
    assert_eq!(
        cost(usage(10, 3, 4, 1, 2)),
        3 * 4_000 + 3 * 200 + 3 * 5_000 + 8_000 + 2 * 20_000
    );
}

#[test]
fn a_long_input_makes_every_token_dearer_and_one_that_is_just_not_long_does_not() {
    let cost = |usage| nanos(usage, ServiceTier::Standard);
    assert_eq!(cost(usage(100, 0, 0, 0, 10)), 100 * 4_000 + 10 * 20_000);
    assert_eq!(cost(usage(101, 0, 0, 0, 10)), 101 * 8_000 + 10 * 40_000);
    assert_eq!(
        cost(usage(101, 101, 0, 0, 0)),
        101 * 400,
        "cached input is long as well"
    );
}

#[test]
fn a_tier_has_its_price_and_caches_in_proportion() {
    let cost = |usage| nanos(usage, ServiceTier::Priority);
    assert_eq!(cost(usage(1, 0, 0, 0, 1)), 10_000 + 50_000);
    assert_eq!(cost(usage(1, 1, 0, 0, 0)), 500);
    assert_eq!(
        cost(usage(101, 0, 0, 0, 0)),
        101 * 20_000,
        "long, and before others"
    );
    assert_eq!(
        nanos(usage(1, 0, 0, 0, 1), ServiceTier::Flex),
        24_000,
        "no price of its own"
    );
}

#[test]
fn caches_that_a_tier_has_a_price_for_are_as_much_dearer_in_a_long_input() {
    let mut price = price();
    let mut flex = Price::new(rate("2"), rate("10")).standard;
    flex.cache_read = price.standard.cache_read;
    price.tiers.push((ServiceTier::Flex, flex));
    let cost = |usage| price.cost(&usage, ServiceTier::Flex).as_nanos();
    assert_eq!(cost(usage(100, 100, 0, 0, 0)), 100 * 200);
    assert_eq!(cost(usage(101, 101, 0, 0, 0)), 101 * 400);
    // Half of it, as other input is.
    assert_eq!(cost(usage(101, 0, 101, 0, 0)), 101 * 5_000);
}

#[test]
fn more_parts_than_there_are_tokens_cost_no_less_than_the_tokens() {
    let cost = |usage| nanos(usage, ServiceTier::Standard);
    assert_eq!(cost(usage(5, 9, 9, 9, 0)), 5 * 200);
    assert_eq!(cost(usage(5, 2, 9, 9, 0)), 2 * 200 + 3 * 8_000);
    assert_eq!(
        price().cost(&usage(u64::MAX, 0, 0, 0, u64::MAX), ServiceTier::Standard),
        Money::MAX
    );
}

#[test]
fn a_fraction_of_a_nano_dollar_is_a_whole_one_once() {
    let price = Price::new(Rate::from_nanos(1), Rate::from_nanos(1));
    assert_eq!(
        price
            .cost(&Usage::new(1, 1), ServiceTier::Standard)
            .as_nanos(),
        1
    );
    assert_eq!(
        price
            .cost(&Usage::new(1_000_000, 0), ServiceTier::Standard)
            .as_nanos(),
        1
    );
    assert_eq!(
        price
            .cost(&Usage::new(1_000_000, 1), ServiceTier::Standard)
            .as_nanos(),
        2
    );
    assert_eq!(
        price.cost(&Usage::default(), ServiceTier::Standard),
        Money::ZERO
    );
}

#[test]
fn the_bound_is_above_whatever_the_request_turns_out_to_cost() {
    for tier in [
        ServiceTier::Standard,
        ServiceTier::Priority,
        ServiceTier::Batch,
    ] {
        for bound in [0, 1, 99, 100, 101, 250] {
            let most = price().bound(bound, 50, tier);
            for input in 0..=bound {
                for (read, written, long) in
                    [(0, 0, 0), (input, 0, 0), (0, input, 0), (0, input, input)]
                {
                    let cost = price().cost(&usage(input, read, written, long, 50), tier);
                    assert!(
                        cost <= most,
                        "{tier:?}: {input} of {bound}: {cost} > {most}"
                    );
                }
            }
        }
    }
}

#[test]
fn only_what_costs_nothing_at_all_is_free() {
    assert!(Price::default().is_free());
    assert!(!price().is_free());
    let mut price = Price::default();
    price.standard.cache_write_long = Some(rate("1"));
    assert!(!price.is_free());
}

#[test]
fn of_several_lengths_the_longest_that_is_passed_holds() {
    let long = |above, dollars: &str| Long {
        above,
        standard: Price::new(rate(dollars), rate(dollars)).standard,
        tiers: vec![(ServiceTier::Flex, Price::new(rate("1"), rate("1")).standard)],
    };
    let price = Price {
        long: vec![long(10, "5"), long(20, "3")],
        ..Price::new(rate("2"), rate("2"))
    };
    let cost = |input, tier| price.cost(&Usage::new(input, 0), tier).as_nanos() / input / 1_000;
    assert_eq!(
        [10, 11, 20, 21].map(|input| cost(input, ServiceTier::Standard)),
        [2, 5, 5, 3]
    );
    assert_eq!(
        [10, 11, 21].map(|input| cost(input, ServiceTier::Flex)),
        [2, 1, 1]
    );
    // The dearest length up to the bound, not the longest.
    assert_eq!(
        price.bound(30, 0, ServiceTier::Standard).as_nanos(),
        30 * 5_000
    );
}

#[test]
fn reasoning_may_have_a_price_of_its_own() {
    let mut price = Price::new(rate("1"), rate("2"));
    price.standard.reasoning = Some(rate("7"));
    let mut usage = Usage::new(0, 10);
    usage.reasoning = 4;
    let cost = price.cost(&usage, ServiceTier::Standard);
    assert_eq!(cost.as_nanos(), 6 * 2_000 + 4 * 7_000);
    assert_eq!(
        price.bound(0, 10, ServiceTier::Standard).as_nanos(),
        10 * 7_000
    );
}

#[test]
fn with_other_rates_tiers_and_long_inputs_change_in_proportion() {
    let known = crate::pricing::PriceTable::built_in();
    let known = known
        .find(Some("gemini"), "gemini-3.8-flash")
        .unwrap()
        .price;
    let half = |rate: Rate| Rate::from_nanos(rate.as_nanos() / 2);
    let mut rates = known.standard;
    (rates.input, rates.output) = (half(rates.input), half(rates.output));
    let changed = known.with_rates(rates);
    assert_eq!(changed.max_output, known.max_output);
    assert!(!changed.tiers.is_empty());
    for ((tier, new), (_, old)) in changed.tiers.iter().zip(&known.tiers) {
        assert_eq!(
            (new.input, new.output),
            (half(old.input), half(old.output)),
            "{tier:?}"
        );
    }
    // Of what was free nobody knows how much dearer a tier is: no less than the rest.
    let mut free = Price::default();
    free.tiers.push((ServiceTier::Priority, Rates::default()));
    let paid = free.with_rates(rates);
    assert_eq!(paid.tiers[0].1.input, rates.input);
}
