//! The tables of all times that are kept. Pure: the time is an argument.

use std::{
    collections::VecDeque,
    time::{Duration, SystemTime},
};

use super::{
    Figures,
    table::{Span, Table},
};
use crate::{
    limit::{Calendar, CalendarError, CalendarUnit, Limits, Quantity},
    tags::{Tag, Tags},
};

/// What is kept of the hours, days, weeks and months.
pub(super) const UNITS: [CalendarUnit; 4] = [
    CalendarUnit::Hour,
    CalendarUnit::Day,
    CalendarUnit::Week,
    CalendarUnit::Month,
];
/// How many of each, where nothing else is said.
const KEPT: [usize; 4] = [48, 35, 14, 13];
/// How long the spans are by which a pace is told. Each lies within one hour.
const SHORT: Duration = Duration::from_secs(300);
/// How many of them are kept.
const SHORT_KEPT: usize = 6;
/// Values in a table, where nothing else is said.
const MOST: usize = 500;

#[derive(Debug)]
pub(super) struct Book {
    calendars: [Calendar; 4],
    pub(super) kept: [usize; 4],
    pub(super) most: usize,
    /// By which tags there are tables; the first is by none.
    pub(super) views: Vec<Vec<Tag>>,
    /// The short span that goes on.
    pub(super) open: Option<Span>,
    /// Those before it.
    pub(super) short: VecDeque<Span>,
    /// By unit. What is open is not in them yet.
    pub(super) closed: [VecDeque<Span>; 4],
    /// When anything was recorded first.
    pub(super) began: Option<SystemTime>,
}

impl Book {
    pub(super) fn new() -> Self {
        let by = [Tag::Provider, Tag::Model, Tag::Agent, Tag::User, Tag::Team];
        let views = [Vec::new()].into_iter().chain(by.map(|tag| vec![tag]));
        Book {
            calendars: UNITS.map(Calendar::utc),
            kept: KEPT,
            most: MOST,
            views: views.collect(),
            open: None,
            short: VecDeque::new(),
            closed: Default::default(),
            began: None,
        }
    }

    /// The name of the time zone.
    pub(super) fn zone(&self) -> &str {
        self.calendars[0].zone()
    }

    pub(super) fn set_zone(&mut self, zone: &str) -> Result<(), CalendarError> {
        let mut calendars = UNITS.map(Calendar::utc);
        for calendar in &mut calendars {
            *calendar = Calendar::new(calendar.unit(), zone)?;
        }
        self.calendars = calendars;
        Ok(())
    }

    /// The number of the view by just these tags, in any order.
    pub(super) fn view(&self, by: &[Tag]) -> Option<usize> {
        let same =
            |view: &&Vec<Tag>| view.len() == by.len() && by.iter().all(|tag| view.contains(tag));
        self.views.iter().position(|view| same(&view))
    }

    /// Has a view by these tags from now on.
    pub(super) fn add_view(&mut self, by: &[Tag]) {
        let mut tags: Vec<Tag> = Vec::new();
        for tag in by {
            if !tags.contains(tag) {
                tags.push(tag.clone());
            }
        }
        if self.view(&tags).is_some() {
            return;
        }
        self.views.push(tags);
        let spans = self.closed.iter_mut().flatten();
        for span in spans.chain(&mut self.short).chain(&mut self.open) {
            span.tables.push(Table::default());
        }
    }

    /// Has views by the tags of every budget among these limits from now on.
    pub(super) fn watch(&mut self, limits: &Limits) {
        for limit in limits.iter() {
            if limit.quantity == Quantity::Cost {
                let when = limit.when.iter().map(|(tag, _)| tag);
                let by: Vec<Tag> = when.chain(&limit.per).cloned().collect();
                self.add_view(&by);
            }
        }
    }

    /// Adds what happened now.
    pub(super) fn record(&mut self, now: SystemTime, tags: &Tags, figures: &Figures) {
        self.turn(now);
        if self.open.is_none() {
            self.open = Some(Span::new(self.short_span(now), self.views.len()));
        }
        let Some(open) = &mut self.open else {
            return;
        };
        for (by, table) in self.views.iter().zip(&mut open.tables) {
            table.add_of(by, tags, figures, self.most);
        }
        self.began.get_or_insert(now);
    }

    /// The hour's part of a few minutes in which this is.
    fn short_span(&self, now: SystemTime) -> (SystemTime, SystemTime) {
        let (hour, end) = self.calendars[0].period(now);
        let since = now.duration_since(hour).unwrap_or_default();
        let into = Duration::from_secs(since.as_secs() % SHORT.as_secs())
            + Duration::from_nanos(since.subsec_nanos().into());
        let start = now.checked_sub(into).unwrap_or(hour);
        (start, end.min(start + SHORT))
    }

    /// Closes what is open, where it has ended. A clock that is set back opens nothing again: what comes then counts
    /// where it stood.
    fn turn(&mut self, now: SystemTime) {
        let Some(open) = self.open.take_if(|open| open.end <= now) else {
            return;
        };
        for number in 0..UNITS.len() {
            let period = self.calendars[number].period(open.start);
            let closed = &mut self.closed[number];
            if closed.back().is_none_or(|last| last.end <= open.start) {
                closed.push_back(Span::new(period, self.views.len()));
                let excess = closed.len().saturating_sub(self.kept[number]);
                closed.drain(..excess);
            }
            if let Some(last) = closed.back_mut() {
                last.merge(&open, self.most);
            }
        }
        self.short.push_back(open);
        let excess = self.short.len().saturating_sub(SHORT_KEPT);
        self.short.drain(..excess);
    }

    /// The periods of a unit that are kept, the oldest first; last the one in which `now` is.
    pub(super) fn periods(
        &self,
        unit: usize,
        view: usize,
        now: SystemTime,
        last: usize,
    ) -> Vec<Span> {
        let of_view = |span: &Span| Span {
            start: span.start,
            end: span.end,
            tables: vec![span.tables[view].clone()],
        };
        let mut spans: Vec<Span> = self.closed[unit]
            .iter()
            // One begins now, and the open one may belong to the last.
            .skip(self.closed[unit].len().saturating_sub(last))
            .map(of_view)
            .collect();
        let calendar = &self.calendars[unit];
        if let Some(open) = &self.open {
            reach(&mut spans, calendar, open.start);
            if let Some(last) = spans.last_mut() {
                last.merge(&of_view(open), self.most);
            }
        }
        reach(&mut spans, calendar, now);
        let excess = spans.len().saturating_sub(self.kept[unit].min(last));
        spans.drain(..excess);
        spans
    }

    /// The short spans of the last half hour, and since when they tell everything; `None`: nothing was ever recorded.
    pub(super) fn lately(&self, now: SystemTime) -> Option<(SystemTime, Vec<&Span>)> {
        let far = SHORT * u32::try_from(SHORT_KEPT).unwrap_or(u32::MAX);
        let far = now.checked_sub(far).unwrap_or(SystemTime::UNIX_EPOCH);
        let (start, end) = self.short_span(far);
        let whole = if start == far { start } else { end };
        let spans = self.short.iter().chain(&self.open);
        let spans = spans.filter(|span| span.start >= whole).collect();
        Some((self.began?.max(whole), spans))
    }
}

/// Has the last of these periods be the one in which `moment` is, unless it is later still.
fn reach(spans: &mut Vec<Span>, calendar: &Calendar, moment: SystemTime) {
    if spans.last().is_none_or(|last| last.end <= moment) {
        spans.push(Span::new(calendar.period(moment), 1));
    }
}

#[cfg(test)]
#[path = "book_tests.rs"]
mod tests;
