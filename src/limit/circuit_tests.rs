//! Warnings come once, and a circuit opens where it should and nowhere else.

use std::time::Duration;

use super::*;
use crate::{
    limit::{Limits, Room},
    money::Money,
};

const HOUR: u64 = 3_600;

fn rule(limit: impl FnOnce(Limit) -> Limit) -> Rule {
    let limit = limit(Limit::cost(Money::from_nanos(100)));
    Limits::new([limit]).unwrap().rules()[0].clone()
}

/// An hour that rolls, without a margin.
fn rolling() -> Rule {
    let hour = Duration::from_secs(HOUR);
    let shape = |limit: Limit| limit.every(hour).margin(Duration::ZERO);
    rule(|limit| shape(limit).thresholds([0.8, 0.5, 1.0]))
}

fn at(second: u64) -> Tick {
    Tick::from_micros(second * 1_000_000)
}

fn spend(window: &mut Window, rule: &Rule, amount: u64, now: Tick) -> Vec<Happened> {
    window.expire(rule, now);
    window.book(rule, amount, now);
    window.after_spending(rule, now)
}

#[test]
fn each_threshold_is_told_once_also_where_several_are_passed_at_once() {
    let (rule, mut window) = (rolling(), Window::new(100));
    assert_eq!(spend(&mut window, &rule, 49, at(0)), []);
    assert_eq!(spend(&mut window, &rule, 1, at(1)), [Happened::Passed(0.5)]);
    assert_eq!(spend(&mut window, &rule, 29, at(2)), []);
    let both = [Happened::Passed(0.8), Happened::Passed(1.0)];
    assert_eq!(spend(&mut window, &rule, 30, at(3)), both);
    assert_eq!(spend(&mut window, &rule, 30, at(4)), []);
}

#[test]
fn a_rolling_budget_warns_again_when_it_was_below_and_a_period_has_passed() {
    let (rule, mut window) = (rolling(), Window::new(100));
    assert_eq!(spend(&mut window, &rule, 40, at(0)), []);
    assert_eq!(
        spend(&mut window, &rule, 10, at(1_800)),
        [Happened::Passed(0.5)]
    );
    // The first has left, and it is passed again: but not yet a period after the warning.
    assert_eq!(spend(&mut window, &rule, 45, at(HOUR)), []);
    assert_eq!(spend(&mut window, &rule, 1, at(HOUR + 1_800)), []);
    // It was below by then: 46 of 100.
    assert_eq!(
        spend(&mut window, &rule, 10, at(HOUR + 1_801)),
        [Happened::Passed(0.5)]
    );
}

#[test]
fn a_run_warns_once_for_good() {
    let rule = rule(|limit| limit.every_run().thresholds([0.5]));
    let mut window = Window::new(100);
    assert_eq!(
        spend(&mut window, &rule, 60, at(0)),
        [Happened::Passed(0.5)]
    );
    window.take_back(&rule, 60);
    assert_eq!(spend(&mut window, &rule, 60, at(HOUR * 50)), []);
}

#[test]
fn with_another_amount_what_is_not_spent_of_it_is_warned_of_again() {
    let (rule, mut window) = (rolling(), Window::new(100));
    assert_eq!(spend(&mut window, &rule, 85, at(0)).len(), 2);
    window.go_by(&rule, &rule, 160);
    assert_eq!(
        spend(&mut window, &rule, 1, at(1)),
        [],
        "86 of 160: half of it"
    );
    assert_eq!(
        spend(&mut window, &rule, 42, at(2)),
        [Happened::Passed(0.8)]
    );
}

#[test]
fn there_may_be_something_to_tell_until_it_is_told() {
    let (rule, mut window) = (rolling(), Window::new(100));
    window.book(&rule, 49, at(0));
    assert!(!window.may_have_passed(&rule));
    window.book(&rule, 1, at(1));
    assert!(window.may_have_passed(&rule));
    assert_eq!(window.after_spending(&rule, at(1)).len(), 1);
    assert!(!window.may_have_passed(&rule));
    window.go_by(&rule, &rule, 60);
    assert!(window.may_have_passed(&rule), "50 of 60: four fifths");
    let (rule, mut window) = (circuit(), Window::new(100));
    window.book(&rule, 100, at(0));
    assert!(!window.may_have_passed(&rule));
    window.book(&rule, 1, at(1));
    assert!(window.may_have_passed(&rule));
    assert_eq!(window.after_spending(&rule, at(1)), [Happened::Tripped]);
    assert!(!window.may_have_passed(&rule));
}

#[test]
fn what_is_taken_back_leaves_with_nothing_behind() {
    let (rule, mut window) = (rolling(), Window::new(100));
    for second in [0, 600, 1_200] {
        spend(&mut window, &rule, 20, at(second));
    }
    window.take_back(&rule, 25);
    assert_eq!(window.settled(), 35);
    window.expire(&rule, at(HOUR));
    assert_eq!(window.settled(), 15, "the newest was taken first");
    window.take_back(&rule, 1_000);
    assert_eq!(window.settled(), 0);
    window.expire(&rule, at(2 * HOUR));
    assert!(window.settled() == 0 && window.in_use() == 0);
}

fn circuit() -> Rule {
    rule(|limit| limit.every(Duration::from_secs(HOUR)).circuit())
}

#[test]
fn it_opens_where_the_money_is_spent_and_not_where_it_is_reserved_or_the_call_too_large() {
    let (rule, mut window) = (circuit(), Window::new(100));
    window.hold(60);
    assert_eq!(spend(&mut window, &rule, 40, at(0)), []);
    assert_eq!(
        window.after_refusing(&rule, 50),
        None,
        "sixty may be given back"
    );
    assert_eq!(
        window.after_refusing(&rule, 61),
        None,
        "not half of it is spent: the call is large"
    );
    assert_eq!(spend(&mut window, &rule, 10, at(0)), []);
    assert_eq!(window.after_refusing(&rule, 101), None, "it never fits");
    assert!(!window.is_tripped());
    assert_eq!(window.after_refusing(&rule, 61), Some(Happened::Tripped));
    assert_eq!(window.after_refusing(&rule, 61), None, "told once");
}

#[test]
fn what_passes_the_amount_opens_it_and_all_of_it_does_not() {
    let (rule, mut window) = (circuit(), Window::new(100));
    assert_eq!(spend(&mut window, &rule, 100, at(0)), []);
    assert_eq!(spend(&mut window, &rule, 1, at(1)), [Happened::Tripped]);
    assert_eq!(spend(&mut window, &rule, 1, at(2)), []);
}

#[test]
fn open_it_refuses_all_but_nothing_for_ever_and_reset_it_begins_anew() {
    let (rule, mut window) = (circuit(), Window::new(100));
    spend(&mut window, &rule, 101, at(0));
    window.hold(7);
    let later = at(HOUR * 1_000);
    window.expire(&rule, later);
    assert_eq!(
        (window.settled(), window.room(&rule, 1, later)),
        (0, Room::Never)
    );
    assert!(!window.fits(1) && window.fits(0), "what costs nothing goes");
    assert!(!window.is_idle(), "it is not forgotten");
    spend(&mut window, &rule, 5, later);
    assert!(window.reset() && !window.reset());
    assert_eq!(
        window.room(&rule, 93, later),
        Room::Now,
        "seven are reserved still"
    );
    assert_eq!((window.settled(), window.in_use()), (0, 7));
}

#[test]
fn without_a_circuit_nothing_opens() {
    let (rule, mut window) = (rolling(), Window::new(100));
    assert!(!spend(&mut window, &rule, 300, at(0)).contains(&Happened::Tripped));
    assert_eq!(window.after_refusing(&rule, 50), None);
    assert!(!window.reset());
    assert_eq!(window.settled(), 300, "nothing was forgotten");
}

#[test]
fn on_what_is_no_budget_or_with_nonsense_they_are_errors() {
    let minute = Duration::from_secs(60);
    let budget = || Limit::cost(Money::from_nanos(1)).every(minute);
    let wrong = [
        (Limit::requests(1).every(minute).circuit(), "circuit"),
        (
            Limit::tokens(1).every(minute).thresholds([0.5]),
            "thresholds",
        ),
        (budget().shadow().circuit(), "circuit"),
        (budget().thresholds([0.5, 0.0]), "thresholds"),
        (budget().thresholds([1.5]), "thresholds"),
        (budget().thresholds([f64::NAN]), "thresholds"),
    ];
    for (limit, named) in wrong {
        let error = Limits::new([limit]).unwrap_err();
        assert!(
            matches!(&error, LimitError::BadAlarm { field, .. } if *field == named),
            "{error}"
        );
    }
    assert!(Limits::new([budget().shadow().thresholds([1.0])]).is_ok());
}
