//! What attempts came to, by tags and between two instants.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap, hash_map::Entry},
    io::{self, Write},
};

use rusqlite::{Connection, OptionalExtension as _, Row, types::ValueRef};
use serde::{Deserialize, Serialize};

use super::{LedgerError, Query, error::unread, query::Sums};
use crate::{
    money::Money,
    tags::{Tag, Tags},
};

/// What attempts came to. Attempts that have not ended are not included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Totals {
    /// How many attempts there were.
    pub attempts: u64,
    /// Those of them whose usage was estimated here.
    pub estimated: u64,
    /// Those whose usage nobody knows: what was reserved stands for it.
    pub unknown: u64,
    /// Those whose cost nobody knows.
    pub unpriced: u64,
    /// Input tokens, including those read from and written to a prompt cache.
    pub input: u64,
    /// The part of the input that was read from a prompt cache.
    pub cache_read: u64,
    /// The part of the input that was written to a prompt cache.
    pub cache_write: u64,
    /// Output tokens, including reasoning.
    pub output: u64,
    /// The part of the output that was spent on reasoning.
    pub reasoning: u64,
    /// What the attempts cost.
    pub cost: Money,
}

/// The answer to a [`Query`], most expensive first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Report {
    /// The tags for whose values there are sums.
    pub by: Vec<Tag>,
    /// The sums, each with the values of these tags. An attempt without a tag has an empty value.
    pub rows: Vec<(Vec<String>, Totals)>,
    /// The sum of all rows.
    pub totals: Totals,
}

impl Totals {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let figure = |place: usize| -> rusqlite::Result<u64> {
            Ok(match row.get_ref(place)? {
                ValueRef::Integer(figure) => u64::try_from(figure).unwrap_or_default(),
                // What an earlier version has added up beyond 64 bits.
                ValueRef::Real(_) => i64::MAX.cast_unsigned(),
                _ => 0,
            })
        };
        Ok(Totals {
            attempts: figure(2)?,
            estimated: figure(3)?,
            unknown: figure(4)?,
            unpriced: figure(5)?,
            input: figure(6)?,
            cache_read: figure(7)?,
            cache_write: figure(8)?,
            output: figure(9)?,
            reasoning: figure(10)?,
            cost: Money::from_nanos(figure(11)?),
        })
    }

    pub(super) fn add(&mut self, more: &Totals) {
        let Totals {
            attempts,
            estimated,
            unknown,
            unpriced,
            input,
            cache_read,
            cache_write,
            output,
            reasoning,
            cost,
        } = self;
        for (sum, more) in [
            (attempts, more.attempts),
            (estimated, more.estimated),
            (unknown, more.unknown),
            (unpriced, more.unpriced),
            (input, more.input),
            (cache_read, more.cache_read),
            (cache_write, more.cache_write),
            (output, more.output),
            (reasoning, more.reasoning),
        ] {
            *sum = sum.saturating_add(more);
        }
        *cost = *cost + more.cost;
    }

    fn figures(&self) -> [u64; 9] {
        [
            self.attempts,
            self.estimated,
            self.unknown,
            self.unpriced,
            self.input,
            self.cache_read,
            self.cache_write,
            self.output,
            self.reasoning,
        ]
    }
}

fn sets(conn: &Connection, sums: &Sums) -> Result<HashMap<i64, Tags>, LedgerError> {
    let failed = |error: rusqlite::Error| unread(&error);
    let select = "SELECT tags FROM tag_set WHERE id = ?";
    let mut find = conn.prepare_cached(select).map_err(failed)?;
    let mut sets = HashMap::new();
    for (set, _) in sums.keys() {
        if let Entry::Vacant(place) = sets.entry(*set) {
            let text = find.query_row([set], |row| row.get(0)).optional();
            let text: Option<String> = text.map_err(failed)?;
            // One that is gone, as somebody else has deleted it: the sums are told all the same.
            let tags = text.map_or(Ok(Tags::new()), |text| serde_json::from_str(&text));
            place.insert(tags.map_err(|error| LedgerError::Read(error.to_string()))?);
        }
    }
    Ok(sets)
}

fn runs(conn: &Connection, sums: &Sums) -> rusqlite::Result<HashMap<i64, String>> {
    let mut find = conn.prepare_cached("SELECT name FROM run WHERE id = ?")?;
    let mut runs = HashMap::new();
    for run in sums.keys().filter_map(|(_, run)| *run) {
        if let Entry::Vacant(place) = runs.entry(run) {
            let name = find.query_row([run], |row| row.get(0)).optional()?;
            place.insert(name.unwrap_or_default());
        }
    }
    Ok(runs)
}

impl Report {
    pub(super) fn of(conn: &Connection, query: &Query) -> Result<Self, LedgerError> {
        let failed = |error: rusqlite::Error| unread(&error);
        // One moment, whatever is written meanwhile.
        let tx = conn.unchecked_transaction().map_err(failed)?;
        let sums = query.sums(&tx).map_err(failed)?;
        let sets = sets(&tx, &sums)?;
        let runs = if query.wants_runs() {
            runs(&tx, &sums).map_err(failed)?
        } else {
            HashMap::new()
        };
        let mut report = Report {
            by: query.by.clone(),
            ..Report::default()
        };
        let mut rows: BTreeMap<Vec<String>, Totals> = BTreeMap::new();
        for ((set, run), totals) in &sums {
            let mut tags = sets.get(set).cloned().unwrap_or_default();
            if let Some(run) = run.and_then(|run| runs.get(&run)) {
                tags.set(Tag::Run, run.as_str());
            }
            let value = |tag: &Tag| tags.get(tag).unwrap_or_default();
            if query.when.iter().all(|(tag, wanted)| value(tag) == wanted) {
                let values = query.by.iter().map(|tag| value(tag).to_owned()).collect();
                rows.entry(values).or_default().add(totals);
                report.totals.add(totals);
            }
        }
        report.rows = rows.into_iter().collect();
        let dearest = |(_, totals): &(Vec<String>, Totals)| Reverse(totals.cost);
        report.rows.sort_by_key(dearest);
        Ok(report)
    }

    /// Writes the report as CSV (RFC 4180), with a line of names first and a line of totals last. Money is in dollars.
    ///
    /// # Errors
    /// If the output cannot be written.
    pub fn to_csv(&self, to: &mut impl Write) -> io::Result<()> {
        let names = self.by.iter().map(|tag| tag.name().to_owned());
        let figures = [
            "attempts",
            "estimated",
            "unknown",
            "unpriced",
            "input_tokens",
            "cache_read_tokens",
            "cache_write_tokens",
            "output_tokens",
            "reasoning_tokens",
            "cost_dollars",
        ];
        line(to, names.chain(figures.map(str::to_owned)))?;
        for (values, totals) in &self.rows {
            line(to, values.iter().cloned().chain(texts(totals)))?;
        }
        if !self.by.is_empty() {
            let total = self
                .by
                .iter()
                .enumerate()
                .map(|(number, _)| if number == 0 { "(all)" } else { "" });
            line(to, total.map(str::to_owned).chain(texts(&self.totals)))?;
        }
        Ok(())
    }

    /// Writes the report as JSON: an object for each row, with the tags and the figures side by side.
    ///
    /// # Errors
    /// If the output cannot be written.
    pub fn to_json(&self, to: &mut impl Write) -> io::Result<()> {
        #[derive(Serialize)]
        struct Line<'r> {
            tags: BTreeMap<&'r str, &'r str>,
            #[serde(flatten)]
            totals: &'r Totals,
        }
        #[derive(Serialize)]
        struct All<'r> {
            rows: Vec<Line<'r>>,
            totals: &'r Totals,
        }
        let rows = self.rows.iter().map(|(values, totals)| {
            let tags = self
                .by
                .iter()
                .map(Tag::name)
                .zip(values.iter().map(String::as_str));
            Line {
                tags: tags.collect(),
                totals,
            }
        });
        serde_json::to_writer(
            &mut *to,
            &All {
                rows: rows.collect(),
                totals: &self.totals,
            },
        )?;
        to.write_all(b"\n")
    }
}

fn texts(totals: &Totals) -> impl Iterator<Item = String> {
    let cost = totals.cost.to_string().trim_start_matches('$').to_owned();
    totals
        .figures()
        .map(|figure| figure.to_string())
        .into_iter()
        .chain([cost])
}

/// One line of CSV. What a spreadsheet would compute is text: callers have written it.
pub(super) fn line(to: &mut impl Write, fields: impl Iterator<Item = String>) -> io::Result<()> {
    for (number, mut field) in fields.enumerate() {
        if number > 0 {
            to.write_all(b",")?;
        }
        if field.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
            field.insert(0, '\'');
        }
        if field.contains(['"', ',', '\n', '\r']) {
            write!(to, "\"{}\"", field.replace('"', "\"\""))?;
        } else {
            to.write_all(field.as_bytes())?;
        }
    }
    to.write_all(b"\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_csv_would_take_for_its_own_is_quoted() {
        let mut text = Vec::new();
        let fields = ["a", "b,c", "d\"e", "", "f\r=1"].map(str::to_owned);
        line(&mut text, fields.into_iter()).unwrap();
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "a,\"b,c\",\"d\"\"e\",,\"f\r=1\"\r\n"
        );
    }

    #[test]
    fn what_a_spreadsheet_would_compute_is_text() {
        for (field, written) in [
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@a", "'@a"),
            ("\t=1", "'\t=1"),
            ("\r=1", "\"'\r=1\""),
            ("\n=1", "\"'\n=1\""),
            ("1=1", "1=1"),
        ] {
            let mut text = Vec::new();
            line(&mut text, std::iter::once(field.to_owned())).unwrap();
            let text = String::from_utf8(text).unwrap();
            assert_eq!(text, format!("{written}\r\n"));
        }
    }
}
