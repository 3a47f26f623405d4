//! Hiding from a caller the usage that it did not ask for.

use std::{fmt, ops::Range};

use bytes::Bytes;

use super::object::Members;

/// Events larger than this pass as they are. The one to hide takes a few hundred bytes.
const EVENT_CAP: usize = 1024 * 1024;

const KEY: &[u8] = b"\"usage\"";

/// Removes from an OpenAI chat stream what [`ask_for_usage`](super::ask_for_usage) made the provider put in: the chunk
/// that has `usage` and no choices, and `"usage":null` in the others.
///
/// Every other byte passes unchanged and at once; only an event that is not complete yet is held back. An event of more
/// than 1 MiB, one that is not understood, and usage in a chunk with choices (which was not asked for) pass unchanged.
///
/// ```
/// use tower_quota::wire::HideUsage;
///
/// let mut hide = HideUsage::default();
/// let chunk = b"data: {\"choices\":[{\"delta\":{}}],\"usage\":null}\n\ndata: {\"choices\":[],\"usa";
/// assert_eq!(&hide.push(chunk)[..], b"data: {\"choices\":[{\"delta\":{}}]}\n\n");
/// assert_eq!(&hide.push(b"ge\":{\"total_tokens\":9}}\n\ndata: [DONE]\n\n")[..], b"data: [DONE]\n\n");
/// assert!(hide.end().is_empty());
/// ```
#[derive(Default)]
pub struct HideUsage {
    /// The bytes of the event that is not whole yet.
    event: Vec<u8>,
    /// The current line is not empty.
    in_line: bool,
    /// The last byte was a CR: an LF belongs to it.
    after_cr: bool,
    /// The event is over the cap, and passes.
    is_over: bool,
    /// The last event was hidden, so an LF after its CR is too.
    was_hidden: bool,
}

impl HideUsage {
    /// Takes the next chunk of the stream, and returns what the caller may see so far.
    pub fn push(&mut self, chunk: &[u8]) -> Bytes {
        let mut shown = Vec::with_capacity(chunk.len() + self.event.len());
        let mut rest = chunk;
        while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let (line, after) = rest.split_at(end + 1);
            rest = after;
            self.end_line(line, &mut shown);
        }
        if !rest.is_empty() {
            self.in_line = true;
            self.after_cr = false;
            self.keep(rest, &mut shown);
        }
        shown.into()
    }

    /// Ends the stream, and returns what was held back of it.
    pub fn end(&mut self) -> Bytes {
        let mut shown = Vec::new();
        self.dispatch(&mut shown);
        shown.into()
    }

    /// Takes the rest of a line, with the CR or LF that ends it.
    fn end_line(&mut self, line: &[u8], shown: &mut Vec<u8>) {
        let is_second_half = line == b"\n" && std::mem::take(&mut self.after_cr);
        self.after_cr = line.ends_with(b"\r");
        if is_second_half {
            if self.is_over || !self.event.is_empty() {
                self.keep(line, shown);
            } else if !self.was_hidden {
                shown.extend_from_slice(line);
            }
            return;
        }
        let is_blank = line.len() == 1 && !self.in_line;
        self.in_line = false;
        self.keep(line, shown);
        if is_blank {
            self.dispatch(shown);
        }
    }

    fn keep(&mut self, part: &[u8], shown: &mut Vec<u8>) {
        if !self.is_over && self.event.len() + part.len() > EVENT_CAP {
            shown.append(&mut self.event);
            self.event = Vec::new();
            self.is_over = true;
        }
        if self.is_over {
            shown.extend_from_slice(part);
        } else {
            self.event.extend_from_slice(part);
        }
    }

    fn dispatch(&mut self, shown: &mut Vec<u8>) {
        self.is_over = false;
        let hidden = to_hide(&self.event);
        self.was_hidden = hidden.len() == self.event.len() && !hidden.is_empty();
        shown.extend_from_slice(&self.event[..hidden.start]);
        shown.extend_from_slice(&self.event[hidden.end..]);
        self.event.clear();
    }
}

/// Which part of an event is not for the caller.
fn to_hide(event: &[u8]) -> Range<usize> {
    part_to_hide(event).unwrap_or(0..0)
}

fn part_to_hide(event: &[u8]) -> Option<Range<usize>> {
    // Most events stop here.
    event.windows(KEY.len()).find(|part| *part == KEY)?;
    let data = only_data(event)?;
    let chunk = Members::read(&event[data.clone()])?;
    let usage = chunk.only("usage")??;
    if usage.get() == "null" {
        let member = member(&event[data.clone()], chunk.span(usage)?)?;
        return Some(data.start + member.start..data.start + member.end);
    }
    let choices = chunk.only("choices")??.get();
    let has_none = choices
        .strip_prefix('[')?
        .strip_suffix(']')?
        .trim()
        .is_empty();
    (has_none && usage.get().starts_with('{')).then_some(0..event.len())
}

/// Where the one line of data stands, without `data:`.
fn only_data(event: &[u8]) -> Option<Range<usize>> {
    let mut found = None;
    let mut start = 0;
    for line in event.split(|byte| matches!(byte, b'\n' | b'\r')) {
        let end = start + line.len();
        if line.starts_with(b"data:") {
            if found.is_some() {
                return None;
            }
            found = Some(start + b"data:".len()..end);
        }
        start = end + 1;
    }
    found
}

/// The whole member whose value is at `value`, with one of the commas around it.
fn member(object: &[u8], value: Range<usize>) -> Option<Range<usize>> {
    let before = object[..value.start].trim_ascii_end();
    let before = before.strip_suffix(b":")?.trim_ascii_end();
    let before = before.strip_suffix(KEY)?;
    let start = before.len();
    let before = before.trim_ascii_end();
    if before.ends_with(b",") {
        return Some(before.len() - 1..value.end);
    }
    let after = object[value.end..].trim_ascii_start();
    let end = match after.strip_prefix(b",") {
        Some(after) => object.len() - after.trim_ascii_start().len(),
        None => value.end,
    };
    Some(start..end)
}

/// Shows sizes, not contents: an answer may be confidential.
impl fmt::Debug for HideUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HideUsage")
            .field("held_back", &self.event.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "hide_usage_tests.rs"]
mod tests;
