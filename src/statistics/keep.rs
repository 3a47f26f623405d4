//! The handle on statistics: what is recorded, and what is asked.

use std::{fmt, sync::Arc, time::SystemTime};

use parking_lot::Mutex;

use super::{
    Figures, Pace, Report, StatisticsError, StatisticsSnapshot,
    book::{Book, UNITS},
};
use crate::{
    clock::time_of_day,
    error::Rejection,
    limit::{CalendarError, CalendarUnit},
    money::Money,
    tags::{Tag, Tags},
    usage::Usage,
};

/// What was used and what was refused, per hour, day, week and month, by tags; see the [module](super).
///
/// Cheap to clone: all clones share everything that is recorded.
#[derive(Clone)]
#[must_use]
pub struct Statistics {
    pub(super) book: Arc<Mutex<Book>>,
    shown: Arc<dyn Fn() -> SystemTime + Send + Sync>,
}

impl Statistics {
    /// Creates empty statistics, in UTC, by provider, model, agent, user and team.
    pub fn new() -> Self {
        Statistics {
            book: Arc::new(Mutex::new(Book::new())),
            shown: Arc::new(time_of_day),
        }
    }

    /// Sets the time zone of hours, days, weeks and months, by its name in the IANA database. Call this before anything
    /// is recorded or restored.
    ///
    /// # Errors
    /// If the database, which is built in, does not know the name.
    pub fn time_zone(self, zone: &str) -> Result<Self, CalendarError> {
        self.book.lock().set_zone(zone)?;
        Ok(self)
    }

    /// Adds tables by these tags: by one tag, or by a combination of several. They count from now on, and know nothing
    /// of what was recorded before.
    pub fn by(self, tags: &[Tag]) -> Self {
        self.book.lock().add_view(tags);
        self
    }

    /// Sets how many values have a row of their own in each table; 500 by default. Further values are counted together.
    pub fn max_values(self, most: usize) -> Self {
        self.book.lock().most = most;
        self
    }

    /// Sets how many hours, days, weeks or months are kept, including the current one; 48, 35, 14 and 13 by default,
    /// and at least one.
    pub fn keep(self, unit: CalendarUnit, periods: usize) -> Self {
        self.book.lock().kept[place(unit)] = periods.max(1);
        self
    }

    /// Sets another wall clock in place of the system's. Call this before the statistics are cloned.
    pub fn wall_clock(mut self, shown: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.shown = Arc::new(shown);
        self
    }

    /// Continues from where a snapshot was taken, replacing what was recorded here. The snapshot's tables are kept
    /// beside those that were asked for.
    ///
    /// # Errors
    /// If the snapshot is of another form or time zone, or damaged.
    pub fn restore(self, snapshot: StatisticsSnapshot) -> Result<Self, StatisticsError> {
        snapshot.into_book(&mut self.book.lock())?;
        Ok(self)
    }

    /// Returns everything that is kept, to be [restored](Self::restore) later or elsewhere.
    #[must_use]
    pub fn snapshot(&self) -> StatisticsSnapshot {
        StatisticsSnapshot::of(&self.book.lock())
    }

    /// Records one attempt, now, of which the layers know nothing. If its usage names no cost, it counts as unpriced.
    pub fn record(&self, tags: &Tags, usage: &Usage) {
        self.gather(tags, &Figures::used(usage, true, usage.cost.is_some()));
    }

    /// Records one attempt of which nobody says what it used: what was reserved for it.
    #[cfg(feature = "gateway")]
    pub(crate) fn record_reserved(&self, tags: &Tags, reserved: &Usage) {
        let is_priced = reserved.cost.is_some();
        self.gather(tags, &Figures::used(reserved, false, is_priced));
    }

    /// Records an attempt that was refused, now.
    pub fn record_refusal(&self, tags: &Tags, rejection: &Rejection) {
        self.gather(tags, &Figures::refused(rejection.kind()));
    }

    pub(crate) fn gather(&self, tags: &Tags, figures: &Figures) {
        let now = (self.shown)();
        self.book.lock().record(now, tags, figures);
    }

    /// Returns a report for each period of this length that is kept, oldest first, the current one last. Periods in
    /// which nothing happened are left out, except the current one.
    ///
    /// With an empty `by` the reports have only totals. Returns `None` if there is no table by exactly these tags, in
    /// any order.
    #[must_use]
    pub fn reports(&self, unit: CalendarUnit, by: &[Tag]) -> Option<Vec<Report>> {
        self.last_reports(unit, by, usize::MAX)
    }

    /// So many of them, the last.
    pub(crate) fn last_reports(
        &self,
        unit: CalendarUnit,
        by: &[Tag],
        last: usize,
    ) -> Option<Vec<Report>> {
        let now = (self.shown)();
        let book = self.book.lock();
        let view = book.view(by)?;
        let tags = book.views[view].clone();
        let spans = book.periods(place(unit), view, now, last);
        // Who records does not wait until they are sorted.
        drop(book);
        Some(spans.iter().map(|span| Report::of(span, &tags)).collect())
    }

    /// Returns the last of the [reports](Self::reports), for the current period.
    #[must_use]
    pub fn report(&self, unit: CalendarUnit, by: &[Tag]) -> Option<Report> {
        self.reports(unit, by)?.pop()
    }

    /// Returns what was spent within the last half hour by calls that have, for each of these tags, one of the values.
    ///
    /// Returns `None` if there is no table by exactly these tags, or if nobody can tell because these values may be
    /// among those without a row of their own.
    #[must_use]
    pub fn pace(&self, of: &[(Tag, Vec<Arc<str>>)]) -> Option<Pace> {
        let now = (self.shown)();
        let by: Vec<Tag> = of.iter().map(|(tag, _)| tag.clone()).collect();
        let book = self.book.lock();
        let view = book.view(&by)?;
        let tags = &book.views[view];
        let Some((since, spans)) = book.lately(now) else {
            return Some(Pace::default());
        };
        let is_of = |values: &[Arc<str>]| {
            of.iter().all(|(tag, any)| {
                let place = tags.iter().position(|known| known == tag);
                place.is_some_and(|place| any.contains(&values[place]))
            })
        };
        let mut cost = Money::ZERO;
        for table in spans.iter().map(|span| &span.tables[view]) {
            let mut rows = table
                .rows
                .iter()
                .filter(|(values, _)| is_of(values))
                .peekable();
            if rows.peek().is_none() && table.others != Figures::default() {
                return None;
            }
            cost = cost + rows.map(|(_, figures)| figures.cost).sum::<Money>();
        }
        Some(Pace {
            cost,
            over: now.duration_since(since).unwrap_or_default(),
        })
    }

    /// What the clock shows by which it goes.
    pub(super) fn shown(&self) -> SystemTime {
        (self.shown)()
    }

    /// Whether both record in one place.
    pub(crate) fn is(&self, other: &Statistics) -> bool {
        Arc::ptr_eq(&self.book, &other.book)
    }
}

fn place(unit: CalendarUnit) -> usize {
    let found = UNITS.iter().position(|known| *known == unit);
    found.expect("all units are there")
}

impl Default for Statistics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Statistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Statistics").finish_non_exhaustive()
    }
}
