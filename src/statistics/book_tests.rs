use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::{money::Money, statistics::table::values, usage::Usage};

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;
/// Sunday, 29 March 2026, midnight in Berlin: clocks go forward this night.
const SHORT_DAY: u64 = 1_774_738_800;

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn berlin() -> Book {
    let mut book = Book::new();
    book.set_zone("Europe/Berlin").unwrap();
    book
}

fn figures(nanos: u64) -> Figures {
    let mut usage = Usage::new(10, 1);
    usage.cost = Some(Money::from_nanos(nanos));
    Figures::used(&usage, true, true)
}

fn agent(name: &str) -> Tags {
    Tags::new().with(Tag::Agent, name)
}

/// The number of each kind of period, and what is in each of them.
fn sums(book: &Book, unit: usize, now: u64) -> Vec<(u64, u64)> {
    let since = |at: SystemTime| at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let spans = book.periods(unit, 0, at(now), usize::MAX);
    let requests = |span: &Span| span.tables[0].rows.values().map(|row| row.requests).sum();
    spans
        .iter()
        .map(|span| (since(span.start), requests(span)))
        .collect()
}

#[test]
fn a_day_is_as_long_as_it_is_and_begins_at_its_midnight() {
    let mut book = berlin();
    // One every hour from noon on, over the night and the next one.
    for hour in 0..60 {
        book.record(
            at(SHORT_DAY - 12 * HOUR + hour * HOUR),
            &agent("a"),
            &figures(1),
        );
    }
    let now = SHORT_DAY + 47 * HOUR + 1;
    let days = sums(&book, 1, now);
    let monday = SHORT_DAY + 23 * HOUR;
    assert_eq!(
        days,
        [
            (SHORT_DAY - DAY, 12),
            (SHORT_DAY, 23),
            (monday, 24),
            (monday + DAY, 1)
        ]
    );
    // The week began on the Monday before, and turns with the short day's end.
    assert_eq!(
        sums(&book, 2, now),
        [(monday + HOUR - 7 * DAY, 35), (monday, 25)]
    );
    assert_eq!(sums(&book, 3, now).len(), 1);
}

#[test]
fn a_period_in_which_nothing_happened_is_told_only_where_it_goes_on() {
    let mut book = Book::new();
    book.record(at(10), &agent("a"), &figures(1));
    book.record(at(5 * HOUR), &agent("a"), &figures(1));
    assert_eq!(sums(&book, 0, 5 * HOUR + 1), [(0, 1), (5 * HOUR, 1)]);
    assert_eq!(
        sums(&book, 0, 9 * HOUR),
        [(0, 1), (5 * HOUR, 1), (9 * HOUR, 0)]
    );
    // Asking closes nothing.
    assert_eq!(sums(&book, 0, 5 * HOUR + 2), [(0, 1), (5 * HOUR, 1)]);
}

#[test]
fn values_beyond_the_most_are_counted_together_and_nothing_is_lost() {
    let mut book = Book::new();
    book.most = 3;
    for number in 0..10u64 {
        let minutes = number * 60;
        book.record(at(minutes), &agent(&number.to_string()), &figures(1));
        book.record(at(minutes + 1), &agent("0"), &figures(1));
    }
    let view = book.view(&[Tag::Agent]).unwrap();
    for unit in 0..UNITS.len() {
        let spans = book.periods(unit, view, at(700), usize::MAX);
        let table = &spans[0].tables[0];
        assert_eq!((spans.len(), table.rows.len()), (1, 3));
        let own: u64 = table.rows.values().map(|row| row.requests).sum();
        assert_eq!(own + table.others.requests, 20);
        let first = table.rows.get(&values(&[Tag::Agent], &agent("0"))[..]);
        assert_eq!(first.unwrap().requests, 11);
    }
}

#[test]
fn old_periods_go_and_memory_does_not_grow_with_time() {
    let mut book = berlin();
    book.kept = [3, 4, 2, 2];
    for hour in 0..200 * 24 {
        book.record(at(SHORT_DAY + hour * HOUR), &agent("a"), &figures(1));
    }
    let now = SHORT_DAY + 200 * DAY;
    for (unit, kept) in book.kept.into_iter().enumerate() {
        assert_eq!(book.closed[unit].len(), kept);
        assert_eq!(book.periods(unit, 0, at(now), usize::MAX).len(), kept);
    }
    assert_eq!(book.short.len(), SHORT_KEPT);
}

#[test]
fn a_clock_that_is_set_back_opens_nothing_again() {
    let mut book = Book::new();
    book.record(at(2 * HOUR + 1), &agent("a"), &figures(1));
    book.record(at(HOUR), &agent("a"), &figures(1));
    book.record(at(3 * HOUR), &agent("a"), &figures(1));
    assert_eq!(sums(&book, 0, 3 * HOUR), [(2 * HOUR, 2), (3 * HOUR, 1)]);
}

#[test]
fn a_view_that_is_added_later_knows_what_came_later() {
    let mut book = Book::new();
    let both = [Tag::Team, Tag::Agent];
    let tags = agent("a").with(Tag::Team, "t");
    book.record(at(1), &tags, &figures(1));
    book.add_view(&both);
    book.record(at(2), &tags, &figures(1));
    book.add_view(&[Tag::Agent, Tag::Team, Tag::Agent]);
    assert_eq!(book.views.len(), 7, "the same again");
    let view = book.view(&[Tag::Agent, Tag::Team]).unwrap();
    let span = &book.periods(0, view, at(3), usize::MAX)[0];
    let row = span.tables[0].rows.iter().next().unwrap();
    assert_eq!(
        row.0.iter().map(AsRef::as_ref).collect::<Vec<_>>(),
        ["t", "a"]
    );
    assert_eq!(row.1.requests, 1);
    assert_eq!(book.view(&[Tag::Run]), None);
}

#[test]
fn the_pace_is_that_of_the_last_half_hour_and_no_longer_than_anything_is_known() {
    let mut book = Book::new();
    assert!(book.lately(at(0)).is_none());
    let spent = |book: &Book, now: u64| {
        let (since, spans) = book.lately(at(now)).unwrap();
        let cost = |span: &&Span| span.tables[0].rows.values().map(|row| row.cost).sum();
        let sum: Money = spans.iter().map(cost).sum();
        (
            at(now).duration_since(since).unwrap().as_secs(),
            sum.as_nanos(),
        )
    };
    book.record(at(100), &agent("a"), &figures(5));
    assert_eq!(spent(&book, 160), (60, 5));
    book.record(at(1_000), &agent("a"), &figures(7));
    assert_eq!(spent(&book, 1_000), (900, 12));
    // Five minutes that are not whole within the half hour are left out, and so is their time.
    assert_eq!(spent(&book, 1_950), (1_650, 7));
    assert_eq!(spent(&book, 10 * HOUR), (1_800, 0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// Every unit tells the same story as a plain list of everything.
    #[test]
    fn every_period_has_what_a_plain_list_has(
        steps in prop::collection::vec((0u64..30_000, 0usize..4, 1u64..1_000), 1..300),
        zone in 0usize..4,
    ) {
        let zone = ["UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/Sao_Paulo"][zone];
        let mut book = Book::new();
        book.set_zone(zone).unwrap();
        book.kept = [usize::MAX; 4];
        let (mut now, mut list) = (SHORT_DAY - 20 * DAY, Vec::new());
        for (step, who, nanos) in steps {
            now += step;
            let name = ["a", "b", "c", ""][who];
            book.record(at(now), &agent(name), &figures(nanos));
            list.push((at(now), name, nanos));
        }
        let view = book.view(&[Tag::Agent]).unwrap();
        for (number, unit) in UNITS.into_iter().enumerate() {
            let calendar = Calendar::new(unit, zone).unwrap();
            let mut plain: BTreeMap<(SystemTime, &str), u64> = BTreeMap::new();
            for (at, name, nanos) in &list {
                *plain.entry((calendar.period(*at).0, *name)).or_default() += *nanos;
            }
            let mut told = BTreeMap::new();
            for span in book.periods(number, view, at(now), usize::MAX) {
                prop_assert_eq!((span.start, span.end), calendar.period(span.start));
                for (values, figures) in &span.tables[0].rows {
                    let name = ["a", "b", "c", ""].into_iter().find(|name| **name == *values[0]);
                    told.insert((span.start, name.unwrap()), figures.cost.as_nanos());
                }
            }
            prop_assert_eq!(&told, &plain, "{:?}", unit);
        }
    }
}
