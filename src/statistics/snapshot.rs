//! Statistics as data that outlives the process.

use std::{sync::Arc, time::SystemTime};

use serde::{Deserialize, Serialize, Serializer};

use super::{
    Figures, Statistics,
    book::Book,
    instant,
    table::{Span, Table},
};
use crate::tags::Tag;

/// The form that this version writes, and the only one it reads.
const VERSION: u32 = 1;

/// Everything that a [`Statistics`] had kept at one moment. It contains tag values unchanged: treat it with the same
/// care as those.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatisticsSnapshot {
    version: u32,
    time_zone: String,
    #[serde(with = "instant::option")]
    began: Option<SystemTime>,
    /// By which tags there are tables.
    by: Vec<Vec<Tag>>,
    /// What is not in the others yet.
    open: Option<Kept>,
    recent: Vec<Kept>,
    hours: Vec<Kept>,
    days: Vec<Kept>,
    weeks: Vec<Kept>,
    months: Vec<Kept>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    #[serde(with = "instant")]
    start: SystemTime,
    #[serde(with = "instant")]
    end: SystemTime,
    /// In the order of `by`.
    tables: Vec<KeptTable>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct KeptTable {
    /// In the order of their values.
    rows: Vec<KeptRow>,
    others: Figures,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct KeptRow {
    values: Vec<Arc<str>>,
    #[serde(flatten)]
    figures: Figures,
}

/// Why statistics cannot be restored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StatisticsError {
    /// They were written in another form.
    #[error("the statistics are of version {found}, and this reads version {VERSION}")]
    Version {
        /// The version of that form.
        found: u32,
    },
    /// They are of another time zone, so their days began at other midnights.
    #[error("the statistics are of the time zone `{found}`, and these are of `{own}`")]
    TimeZone {
        /// Their time zone.
        found: String,
        /// The time zone in which they were to go on.
        own: String,
    },
    /// The number of tables in a period, or of values in a row, does not match the tags.
    #[error("the statistics are damaged: the period from {start} on does not go with their tags")]
    Damaged {
        /// When that period began.
        start: String,
    },
}

impl StatisticsSnapshot {
    pub(super) fn of(book: &Book) -> Self {
        let kept = |unit: usize| book.closed[unit].iter().map(Kept::of).collect();
        StatisticsSnapshot {
            version: VERSION,
            time_zone: book.zone().to_owned(),
            began: book.began,
            by: book.views.clone(),
            open: book.open.as_ref().map(Kept::of),
            recent: book.short.iter().map(Kept::of).collect(),
            hours: kept(0),
            days: kept(1),
            weeks: kept(2),
            months: kept(3),
        }
    }

    /// Puts it into a book, in place of what that had.
    pub(super) fn into_book(self, book: &mut Book) -> Result<(), StatisticsError> {
        if self.version != VERSION {
            let found = self.version;
            return Err(StatisticsError::Version { found });
        }
        if self.time_zone != book.zone() {
            return Err(StatisticsError::TimeZone {
                found: self.time_zone,
                own: book.zone().to_owned(),
            });
        }
        let by = &self.by;
        let spans = |kept: Vec<Kept>| -> Result<_, StatisticsError> {
            kept.into_iter().map(|kept| kept.span(by)).collect()
        };
        let closed = [
            spans(self.hours)?,
            spans(self.days)?,
            spans(self.weeks)?,
            spans(self.months)?,
        ];
        let (short, open) = (spans(self.recent)?, self.open.map(|kept| kept.span(by)));
        let wanted = std::mem::take(&mut book.views);
        book.open = open.transpose()?;
        (book.closed, book.short, book.began) = (closed, short, self.began);
        book.views = self.by;
        wanted.iter().for_each(|by| book.add_view(by));
        Ok(())
    }
}

impl Kept {
    fn of(span: &Span) -> Self {
        Kept {
            start: span.start,
            end: span.end,
            tables: span.tables.iter().map(KeptTable::of).collect(),
        }
    }

    fn span(self, by: &[Vec<Tag>]) -> Result<Span, StatisticsError> {
        let fits = |(table, by): (&KeptTable, &Vec<Tag>)| {
            table.rows.iter().all(|row| row.values.len() == by.len())
        };
        if self.tables.len() != by.len() || !self.tables.iter().zip(by).all(fits) {
            let start = jiff::Timestamp::try_from(self.start);
            let start = start.map_or_else(|_| "(far away)".to_owned(), |start| start.to_string());
            return Err(StatisticsError::Damaged { start });
        }
        let table = |table: KeptTable| Table {
            rows: table
                .rows
                .into_iter()
                .map(|row| (row.values.into(), row.figures))
                .collect(),
            others: table.others,
        };
        Ok(Span {
            start: self.start,
            end: self.end,
            tables: self.tables.into_iter().map(table).collect(),
        })
    }
}

impl KeptTable {
    fn of(table: &Table) -> Self {
        let row = |(values, figures): (&super::table::Values, &Figures)| KeptRow {
            values: values.to_vec(),
            figures: figures.clone(),
        };
        let mut rows: Vec<KeptRow> = table.rows.iter().map(row).collect();
        rows.sort_by(|one, other| one.values.cmp(&other.values));
        KeptTable {
            rows,
            others: table.others.clone(),
        }
    }
}

impl Serialize for Statistics {
    /// Serializes as its [snapshot](Self::snapshot).
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.snapshot().serialize(serializer)
    }
}
