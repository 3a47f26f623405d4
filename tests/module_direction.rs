//! Arrows between modules run one way: what stands lower in this list may use what stands higher, never the
//! other way round. The simulator uses nothing of the rest, and nothing of the rest uses it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// From values to services. Rooms in one line do not know each other.
const ORDER: [&[&str]; 21] = [
    &["clock", "money"],
    &["error", "tags", "usage"],
    &["pricing"],
    &["limit", "wire"],
    &["store"],
    &["limiter"],
    &["event", "statistics"],
    &["call"],
    &["body"],
    &["admission"],
    &["budget"],
    &["retry"],
    &["failover"],
    &["rate_limit"],
    &["alerts", "metrics", "recent"],
    &["config"],
    &["simulate"],
    &["guide", "reqwest"],
    &["gateway"],
    &["bin"],
    &["lib"],
];
const APART: &str = "sim";

fn floor(room: &str) -> Option<usize> {
    ORDER.iter().position(|rooms| rooms.contains(&room))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The rooms of this crate that a file names: `crate::room`, also inside braces after `crate::{`.
fn named(text: &str) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    let code = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n");
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => rooms.extend(word(rest)),
            Some(list) => {
                let mut depth = 0;
                let mut first = true;
                for (i, c) in list.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => first = true,
                        c if first && (c.is_alphabetic() || c == '_') => {
                            first = false;
                            rooms.extend(word(&list[i..]));
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    rooms
}

fn word(text: &str) -> Option<String> {
    let word: String = text
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect();
    (!word.is_empty()).then_some(word)
}

/// The room that a name of the crate's root stands for: a module, or where a re-exported type comes from.
fn room_of(name: &str, lib: &str) -> Option<String> {
    let exists = |room: &str| floor(room).is_some() || room == APART;
    if exists(name) {
        return Some(name.to_owned());
    }
    let export = lib
        .lines()
        .find(|line| line.starts_with("pub use") && line.contains(name))?;
    word(export.trim_start_matches("pub use ")).filter(|room| exists(room))
}

#[test]
fn nothing_imports_what_stands_below_it() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let lib = fs::read_to_string(src.join("lib.rs")).unwrap();
    let mut files = Vec::new();
    sources(&src, &mut files);
    let (mut wrong, mut arrows) = (Vec::new(), 0);
    for path in files {
        let inside = path.strip_prefix(&src).unwrap();
        let room = inside
            .iter()
            .next()
            .unwrap()
            .to_str()
            .unwrap()
            .trim_end_matches(".rs");
        let text = fs::read_to_string(&path).unwrap();
        if room != APART && floor(room).is_none() {
            wrong.push(format!("{} is in no room of the list", inside.display()));
        }
        for name in named(&text) {
            let Some(other) = room_of(&name, &lib) else {
                wrong.push(format!("{}: what is crate::{name}?", inside.display()));
                continue;
            };
            arrows += 1;
            let fine =
                room == other || (floor(room) > floor(&other) && room != APART && other != APART);
            if !fine {
                wrong.push(format!("{}: {room} must not use {other}", inside.display()));
            }
        }
    }
    assert!(
        arrows > 50,
        "only {arrows} arrows: the test does not see the code"
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_reader_of_imports_sees_every_form() {
    let text = "use crate::{\n    limit::{Limit, Tick},\n    wire,\n};\nlet x = crate::store::NotNow;\n// crate::gateway";
    let rooms: Vec<String> = named(text).into_iter().collect();
    assert_eq!(rooms, ["limit", "store", "wire"]);
    assert_eq!(
        room_of("Usage", "pub use usage::Usage;"),
        Some("usage".to_owned())
    );
    assert_eq!(room_of("Nothing", ""), None);
}
