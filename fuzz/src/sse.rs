//! Server-sent events: three bytes of cuts, the cap, the dialect, and the stream.

use tower_quota::wire::{
    Dialect,
    sse::{Event, Parser},
};

use super::{
    chunks::Cuts,
    input::Input,
    memory::allocated,
    metered::{SSE, fits_everywhere, read, says_the_same_in_every_framing},
};

const CAPS: [usize; 8] = [0, 1, 2, 3, 16, 64, 300, 1024 * 1024];

type Events = Vec<(String, Vec<u8>)>;

/// # Panics
/// Where a promise is broken.
pub fn run(bytes: &[u8]) {
    let mut input = Input(bytes);
    let cuts = Cuts::of(&mut input);
    let cap = input.one_of(&CAPS);
    let dialect = input.dialect();
    let stream = input.0;
    let [whole, others @ ..] = cuts.all(stream);
    let whole = parsed(&whole, cap);
    for chunks in others {
        let cut = parsed(&chunks, cap);
        assert_eq!(cut, whole, "cap {cap}, {} pieces", chunks.len());
    }
    let (events, dropped) = whole;
    if cap > stream.len() {
        assert_eq!((&events, dropped), (&by_the_standard(stream), 0));
    } else {
        let size = |(_, data): &(String, Vec<u8>)| data.len();
        assert!(events.iter().map(size).all(|size| size <= cap));
        assert!(dropped <= stream.len() as u64);
    }
    read(dialect, SSE, stream, &cuts);
    framings(dialect, &by_the_standard(stream));
}

fn framings(dialect: Dialect, events: &Events) {
    let data: Vec<Vec<u8>> = events.iter().map(|(_, data)| data.clone()).collect();
    if data.iter().all(|data| fits_everywhere(data)) {
        says_the_same_in_every_framing(dialect, &data);
    }
}

fn parsed(chunks: &[&[u8]], cap: usize) -> (Events, u64) {
    holds_little(chunks, cap);
    let mut events = Events::new();
    let mut on_event = |event: Event<'_>| events.push((event.name.to_owned(), event.data.to_vec()));
    let mut parser = Parser::new(cap);
    for chunk in chunks {
        parser.push(chunk, &mut on_event);
    }
    parser.end(&mut on_event);
    (events, parser.dropped_bytes())
}

fn holds_little(chunks: &[&[u8]], cap: usize) {
    let before = allocated();
    let (mut parser, mut dropped) = (Parser::new(cap), 0);
    for chunk in chunks {
        parser.push(chunk, |_| {});
        let held = allocated() - before;
        // A line, the data and a name, each in a buffer of twice its size; what is no UTF-8 grows in a name.
        assert!(
            held <= 12 * cap + 64,
            "{held} bytes held, of a cap of {cap}"
        );
        assert!(
            parser.dropped_bytes() >= dropped,
            "what was dropped stays so"
        );
        dropped = parser.dropped_bytes();
    }
}

/// The standard's own words, of a stream that is all there: "Server-sent events", section "Interpreting an event stream".
fn by_the_standard(stream: &[u8]) -> Events {
    let stream = stream.strip_prefix(b"\xef\xbb\xbf").unwrap_or(stream);
    let mut lines = vec![Vec::new()];
    let mut bytes = stream.iter().peekable();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'\r' if bytes.peek() == Some(&&b'\n') => {}
            b'\r' | b'\n' => lines.push(Vec::new()),
            byte => lines.last_mut().expect("begins with one").push(byte),
        }
    }
    // Unlike there, an event without an empty line behind it counts.
    lines.push(Vec::new());
    let (mut events, mut name, mut data) = (Events::new(), String::new(), None::<Vec<u8>>);
    for line in lines {
        if line.is_empty() {
            let name = std::mem::take(&mut name);
            let name = if name.is_empty() {
                "message".to_owned()
            } else {
                name
            };
            events.extend(data.take().map(|data| (name, data)));
            continue;
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let (field, value) = line.split_at(colon.unwrap_or(line.len()));
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"event" => name = String::from_utf8_lossy(value).into_owned(),
            b"data" => match &mut data {
                Some(data) => {
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
                None => data = Some(value.to_vec()),
            },
            _ => {}
        }
    }
    events
}
