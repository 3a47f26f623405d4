//! Answers as people read them.

use serde_json::{Map, Value};

/// Prints lists as tables, and all else a line each. Of a key that was made the token stands alone on stdout, so that a
/// program can take it.
pub(super) fn print(answer: &Value) {
    if let Some(token) = answer["token"].as_str() {
        let name = answer["name"].as_str().unwrap_or_default();
        eprintln!("the key `{name}` is made; this is its token, which is shown this once:");
        return println!("{token}");
    }
    let Value::Object(answer) = answer else {
        return println!("{answer}");
    };
    let lists = answer.values().filter_map(Value::as_array);
    let lines = lists.clone().flatten().filter_map(Value::as_str);
    lines.for_each(|line| println!("{line}"));
    let rows: Vec<&Map<String, Value>> = lists.flatten().filter_map(Value::as_object).collect();
    let lists: Vec<&Vec<Value>> = answer.values().filter_map(Value::as_array).collect();
    match (rows.is_empty(), !lists.is_empty()) {
        (true, true) if lists.iter().all(|list| list.is_empty()) => println!("none"),
        (true, true) => {}
        (true, false) => answer
            .iter()
            .for_each(|(name, value)| println!("{name}: {}", text(value))),
        (false, _) => table(&rows),
    }
}

fn table(rows: &[&Map<String, Value>]) {
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
    let widths: Vec<usize> = (0..names.len())
        .map(|column| lines.iter().map(|line| line[column].chars().count()).max())
        .map(Option::unwrap_or_default)
        .collect();
    for line in lines {
        let cells = line.iter().zip(&widths);
        let cells = cells.map(|(cell, width)| format!("{cell:width$}"));
        println!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(text).collect::<Vec<_>>().join(","),
        Value::Object(map) => {
            let pairs = map
                .iter()
                .map(|(name, value)| format!("{name}={}", text(value)));
            pairs.collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}
