//! One JSON text, or one event of a stream, read in the terms of a dialect.

use super::{
    dialect::Spec,
    framing::Frame,
    note::Note,
    walk::{Scalar, Sink, walk},
};

/// Takes in one event of a stream. An event that is not what it should be says nothing, save one
/// that cannot be unwrapped: what was in it may have been text.
pub(super) fn read_event(spec: &dyn Spec, frame: &Frame<'_>, note: &mut Note) {
    match *frame {
        Frame::Event(data) if spec.end_mark() == Some(data.trim_ascii()) => {
            note.merge(Note {
                done: true,
                ..Note::default()
            });
        }
        Frame::Event(data) => match spec.unwrapped(data) {
            Some(data) => {
                if let Some(said) = read(spec, &data) {
                    note.merge(said);
                }
            }
            None => note.merge(Note {
                text: data.len() as u64,
                ..Note::default()
            }),
        },
        Frame::Exception { name, payload } => {
            let mut said = read(spec, payload).unwrap_or_default();
            said.error_code(&Scalar::Text(name));
            note.merge(said);
        }
    }
}

/// What a JSON text says in this dialect; nothing at all if it is not JSON to its end.
pub(super) fn read(spec: &dyn Spec, json: &[u8]) -> Option<Note> {
    struct Reader<'s> {
        spec: &'s dyn Spec,
        note: Note,
    }

    impl Sink for Reader<'_> {
        fn scalar(&mut self, path: &[&str], value: Scalar<'_>) {
            self.spec.response(path, &value, &mut self.note);
        }
    }

    let mut reader = Reader {
        spec,
        note: Note::default(),
    };
    walk(json, &mut reader).ok()?;
    let mut note = reader.note;
    let beside = std::mem::take(&mut note.beside);
    note.complete_error(&beside);
    Some(note)
}
