//! How many tokens whole texts have: agents send all that was said before with each of their calls, and what was counted of
//! late is not counted again.

use std::{cell::RefCell, hash::BuildHasher as _};

use hashbrown::DefaultHashBuilder;
use tiktoken_rs::{CoreBPE, tokenizer::Tokenizer};

use super::{lately::Lately, quoted, request, words};

/// So many are remembered by each thread, in 256 KiB.
const MANY: usize = 16_384;

thread_local! {
    static KNOWN: RefCell<Option<Known>> = const { RefCell::new(None) };
}

/// The tokens of a text, as it stands between its quotes: one that is known is not looked into. What is no UTF-8 is
/// estimated.
pub(super) fn count(tokenizer: (Tokenizer, &CoreBPE), raw: &[u8]) -> u64 {
    let of_text = |known: &RefCell<Option<Known>>| {
        let mut known = known.borrow_mut();
        let known = known.get_or_insert_with(Known::default);
        known.count(tokenizer, raw)
    };
    // A thread that ends knows nothing any more.
    let counted = KNOWN.try_with(of_text);
    counted.unwrap_or_else(|_| count_anew(tokenizer, raw))
}

fn count_anew(tokenizer: (Tokenizer, &CoreBPE), raw: &[u8]) -> u64 {
    match quoted::read(raw) {
        Some(text) => words::count(tokenizer, &text),
        None => request::tokens(raw.len() as u64),
    }
}

/// Texts and how many tokens they have. They are told by their length and a hash: should two of a length have that in common, all
/// that comes of it is a reservation that is not quite right.
struct Known {
    texts: Lately<Text>,
    hasher: DefaultHashBuilder,
}

#[derive(Clone, Copy)]
struct Text {
    /// Of its tokenizer, too.
    hash: u64,
    length: u32,
    /// `u32::MAX`: there is none.
    tokens: u32,
}

impl Default for Known {
    fn default() -> Self {
        let none = Text {
            hash: 0,
            length: 0,
            tokens: u32::MAX,
        };
        Known {
            texts: Lately::with_room(MANY, none),
            hasher: DefaultHashBuilder::default(),
        }
    }
}

impl Known {
    fn count(&mut self, tokenizer: (Tokenizer, &CoreBPE), raw: &[u8]) -> u64 {
        let hash = self.hasher.hash_one((tokenizer.0, raw));
        let is_it = |known: &Text| {
            (known.hash, known.length as usize) == (hash, raw.len()) && known.tokens < u32::MAX
        };
        if let Some(known) = self.texts.find(hash, is_it) {
            return u64::from(known.tokens);
        }
        let tokens = count_anew(tokenizer, raw);
        // None is as long as that: what is counted at a time is not.
        if let (Ok(length), Ok(few)) = (u32::try_from(raw.len()), u32::try_from(tokens)) {
            let new = Text {
                hash,
                length,
                tokens: few,
            };
            self.texts.put(hash, new);
        }
        tokens
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tiktoken_rs::bpe_for_tokenizer;

    use super::*;

    /// What is known stands for the count, whatever that would be.
    #[test]
    fn what_is_known_is_not_counted_again() {
        let (of, text) = (
            Tokenizer::O200kBase,
            "one text that is long enough. ".repeat(4),
        );
        let tokenizer = (of, bpe_for_tokenizer(of).unwrap());
        let mut known = Known::default();
        let tokens = known.count(tokenizer, text.as_bytes());
        let all = known.texts.iter_mut();
        all.filter(|known| known.length > 0)
            .for_each(|known| known.tokens = 7_777);
        assert_eq!(known.count(tokenizer, text.as_bytes()), 7_777);
        let other = text.replace("one", "two");
        assert_eq!(known.count(tokenizer, other.as_bytes()), tokens);
        let another = (
            Tokenizer::R50kBase,
            bpe_for_tokenizer(Tokenizer::R50kBase).unwrap(),
        );
        assert_ne!(known.count(another, text.as_bytes()), 7_777);
    }

    #[test]
    fn what_is_no_utf_8_is_estimated() {
        let of = Tokenizer::O200kBase;
        let tokenizer = (of, bpe_for_tokenizer(of).unwrap());
        let raw = b"\xff and what follows, which is long";
        for _ in 0..2 {
            assert_eq!(count(tokenizer, raw), raw.len().div_ceil(4) as u64);
        }
    }

    #[test]
    fn a_text_that_comes_again_has_as_many_tokens_as_at_first_and_no_other_has_them() {
        let all = [Tokenizer::O200kBase, Tokenizer::R50kBase];
        let texts = (0..MANY + MANY / 2).map(|number| {
            let same = "Der Grundstücksverkehr nimmt in diesem Jahr um so viel zu: ".repeat(2);
            format!("{same}{number}")
        });
        let texts: Vec<String> = texts.collect();
        for of in all {
            let tokenizer = bpe_for_tokenizer(of).unwrap();
            let counted = |text: &String| count((of, tokenizer), text.as_bytes());
            let first: Vec<u64> = texts.iter().map(counted).collect();
            let again: Vec<u64> = texts.iter().map(counted).collect();
            assert_eq!(first, again);
            for (text, tokens) in texts.iter().zip(first).step_by(97) {
                assert_eq!(tokens, tokenizer.count_ordinary(text) as u64, "{text}");
                assert_eq!(counted(text), tokens);
            }
        }
    }

    /// Each unit as `\uXXXX`.
    fn spelled_out(text: &str) -> String {
        let units = text.encode_utf16();
        units.map(|unit| format!("\\u{unit:04x}")).collect()
    }

    proptest! {
        #[test]
        fn however_it_is_escaped_it_has_as_many_tokens(
            text in "([a-z ]|\\PC|[\"\\\\/\n\t\u{1}])*",
            of in prop::sample::select(&[Tokenizer::O200kBase, Tokenizer::Cl100kBase][..]),
        ) {
            let tokenizer = bpe_for_tokenizer(of).unwrap();
            let tokens = tokenizer.count_ordinary(&text) as u64;
            let json = serde_json::to_string(&text).unwrap();
            for raw in [&json[1..json.len() - 1], &spelled_out(&text)] {
                for _ in 0..2 {
                    prop_assert_eq!(count((of, tokenizer), raw.as_bytes()), tokens, "{}", raw);
                }
            }
        }
    }
}
