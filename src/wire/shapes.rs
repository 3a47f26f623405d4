//! Answers that are as one before them, save for what stands in them.
//!
//! A program asks one model the same kind of thing over and over, and what it is answered differs in the text, the counts
//! and an id. Such an answer is compared with those that this thread has read of late, as the events of a stream are with
//! the one before: it says the same, and takes a fraction of the time. Of an answer's text and
//! counts nothing is kept; what else stands in it is, in this thread's memory, until eight others have come.

use std::cell::RefCell;

use super::{
    Dialect,
    alike::Alike,
    note::Note,
    read::{Values, read, read_with},
};

/// How many are known at a time.
const MOST: usize = 8;

/// Longer ones are read each time.
const MOST_BYTES: usize = 32 * 1024;

/// After so many in a row that were like none, only one in as many is still learnt from.
const TRIES: u32 = 16;

thread_local! {
    static SHAPES: RefCell<Shapes> = RefCell::default();
}

#[derive(Default)]
struct Shapes {
    known: Vec<Shape>,
    /// Whose turn it is to be forgotten.
    oldest: usize,
    /// How many in a row were like none.
    misses: u32,
}

struct Shape {
    dialect: Dialect,
    alike: Alike,
    /// What the one said that was read.
    note: Note,
}

/// As [`read`], of a whole answer. Names that nothing is counted by are left out where they cost something, unless they are
/// `wanted`.
pub(super) fn read_answer(dialect: Dialect, json: &[u8], wanted: bool) -> Option<Note> {
    if json.len() > MOST_BYTES {
        return read(dialect.spec(), json);
    }
    // A thread that is going down has none.
    let found = SHAPES.try_with(|shapes| shapes.borrow_mut().read(dialect, json, wanted));
    found.unwrap_or_else(|_| read(dialect.spec(), json))
}

impl Shapes {
    fn read(&mut self, dialect: Dialect, json: &[u8], wanted: bool) -> Option<Note> {
        let known = self.known.iter().filter(|shape| shape.dialect == dialect);
        for shape in known {
            if let Some(more) = shape.alike.compare(json) {
                self.misses = 0;
                return Some(shape.note.with(&more, wanted));
            }
        }
        self.misses = self.misses.saturating_add(1);
        if self.misses > TRIES && !self.misses.is_multiple_of(TRIES) {
            return read(dialect.spec(), json);
        }
        let mut values = Some(Values::default());
        let note = read_with(dialect.spec(), json, &mut values)?;
        if let Some(values) = values.filter(|_| note.text > 0 && note.error.is_none()) {
            self.learn(dialect, json, &values, &note);
        }
        Some(note)
    }

    fn learn(&mut self, dialect: Dialect, json: &[u8], values: &Values, note: &Note) {
        let mut alike = Alike::default();
        alike.learn(json, values);
        if alike.is_empty() {
            return;
        }
        let shape = Shape {
            dialect,
            alike,
            note: note.clone(),
        };
        if self.known.len() < MOST {
            self.known.push(shape);
            return;
        }
        self.known[self.oldest] = shape;
        self.oldest = (self.oldest + 1) % MOST;
    }
}

#[cfg(test)]
#[path = "shapes_tests.rs"]
mod tests;
