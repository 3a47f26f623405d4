//! One round trip: what is asked, and what comes back.

use std::fmt;

use redis::{FromRedisValue, Value};

use super::{
    entry::{Entry, Op, Place, Process},
    link::{Ask, Failure, part},
    shared::instant,
    worker::Worker,
};
use crate::{limit::Tick, store::clock::told::At};

/// So many entries of others come with one round trip, at most and at least. Where they do not come within its time, as over a
/// slow network, the next one asks for half as many.
pub(super) const ENTRIES: u32 = 10_000;
const FEWEST: u32 = 500;

/// How many the next round trip asks for.
fn next_page(page: u32, came: bool) -> u32 {
    match came {
        true => page.saturating_mul(2).min(ENTRIES),
        false => (page / 2).max(FEWEST),
    }
}

/// What one process does, from a number on.
pub(super) struct Batch {
    pub(super) process: Process,
    pub(super) first: u64,
    /// The time, where it is passed in.
    pub(super) at: Option<At>,
    pub(super) ops: Vec<Op>,
}

pub(super) enum Reply {
    Appended {
        at: At,
        /// What stood there already and was not known.
        entries: Vec<Entry>,
        /// What stands there now by this.
        own: Vec<Entry>,
        /// Whether something else stands there besides.
        buried: bool,
        /// Up to where the last image goes, and whether it is there.
        image: (u64, bool),
    },
    /// There is more that is not known; nothing was appended.
    More { entries: Vec<Entry> },
    /// What the server has does not go on from what is known here.
    Astray,
    /// Only versions of this form can keep it.
    Newer(u32),
}

impl Worker {
    pub(super) async fn append(&mut self, batch: &Batch) -> Result<Reply, Failure> {
        // Time that is passed in goes on without those who wait for true time to say that they live.
        let silence = match batch.at {
            Some(_) if !batch.ops.is_empty() => 0,
            _ => self.settings.silence.as_micros(),
        };
        let known = {
            let state = self.shared.lock();
            (state.replica.epoch().to_owned(), state.replica.last())
        };
        self.put(batch, known, silence).await
    }

    /// What stands in a history behind that. Nothing is put there, and nobody is looked for who may be dead.
    pub(super) async fn read_behind(
        &mut self,
        known: (String, Place),
    ) -> Result<(Batch, Reply), Failure> {
        let nothing = Batch {
            process: self.shared.me,
            first: 0,
            at: self.shared.given_last(),
            ops: Vec::new(),
        };
        let reply = self.put(&nothing, known, 0).await?;
        Ok((nothing, reply))
    }

    async fn put(
        &mut self,
        batch: &Batch,
        (epoch, last): (String, Place),
        silence: u128,
    ) -> Result<Reply, Failure> {
        let tag = fastrand::u32(..);
        let mut args: Vec<Vec<u8>> = [
            epoch,
            last.to_string(),
            batch.process.to_string(),
            batch.first.to_string(),
            tag.to_string(),
        ]
        .map(String::into_bytes)
        .into();
        args.extend(given(batch.at));
        args.extend(
            [
                silence.to_string(),
                self.page.to_string(),
                self.settings.form.0.to_string(),
            ]
            .map(String::into_bytes),
        );
        for op in &batch.ops {
            args.push(serde_json::to_vec(op).map_err(unread)?);
        }
        self.asked = instant();
        let parts = self.link.ask(Ask::Append, &args).await;
        self.page = next_page(self.page, parts.is_ok());
        let parts = parts?;
        self.read(batch, tag, &parts).map_err(unread)
    }

    fn read(&self, batch: &Batch, tag: u32, parts: &[Value]) -> Result<Reply, String> {
        let kind: String = part(parts, 0)?;
        match kind.as_str() {
            "gone" | "epoch" | "lost" => return Ok(Reply::Astray),
            "newer" => return Ok(Reply::Newer(part(parts, 1)?)),
            "ok" | "more" => {}
            other => return Err(format!("its answer {other:?} is unknown")),
        }
        let at = At {
            tick: Tick::from_micros(number(parts, 1)?),
            wall: number(parts, 2)?,
        };
        let entries = entries(parts.get(3).ok_or("the answer is cut short")?)?;
        if kind == "more" {
            return Ok(Reply::More { entries });
        }
        let before: u64 = number(parts, 4)?;
        // What it had already of this stands among those.
        let had = entries
            .iter()
            .filter(|entry| entry.process == batch.process);
        let had = had.map(|entry| entry.number).max().unwrap_or(0);
        let known = self.shared.lock().replica.number_of(batch.process);
        let known = had.max(known);
        let fresh = (batch.first..).zip(&batch.ops);
        let fresh = fresh.filter(|(number, _)| *number > known);
        let own = (before + 1..).zip(fresh).map(|(pos, (number, op))| Entry {
            place: Place { pos, tag },
            at,
            process: batch.process,
            number,
            op: op.clone(),
        });
        let buried: u64 = part(parts, 5)?;
        let image: Place = part::<String>(parts, 6)?.parse()?;
        let is_there: u64 = part(parts, 7)?;
        Ok(Reply::Appended {
            at,
            entries,
            own: own.collect(),
            buried: buried > 0,
            image: (image.pos, is_there > 0),
        })
    }
}

/// The time that is passed in, as scripts take it.
pub(super) fn given(at: Option<At>) -> [Vec<u8>; 2] {
    match at {
        Some(at) => [
            at.tick.as_micros().to_string().into_bytes(),
            at.wall.to_string().into_bytes(),
        ],
        None => [Vec::new(), Vec::new()],
    }
}

fn entries(value: &Value) -> Result<Vec<Entry>, String> {
    let all = Vec::<(String, (String, String))>::from_redis_value_ref(value);
    let all = all.map_err(|error| error.to_string())?;
    let read = |(id, (_, text)): (String, (String, String))| Entry::read(id.parse()?, &text);
    all.into_iter().map(read).collect()
}

pub(super) fn unread(reason: impl fmt::Display) -> Failure {
    Failure {
        reason: format!("what it says cannot be read: {reason}"),
        unknown: false,
    }
}

/// A number, which a script writes as text: whole, however large.
fn number<N: std::str::FromStr>(parts: &[Value], place: usize) -> Result<N, String> {
    let text: String = part(parts, place)?;
    text.parse().map_err(|_| format!("{text:?} is no number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_come_in_time_is_asked_for_in_smaller_parts_and_those_grow_again() {
        let mut page = ENTRIES;
        let mut pages = Vec::new();
        for came in [false, false, false, false, false, false, true, true] {
            page = next_page(page, came);
            pages.push(page);
        }
        assert_eq!(pages, [5_000, 2_500, 1_250, 625, 500, 500, 1_000, 2_000]);
        for _ in 0..9 {
            page = next_page(page, true);
        }
        assert_eq!(page, ENTRIES);
    }
}
