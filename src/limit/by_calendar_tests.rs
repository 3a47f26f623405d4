//! Counts by a calendar, whatever the clock does.

use proptest::prelude::*;

use super::*;
use crate::{
    limit::{CalendarUnit, Charged, Life, Limit, Limits, Rule},
    money::Money,
};

const HOUR: u64 = 3_600;

/// $10 an hour, where the clock shows so many seconds at tick zero.
fn hourly(shown: u64) -> (Limits, Rule) {
    let limit = Limit::cost(Money::from_nanos(10)).every_calendar(CalendarUnit::Hour, "UTC");
    let limits = Limits::new([limit]).unwrap();
    set(&limits, 0, shown);
    let rule = limits.rules()[0].clone();
    (limits, rule)
}

/// At this second of ours the clock shows this one.
fn set(limits: &Limits, second: u64, shown: u64) {
    limits
        .wall()
        .set((shown.cast_signed() - second.cast_signed()) * 1_000_000);
}

fn at(second: u64) -> Tick {
    Tick::from_micros(second * 1_000_000)
}

#[test]
fn all_of_it_is_there_again_when_the_period_ends_and_nothing_before() {
    let (_limits, rule) = hourly(10 * HOUR - 100);
    let mut window = Window::new(10);
    window.book(&rule, 6, at(0));
    window.book(&rule, 4, at(99));
    assert_eq!(window.room(&rule, 1, at(99)), Room::At(at(100)));
    window.expire(&rule, Tick::from_micros(99_999_999));
    assert_eq!(window.room(&rule, 1, at(99)), Room::At(at(100)));
    window.expire(&rule, at(100));
    assert_eq!(window.room(&rule, 10, at(100)), Room::Now);
    assert!(window.is_idle());
}

#[test]
fn for_what_is_reserved_nobody_need_wait_until_the_next_period() {
    let (_limits, rule) = hourly(0);
    let mut window = Window::new(10);
    window.hold(8);
    window.book(&rule, 2, at(0));
    // Beside the eight that are held two have room when the period ends, and five have not.
    assert_eq!(window.room(&rule, 2, at(0)), Room::At(at(HOUR)));
    assert_eq!(
        window.not_before(&rule, 2),
        None,
        "what is held may be given back"
    );
    assert_eq!(window.room(&rule, 5, at(0)), Room::WhenGivenBack);
    assert_eq!(window.not_before(&rule, 9), Some(at(HOUR)));
    assert_eq!(window.room(&rule, 11, at(0)), Room::Never);
}

#[test]
fn an_open_call_counts_on_both_sides_of_a_boundary_and_settles_into_one() {
    let (_limits, rule) = hourly(HOUR - 10);
    let mut window = Window::new(10);
    window.hold(9);
    window.expire(&rule, at(9));
    assert_eq!(window.in_use(), 9);
    window.expire(&rule, at(11));
    assert_eq!(window.in_use(), 9);
    window.unhold(9);
    window.book(&rule, 3, at(11));
    assert_eq!(window.room(&rule, 8, at(11)), Room::At(at(10 + HOUR)));
}

#[test]
fn a_correction_of_an_earlier_period_changes_nothing() {
    let (_limits, rule) = hourly(HOUR - 10);
    let mut window = Window::new(10);
    let early = window.book(&rule, 5, at(0));
    let late = window.book(&rule, 5, at(20));
    window.rebook(&rule, early, 5, 1);
    assert_eq!(window.in_use(), 5);
    window.rebook(&rule, late, 5, 1);
    assert_eq!(window.in_use(), 1);
}

#[test]
fn charges_of_one_period_leave_together_and_those_of_two_do_not_wherever_the_clock_is_set() {
    let (limits, rule) = hourly(HOUR - 20);
    let mut window = Window::new(10);
    let [first, second] = [0, 9].map(|date| window.book(&rule, 1, at(date)));
    assert!(window.same_slot(&rule, first, second));
    // By this clock all of them are in one hour.
    set(&limits, 10, HOUR + 30);
    let [third, fourth] = [10, 12].map(|date| window.book(&rule, 1, at(date)));
    assert!(window.same_slot(&rule, third, fourth));
    assert!(!window.same_slot(&rule, second, third));
}

#[test]
fn a_clock_that_is_set_back_begins_no_period_again() {
    let (limits, rule) = hourly(HOUR - 10);
    let mut window = Window::new(10);
    window.book(&rule, 10, at(0));
    window.expire(&rule, at(11));
    window.book(&rule, 10, at(11));
    // It shows the hour before again, and then once more the hour that has been.
    set(&limits, 12, HOUR - 30);
    for second in [13, 42, 2 * HOUR - 1] {
        window.expire(&rule, at(second));
        let end = at(12 + 30 + HOUR);
        if second < 12 + 30 + HOUR {
            assert_eq!(window.room(&rule, 1, at(second)), Room::At(end), "{second}");
        } else {
            assert_eq!(window.room(&rule, 10, at(second)), Room::Now, "{second}");
        }
    }
}

#[test]
fn a_clock_that_is_set_forward_and_back_has_both_periods_count_as_one() {
    let (limits, rule) = hourly(10 * HOUR);
    let mut window = Window::new(10);
    set(&limits, 1, 11 * HOUR);
    window.book(&rule, 4, at(1));
    set(&limits, 2, 10 * HOUR + 2);
    window.book(&rule, 6, at(3));
    assert_eq!(window.in_use(), 10);
    let end = Room::At(at(2 * HOUR));
    assert_eq!(window.room(&rule, 1, at(3)), end);
}

#[test]
fn a_clock_that_was_years_ahead_once_counts_for_two_periods_and_no_longer() {
    let (limits, rule) = hourly(10 * HOUR);
    let mut window = Window::new(10);
    set(&limits, 1, 30_000 * HOUR);
    window.book(&rule, 4, at(1));
    set(&limits, 2, 10 * HOUR + 2);
    window.book(&rule, 6, at(3));
    let end = 2 * HOUR + 1;
    for second in [3, HOUR, end - 1] {
        window.expire(&rule, at(second));
        let room = window.room(&rule, 1, at(second));
        assert_eq!(room, Room::At(at(end)), "{second}");
        let Life::Calendar(calendar) = &rule.life else {
            panic!("it goes by one");
        };
        let ends = window.period_ends(calendar, at(second));
        assert_eq!(ends, (10 * HOUR + end) * 1_000_000);
        // So it does where it is kept.
        let spent = window.spent(&rule, at(second));
        assert_eq!(spent[0].until, Some(30_001 * HOUR * 1_000_000));
        let (_limits, right) = hourly(10 * HOUR);
        let mut restored = Window::new(10);
        restored.book_spent(&right, &spent, at(second));
        let room = restored.room(&right, 1, at(second));
        assert_eq!(room, Room::At(at(end)), "{second}");
    }
    window.expire(&rule, at(end));
    assert!(window.is_idle());
    // From then on it goes by the clock again.
    window.book(&rule, 10, at(end));
    assert_eq!(window.room(&rule, 1, at(end)), Room::At(at(3 * HOUR)));
}

/// As that of a machine which does not know the time until somebody tells it.
#[test]
fn a_clock_that_is_years_behind_for_a_while_begins_no_period_again() {
    let (limits, rule) = hourly(30_000 * HOUR);
    let mut window = Window::new(10);
    window.book(&rule, 10, at(0));
    set(&limits, 1, 10 * HOUR);
    window.expire(&rule, at(60));
    assert_eq!(window.room(&rule, 1, at(60)), Room::At(at(2 * HOUR)));
    // What is kept of it then is restored by one that is right.
    let (_limits, right) = hourly(30_000 * HOUR);
    let mut restored = Window::new(10);
    restored.book_spent(&right, &window.spent(&rule, at(60)), at(60));
    assert_eq!(restored.room(&right, 1, at(60)), Room::At(at(HOUR)));
    set(&limits, 61, 30_000 * HOUR + 61);
    window.expire(&rule, at(62));
    assert_eq!(window.room(&rule, 1, at(62)), Room::At(at(HOUR)));
}

/// Sunday, 25 October 2026, has 25 hours in Berlin, and this clock is set back by one besides.
#[test]
fn a_day_on_which_clocks_change_goes_on_until_its_end_is_shown() {
    let midnight = 1_792_879_200;
    let limit = Limit::cost(Money::from_nanos(10));
    let limit = limit.every_calendar(CalendarUnit::Day, "Europe/Berlin");
    let limits = Limits::new([limit]).unwrap();
    let (rule, mut window) = (limits.rules()[0].clone(), Window::new(10));
    set(&limits, 0, midnight);
    window.book(&rule, 10, at(0));
    set(&limits, 1, midnight + 1 - HOUR);
    window.expire(&rule, at(26 * HOUR - 1));
    let end = Room::At(at(26 * HOUR));
    assert_eq!(window.room(&rule, 1, at(26 * HOUR - 1)), end);
    window.expire(&rule, at(26 * HOUR));
    assert!(window.is_idle());
    // The same day, as it is charged by a clock that is a year ahead.
    set(&limits, 27 * HOUR, midnight + 8_760 * HOUR);
    window.book(&rule, 10, at(27 * HOUR));
    set(&limits, 27 * HOUR, midnight);
    assert_eq!(
        window.room(&rule, 1, at(27 * HOUR)),
        Room::At(at((27 + 48) * HOUR))
    );
}

#[test]
fn what_is_kept_ends_by_the_clock_and_not_by_its_age() {
    let (_limits, rule) = hourly(HOUR - 100);
    let mut window = Window::new(10);
    window.book(&rule, 7, at(0));
    window.hold(2);
    let spent = window.spent(&rule, at(40));
    assert_eq!(spent.len(), 1);
    assert_eq!(
        (spent[0].amount, spent[0].until),
        (9, Some(HOUR * 1_000_000))
    );
    // Another process, which begins when the clock shows so much.
    for (shown, left) in [(HOUR - 60, 1), (HOUR - 1, 1), (HOUR, 10), (9 * HOUR, 10)] {
        let (_limits, rule) = hourly(shown);
        let mut restored = Window::new(10);
        restored.book_spent(&rule, &spent, at(0));
        assert_eq!(restored.room(&rule, left, at(0)), Room::Now, "{shown}");
        if left < 10 {
            let end = Room::At(at(HOUR - shown));
            assert_eq!(restored.room(&rule, left + 1, at(0)), end, "{shown}");
        }
    }
}

/// What may be used grows back a day after it was cut, so the day ends before: who waits for that waits for the next one.
#[test]
fn what_was_learnt_of_a_day_outlasts_the_day() {
    let limit = Limit::requests(100)
        .every_calendar(CalendarUnit::Day, "UTC")
        .adaptive(0.25);
    let limits = Limits::new([limit]).unwrap();
    set(&limits, 0, 240 * HOUR + HOUR);
    let (rule, mut window) = (limits.rules()[0].clone(), Window::new(100));
    let charged = |second| Charged {
        sent: at(second),
        amount: 1,
        then: 80,
    };
    window.book(&rule, 80, at(0));
    window.cut(&rule, &charged(0), at(1));
    assert_eq!(window.usable(), 70);
    let midnight = 23 * HOUR;
    for second in [2, HOUR, midnight - 1] {
        assert!(!window.grow(&rule, &charged(2), at(second)), "too soon");
        window.expire(&rule, at(second));
        let room = window.room(&rule, 1, at(second));
        assert_eq!(room, Room::At(at(midnight)), "{second}");
    }
    window.expire(&rule, at(midnight));
    assert_eq!(window.room(&rule, 70, at(midnight)), Room::Now);
    assert_eq!(window.usable(), 70);
    let later = 24 * HOUR + 2;
    assert!(window.grow(&rule, &charged(midnight), at(later)));
    assert_eq!(window.usable(), 75);
}

proptest! {
    /// Whatever the clock does: there are no more periods than hours that it has shown, and one that it shows for the
    /// first time, later than all before, begins with nothing used. Where it was set back so far that a period has gone on
    /// for two hours, all of this begins anew.
    #[test]
    fn no_period_is_counted_twice_or_skipped_whatever_the_clock_does(
        steps in prop::collection::vec((1u64..600, 0u64..4, -7_200i64..7_200), 1..200),
    ) {
        let (limits, rule) = hourly(100 * HOUR);
        let mut window = Window::new(10);
        let (mut now, mut shown, mut latest, mut charged) = (0, 100 * HOUR, 0, 0);
        let mut hours = std::collections::HashSet::new();
        for (pass, amount, step) in steps {
            now += pass;
            shown += pass;
            if step % 5 == 0 {
                shown = shown.saturating_add_signed(step);
                set(&limits, now, shown);
            }
            let (counted, end, began) = (window.has_slots(), window.until, window.last.last);
            window.expire(&rule, at(now));
            let hour = shown / HOUR;
            if counted && !window.has_slots() && at(shown) < end {
                prop_assert!(at(now) >= began.after_micros(2 * HOUR * 1_000_000));
                (latest, charged) = (hour, 0);
                hours.clear();
            }
            hours.insert(hour);
            if hour > latest {
                prop_assert_eq!(window.in_use(), 0, "hour {}", hour);
                latest = hour;
            }
            if window.fits(amount) {
                window.book(&rule, amount, at(now));
                charged += amount;
            } else {
                let Room::At(room) = window.room(&rule, amount, at(now)) else {
                    panic!("a charge has an end");
                };
                prop_assert!(room > at(now));
            }
            prop_assert!(charged <= 10 * hours.len() as u64);
        }
    }
}
