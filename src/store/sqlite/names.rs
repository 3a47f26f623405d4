//! Sets of tags and runs by their numbers in the file: a row an attempt would be several times as long with names in it.

use std::collections::BTreeMap;

use hashbrown::HashMap;
use rusqlite::{Connection, OptionalExtension as _};

use crate::tags::{Tag, Tags};

/// So many are remembered; of more all are looked up again.
const MANY: usize = 50_000;

/// What was looked up of late.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// By what [`spell`] makes of them.
    sets: HashMap<Vec<u8>, i64>,
    runs: HashMap<String, i64>,
    /// The tags that are looked up, to be used again.
    spelled: Vec<u8>,
}

impl Names {
    /// The numbers of these tags but the run, and of the run, made where there are none.
    pub(super) fn of(
        &mut self,
        conn: &Connection,
        tags: &Tags,
    ) -> rusqlite::Result<(i64, Option<i64>)> {
        spell(tags, &mut self.spelled);
        let set = match self.sets.get(&self.spelled) {
            Some(known) => *known,
            None => {
                let set = number(
                    conn,
                    (
                        "SELECT id FROM tag_set WHERE tags = ?",
                        "INSERT INTO tag_set (tags) VALUES (?)",
                    ),
                    &text(tags),
                )?;
                self.sets.insert(self.spelled.clone(), set);
                set
            }
        };
        let run = match tags.get(&Tag::Run) {
            None => None,
            Some(run) => Some(self.run(conn, run)?),
        };
        Ok((set, run))
    }

    fn run(&mut self, conn: &Connection, name: &str) -> rusqlite::Result<i64> {
        if let Some(known) = self.runs.get(name) {
            return Ok(*known);
        }
        let run = number(
            conn,
            (
                "SELECT id FROM run WHERE name = ?",
                "INSERT INTO run (name) VALUES (?)",
            ),
            name,
        )?;
        self.runs.insert(name.to_owned(), run);
        Ok(run)
    }

    /// The numbers of the sets and of the runs that were looked up since all were forgotten.
    pub(super) fn known(&self) -> (impl Iterator<Item = i64>, impl Iterator<Item = i64>) {
        (self.sets.values().copied(), self.runs.values().copied())
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

/// The tags but the run, in any order, in bytes that no others have: what is looked up for every claim costs no text.
fn spell(tags: &Tags, bytes: &mut Vec<u8>) {
    bytes.clear();
    for (tag, value) in tags.iter().filter(|(tag, _)| *tag != Tag::Run) {
        for part in [tag.name(), value] {
            bytes.extend_from_slice(&part.len().to_le_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(of: &[(&str, &str)]) -> Vec<u8> {
        let of = of.iter();
        let tags = of.fold(Tags::new(), |tags, (tag, value)| tags.with(*tag, *value));
        let mut bytes = Vec::new();
        spell(&tags, &mut bytes);
        bytes
    }

    #[test]
    fn no_tags_are_spelled_as_others_are_but_for_the_run() {
        let all = [
            spelled(&[]),
            spelled(&[("agent", "a")]),
            spelled(&[("user", "a")]),
            spelled(&[("x", "1"), ("y", "2")]),
            spelled(&[("x", "1y2")]),
            spelled(&[("x1", "y2")]),
        ];
        for (place, one) in all.iter().enumerate() {
            assert!(!all[..place].contains(one), "{one:?}");
        }
        assert_eq!(
            spelled(&[("agent", "a"), ("run", "7")]),
            spelled(&[("agent", "a")])
        );
    }
}
