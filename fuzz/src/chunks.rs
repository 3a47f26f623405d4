//! A stream in pieces.

use super::input::Input;

/// Ways to cut a stream: whole, in two, in pieces of one size, and byte by byte.
pub(crate) struct Cuts {
    at: usize,
    size: usize,
}

impl Cuts {
    pub(crate) fn of(input: &mut Input<'_>) -> Cuts {
        Cuts {
            at: usize::from(input.byte()) * 256 + usize::from(input.byte()),
            size: usize::from(input.byte() % 64) + 2,
        }
    }

    pub(crate) fn all<'s>(&self, stream: &'s [u8]) -> [Vec<&'s [u8]>; 4] {
        let (left, right) = stream.split_at(self.at % (stream.len() + 1));
        [
            vec![stream],
            // An empty piece is none.
            vec![left, b"", right],
            stream.chunks(self.size).collect(),
            stream.chunks(1).collect(),
        ]
    }
}
