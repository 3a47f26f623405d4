//! Token counts as providers report them, and how they become [`Usage`].

use super::reading::Extras;
use crate::usage::Usage;

/// Token counts as reported. `None`: not reported yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// The whole input, from providers that include cached tokens.
    pub(super) input: Option<u64>,
    /// Input beside `input`, which tools of the provider put in (Gemini).
    pub(super) tool_input: Option<u64>,
    /// The input without its cached parts, from providers that leave them out.
    pub(super) uncached: Option<u64>,
    pub(super) cache_read: Option<u64>,
    pub(super) cache_write: Option<u64>,
    pub(super) cache_write_long: Option<u64>,
    pub(super) output: Option<u64>,
    pub(super) reasoning: Option<u64>,
    /// What the provider says that all of it is.
    pub(super) total: Option<u64>,
    /// Cohere's second account.
    pub(super) billed_input: Option<u64>,
    pub(super) billed_output: Option<u64>,
    /// The images in it, which are not in `billed_input`.
    pub(super) billed_images: Option<u64>,
    /// Where the total does not tell, reasoning comes on top of the output (Gemini).
    pub(super) reasoning_apart: bool,
    /// What the total has more than the two sides is input: audio that is counted in seconds (Mistral).
    pub(super) surplus_is_input: bool,
    /// An output that is not reported is 0.
    pub(super) output_may_be_absent: bool,
    /// The entry that is being read of a list of cache writes: whether it is kept long.
    pub(super) write: Entry<bool>,
}

/// An entry of a list that says of what kind some tokens are. Its fields come in any order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry<K> {
    kind: Option<K>,
    tokens: Option<u64>,
}

impl<K: Copy + Default> Entry<K> {
    /// Takes one of the fields, and gives both once they are there.
    pub(super) fn take(&mut self, kind: Option<K>, tokens: Option<u64>) -> Option<(K, u64)> {
        let kind = kind.or(self.kind);
        let tokens = tokens.or(self.tokens);
        let both = kind.zip(tokens);
        *self = match both {
            Some(_) => Entry::default(),
            None => Entry { kind, tokens },
        };
        both
    }
}

/// How many counts there are.
const PLACES: usize = 12;

/// Which of them is the total, the last one.
const TOTAL: usize = PLACES - 1;

/// Which of them a total belongs to: the input, the uncached input and the output.
const SIDES: [usize; 3] = [0, 2, 6];

impl Counts {
    fn places(&mut self) -> [&mut Option<u64>; PLACES] {
        [
            &mut self.input,
            &mut self.tool_input,
            &mut self.uncached,
            &mut self.cache_read,
            &mut self.cache_write,
            &mut self.cache_write_long,
            &mut self.output,
            &mut self.reasoning,
            &mut self.billed_input,
            &mut self.billed_output,
            &mut self.billed_images,
            &mut self.total,
        ]
    }

    /// All counts, in the order of their numbers.
    pub(super) fn told(mut self) -> [Option<u64>; PLACES] {
        self.places().map(|place| *place)
    }

    /// Takes over what a later report says, of which just these counts are known by their numbers.
    pub(super) fn renew(&mut self, told: &[(usize, u64)]) {
        let has_side = told.iter().any(|(which, _)| SIDES.contains(which));
        if has_side {
            self.total = None;
        }
        let places = self.places();
        for &(which, count) in told {
            if which != TOTAL || has_side {
                *places[which] = Some(count);
            }
        }
    }

    /// Takes over what a later report says.
    pub(super) fn replace(&mut self, later: &Counts) {
        // A total belongs to the counts beside it.
        if later.input.or(later.uncached).or(later.output).is_some() {
            self.total = later.total;
        }
        let told = later.told();
        for (mine, later) in self.places().into_iter().zip(told).take(TOTAL) {
            *mine = later.or(*mine);
        }
        self.reasoning_apart |= later.reasoning_apart;
        self.surplus_is_input |= later.surplus_is_input;
        self.output_may_be_absent |= later.output_may_be_absent;
    }

    /// Takes in one field of an entry of a list of cache writes; either may come first.
    pub(super) fn cache_entry(&mut self, is_long: Option<bool>, tokens: Option<u64>) {
        if let Some((is_long, tokens)) = self.write.take(is_long, tokens) {
            let long = self.cache_write_long.get_or_insert(0);
            *long = long.saturating_add(if is_long { tokens } else { 0 });
        }
    }

    /// Whether both sides, input and output, were reported.
    pub(super) fn both(&self) -> bool {
        let input = self.input.or(self.uncached).or(self.charged_input());
        let output = self.output.or(self.billed_output);
        input.is_some() && (output.is_some() || self.output_may_be_absent)
    }

    /// The counts in common terms, if any was reported.
    ///
    /// A whole that is smaller than its parts is raised to them: a report that contradicts itself
    /// is read as the larger amount.
    pub(super) fn usage(&self) -> Option<Usage> {
        let sides = [self.input, self.uncached, self.output];
        let billed = [self.charged_input(), self.billed_output];
        // Nothing reported is nothing to convert.
        sides.into_iter().chain(billed).flatten().next()?;
        let cache_read = self.cache_read.unwrap_or(0);
        let cache_write_long = self.cache_write_long.unwrap_or(0);
        let cache_write = self.cache_write.unwrap_or(0).max(cache_write_long);
        let reasoning = self.reasoning.unwrap_or(0);
        let cached = cache_read.saturating_add(cache_write);
        let mut input = match (self.input, self.uncached) {
            (Some(whole), _) => whole
                .saturating_add(self.tool_input.unwrap_or(0))
                .max(cached),
            (None, Some(uncached)) => cached.saturating_add(uncached),
            (None, None) => self.charged_input().unwrap_or(0).max(cached),
        };
        let told = self.output.or(self.billed_output).unwrap_or(0);
        let mut output = told;
        let surplus = self.surplus(input.saturating_add(told));
        if self.surplus_is_input {
            input = input.saturating_add(surplus.unwrap_or(0));
        } else {
            let apart = if self.reasoning_apart && surplus != Some(0) {
                reasoning
            } else {
                0
            };
            output = output.saturating_add(apart.max(surplus.unwrap_or(0)));
        }
        let mut usage = Usage::new(input, output.max(reasoning));
        usage.cache_read = cache_read;
        usage.cache_write = cache_write;
        usage.cache_write_long = cache_write_long;
        usage.reasoning = reasoning;
        Some(usage)
    }

    /// What the reported total has more than its two sides; nothing if it cannot be told.
    ///
    /// xAI leaves reasoning out of the output, and so does Google's API in OpenAI's shape, which
    /// does not even name it; both have it in the total.
    fn surplus(&self, sides: u64) -> Option<u64> {
        self.input.and(self.output)?;
        self.total?.checked_sub(sides)
    }

    /// The input that Cohere charges, with the images in it.
    fn charged_input(&self) -> Option<u64> {
        let both = [self.billed_input, self.billed_images];
        let parts = both.into_iter().flatten();
        parts.reduce(u64::saturating_add)
    }

    /// What is counted besides the usage.
    pub(super) fn extras(&self, extras: &Extras) -> Extras {
        Extras {
            tool_input: self.tool_input.unwrap_or(0),
            billed_input: self.charged_input(),
            billed_output: self.billed_output,
            image_input: self.billed_images.unwrap_or(0),
            ..*extras
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(input: u64, output: u64, reasoning: u64, total: u64) -> Counts {
        Counts {
            input: Some(input),
            output: Some(output),
            reasoning: Some(reasoning),
            total: Some(total),
            ..Counts::default()
        }
    }

    fn sides(counts: &Counts) -> (u64, u64) {
        let usage = counts.usage().unwrap();
        (usage.input, usage.output)
    }

    #[test]
    fn parts_never_pass_the_whole() {
        let counts = Counts {
            input: Some(10),
            cache_read: Some(30),
            cache_write_long: Some(5),
            output: Some(1),
            reasoning: Some(228),
            ..Counts::default()
        };
        let usage = counts.usage().unwrap();
        assert_eq!((usage.input, usage.cache_write, usage.output), (35, 5, 228));
    }

    #[test]
    fn parts_alone_are_no_report() {
        let counts = Counts {
            cache_read: Some(30),
            ..Counts::default()
        };
        assert_eq!(counts.usage(), None);
    }

    #[test]
    fn the_total_tells_whether_reasoning_is_inside() {
        assert_eq!(sides(&counts(12, 1, 228, 241)), (12, 229), "apart");
        assert_eq!(sides(&counts(12, 229, 228, 241)), (12, 229), "inside");
        assert_eq!(sides(&counts(12, 9, 0, 70)), (12, 58), "apart and unnamed");
        assert_eq!(
            sides(&counts(12, 9, 3, 20)),
            (12, 9),
            "a total that is less"
        );
        let mut untold = counts(12, 9, 3, 0);
        untold.total = None;
        assert_eq!(sides(&untold), (12, 9));
        untold.reasoning_apart = true;
        assert_eq!(sides(&untold), (12, 12));
        let mut inside = counts(12, 9, 3, 21);
        inside.reasoning_apart = true;
        assert_eq!(sides(&inside), (12, 9));
    }

    #[test]
    fn a_total_without_both_sides_tells_nothing() {
        let mut half = counts(0, 9, 0, 500);
        half.input = None;
        assert_eq!(sides(&half), (0, 9));
    }

    #[test]
    fn audio_that_is_counted_in_seconds_is_input() {
        let mut audio = counts(4, 635, 0, 3_264);
        audio.surplus_is_input = true;
        assert_eq!(sides(&audio), (2_629, 635));
    }

    #[test]
    fn a_total_is_not_carried_over_to_later_counts() {
        let mut first = counts(12, 1, 0, 13);
        let later = Counts {
            output: Some(0),
            ..Counts::default()
        };
        first.replace(&later);
        assert_eq!(sides(&first), (12, 0));
        first.replace(&Counts::default());
        assert_eq!(first.output, Some(0));
    }

    #[test]
    fn entries_of_cache_writes_in_either_order() {
        let mut counts = Counts::default();
        counts.cache_entry(Some(true), None);
        counts.cache_entry(None, Some(512));
        counts.cache_entry(None, Some(100));
        counts.cache_entry(Some(false), None);
        assert_eq!(counts.cache_write_long, Some(512));
    }
}
