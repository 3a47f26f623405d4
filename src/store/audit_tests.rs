//! What is noted of limits that are others now.

use std::time::Duration;

use super::*;
use crate::money::Money;

fn budget(dollars: u64) -> Limit {
    Limit::cost(Money::from_dollars(dollars)).every(Duration::from_secs(3_600))
}

/// What is noted where one limit comes in the place of another.
fn noted(old: Limit, new: Limit) -> Vec<(String, String)> {
    let of = |limit| Limits::new([limit]).unwrap();
    let notes = Note::of_limits(&of(old), &of(new), "ada", "").into_iter();
    let texts = notes.map(|note| (note.old.unwrap(), note.new.unwrap()));
    texts.collect()
}

fn is(old: &str, new: &str) -> Vec<(String, String)> {
    vec![(old.to_owned(), new.to_owned())]
}

#[test]
fn what_a_limit_does_not_read_is_noted_where_it_differs() {
    let warns = |dollars| budget(dollars).thresholds([0.8, 0.5]);
    assert_eq!(
        noted(budget(9), warns(9)),
        is(
            "cost $9.00/hour; thresholds: none",
            "cost $9.00/hour; thresholds: 0.5, 0.8"
        )
    );
    assert_eq!(
        noted(warns(9), budget(8)),
        is(
            "cost $9.00/hour; thresholds: 0.5, 0.8",
            "cost $8.00/hour; thresholds: none"
        )
    );
}

#[test]
fn what_is_the_same_is_not_noted() {
    let warns = |dollars| budget(dollars).thresholds([0.8]);
    assert_eq!(
        noted(warns(9), warns(8)),
        is("cost $9.00/hour", "cost $8.00/hour")
    );
    assert_eq!(noted(warns(9), warns(9)), []);
}
