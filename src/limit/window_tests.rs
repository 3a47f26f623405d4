//! The rules of one count.

use std::time::Duration;

use super::*;
use crate::limit::{CalendarUnit, Charge, Charged, Counters, Limit, Limits, Refill};

fn rule(limit: Limit) -> Rule {
    Limits::new([limit]).unwrap().rules()[0].clone()
}

/// 10 per 240 ms, so that a slot is 1 ms, and no margin.
fn ten() -> Rule {
    rule(
        Limit::requests(10)
            .every(Duration::from_millis(240))
            .margin(Duration::ZERO),
    )
}

fn at(millis: u64) -> Tick {
    Tick::from_micros(millis * 1_000)
}

#[test]
fn room_comes_back_one_period_after_the_charge_and_not_a_tick_earlier() {
    let (rule, mut window) = (ten(), Window::new(10));
    window.book(&rule, 10, at(5));
    assert_eq!(window.room(&rule, 1, at(0)), Room::At(at(245)));
    window.expire(&rule, Tick::from_micros(244_999));
    assert_eq!(window.room(&rule, 1, at(0)), Room::At(at(245)));
    window.expire(&rule, at(245));
    assert_eq!(window.room(&rule, 10, at(0)), Room::Now);
    assert!(window.is_idle());
}

#[test]
fn a_slot_leaves_with_its_last_charge() {
    let (rule, mut window) = (ten(), Window::new(10));
    window.book(&rule, 5, Tick::from_micros(1_000));
    window.book(&rule, 5, Tick::from_micros(1_999));
    assert_eq!(
        window.room(&rule, 1, at(0)),
        Room::At(Tick::from_micros(241_999))
    );
    window.expire(&rule, Tick::from_micros(241_998));
    assert_eq!(window.in_use(), 10);
}

#[test]
fn charges_in_different_slots_leave_one_by_one() {
    let (rule, mut window) = (ten(), Window::new(10));
    window.book(&rule, 6, at(0));
    window.book(&rule, 4, at(100));
    assert_eq!(window.room(&rule, 6, at(0)), Room::At(at(240)));
    assert_eq!(window.room(&rule, 7, at(0)), Room::At(at(340)));
    window.expire(&rule, at(240));
    assert_eq!(window.room(&rule, 6, at(0)), Room::Now);
}

#[test]
fn what_is_held_never_expires() {
    let (rule, mut window) = (ten(), Window::new(10));
    window.hold(10);
    window.expire(&rule, at(1_000_000));
    assert_eq!(window.room(&rule, 1, at(0)), Room::WhenGivenBack);
    window.unhold(10);
    assert_eq!(window.room(&rule, 1, at(0)), Room::Now);
}

/// Of a hundred tokens 40 are settled, and 60 are of calls in flight.
fn used_and_reserved(limit: Limit) -> (Rule, Window) {
    let (rule, mut window) = (rule(limit), Window::new(100));
    window.book(&rule, 40, at(5));
    window.hold(60);
    (rule, window)
}

#[test]
fn for_what_calls_in_flight_may_give_back_nobody_waits_until_an_instant() {
    let tokens = |charge| {
        let limit = Limit::tokens(100).every(Duration::from_millis(240));
        limit.margin(Duration::ZERO).charge(charge)
    };
    let by_calendar = Limit::tokens(100).every_calendar(CalendarUnit::Hour, "UTC");
    for (limit, leaves) in [
        (tokens(Charge::default()), at(245)),
        (tokens(Charge::groq()), at(245)),
        (by_calendar, at(3_600_000)),
    ] {
        let (rule, window) = used_and_reserved(limit);
        assert_eq!(window.room(&rule, 40, at(5)), Room::At(leaves));
        assert_eq!(window.not_before(&rule, 60), None, "{}", rule.limit);
        assert_eq!(
            window.not_before(&rule, 61),
            Some(leaves),
            "what is settled stays"
        );
    }
    let (rule, window) = used_and_reserved(tokens(Charge::azure()));
    assert_eq!(
        window.not_before(&rule, 40),
        Some(at(245)),
        "never corrected"
    );
}

/// What is dated at the send and corrected later is of calls in flight as well.
#[test]
fn what_a_call_in_flight_has_dated_may_be_given_back_until_it_ends() {
    let every = |limit: Limit| limit.every(Duration::from_millis(240));
    for limit in [
        Limit::tokens(100).charge(Charge::anthropic()),
        Limit::input_tokens(100).charge(Charge::anthropic()),
        Limit::tokens(100).charge(Charge::bedrock(5)),
    ] {
        let (rule, mut window) = used_and_reserved(every(limit).margin(Duration::ZERO));
        window.opens(30);
        assert_eq!(window.not_before(&rule, 90), None, "{}", rule.limit);
        assert_eq!(window.not_before(&rule, 91), Some(at(245)));
        window.closes(30);
        assert_eq!(window.not_before(&rule, 60), None);
        assert_eq!(window.not_before(&rule, 61), Some(at(245)));
    }
    let output = Limit::output_tokens(100).charge(Charge::anthropic());
    let (rule, window) = used_and_reserved(every(output).margin(Duration::ZERO));
    assert_eq!(
        window.not_before(&rule, 61),
        Some(at(245)),
        "held until the end"
    );
}

#[test]
fn usage_above_the_claim_is_debt_that_is_paid_first() {
    let (rule, mut window) = (ten(), Window::new(10));
    window.book(&rule, 5, at(0));
    window.book(&rule, 5, at(100));
    window.rebook(&rule, at(0), 5, 25);
    assert_eq!(window.in_use(), 30);
    window.expire(&rule, at(99));
    assert_eq!(window.room(&rule, 1, at(0)), Room::At(at(240)));
    assert_eq!(window.room(&rule, 6, at(0)), Room::At(at(340)));
}

#[test]
fn settling_a_charge_that_has_left_changes_nothing() {
    let (rule, mut window) = (ten(), Window::new(10));
    window.book(&rule, 5, at(0));
    window.expire(&rule, at(240));
    window.rebook(&rule, at(0), 5, 50);
    assert!(window.is_idle());
}

#[test]
fn what_is_booked_in_an_old_slot_is_changed_there_and_in_one_that_left_nowhere() {
    let (rule, mut window) = (ten(), Window::new(100));
    for slot in 0..9 {
        window.book(&rule, 10, at(slot * 20));
    }
    window.rebook(&rule, at(40), 10, 1);
    window.rebook(&rule, at(160), 10, 3);
    assert_eq!(window.in_use(), 74);
    assert_eq!(window.room(&rule, 47, at(0)), Room::At(at(280)));
    window.expire(&rule, at(280));
    assert_eq!(window.in_use(), 53);
    window.rebook(&rule, at(20), 10, 90);
    assert_eq!(window.in_use(), 53);
    window.expire(&rule, at(399));
    assert_eq!(window.in_use(), 3);
    window.expire(&rule, at(400));
    assert!(window.is_idle());
}

#[test]
fn a_charge_begins_a_slot_where_the_last_one_ends_and_not_before() {
    let (rule, mut window) = (ten(), Window::new(10));
    window.book(&rule, 1, Tick::from_micros(1_999));
    window.book(&rule, 1, Tick::from_micros(2_000));
    window.expire(&rule, Tick::from_micros(241_999));
    assert_eq!(window.in_use(), 1);
    window.book(&rule, 1, Tick::from_micros(2_999));
    window.expire(&rule, Tick::from_micros(242_998));
    assert_eq!(window.in_use(), 2);
}

#[test]
fn slots_take_little_more_memory_than_they_need() {
    let (rule, mut window) = (ten(), Window::new(1_000));
    for slot in 0..200 {
        window.book(&rule, 1, at(slot));
        let needed = size_of::<Window>() + window.older.len() * size_of::<Slot>();
        assert!(window.bytes() <= needed + needed / 4 + size_of::<Slot>());
    }
}

#[test]
fn a_charge_dated_backwards_joins_the_latest_slot() {
    let (rule, mut window) = (ten(), Window::new(10));
    window.book(&rule, 1, at(100));
    assert_eq!(window.book(&rule, 1, at(50)), at(100));
    window.rebook(&rule, at(100), 2, 0);
    assert_eq!(window.in_use(), 0);
    window.expire(&rule, at(340));
    assert!(window.is_idle());
}

#[test]
fn a_run_never_gives_back_what_was_used() {
    let (rule, mut window) = (rule(Limit::requests(2).every_run()), Window::new(2));
    let date = window.book(&rule, 1, at(0));
    window.hold(1);
    assert_eq!(window.room(&rule, 1, at(0)), Room::WhenGivenBack);
    window.unhold(1);
    window.book(&rule, 1, date);
    window.expire(&rule, at(1_000_000_000));
    assert_eq!(window.room(&rule, 1, at(0)), Room::Never);
}

/// 100 a minute, with the usual margin.
fn hundred() -> Rule {
    rule(Limit::requests(100).every(Duration::from_secs(60)))
}

/// A call of ours leaves at this second, and its answer shows how much everybody uses.
fn hears(window: &mut Window, rule: &Rule, second: u64, used: u64) {
    let now = at(second * 1_000);
    window.expire(rule, now);
    window.book(rule, 1, now);
    let charged = Charged {
        sent: now,
        amount: 1,
        then: window.ours(rule, now),
    };
    let shown = Counters {
        remaining: 100 - used,
        published: 100,
        rounded: 0,
        refill: Refill::Otherwise,
    };
    assert!(window.hear(rule, &charged, shown, now), "others are there");
}

/// Others use 66 more within four seconds. If they go on like that there is no room, but nobody knows if they do.
#[test]
fn what_others_may_have_taken_since_goes_with_our_last_charge_where_nothing_is_held() {
    let (rule, mut window) = (hundred(), Window::new(100));
    hears(&mut window, &rule, 100, 2);
    hears(&mut window, &rule, 104, 68);
    let last = at(164_500);
    for now in [at(111_000), Tick::from_micros(164_499_999)] {
        window.expire(&rule, now);
        assert_eq!(window.foreign(&rule, now), 66);
        assert_eq!(window.room(&rule, 1, now), Room::At(last), "{now:?}");
        window.hold(1);
        let room = window.room(&rule, 1, now);
        assert_eq!(room, Room::WhenGivenBack, "it may bring news: {now:?}");
        window.unhold(1);
        window.ended(1);
    }
    window.expire(&rule, last);
    assert_eq!(window.room(&rule, 1, last), Room::Now);
}

/// What others use leaves later than our last charge: until then nobody waits who has room without the growth.
#[test]
fn where_room_comes_by_itself_that_is_waited_for() {
    let (rule, mut window) = (hundred(), Window::new(100));
    hears(&mut window, &rule, 100, 57);
    hears(&mut window, &rule, 104, 68);
    let now = at(111_000);
    window.expire(&rule, now);
    let Room::At(then) = window.room(&rule, 20, now) else {
        panic!("all of it leaves");
    };
    assert!(then >= at(164_500), "with our last charge at the earliest");
    window.expire(&rule, then);
    assert_eq!(window.room(&rule, 20, then), Room::Now);
}

#[test]
fn what_is_held_is_never_more_than_can_be_counted() {
    let mut window = Window::new(u64::MAX);
    for _ in 0..2 {
        assert!(window.fits(u64::MAX));
        window.hold_fitting(u64::MAX);
    }
    assert_eq!(window.in_use(), u64::MAX);
}

#[test]
fn more_than_the_limit_never_fits() {
    assert_eq!(Window::new(10).room(&ten(), 11, at(0)), Room::Never);
    assert_eq!(Window::new(10).room(&ten(), 10, at(0)), Room::Now);
}

#[test]
fn a_lowered_amount_makes_what_is_used_a_debt_and_a_raised_one_gives_room_at_once() {
    let (rule, mut window) = (ten(), Window::new(10));
    window.book(&rule, 6, at(0));
    window.book(&rule, 4, at(100));
    window.set_amount(&rule, 4);
    assert_eq!(window.room(&rule, 1, at(0)), Room::At(at(340)));
    assert_eq!(window.room(&rule, 5, at(0)), Room::Never);
    window.set_amount(&rule, 11);
    assert_eq!(window.room(&rule, 1, at(0)), Room::Now);
}
