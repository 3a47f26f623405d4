//! A JSON text a line: three bytes of cuts, the dialect, and the stream.

use super::{
    chunks::Cuts,
    input::Input,
    metered::{NDJSON, fits_everywhere, read, said, says_the_same_in_every_framing},
};

/// # Panics
/// Where a promise is broken.
pub fn run(bytes: &[u8]) {
    let mut input = Input(bytes);
    let cuts = Cuts::of(&mut input);
    let dialect = input.dialect();
    let stream = input.0;
    let mut reading = read(dialect, NDJSON, stream, &cuts);
    reading.bytes = 0;
    let lines = stream.split(|byte| *byte == b'\n').map(<[u8]>::to_vec);
    // Empty lines say nothing.
    let lines: Vec<Vec<u8>> = lines.filter(|line| !line.trim_ascii().is_empty()).collect();
    if lines.iter().all(|line| fits_everywhere(line)) {
        says_the_same_in_every_framing(dialect, &lines);
        let again = said(dialect, NDJSON, &super::metered::as_lines(&lines));
        assert_eq!(again, reading, "{dialect:?}: without empty lines");
    }
}
