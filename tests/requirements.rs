//! D2: what the crate has to do is numbered, and each number stands in the name or the doc of a test or example that shows it.
//! What is shown in no test is listed here, with the reason.
#![allow(
    clippy::unwrap_used,
    reason = "the helpers of tests, too, fail by panicking"
)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// How many there are of each kind: admission, retry, budget, failover, metering, state, seeing, configuration, gateway,
/// documents and care. Scenarios begin with 0.
const LAST: [(char, u32, u32); 11] = [
    ('A', 1, 27),
    ('R', 1, 9),
    ('B', 1, 14),
    ('F', 1, 7),
    ('M', 1, 4),
    ('S', 1, 9),
    ('O', 1, 5),
    ('C', 1, 6),
    ('G', 1, 9),
    ('D', 1, 3),
    ('X', 0, 5),
];

/// Shown by no test, and why.
const ARGUED: [(&str, &str); 0] = [];

/// Every file in these folders.
fn files(of: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(of).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, into);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            into.push(path);
        }
    }
}

/// The numbers in a doc: a capital and one or two digits, by themselves.
fn numbers(line: &str) -> impl Iterator<Item = String> + '_ {
    let words = line.split(|c: char| !c.is_ascii_alphanumeric());
    let is_number = |word: &&str| {
        let (kind, digits) = word.split_at(word.len().min(1));
        kind.chars().all(|c| c.is_ascii_uppercase())
            && (1..=2).contains(&digits.len())
            && digits.chars().all(|c| c.is_ascii_digit())
    };
    words.filter(is_number).map(str::to_owned)
}

/// Those that a file shows: what is said of the file, where it `is_example` or has a test, of each test, and in tests' names.
fn shown(text: &str, is_example: bool) -> BTreeSet<String> {
    let (mut shown, mut said, mut is_test) = (BTreeSet::new(), BTreeSet::new(), false);
    let begins_test = |line: &str| line.starts_with("#[test]") || line.starts_with("#[tokio::test");
    let shows = is_example || text.lines().any(|line| begins_test(line.trim_start()));
    for line in text.lines().map(str::trim_start) {
        if line.starts_with("//!") {
            shown.extend(numbers(line).filter(|_| shows));
        } else if line.starts_with("///") {
            said.extend(numbers(line));
        } else if line.starts_with("#[") {
            is_test |= begins_test(line);
        } else {
            let name = line.strip_prefix("async ").unwrap_or(line);
            if let (true, Some(name)) = (is_test, name.strip_prefix("fn ")) {
                shown.append(&mut said);
                let parts = name.split('_').map(str::to_uppercase);
                shown.extend(parts.map_while(|part| numbers(&part).next()));
            }
            said.clear();
            is_test = false;
        }
    }
    shown
}

#[test]
fn d2_each_requirement_is_shown_by_a_test_or_it_is_said_why_not() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = Vec::new();
    for folder in ["tests", "examples", "src"] {
        files(&root.join(folder), &mut all);
    }
    // Of the sources themselves tests alone.
    let is_source = |path: &Path| {
        path.starts_with(root.join("src")) && !path.to_string_lossy().ends_with("_tests.rs")
    };
    all.retain(|path| !is_source(path));
    let own = root.join("tests/requirements.rs");
    let texts = all.iter().filter(|path| **path != own);
    let mut found: BTreeSet<String> = texts
        .flat_map(|path| {
            let is_example = path.starts_with(root.join("examples"));
            shown(&fs::read_to_string(path).unwrap(), is_example)
        })
        .collect();
    // This one shows it itself.
    found.insert("D2".to_owned());
    let wanted = LAST.iter().flat_map(|(kind, first, last)| {
        (*first..=*last).map(move |number| format!("{kind}{number}"))
    });
    let wanted: Vec<String> = wanted.collect();
    let missing: Vec<&str> = wanted
        .iter()
        .filter(|number| !found.contains(*number))
        .map(String::as_str)
        .collect();
    let argued: Vec<&str> = ARGUED.iter().map(|(number, _)| *number).collect();
    println!(
        "of {} requirements {} are shown by no test",
        wanted.len(),
        missing.len()
    );
    for (number, why) in ARGUED {
        println!("shown by no test: {number}: {why}");
    }
    assert_eq!(
        missing, argued,
        "shown by no test, or argued though one shows it"
    );
}

#[test]
fn a_number_is_one_in_a_doc_or_at_the_head_of_a_name_and_nowhere_else() {
    let text = "//! A1, B14: words
/// (R5) and UTF8, A100, 7A.
#[test]
fn c2_g7_x() {}
let not = \"F3\"; // F4
/// M1: a helper.
fn m2_helper() {}
#[tokio::test]
async fn lists_s1() {}";
    let of = |text, is_example| Vec::from_iter(shown(text, is_example));
    assert_eq!(of(text, false), ["A1", "B14", "C2", "G7", "R5"]);
    let helpers = "//! A1: words\nfn helper() {}";
    assert!(of(helpers, false).is_empty());
    assert_eq!(of(helpers, true), ["A1"]);
}
