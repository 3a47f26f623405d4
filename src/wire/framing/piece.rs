//! One piece of a stream that chunks cut anywhere: kept until it is whole, up to a cap.

/// A buffer that grew beyond this for one piece is not kept that large for the next.
const RETAINED: usize = 64 * 1024;

pub(super) struct Piece {
    cap: usize,
    bytes: Vec<u8>,
    /// How long the piece is so far, also if it is not kept.
    size: u64,
    dropped: u64,
}

impl Piece {
    pub(super) fn new(cap: usize) -> Piece {
        Piece {
            cap,
            bytes: Vec::new(),
            size: 0,
            dropped: 0,
        }
    }

    /// More of the piece, which is not whole yet.
    pub(super) fn keep(&mut self, part: &[u8]) {
        self.size = self.size.saturating_add(part.len() as u64);
        if self.is_over() {
            self.bytes.clear();
            self.bytes.shrink_to(RETAINED);
        } else {
            self.bytes.extend_from_slice(part);
        }
    }

    /// The rest of the piece: hands it on, unless it is over the cap.
    pub(super) fn finish(&mut self, rest: &[u8], on_piece: &mut impl FnMut(&[u8])) {
        if self.size == 0 && rest.len() <= self.cap {
            on_piece(rest);
            return;
        }
        self.keep(rest);
        if self.is_over() {
            self.dropped = self.dropped.saturating_add(self.size);
        } else {
            on_piece(&self.bytes);
        }
        self.size = 0;
        self.bytes.clear();
        self.bytes.shrink_to(RETAINED);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.size == 0
    }

    /// How many bytes of pieces were dropped because of the cap.
    pub(super) fn dropped_bytes(&self) -> u64 {
        let open = if self.is_over() { self.size } else { 0 };
        self.dropped.saturating_add(open)
    }

    fn is_over(&self) -> bool {
        self.size > self.cap as u64
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_over_the_cap_is_dropped_and_the_next_is_not() {
        let mut piece = Piece::new(4);
        let mut seen = Vec::new();
        let mut on_piece = |bytes: &[u8]| seen.push(bytes.to_vec());
        piece.finish(b"12345", &mut on_piece);
        piece.keep(b"123");
        piece.keep(b"45");
        assert_eq!(piece.dropped_bytes(), 10, "also while it is open");
        piece.finish(b"", &mut on_piece);
        piece.keep(b"12");
        piece.finish(b"34", &mut on_piece);
        piece.finish(b"5", &mut on_piece);
        assert_eq!(piece.dropped_bytes(), 10);
        assert_eq!(seen, [b"1234".to_vec(), b"5".to_vec()]);
    }
}
