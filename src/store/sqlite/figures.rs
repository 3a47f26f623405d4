//! What an attempt came to, and sums of it.

use hashbrown::HashMap;
use rusqlite::{Connection, Row, params};

use super::replica::Kept;
use crate::{limit::Quantity, store::Settlement, usage::Usage};

/// More than this is taken for this: a report that is absurd must not make the sums of all others so. Of tokens, and of money in
/// billionths of a dollar.
const MOST: u64 = 1 << 44;
const MOST_COST: u64 = 1 << 52;
/// The same of a sum: a hundred of them are still a number of 64 bits.
const MOST_SUM: i64 = 1 << 56;

/// How the usage of an attempt is known, as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// It is not: what was reserved stands for it.
    Not = 0,
    Reported = 1,
    Estimated = 2,
}

/// What one attempt came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Figures {
    /// `None`: nothing of it is settled.
    known: Option<Known>,
    pub(super) input: i64,
    pub(super) cache_read: i64,
    pub(super) cache_write: i64,
    pub(super) output: i64,
    pub(super) reasoning: i64,
    cost: Option<i64>,
}

impl Figures {
    /// Of usage without a claim.
    pub(super) fn used(usage: &Usage) -> Self {
        Figures {
            known: Some(if usage.estimated {
                Known::Estimated
            } else {
                Known::Reported
            }),
            input: bounded(usage.input),
            cache_read: bounded(usage.cache_read),
            cache_write: bounded(usage.cache_write),
            output: bounded(usage.output),
            reasoning: bounded(usage.reasoning),
            cost: usage.cost.map(|cost| bounded_cost(cost.as_nanos())),
        }
    }

    pub(super) fn is_settled(&self) -> bool {
        self.known.is_some()
    }

    pub(super) fn usage(&self) -> Option<i64> {
        self.known.map(|known| known as i64)
    }

    pub(super) fn cost(&self) -> Option<i64> {
        self.cost
    }

    /// One of its claims is settled so. Where one claim was for tokens and another for money, the latter knows best:
    /// what estimates come to, money takes for more.
    pub(super) fn settle(&mut self, kept: &Kept, settlement: &Settlement) {
        let reserved = kept
            .quantities
            .contain(Quantity::Cost)
            .then_some(kept.demand.cost);
        let reserved = reserved.filter(|cost| *cost > 0).map(bounded_cost);
        let Settlement::Usage(usage) = settlement else {
            // Money did not go by the estimate, so neither do the tokens beside it.
            let is_estimate = self.known == Some(Known::Estimated) && self.cost.is_none();
            if self.known.is_none() || is_estimate && reserved.is_some() {
                *self = Figures {
                    known: Some(Known::Not),
                    input: bounded(kept.demand.input),
                    output: bounded(kept.demand.output),
                    ..Figures::default()
                };
            }
            self.cost = self.cost.or(reserved);
            return;
        };
        let new = Self::used(usage);
        let cost = new.cost.or(reserved);
        let is_more = match self.known {
            None => true,
            // The same where money was settled first.
            Some(Known::Not) => self.cost.is_none() || !usage.estimated,
            Some(_) => false,
        };
        if is_more || cost.is_some() {
            *self = Figures {
                cost: cost.or(self.cost),
                ..new
            };
        }
    }

    /// From a row of `attempt`.
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let known: Option<i64> = row.get("usage")?;
        Ok(Figures {
            known: known.map(|known| match known {
                1 => Known::Reported,
                2 => Known::Estimated,
                _ => Known::Not,
            }),
            input: row.get("input")?,
            cache_read: row.get("cache_read")?,
            cache_write: row.get("cache_write")?,
            output: row.get("output")?,
            reasoning: row.get("reasoning")?,
            cost: row.get("cost")?,
        })
    }
}

/// What several attempts came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    attempts: i64,
    estimated: i64,
    unknown: i64,
    unpriced: i64,
    of: Figures,
}

impl Sum {
    pub(super) fn add(&mut self, figures: &Figures) {
        self.attempts += 1;
        self.estimated += i64::from(figures.known == Some(Known::Estimated));
        self.unknown += i64::from(figures.known == Some(Known::Not));
        self.unpriced += i64::from(figures.cost.is_none());
        let sum = &mut self.of;
        for (sum, more) in [
            (&mut sum.input, figures.input),
            (&mut sum.cache_read, figures.cache_read),
            (&mut sum.cache_write, figures.cache_write),
            (&mut sum.output, figures.output),
            (&mut sum.reasoning, figures.reasoning),
        ] {
            *sum = sum.saturating_add(more);
        }
        sum.cost = Some(
            sum.cost
                .unwrap_or_default()
                .saturating_add(figures.cost.unwrap_or_default()),
        );
    }
}

/// A sum in SQL that stays a whole number: beyond 64 bits SQLite goes on with a fraction.
macro_rules! most {
    ($column:literal) => {
        concat!(
            "min(",
            $column,
            " + excluded.",
            $column,
            ", 72057594037927936)"
        )
    };
}

/// Adds them to what stands for their hours and sets of tags.
pub(super) fn add_to_hours(
    conn: &Connection,
    sums: &HashMap<(i64, i64), Sum>,
) -> rusqlite::Result<()> {
    let add = concat!(
        "INSERT INTO hour (hour, tags, attempts, estimated, unknown, unpriced, input, cache_read,
        cache_write, output, reasoning, cost) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
        attempts = attempts + excluded.attempts, estimated = estimated + excluded.estimated,
        unknown = unknown + excluded.unknown, unpriced = unpriced + excluded.unpriced,",
        "input = ", most!("input"), ", cache_read = ", most!("cache_read"),
        ", cache_write = ", most!("cache_write"), ", output = ", most!("output"),
        ", reasoning = ", most!("reasoning"), ", cost = ", most!("cost"),
    );
    let mut add = conn.prepare_cached(add)?;
    for ((hour, tags), sum) in sums {
        let Sum {
            attempts,
            estimated,
            unknown,
            unpriced,
            of,
        } = sum;
        add.execute(params![
            hour,
            tags,
            attempts,
            estimated,
            unknown,
            unpriced,
            of.input.min(MOST_SUM),
            of.cache_read.min(MOST_SUM),
            of.cache_write.min(MOST_SUM),
            of.output.min(MOST_SUM),
            of.reasoning.min(MOST_SUM),
            of.cost.unwrap_or_default().min(MOST_SUM)
        ])?;
    }
    Ok(())
}

fn bounded_cost(nanos: u64) -> i64 {
    nanos.min(MOST_COST).cast_signed()
}

fn bounded(figure: u64) -> i64 {
    figure.min(MOST).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::{super::schema, *};

    #[test]
    fn sums_beyond_all_bounds_are_whole_numbers_yet() {
        let mut conn = Connection::open_in_memory().unwrap();
        let tx = conn.transaction().unwrap();
        schema::migrate(&tx, 0, schema::SCHEMA).unwrap();
        tx.commit().unwrap();
        let absurd = Figures {
            known: Some(Known::Reported),
            input: bounded(u64::MAX),
            cost: Some(bounded_cost(u64::MAX)),
            ..Figures::default()
        };
        let mut sum = Sum::default();
        (0..5_000).for_each(|_| sum.add(&absurd));
        let sums = HashMap::from([((1, 1), sum)]);
        for _ in 0..3 {
            add_to_hours(&conn, &sums).unwrap();
        }
        let query = "SELECT input, cost, attempts FROM hour";
        let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let found: (i64, i64, i64) = conn.query_row(query, [], read).unwrap();
        assert_eq!(found, (MOST_SUM, MOST_SUM, 15_000));
    }
}
