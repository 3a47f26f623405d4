//! What images are made of: the counts, and what is not a count and stands in the file.

use std::collections::{BTreeMap, HashMap};

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::{
    op::{Done, Op},
    replica::{Kept, Replica, measured},
};
use crate::{
    limit::Limit,
    store::{asked::Asked, clock::told::At, image::Image},
};

/// A part of an image has about so many bytes: SQLite takes no text of any length.
const PART: usize = 8 << 20;
/// So many counts are copied while nobody may claim: that is a few milliseconds.
const FEW: usize = 10_000;

/// An image as it is kept.
#[derive(Serialize, Deserialize)]
pub(super) struct Stored {
    pub(super) at: At,
    /// The limits that it was opened with, or that a configuration gave since.
    pub(super) given: Vec<Limit>,
    pub(super) kept: HashMap<u64, Kept>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) ahead: BTreeMap<u64, Asked>,
    pub(super) image: Image,
}

impl Stored {
    pub(super) fn of(replica: &Replica) -> Self {
        let open = replica.open();
        Stored {
            at: replica.at(),
            given: replica.given().to_vec(),
            kept: open.map(|(number, kept)| (number, *kept)).collect(),
            ahead: replica.ahead().clone(),
            image: replica.image(),
        }
    }

    /// Writes it in place of what stands there, and of the log.
    pub(super) fn write(&self, conn: &Connection) -> rusqlite::Result<()> {
        let text = serde_json::to_string(self)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        conn.execute("DELETE FROM image", [])?;
        let mut insert = conn.prepare_cached("INSERT INTO image (body) VALUES (?)")?;
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let mut end = PART.min(rest.len());
            while !rest.is_char_boundary(end) {
                end -= 1;
            }
            let (part, after) = rest.split_at(end);
            insert.execute([part])?;
            rest = after;
        }
        conn.execute("DELETE FROM log", [])?;
        Ok(())
    }
}

/// Where the counts of the next image are from.
#[derive(Debug)]
pub(super) struct Standing {
    given: Vec<Limit>,
    most: Option<usize>,
    ahead: BTreeMap<u64, Asked>,
    /// A second store, where there are more than a few counts. Otherwise it is the one that decides.
    replica: Option<Replica>,
    /// What the clock on the wall showed when something was done last, if it was set.
    wall: i64,
    /// How much was done since the last image.
    since: usize,
    /// After how much an image is taken.
    image_after: usize,
}

impl Standing {
    pub(super) fn new(replica: Replica, most: Option<usize>, image_after: usize) -> Self {
        Standing {
            given: replica.given().to_vec(),
            most,
            ahead: BTreeMap::new(),
            wall: replica.at().wall,
            replica: (replica.len() > FEW).then_some(replica),
            since: 0,
            image_after,
        }
    }

    /// It is in the file.
    pub(super) fn took(&mut self, Done { at, op }: &Done) {
        self.since += 1;
        self.wall = measured(self.wall, *at).wall;
        note_block(&mut self.ahead, op);
        note_given(&mut self.given, op);
        if let Some(replica) = &mut self.replica {
            // Who hears of it was told by the store that decides.
            drop(replica.redo(*at, op));
        }
    }

    /// Whether anything was done since the last image.
    pub(super) fn has_moved(&self) -> bool {
        self.since > 0
    }

    /// Whether it is time for an image, of so many counts.
    pub(super) fn is_due(&self, counts: usize) -> bool {
        self.since >= self.image_after.max(counts)
    }

    pub(super) fn replica(&self) -> Option<&Replica> {
        self.replica.as_ref()
    }

    /// An image of the store that decides, in which this is done that was not written before.
    pub(super) fn stored<'o>(
        &self,
        (image, at): (Image, At),
        kept: HashMap<u64, Kept>,
        unwritten: impl Iterator<Item = &'o Op>,
    ) -> Stored {
        let (mut ahead, mut given) = (self.ahead.clone(), self.given.clone());
        for op in unwritten {
            note_block(&mut ahead, op);
            note_given(&mut given, op);
        }
        Stored {
            at: measured(self.wall, at),
            given,
            kept,
            ahead,
            image,
        }
    }

    /// The image of the replica is in the file.
    pub(super) fn imaged(&mut self) {
        self.since = 0;
    }

    /// This image of the store that decides is in the file.
    pub(super) fn imaged_as(&mut self, stored: Stored) {
        self.imaged();
        let Stored {
            at,
            given,
            kept,
            ahead,
            image,
        } = stored;
        if kept.len().max(image.len()) <= FEW {
            return;
        }
        // From now on it would hold up too many.
        self.replica = image.limits().map(|limits| {
            let both = (&limits.clone(), limits);
            let replica = Replica::of_image(given, both, self.most, (&image, kept, at));
            replica.with_ahead(ahead)
        });
    }
}

fn note_given(given: &mut Vec<Limit>, op: &Op) {
    if let Op::Reload { given: new, .. } = op {
        given.clone_from(new);
    }
}

fn note_block(ahead: &mut BTreeMap<u64, Asked>, op: &Op) {
    match op {
        Op::Ahead(number, asked) => drop(ahead.insert(*number, asked.clone())),
        Op::Behind(number) => drop(ahead.remove(number)),
        _ => {}
    }
}
