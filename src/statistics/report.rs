//! What is told of one period.

use std::{cmp::Reverse, collections::BTreeMap, sync::Arc, time::SystemTime};

use serde::{Deserialize, Serialize};

use super::{Figures, instant, table::Span};
use crate::tags::Tag;

/// The figures of one hour, day, week or month, by the values of some tags.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Report {
    /// When the period began. In JSON as `2026-11-25T13:00:00Z`.
    #[serde(with = "instant")]
    pub start: SystemTime,
    /// When the next period begins.
    #[serde(with = "instant")]
    pub end: SystemTime,
    /// The rows, most expensive first; of rows with equal cost, the one with more requests.
    pub rows: Vec<Row>,
    /// Everything that has no row of its own, because there were too many values.
    pub others: Figures,
}

/// The figures for one value of a tag, or for one value of each of several tags.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Row {
    /// The values. Empty for calls without the tag.
    pub tags: BTreeMap<Tag, Arc<str>>,
    /// The figures. In JSON they stand beside the tags.
    #[serde(flatten)]
    pub figures: Figures,
}

impl Report {
    /// Of a span with one table, by these tags.
    pub(super) fn of(span: &Span, by: &[Tag]) -> Self {
        let Span { start, end, tables } = span;
        let (rows, others) = match tables.first() {
            Some(table) => (Some(&table.rows), table.others.clone()),
            None => (None, Figures::default()),
        };
        let row = |(values, figures): (&super::table::Values, &Figures)| Row {
            tags: by.iter().cloned().zip(values.iter().cloned()).collect(),
            figures: figures.clone(),
        };
        let mut rows: Vec<Row> = rows.into_iter().flatten().map(row).collect();
        let order = |row: &Row| {
            let Figures { cost, requests, .. } = row.figures;
            (Reverse((cost, requests)), row.tags.clone())
        };
        rows.sort_by_cached_key(order);
        Report {
            start: *start,
            end: *end,
            rows,
            others,
        }
    }

    /// Returns the figures of all calls.
    #[must_use]
    pub fn total(&self) -> Figures {
        let mut total = self.others.clone();
        for row in &self.rows {
            total += &row.figures;
        }
        total
    }

    /// Returns the figures of calls with this tag at this value, as far as it has rows of its own.
    #[must_use]
    pub fn of_value(&self, tag: &Tag, value: &str) -> Figures {
        let mut sum = Figures::default();
        for row in &self.rows {
            if row.tags.get(tag).is_some_and(|known| **known == *value) {
                sum += &row.figures;
            }
        }
        sum
    }
}
