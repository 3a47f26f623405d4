//! What the program prints: what it was asked for on stdout, all else on stderr.

use std::{
    fmt,
    io::{self, BufWriter, Write},
};

use super::failure::Failure;

/// Prints what was asked for.
pub(crate) fn print(what: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    let printed = what(&mut out).and_then(|()| out.flush());
    printed.map_err(Failure::Print)
}

/// Prints one line for whoever started the program. If nobody reads it, that is no reason not to serve.
pub(crate) fn announce(line: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Says something on stderr. If that cannot be written, that is no reason to end, or to cut a call off.
pub(crate) fn complain(what: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "tower-quota: {what}");
}
