//! Sets of tags and runs by their numbers in the file: a row an attempt would be several times as long with names in it.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, OptionalExtension as _};

use crate::tags::{Tag, Tags};

/// So many are remembered; of more all are looked up again.
const MANY: usize = 50_000;

/// What was looked up of late.
#[derive(Debug, Default)]
pub(super) struct Names {
    sets: HashMap<String, i64>,
    runs: HashMap<String, i64>,
}

impl Names {
    /// The numbers of these tags but the run, and of the run, made where there are none.
    pub(super) fn of(
        &mut self,
        conn: &Connection,
        tags: &Tags,
    ) -> rusqlite::Result<(i64, Option<i64>)> {
        let set = look_up(&mut self.sets, text(tags), |text| {
            number(
                conn,
                (
                    "SELECT id FROM tag_set WHERE tags = ?",
                    "INSERT INTO tag_set (tags) VALUES (?)",
                ),
                text,
            )
        })?;
        let run = match tags.get(&Tag::Run) {
            None => None,
            Some(run) => Some(look_up(&mut self.runs, run.to_owned(), |run| {
                number(
                    conn,
                    (
                        "SELECT id FROM run WHERE name = ?",
                        "INSERT INTO run (name) VALUES (?)",
                    ),
                    run,
                )
            })?),
        };
        Ok((set, run))
    }

    /// What was looked up may not be there.
    pub(super) fn forget(&mut self) {
        self.sets.clear();
        self.runs.clear();
    }

    pub(super) fn bound(&mut self) {
        if self.sets.len() > MANY || self.runs.len() > MANY {
            self.forget();
        }
    }
}

fn look_up(
    known: &mut HashMap<String, i64>,
    name: String,
    find: impl FnOnce(&str) -> rusqlite::Result<i64>,
) -> rusqlite::Result<i64> {
    if let Some(number) = known.get(&name) {
        return Ok(*number);
    }
    let number = find(&name)?;
    known.insert(name, number);
    Ok(number)
}

fn number(conn: &Connection, (find, make): (&str, &str), name: &str) -> rusqlite::Result<i64> {
    let found = conn
        .prepare_cached(find)?
        .query_row([name], |row| row.get(0))
        .optional()?;
    match found {
        Some(number) => Ok(number),
        None => conn.prepare_cached(make)?.insert([name]),
    }
}

/// The tags but the run, in the order of their names: the same tags are the same text.
fn text(tags: &Tags) -> String {
    let tags = tags.iter().filter(|(tag, _)| *tag != Tag::Run);
    let tags: BTreeMap<String, &str> = tags
        .map(|(tag, value)| (tag.name().to_owned(), value))
        .collect();
    serde_json::to_string(&tags).expect("names and values are text")
}
