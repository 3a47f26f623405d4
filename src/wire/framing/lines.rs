//! One JSON text a line (NDJSON).

use super::piece::Piece;

pub(in super::super) struct Lines {
    line: Piece,
}

impl Lines {
    pub(super) fn new(cap: usize) -> Lines {
        Lines {
            line: Piece::new(cap),
        }
    }

    /// Takes the next piece of the stream and hands on the lines that it completes, save empty ones.
    pub(super) fn push(&mut self, chunk: &[u8], on_line: &mut impl FnMut(&[u8])) {
        let mut rest = chunk;
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            self.finish(&rest[..end], on_line);
            rest = &rest[end + 1..];
        }
        self.line.keep(rest);
    }

    /// The last line may have no end.
    pub(super) fn end(&mut self, on_line: &mut impl FnMut(&[u8])) {
        self.finish(b"", on_line);
    }

    fn finish(&mut self, rest: &[u8], on_line: &mut impl FnMut(&[u8])) {
        self.line.finish(rest, &mut |line: &[u8]| {
            if !line.trim_ascii().is_empty() {
                on_line(line);
            }
        });
    }

    pub(super) fn is_between(&self) -> bool {
        self.line.is_empty()
    }

    pub(super) fn dropped_bytes(&self) -> u64 {
        self.line.dropped_bytes()
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.line.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_at_line_feeds_however_it_is_cut() {
        let stream = b"{\"a\":1}\r\n\n  \n{\"b\":2}\n{\"c\"";
        for size in 1..=stream.len() {
            let mut lines = Lines::new(100);
            let mut seen = Vec::new();
            let mut on_line = |line: &[u8]| seen.push(line.trim_ascii().to_vec());
            for chunk in stream.chunks(size) {
                lines.push(chunk, &mut on_line);
            }
            assert!(!lines.is_between());
            lines.end(&mut on_line);
            lines.end(&mut on_line);
            let expected: [&[u8]; 3] = [b"{\"a\":1}", b"{\"b\":2}", b"{\"c\""];
            assert_eq!(seen, expected, "{size}");
        }
    }
}
