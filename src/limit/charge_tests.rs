//! What each rule charges, and when.

use super::*;

#[test]
fn a_charge_at_the_send_is_never_corrected_downwards() {
    let usage = Usage::new(250, 100);
    assert_eq!(
        settled(Charge::azure(), Parts::early(1_300), &usage),
        (1_300, 0)
    );
    assert_eq!(settled(Charge::default(), late(1_300), &usage), (0, 350));
}

#[test]
fn usage_above_the_reservation_counts_whole() {
    let usage = Usage::new(2_000, 900);
    assert_eq!(
        settled(Charge::openai(), Parts::early(1_000), &usage),
        (2_000, 0)
    );
    assert_eq!(
        settled(Charge::azure(), Parts::early(1_300), &usage),
        (2_900, 0)
    );
}

#[test]
fn usage_never_changes_the_count_of_requests() {
    let one = Parts::early(1);
    let used = Charge::default().settled(Quantity::Requests, one, &Usage::new(9, 9));
    assert_eq!(used, one);
}

#[test]
fn anthropics_cache_reads_are_free() {
    let charge = Charge::anthropic();
    let mut usage = Usage::new(280, 90);
    usage.cache_read = 200;
    let reserved = Parts {
        early: 300,
        late: 1_000,
    };
    assert_eq!(settled(charge, reserved, &usage), (80, 90));
    let counted = Charge {
        cache_reads: true,
        ..charge
    };
    assert_eq!(settled(counted, reserved, &usage), (280, 90));
}

#[test]
fn bedrock_counts_output_by_its_weight_and_gives_back_what_was_not_generated() {
    let reserved = Parts::early(1_300);
    let usage = Usage::new(300, 100);
    assert_eq!(settled(Charge::bedrock(5), reserved, &usage), (800, 0));
    assert_eq!(settled(Charge::bedrock(1), reserved, &usage), (400, 0));
    assert_eq!(
        settled(Charge::bedrock(5), reserved, &Usage::new(300, 1_000)),
        (5_300, 0)
    );
}

#[test]
fn only_output_that_is_charged_at_completion_is_dated_as_it_streams() {
    let streamed = |charge: Charge, quantity| charge.streamed(quantity, 10);
    assert_eq!(streamed(Charge::anthropic(), Quantity::OutputTokens), 10);
    assert_eq!(streamed(Charge::default(), Quantity::Tokens), 10);
    assert_eq!(streamed(Charge::anthropic(), Quantity::InputTokens), 0);
    assert_eq!(streamed(Charge::openai(), Quantity::Tokens), 0);
    assert_eq!(streamed(Charge::bedrock(5), Quantity::Tokens), 0);
    assert_eq!(streamed(Charge::default(), Quantity::Requests), 0);
}

#[test]
fn more_cache_reads_than_input_take_nothing_away() {
    let mut usage = Usage::new(10, 5);
    usage.cache_read = u64::MAX;
    let reserved = Parts {
        early: 300,
        late: 1_000,
    };
    assert_eq!(settled(Charge::anthropic(), reserved, &usage), (0, 5));
}

fn late(amount: u64) -> Parts {
    Parts {
        early: 0,
        late: amount,
    }
}

fn settled(charge: Charge, reserved: Parts, usage: &Usage) -> (u64, u64) {
    let Parts { early, late } = charge.settled(Quantity::Tokens, reserved, usage);
    (early, late)
}
