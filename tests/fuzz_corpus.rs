//! The fuzz targets on what their corpora hold and on what comes of it by chance, with a fixed seed: the short form of
//! `scripts/fuzz`, for every toolchain. An input that fails is printed; put it into `fuzz/corpus/` when it is mended.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    alloc::System,
    fs,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::Path,
};

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[allow(unreachable_pub, reason = "a crate of its own beside this one")]
#[path = "../fuzz/src/lib.rs"]
mod targets;

/// The targets count what is allocated, so nothing may run beside them: this is the only test here.
#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Inputs made by chance for each target.
const MUTATIONS: usize = 800;
/// Longer ones say no more.
const LONGEST: usize = 2_048;
const SEED: u64 = 20_261_122;

#[test]
fn what_the_corpora_hold_and_what_comes_of_it_keep_every_promise() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let words = words(&fs::read_to_string(folder.join("words.dict")).unwrap());
    let mut random = fastrand::Rng::with_seed(SEED);
    for (target, run) in targets::TARGETS {
        let corpus = corpus(&folder.join("corpus").join(target));
        assert!(corpus.len() >= 10, "{target}: {} inputs", corpus.len());
        for input in &corpus {
            held(target, run, input);
        }
        for _ in 0..MUTATIONS {
            held(target, run, &mutated(&corpus, &words, &mut random));
        }
        println!(
            "{target}: {} inputs of the corpus, {MUTATIONS} by chance",
            corpus.len()
        );
    }
}

fn held(target: &str, run: targets::Target, input: &[u8]) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(input))) {
        eprintln!("{target} fails on b\"{}\"", input.escape_ascii());
        resume_unwind(panic);
    }
}

/// In an order that is the same everywhere.
fn corpus(folder: &Path) -> Vec<Vec<u8>> {
    let files = fs::read_dir(folder).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// The words of a dictionary of libFuzzer's, one a line, in quotes.
fn words(dictionary: &str) -> Vec<Vec<u8>> {
    let quoted = dictionary
        .lines()
        .filter_map(|line| line.strip_prefix('"')?.strip_suffix('"'));
    let plain = |word: &str| {
        word.replace("\\x0a", "\n")
            .replace("\\x0d", "\r")
            .replace("\\\"", "\"")
    };
    let words: Vec<Vec<u8>> = quoted.map(|word| plain(word).into_bytes()).collect();
    assert!(words.len() > 30, "{} words", words.len());
    words
}

/// One of the inputs, changed in a few places.
fn mutated(corpus: &[Vec<u8>], words: &[Vec<u8>], random: &mut fastrand::Rng) -> Vec<u8> {
    let mut input = random.choice(corpus).unwrap().clone();
    for _ in 0..random.usize(1..5) {
        let at = random.usize(..=input.len());
        let end = random.usize(at..=input.len().min(at + 40));
        match random.u8(..6) {
            0 if at < input.len() => input[at] ^= 1 << random.u8(..8),
            1 if at < input.len() => input[at] = random.u8(..),
            2 => drop(input.drain(at..end)),
            3 => {
                let part = input[at..end].to_vec();
                input.splice(at..at, part.repeat(random.usize(1..4)));
            }
            4 => {
                let word = random.choice(words).unwrap().clone();
                input.splice(at..end, word);
            }
            _ => {
                let other = random.choice(corpus).unwrap();
                input.truncate(at);
                input.extend_from_slice(&other[random.usize(..=other.len())..]);
            }
        }
    }
    input.truncate(LONGEST);
    input
}
