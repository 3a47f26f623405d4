//! Answers as people read them.

use std::io::{self, Write};

use serde_json::{Map, Value};

use super::super::output::complain;

/// Prints lists as tables, and all else a line each. Of a key that was made the token stands alone on stdout, so that a
/// program can take it.
pub(super) fn print(answer: &Value, out: &mut dyn Write) -> io::Result<()> {
    if let Some(token) = answer["token"].as_str() {
        let name = answer["name"].as_str().unwrap_or_default();
        complain(format_args!(
            "the key `{name}` is made; this is its token, which is shown this once:"
        ));
        return writeln!(out, "{token}");
    }
    let Value::Object(answer) = answer else {
        return writeln!(out, "{answer}");
    };
    let lists = answer.values().filter_map(Value::as_array);
    for line in lists.clone().flatten().filter_map(Value::as_str) {
        writeln!(out, "{}", plain(line))?;
    }
    let rows: Vec<&Map<String, Value>> = lists.flatten().filter_map(Value::as_object).collect();
    if rows.first().is_some_and(|row| row.contains_key("after")) {
        return story(answer, &rows, out);
    }
    let lists: Vec<&Vec<Value>> = answer.values().filter_map(Value::as_array).collect();
    match (rows.is_empty(), !lists.is_empty()) {
        (true, true) if lists.iter().all(|list| list.is_empty()) => writeln!(out, "none"),
        (true, true) => Ok(()),
        (true, false) => answer
            .iter()
            .try_for_each(|(name, value)| writeln!(out, "{name}: {}", text(value))),
        (false, _) => table(&rows, out),
    }
}

/// What became of a call: what it is, then an event a line.
fn story(
    answer: &Map<String, Value>,
    events: &[&Map<String, Value>],
    out: &mut dyn Write,
) -> io::Result<()> {
    for (name, value) in answer.iter().filter(|(_, value)| !value.is_array()) {
        writeln!(out, "{}: {}", name.replace('_', " "), text(value))?;
    }
    for event in events {
        let after = event.get("after").and_then(Value::as_f64);
        let what = event.get("what").map_or_else(String::new, text);
        let rest = event.iter().filter(|(name, value)| {
            !["after", "what"].contains(&name.as_str()) && !value.is_null()
        });
        let rest: Vec<String> = rest
            .map(|(name, value)| match value {
                Value::Object(_) => format!("{name}: {}", text(value)),
                _ => format!("{name}={}", text(value)),
            })
            .collect();
        let line = format!(
            "{:10.3} s  {what:9} {}",
            after.unwrap_or(0.0),
            rest.join("  ")
        );
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

fn table(rows: &[&Map<String, Value>], out: &mut dyn Write) -> io::Result<()> {
    let mut names: Vec<&String> = Vec::new();
    for name in rows.iter().flat_map(|row| row.keys()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let titles = names.iter().map(|name| name.replace('_', " ")).collect();
    let cells = rows.iter().map(|row| {
        let cell = |name: &&String| row.get(*name).map_or_else(String::new, text);
        names.iter().map(cell).collect()
    });
    let lines: Vec<Vec<String>> = std::iter::once(titles).chain(cells).collect();
    aligned(&lines).try_for_each(|line| writeln!(out, "{line}"))
}

/// Each cell as wide as its column.
pub(crate) fn aligned(lines: &[Vec<String>]) -> impl Iterator<Item = String> {
    let columns = lines.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        let cells = lines.iter().filter_map(move |line| line.get(column));
        cells
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    lines.iter().map(move |line| {
        let cells = line.iter().zip(&widths);
        let cells: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        cells.join("  ").trim_end().to_owned()
    })
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => plain(text),
        Value::Array(list) => list.iter().map(text).collect::<Vec<_>>().join(","),
        Value::Object(map) => {
            let pairs = map
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| format!("{name}={}", text(value)));
            pairs.collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}

/// Callers have written some of it: what would steer a terminal is shown as what it is.
pub(crate) fn plain(text: &str) -> String {
    let steers = |c: char| {
        let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        c.is_control() || turns
    };
    let shown = text.chars().map(|c| match steers(c) {
        true => c.escape_unicode().to_string(),
        false => c.to_string(),
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_steer_a_terminal_is_shown_as_what_it_is() {
        assert_eq!(
            plain("a\u{1b}[2J\nb\u{202e}"),
            "a\\u{1b}[2J\\u{a}b\\u{202e}"
        );
        assert_eq!(plain("größer 90 %"), "größer 90 %");
    }
}
