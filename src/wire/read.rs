//! One JSON text, or one event of a stream, read in the terms of a dialect.

use smallvec::SmallVec;

use super::{
    alike::{Alike, Value},
    dialect::Spec,
    framing::Frame,
    note::Note,
    surrogates::without_halves,
    walk::{Scalar, Sink, walk_text},
};

/// Takes in one event of a stream. An event that is not what it should be says nothing, save one
/// that cannot be unwrapped: what was in it may have been text.
pub(super) fn read_event(spec: &dyn Spec, frame: &Frame<'_>, note: &mut Note, alike: &mut Alike) {
    match *frame {
        Frame::Event(data) if spec.end_mark() == Some(data.trim_ascii()) => {
            alike.forget();
            note.merge(Note {
                done: true,
                ..Note::default()
            });
        }
        Frame::Event(data) => match spec.unwrapped(data) {
            Some(data) => read_data(spec, &data, note, alike),
            None => note.merge(Note {
                text: data.len() as u64,
                ..Note::default()
            }),
        },
        Frame::Exception { name, payload } => {
            alike.forget();
            let mut said = read(spec, payload).unwrap_or_default();
            said.error_code(&Scalar::Text(name));
            note.merge(said);
        }
    }
}

fn read_data(spec: &dyn Spec, data: &[u8], note: &mut Note, alike: &mut Alike) {
    if let Some(more) = alike.compare(data) {
        alike.hit();
        note.more(&more);
        return;
    }
    let mut values = alike.is_wanted(data).then(Values::default);
    // What is not JSON says nothing, and the last event stays the last.
    let Some(said) = read_with(spec, data, &mut values) else {
        return;
    };
    match values {
        // Of those without text there are few.
        Some(values) if said.text > 0 => alike.learn(data, &values),
        _ => alike.forget(),
    }
    note.merge(said);
}

/// What a JSON text says in this dialect; nothing at all if it is not JSON to its end.
pub(super) fn read(spec: &dyn Spec, json: &[u8]) -> Option<Note> {
    read_with(spec, json, &mut None)
}

/// What the strings and numbers of a text are for, in their order.
pub(super) type Values = SmallVec<[Value; 32]>;

/// As [`read`]. What its `values` are for is taken down, where that is wanted, and can be said.
pub(super) fn read_with(spec: &dyn Spec, json: &[u8], values: &mut Option<Values>) -> Option<Note> {
    let json = std::str::from_utf8(json).ok()?;
    let mut note = walked(spec, json, values).or_else(|| {
        *values = None;
        walked(spec, &without_halves(json)?, &mut None)
    })?;
    let beside = std::mem::take(&mut note.beside);
    note.complete_error(&beside);
    Some(note)
}

fn walked(spec: &dyn Spec, json: &str, values: &mut Option<Values>) -> Option<Note> {
    let mut reader = Reader {
        spec,
        note: Note::default(),
        values,
    };
    walk_text(json, &mut reader).ok()?;
    Some(reader.note)
}

struct Reader<'s> {
    spec: &'s dyn Spec,
    note: Note,
    values: &'s mut Option<Values>,
}

impl Sink for Reader<'_> {
    fn scalar(&mut self, path: &[&str], value: Scalar<'_>) {
        let Some(values) = &mut *self.values else {
            self.spec.response(path, &value, &mut self.note);
            return;
        };
        let (text, counts) = (self.note.text, self.note.counts.told());
        self.spec.response(path, &value, &mut self.note);
        let more_text = self.note.text - text;
        let count = count_of(self.spec, path, &value);
        let mut expected = counts;
        // Told twice in one event, the two may be added up.
        let is_first = count.is_none_or(|(which, _)| counts[which].is_none());
        if let Some((which, count)) = count {
            expected[which] = Some(count);
        }
        if !is_first || self.note.counts.told() != expected {
            // Counts that hang on what stands beside them: nothing is learnt.
            *self.values = None;
            return;
        }
        values.push(match (value, count) {
            (Scalar::Bool(_) | Scalar::Null | Scalar::EmptyList, _) => return,
            (Scalar::Text(text), _) if more_text > 0 && more_text == text.len() as u64 => {
                Value::Text
            }
            (_, Some((which, _))) => Value::Count(which),
            _ if self.spec.idle().contains(&path) => Value::Idle,
            _ => Value::Fixed,
        });
    }

    fn leave(&mut self, path: &[&str]) {
        self.spec.leave(path, &mut self.note);
    }
}

/// Which count a number is, whatever stands beside it.
fn count_of(spec: &dyn Spec, path: &[&str], value: &Scalar<'_>) -> Option<(usize, u64)> {
    let count = matches!(value, Scalar::Whole(_)).then(|| value.count())??;
    let mut alone = Note::default();
    spec.response(path, value, &mut alone);
    let told = alone.counts.told();
    let which = told.iter().position(Option::is_some)?;
    let is_it_alone = told.iter().flatten().eq([&count]);
    is_it_alone.then_some((which, count))
}
