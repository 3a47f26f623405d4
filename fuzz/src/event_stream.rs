//! AWS's frames: three bytes of cuts, the dialect, what to do about checksums, and the stream.
//!
//! Nobody hits a checksum by chance, so they are mended where the input says so: whatever else stands there, is read.

use super::{
    chunks::Cuts,
    input::Input,
    metered::{EVENT_STREAM, fits_everywhere, read, says_the_same_in_every_framing},
};

/// Two lengths and the checksum of both.
const PRELUDE: usize = 12;
const SMALLEST: usize = PRELUDE + 4;

/// # Panics
/// Where a promise is broken.
pub fn run(bytes: &[u8]) {
    let mut input = Input(bytes);
    let cuts = Cuts::of(&mut input);
    let dialect = input.dialect();
    let how = input.byte();
    let mut stream = input.0.to_vec();
    if how == 0 {
        read(dialect, EVENT_STREAM, &stream, &cuts);
        return;
    }
    let payloads = mended(&mut stream);
    if how == 1 {
        let reading = read(dialect, EVENT_STREAM, &stream, &cuts);
        // Sound frames with no headers: each is an event.
        if let Some(payloads) = payloads {
            let most: usize = payloads.iter().map(Vec::len).sum();
            assert!(reading.output_seen <= most as u64 + 1);
            if payloads.iter().all(|payload| fits_everywhere(payload)) {
                says_the_same_in_every_framing(dialect, &payloads);
            }
        }
        return;
    }
    // One bit is wrong.
    if !stream.is_empty() {
        let at = usize::from(how) * 31 % (8 * stream.len());
        stream[at / 8] ^= 1 << (at % 8);
    }
    read(dialect, EVENT_STREAM, &stream, &cuts);
}

/// Makes frames of the stream: lengths that fit in, and right checksums. What is left over is taken off. Returns
/// the payloads if no frame has headers.
fn mended(stream: &mut Vec<u8>) -> Option<Vec<Vec<u8>>> {
    let (mut start, mut payloads) = (0, Some(Vec::new()));
    while stream.len() - start >= SMALLEST {
        let frame = &mut stream[start..];
        let length = |frame: &[u8], at: usize| {
            let bytes = frame[at..at + 4].try_into().expect("four bytes");
            usize::try_from(u32::from_be_bytes(bytes)).expect("64 bits")
        };
        let total = length(frame, 0).clamp(SMALLEST, frame.len());
        let headers = length(frame, 4).min(total - SMALLEST);
        let payload = frame[PRELUDE + headers..total - 4].to_vec();
        let whole = self::frame(&frame[PRELUDE..PRELUDE + headers], &payload);
        frame[..total].copy_from_slice(&whole);
        match &mut payloads {
            Some(payloads) if headers == 0 => payloads.push(payload),
            _ => payloads = None,
        }
        start += total;
    }
    stream.truncate(start);
    payloads
}

/// A frame with right lengths and checksums.
pub(crate) fn frame(headers: &[u8], payload: &[u8]) -> Vec<u8> {
    let length = |length: usize| {
        u32::try_from(length)
            .expect("inputs are small")
            .to_be_bytes()
    };
    let mut bytes = length(SMALLEST + headers.len() + payload.len()).to_vec();
    bytes.extend_from_slice(&length(headers.len()));
    bytes.extend_from_slice(&crc(&bytes));
    bytes.extend_from_slice(headers);
    bytes.extend_from_slice(payload);
    bytes.extend_from_slice(&crc(&bytes));
    bytes
}

/// CRC-32 of IEEE 802.3, so that it is not checked against itself.
fn crc(bytes: &[u8]) -> [u8; 4] {
    let crc = bytes.iter().fold(!0_u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ ((crc & 1).wrapping_neg() & 0xedb8_8320)
        })
    });
    (!crc).to_be_bytes()
}
