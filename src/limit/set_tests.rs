//! What makes no sense is refused by the name of its field.

use std::time::Duration;

use super::*;
use crate::{
    limit::{
        CalendarUnit, Count,
        life::{LONGEST, SHORTEST},
    },
    money::Money,
    tags::Tag,
};

const MINUTE: Duration = Duration::from_secs(60);

fn error(limits: impl IntoIterator<Item = Limit>) -> LimitError {
    Limits::new(limits).unwrap_err()
}

#[test]
fn every_field_has_a_value_that_is_refused_by_name() {
    let cases: [(Limit, &str); 31] = [
        (
            Limit::tokens(1).every(MINUTE).count(Count::Calls),
            "`count`",
        ),
        (Limit::concurrency(1).count(Count::Attempts), "`count`"),
        (Limit::concurrency(1).margin(SHORTEST), "`margin`"),
        (Limit::requests(1).every_run().margin(SHORTEST), "`margin`"),
        (
            Limit::requests(1)
                .every_calendar(CalendarUnit::Day, "UTC")
                .margin(SHORTEST),
            "`margin`",
        ),
        (
            Limit::cost(Money::from_dollars(1))
                .every(MINUTE)
                .adaptive(0.5),
            "`adaptive`",
        ),
        (
            Limit::tokens(1).every(MINUTE).count_refused(),
            "`count_refused`",
        ),
        (
            Limit::requests(1).every(MINUTE).amount_for("a", 1),
            "`amounts`",
        ),
        (
            Limit::requests(1)
                .every(MINUTE)
                .per(Tag::Run)
                .per(Tag::User)
                .amount_for("a", 1),
            "`amounts`",
        ),
        (
            Limit::concurrency(1).per(Tag::Agent).amount_for("a", 0),
            "`amounts`",
        ),
        (
            Limit::concurrency(1)
                .per(Tag::Agent)
                .amount_for("a", 1)
                .amount_for("a", 2),
            "`amounts`",
        ),
        (Limit::requests(1).every(MINUTE).slice(MINUTE), "`slice`"),
        (
            Limit::requests(1).every(MINUTE).slice(Duration::ZERO),
            "`slice`",
        ),
        (Limit::requests(1).every_run().slice(MINUTE), "`slice`"),
        (Limit::concurrency(1).slice(MINUTE), "`slice`"),
        (
            Limit::requests(1)
                .every(MINUTE)
                .slice(SHORTEST)
                .margin(SHORTEST * 2),
            "`margin`",
        ),
        (Limit::requests(1).slice(MINUTE), "`period`"),
        (Limit::requests(1).every(MINUTE).headroom(0.0), "`headroom`"),
        (Limit::concurrency(1).headroom(1.000_001), "`headroom`"),
        (
            Limit::requests(1).every(MINUTE).headroom(f64::NAN),
            "`headroom`",
        ),
        (Limit::requests(0).every(MINUTE), "`amount`"),
        (Limit::requests(1), "`period`"),
        (Limit::requests(1).in_total(), "in total"),
        (Limit::concurrency(1).in_total(), "`period`"),
        (Limit::concurrency(1).every(MINUTE), "`period`"),
        (Limit::concurrency(1).every_run(), "`period`"),
        (Limit::requests(1).every(Duration::ZERO), "`period`"),
        (Limit::requests(1).every(LONGEST * 2), "`period`"),
        (
            Limit::requests(1).every(MINUTE).margin(MINUTE * 2),
            "`margin`",
        ),
        (
            Limit::requests(1)
                .every(MINUTE)
                .when(Tag::Model, "a")
                .when(Tag::Model, "b"),
            "`when`",
        ),
        (
            Limit::requests(1).every(MINUTE).per(Tag::Run).per(Tag::Run),
            "`per`",
        ),
    ];
    for (limit, field) in cases {
        let text = error([limit]).to_string();
        assert!(text.contains(field), "{text} does not name {field}");
    }
}

#[test]
fn a_setting_is_taken_where_it_changes_something() {
    for limit in [
        Limit::requests(1).every(MINUTE).count(Count::Calls),
        Limit::requests(1).every_run().count(Count::Attempts),
        Limit::tokens(1).every(MINUTE).margin(SHORTEST),
        Limit::cost(Money::from_dollars(1))
            .every(MINUTE)
            .margin(SHORTEST),
        Limit::concurrency(1).adaptive(0.5),
        Limit::tokens(1)
            .every_calendar(CalendarUnit::Day, "UTC")
            .adaptive(0.5),
    ] {
        let words = limit.to_string();
        assert!(Limits::new([limit]).is_ok(), "{words}");
    }
}

#[test]
fn the_same_limit_twice_is_refused_and_another_period_is_not() {
    let limit = |span| {
        Limit::requests(5)
            .every(span)
            .when(Tag::Model, "a")
            .per(Tag::Agent)
    };
    assert!(matches!(
        error([limit(MINUTE), limit(MINUTE)]),
        LimitError::Duplicate {
            first: 0,
            second: 1,
            ..
        }
    ));
    assert!(Limits::new([limit(MINUTE), limit(MINUTE * 60)]).is_ok());
}

#[test]
fn the_margin_is_a_hundredth_of_the_period_and_never_more_than_half_a_second() {
    let stay = |limit: Limit| match &Limits::new([limit]).unwrap().rules()[0].life {
        Life::Sliding { stay, .. } => *stay,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        stay(Limit::requests(1).every(Duration::from_secs(6))),
        6_060_000
    );
    assert_eq!(stay(Limit::requests(1).every(MINUTE * 60)), 3_600_500_000);
    assert_eq!(
        stay(Limit::requests(1).every(MINUTE).margin(Duration::ZERO)),
        60_000_000
    );
}

#[test]
fn a_cooldown_is_kept_by_no_rule() {
    let limits = Limits::new([Limit::requests(5).every(MINUTE)]).unwrap();
    let tags = Tags::new().with(Tag::Model, "m");
    let key = LimitKey::cooldown(&tags).unwrap();
    assert!(limits.rule_of(&key).is_none());
    assert_eq!(limits.amount_of(&key), 0);
    assert_eq!((limits.period_of(&key), limits.stay(&key)), (None, None));
    assert_eq!(limits.describe(&key), "cooldown of model=m");
    let count = &limits.keys(&tags)[0];
    assert_eq!(
        (limits.period_of(count), limits.amount_of(count)),
        (Some(MINUTE), 5)
    );
}

#[test]
fn stores_of_the_same_limits_have_clocks_of_their_own_also_for_calendars_that_come_later() {
    let limits = Limits::new([Limit::requests(1).every(Duration::from_secs(60))]).unwrap();
    let stores = [limits.clone().for_a_store(), limits.for_a_store()];
    let day = Limit::requests(9).every_calendar(CalendarUnit::Day, "UTC");
    let day = Limits::new([day]).unwrap();
    let [one, other] = stores.map(|limits| limits.changed_to(&day));
    assert!(one.have_calendars() && !Arc::ptr_eq(one.wall(), other.wall()));
}
