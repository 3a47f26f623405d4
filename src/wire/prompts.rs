//! How many prompts one request has.

use std::fmt;

use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::object::Members;

/// How many prompts a request of the older completions has: each is answered by itself, as often as is asked for.
pub(super) fn prompts(body: &[u8]) -> u64 {
    let prompt = Members::read(body).and_then(|members| members.only("prompt").flatten());
    let prompts = prompt.and_then(|prompt| serde_json::from_str::<Prompts>(prompt.get()).ok());
    prompts.map_or(1, |Prompts(prompts)| prompts.max(1))
}

/// The parts of a list that are prompts. A list of numbers is one prompt, in tokens.
struct Prompts(u64);

impl<'de> Deserialize<'de> for Prompts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Counts;

        impl<'de> Visitor<'de> for Counts {
            type Value = Prompts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Prompts, A::Error> {
                let mut prompts = 0;
                while let Some(part) = list.next_element::<&RawValue>()? {
                    prompts += u64::from(part.get().starts_with(['"', '[']));
                }
                Ok(Prompts(prompts))
            }
        }

        deserializer.deserialize_seq(Counts)
    }
}
