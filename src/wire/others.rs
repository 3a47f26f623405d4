//! What other models used for an answer than the one that was called.

use super::iterations::together;
use crate::usage::Usage;

/// So many are told apart.
const MANY: usize = 4;

/// Longer names are not kept. No model that is listed has one.
const LONGEST: usize = 63;

/// What other models used for an answer, each apart. It is kept in place, as how an attempt ended is copied from hand to hand.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Others {
    parts: [Option<Part>; MANY],
}

/// What one of them used.
#[derive(Clone, Copy, Debug)]
struct Part {
    model: Name,
    usage: Usage,
}

/// The name of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Name {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Others {
    /// Takes in what this model used. False where there is no room for it.
    pub(crate) fn add(&mut self, model: &str, used: &Usage) -> bool {
        let Some(model) = Name::of(model) else {
            return false;
        };
        let fits = |part: &Option<Part>| part.is_none_or(|part| part.model == model);
        let Some(at) = self.parts.iter().position(fits) else {
            return false;
        };
        let before = self.parts[at].map_or_else(Usage::default, |part| part.usage);
        let usage = together(&before, used);
        self.parts[at] = Some(Part { model, usage });
        true
    }

    /// Each of them, with what it used.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Usage)> {
        let parts = self.parts.iter().flatten();
        parts.map(|part| (part.model.as_str(), &part.usage))
    }
}

impl Name {
    fn of(model: &str) -> Option<Self> {
        let mut bytes = [0; LONGEST];
        let length = model.len();
        bytes.get_mut(..length)?.copy_from_slice(model.as_bytes());
        Some(Name { bytes, length })
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_told_apart_as_far_as_there_is_room() {
        let mut others = Others::default();
        assert!(others.add("a", &Usage::new(1, 2)));
        assert!(others.add("ü", &Usage::new(10, 20)));
        assert!(others.add("a", &Usage::new(3, 4)));
        let few: Vec<_> = others.iter().collect();
        assert_eq!(few, [("a", &Usage::new(4, 6)), ("ü", &Usage::new(10, 20))]);
        for number in 2..MANY {
            assert!(others.add(&number.to_string(), &Usage::new(5, 6)));
        }
        assert!(!others.add("c", &Usage::new(5, 6)), "one too many");
        assert_eq!(others.iter().count(), MANY);
    }

    #[test]
    fn a_name_that_is_too_long_has_no_room() {
        let mut others = Others::default();
        assert!(!others.add(&"x".repeat(LONGEST + 1), &Usage::new(1, 2)));
        assert!(others.add(&"x".repeat(LONGEST), &Usage::new(1, 2)));
        assert_eq!(others.iter().count(), 1);
    }
}
