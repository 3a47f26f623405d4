//! How often models were asked for one answer, as Anthropic tells it: each entry of `usage.iterations` is one time.
//!
//! Sources: Anthropic's documentation, "Compaction", "Advisor tool", "Refusals and fallback"; its SDK on
//! `usage.iterations`.

use crate::usage::Usage;

/// So many sums are kept: more models have no part in an answer.
const MOST: usize = 16;

/// What was used in iterations of one type and by one model, added up. Those without output are apart from those with some.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Iteration {
    /// The type, in the provider's word: `message`, `fallback_message`, `advisor_message`, `compaction`.
    pub kind: Option<String>,
    /// The model, where it is named.
    pub model: Option<String>,
    /// What they used.
    pub usage: Usage,
}

impl Iteration {
    fn is_like(&self, other: &Iteration) -> bool {
        let is_silent = |iteration: &Iteration| iteration.usage.output == 0;
        self.kind == other.kind && self.model == other.model && is_silent(self) == is_silent(other)
    }

    /// Whether it is of this type.
    pub(crate) fn is(&self, kind: &str) -> bool {
        self.kind.as_deref() == Some(kind)
    }
}

/// What one body or event says of iterations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Iterations {
    told: Vec<Iteration>,
    /// The entry that is being read. Its fields come in any order.
    open: Option<Box<Iteration>>,
}

impl Iterations {
    /// The entry that is being read.
    pub(super) fn open(&mut self) -> &mut Iteration {
        self.open.get_or_insert_default()
    }

    /// The entry was read to its end.
    pub(super) fn close(&mut self) {
        let entry = self.open.take();
        let Some(mut entry) = entry.filter(|entry| **entry != Iteration::default()) else {
            return;
        };
        // A whole that is smaller than its part is raised to it.
        let usage = &mut entry.usage;
        let missing = usage.cache_write_long.saturating_sub(usage.cache_write);
        usage.cache_write = usage.cache_write.saturating_add(missing);
        usage.input = usage.input.saturating_add(missing);
        let like = self.told.iter().position(|told| told.is_like(&entry));
        let last = (self.told.len() == MOST).then_some(MOST - 1);
        match like.or(last) {
            Some(at) => {
                let told = &mut self.told[at];
                told.usage = together(&told.usage, &entry.usage);
            }
            None => self.told.push(*entry),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    /// What compaction used, which is in no other count.
    pub(super) fn compacted(&self) -> Usage {
        let compactions = self.told.iter().filter(|told| told.is("compaction"));
        compactions.fold(Usage::default(), |sum, told| together(&sum, &told.usage))
    }

    pub(super) fn into_told(self) -> Vec<Iteration> {
        self.told
    }
}

/// The tokens of both.
pub(crate) fn together(one: &Usage, other: &Usage) -> Usage {
    Usage {
        input: one.input.saturating_add(other.input),
        cache_read: one.cache_read.saturating_add(other.cache_read),
        cache_write: one.cache_write.saturating_add(other.cache_write),
        cache_write_long: one.cache_write_long.saturating_add(other.cache_write_long),
        output: one.output.saturating_add(other.output),
        reasoning: one.reasoning.saturating_add(other.reasoning),
        ..*one
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{alike::More, note::Note},
        *,
    };

    fn take(iterations: &mut Iterations, kind: &str, model: &str, output: u64) {
        let entry = iterations.open();
        entry.kind = Some(kind.to_owned());
        entry.model = Some(model.to_owned());
        entry.usage = Usage::new(10, output);
        iterations.close();
    }

    #[test]
    fn those_of_one_type_and_model_are_added_up_and_those_without_output_apart() {
        let mut iterations = Iterations::default();
        iterations.close();
        assert!(iterations.is_empty());
        for (kind, model, output) in [
            ("message", "a", 5),
            ("compaction", "a", 7),
            ("message", "a", 0),
            ("message", "a", 6),
            ("message", "b", 1),
            ("compaction", "b", 2),
        ] {
            take(&mut iterations, kind, model, output);
        }
        assert_eq!(iterations.compacted(), Usage::new(20, 9));
        let told = iterations.into_told();
        let told: Vec<_> = told
            .iter()
            .map(|told| (told.kind.as_deref(), told.usage.input, told.usage.output))
            .collect();
        let [message, compaction] = ["message", "compaction"].map(Some);
        let expected = [
            (message, 20, 11),
            (compaction, 10, 7),
            (message, 10, 0),
            (message, 10, 1),
            (compaction, 10, 2),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn no_number_of_models_takes_more_room_and_nothing_is_lost() {
        let mut iterations = Iterations::default();
        for number in 0..10 * MOST {
            take(&mut iterations, "message", &number.to_string(), 1);
        }
        let told = iterations.into_told();
        assert_eq!(told.len(), MOST);
        let all: u64 = told.iter().map(|told| told.usage.input).sum();
        assert_eq!(all, 100 * MOST as u64);
    }

    #[test]
    fn whose_they_are_is_kept_where_names_are_not_wanted() {
        let mut note = Note {
            model: Some("a".to_owned()),
            ..Note::default()
        };
        let like = |note: &Note| note.with(&More::default(), false);
        assert_eq!(like(&note).model, None);
        take(&mut note.iterations, "message", "a", 1);
        assert_eq!(like(&note).model.as_deref(), Some("a"));
        assert_eq!(like(&note).iterations, note.iterations);
    }

    #[test]
    fn what_is_kept_long_is_written() {
        let mut iterations = Iterations::default();
        let usage = &mut iterations.open().usage;
        (usage.input, usage.cache_write_long) = (3, 5);
        iterations.close();
        let usage = iterations.into_told()[0].usage;
        assert_eq!((usage.input, usage.cache_write), (8, 5));
    }
}
