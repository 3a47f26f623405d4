//! How many tokens words have: those that were counted of late are not counted again.
//!
//! Source for where words end: the patterns of OpenAI's tokenizers. None of them has a space behind something that is
//! seen but at its beginning, or looks behind such a space: so what is before it and what begins there are counted apart.

use std::{cell::RefCell, hash::BuildHasher as _};

use hashbrown::DefaultHashBuilder;
use memchr::memchr_iter;
use tiktoken_rs::{CoreBPE, tokenizer::Tokenizer};

use super::lately::Lately;

/// Longer words are counted every time.
const LONGEST: usize = 28;
/// So many are remembered by each thread, in 256 KiB.
const MANY: usize = 8_192;

thread_local! {
    static KNOWN: RefCell<Option<Known>> = const { RefCell::new(None) };
}

/// The tokens of a text.
pub(super) fn count(tokenizer: (Tokenizer, &CoreBPE), text: &str) -> u64 {
    let of_all = |known: &RefCell<Option<Known>>| {
        let mut known = known.borrow_mut();
        let known = known.get_or_insert_with(Known::default);
        words(text).map(|word| known.count(tokenizer, word)).sum()
    };
    // A thread that ends knows nothing any more.
    let counted = KNOWN.try_with(of_all);
    counted.unwrap_or_else(|_| tokens(tokenizer.1, text))
}

fn tokens(tokenizer: &CoreBPE, text: &str) -> u64 {
    tokenizer.count_ordinary(text) as u64
}

/// A text, cut before each space that is behind something that is seen.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let (bytes, mut begin) = (text.as_bytes(), 0);
    let ends = |at: &usize| {
        at.checked_sub(1)
            .is_some_and(|before| bytes[before].is_ascii_graphic())
    };
    let mut spaces = memchr_iter(b' ', bytes).filter(move |at| ends(at));
    std::iter::from_fn(move || {
        let end = spaces.next().unwrap_or(bytes.len());
        let word = &text[begin..end];
        begin = end;
        (!word.is_empty()).then_some(word)
    })
}

/// Words and how many tokens they have.
struct Known {
    words: Lately<Word>,
    hasher: DefaultHashBuilder,
}

#[derive(Clone, Copy)]
struct Word {
    of: Tokenizer,
    /// Zero: there is none.
    length: u8,
    tokens: u8,
    bytes: [u8; LONGEST],
}

impl Default for Known {
    fn default() -> Self {
        let none = Word {
            of: Tokenizer::O200kBase,
            length: 0,
            tokens: 0,
            bytes: [0; LONGEST],
        };
        Known {
            words: Lately::with_room(MANY, none),
            hasher: DefaultHashBuilder::default(),
        }
    }
}

impl Known {
    fn count(&mut self, (of, tokenizer): (Tokenizer, &CoreBPE), word: &str) -> u64 {
        if word.len() > LONGEST {
            return tokens(tokenizer, word);
        }
        let hash = self.hasher.hash_one(word.as_bytes());
        let is_it = |known: &Word| {
            known.of == of && &known.bytes[..usize::from(known.length)] == word.as_bytes()
        };
        if let Some(known) = self.words.find(hash, is_it) {
            return u64::from(known.tokens);
        }
        let tokens = tokens(tokenizer, word);
        // No word has more of them than bytes.
        if let (Ok(length), Ok(few)) = (u8::try_from(word.len()), u8::try_from(tokens)) {
            let mut bytes = [0; LONGEST];
            bytes[..word.len()].copy_from_slice(word.as_bytes());
            let new = Word {
                of,
                length,
                tokens: few,
                bytes,
            };
            self.words.put(hash, new);
        }
        tokens
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tiktoken_rs::bpe_for_tokenizer;

    use super::*;

    const ALL: [Tokenizer; 4] = [
        Tokenizer::O200kBase,
        Tokenizer::Cl100kBase,
        Tokenizer::P50kBase,
        Tokenizer::R50kBase,
    ];

    fn found(of: Tokenizer, text: &str) -> (u64, u64) {
        let tokenizer = bpe_for_tokenizer(of).unwrap();
        (count((of, tokenizer), text), tokens(tokenizer, text))
    }

    #[test]
    fn words_end_before_spaces_behind_what_is_seen_and_nowhere_else() {
        let all = |text| words(text).collect::<Vec<_>>();
        assert_eq!(all("It's  so. 12 ü x"), ["It's", "  so.", " 12", " ü x"]);
        assert_eq!(all(" a\n b\t c "), [" a\n b\t c", " "]);
        assert!(all("").is_empty());
    }

    #[test]
    fn a_word_of_one_tokenizer_is_not_that_of_another() {
        let text = " Grundstücksverkehr";
        for _ in 0..2 {
            let counts = ALL.map(|of| found(of, text));
            assert!(
                counts.iter().all(|(ours, theirs)| ours == theirs),
                "{counts:?}"
            );
            assert_ne!(counts[0], counts[3]);
        }
    }

    proptest! {
        #[test]
        fn as_many_as_the_tokenizer_counts(
            parts in prop::collection::vec(
                prop_oneof![
                    "[ \n\t\r]{0,3}",
                    "[a-zA-Z']{1,9}",
                    "[0-9.,/(){}\"]{1,6}",
                    r"\PC{1,4}",
                    Just("'s".to_owned()),
                    Just("\u{a0}".to_owned()),
                    Just("\u{301}".to_owned()),
                    Just(" ".to_owned()),
                ],
                0..40,
            ),
            of in prop::sample::select(&ALL[..]),
        ) {
            let text = parts.concat();
            for _ in 0..2 {
                let (ours, theirs) = found(of, &text);
                prop_assert_eq!(ours, theirs, "{:?}", text);
            }
        }
    }
}
