//! How many tokens the text of a model's answers comes to, learnt from those whose usage was reported.

use std::sync::Arc;

use hashbrown::{Equivalent, HashMap};
use parking_lot::Mutex;

use crate::tags::{Tag, Tags};

/// Shorter texts teach nothing: what is not text, such as the end of an answer, is too large a part of them.
const LEAST: u64 = 64;
/// Longer ones teach nothing either: of bodies of a megabyte and more only the end is read, and all of their bytes are
/// taken for text.
const LONGEST: u64 = 512 << 10;
/// A text of more bytes for each token than this has reasoning in it, which is a part of the output as well.
const WIDEST: u64 = 6;
/// Of so many answers it remembers what they came to.
const REMEMBERED: usize = 16;
/// Models that are told apart.
const MOST: usize = 1_000;

/// What was learnt, by provider and model.
#[derive(Debug, Default)]
pub(super) struct Calibration {
    models: Mutex<HashMap<Name, Model>>,
}

/// A provider and a model.
type Name = (Arc<str>, Arc<str>);

/// The last answers of a model.
#[derive(Debug, Default)]
struct Model {
    answers: [Answer; REMEMBERED],
    next: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Answer {
    bytes: u64,
    /// What its text came to.
    tokens: u64,
    /// What it came to beside, which nobody was shown.
    hidden: u64,
}

impl Calibration {
    /// An answer had so many bytes of text, and the provider has said how many tokens of output, and how many of these were
    /// reasoning. Some show that, and then it is in the text.
    pub(super) fn learn(&self, tags: &Tags, bytes: u64, output: u64, reasoning: u64) {
        let beside_reasoning = output.saturating_sub(reasoning);
        if !(LEAST..=LONGEST).contains(&bytes) || beside_reasoning == 0 {
            return;
        }
        let tokens = beside_reasoning.max(output.min(bytes / WIDEST));
        let Some(named) = Named::of(tags) else {
            return;
        };
        let hidden = output - tokens;
        let answer = Answer {
            bytes,
            tokens,
            hidden,
        };
        let mut models = self.models.lock();
        if let Some(model) = models.get_mut(&named) {
            model.learn(answer);
        } else if models.len() < MOST {
            models.entry(named.to_name()).or_default().learn(answer);
        }
    }

    /// The tokens that so many bytes of text come to: by the answer, of the last ones, that had the most for its text.
    /// While there was none, and at most, one for each byte: no token is shorter.
    pub(super) fn tokens(&self, tags: &Tags, bytes: u64) -> u64 {
        let models = self.models.lock();
        let known = answers(&models, tags);
        let by = |answer: &Answer| {
            let tokens = u128::from(bytes) * u128::from(answer.tokens);
            tokens.div_ceil(u128::from(answer.bytes))
        };
        let most = known.filter(|answer| answer.bytes > 0).map(by).max();
        most.and_then(|most| u64::try_from(most).ok())
            .map_or(bytes, |most| most.min(bytes))
    }

    /// The tokens that came beside the text, of the last answers on average: how much a model reasons is up to who asks.
    pub(super) fn hidden(&self, tags: &Tags) -> u64 {
        let models = self.models.lock();
        let known = answers(&models, tags).filter(|answer| answer.bytes > 0);
        let (count, sum) = known.fold((0, 0_u64), |(count, sum), answer| {
            (count + 1, sum.saturating_add(answer.hidden))
        });
        sum.checked_div(count).unwrap_or_default()
    }
}

/// The last answers of the model that these tags name.
fn answers<'m>(models: &'m HashMap<Name, Model>, tags: &Tags) -> impl Iterator<Item = &'m Answer> {
    let model = Named::of(tags).and_then(|named| models.get(&named));
    model.into_iter().flat_map(|model| &model.answers)
}

impl Model {
    fn learn(&mut self, answer: Answer) {
        let Model { answers, next } = self;
        answers[*next] = answer;
        *next = (*next + 1) % REMEMBERED;
    }
}

/// A name, as the tags have it.
#[derive(PartialEq, Eq, Hash)]
struct Named<'t>(&'t str, &'t str);

impl<'t> Named<'t> {
    fn of(tags: &'t Tags) -> Option<Self> {
        let provider = tags.get(&Tag::Provider).unwrap_or_default();
        Some(Named(provider, tags.get(&Tag::Model)?))
    }

    fn to_name(&self) -> Name {
        (self.0.into(), self.1.into())
    }
}

impl Equivalent<Name> for Named<'_> {
    fn equivalent(&self, (provider, model): &Name) -> bool {
        *self == Named(provider, model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(model: &str) -> Tags {
        Tags::new().with(Tag::Provider, "p").with(Tag::Model, model)
    }

    #[test]
    fn before_anything_is_known_a_byte_is_a_token_and_then_it_is_as_with_the_others() {
        let known = Calibration::default();
        assert_eq!(known.tokens(&of("m"), 1_000), 1_000);
        known.learn(&of("m"), 300, 100, 0);
        for (bytes, tokens) in [(0, 0), (1, 1), (3, 1), (4, 2), (3_000, 1_000)] {
            assert_eq!(known.tokens(&of("m"), bytes), tokens, "{bytes}");
        }
        assert_eq!(known.tokens(&of("n"), 1_000), 1_000, "another model");
        assert_eq!(known.tokens(&Tags::new(), 1_000), 1_000, "no model");
    }

    #[test]
    fn of_the_last_answers_the_densest_counts_and_older_ones_are_forgotten() {
        let known = Calibration::default();
        known.learn(&of("m"), 200, 100, 0);
        for _ in 1..REMEMBERED {
            known.learn(&of("m"), 800, 200, 0);
        }
        assert_eq!(known.tokens(&of("m"), 1_000), 500);
        known.learn(&of("m"), 800, 200, 0);
        assert_eq!(known.tokens(&of("m"), 1_000), 250);
    }

    #[test]
    fn what_is_short_or_long_or_hidden_teaches_nothing_absurd() {
        let known = Calibration::default();
        known.learn(&of("m"), LEAST - 1, 1_000, 0);
        known.learn(&of("m"), LONGEST + 1, 1, 0);
        known.learn(&of("m"), 1_000, 0, 0);
        assert_eq!(known.tokens(&of("m"), 10), 10);
        // Thinking that nobody was told of.
        known.learn(&of("m"), 100, 100_000, 0);
        assert_eq!(known.tokens(&of("m"), 10), 10);
        assert_eq!(known.tokens(&of("m"), u64::MAX), u64::MAX);
    }

    #[test]
    fn reasoning_is_in_the_text_where_that_is_long_enough_and_beside_it_where_not() {
        let known = Calibration::default();
        known.learn(&of("shows"), 20_800, 5_200, 5_000);
        let shown = known.tokens(&of("shows"), 20_000);
        assert_eq!(shown, 3_333);
        assert_eq!(shown + known.hidden(&of("shows")), 5_067);
        for (reasoning, hidden) in [(8_000, 8_000), (0, 4_000), (7_000, 5_000)] {
            known.learn(&of("hides"), 800, 200 + reasoning, reasoning);
            assert_eq!(known.tokens(&of("hides"), 800), 200);
            assert_eq!(known.hidden(&of("hides")), hidden, "the average of late");
        }
        assert_eq!(known.hidden(&of("another")), 0);
    }

    #[test]
    fn models_beyond_the_most_are_not_learnt() {
        let known = Calibration::default();
        for number in 0..=MOST {
            known.learn(&of(&number.to_string()), 400, 100, 0);
        }
        assert_eq!(known.models.lock().len(), MOST);
        assert_eq!(known.tokens(&of(&MOST.to_string()), 400), 400);
        known.learn(&of("0"), 200, 100, 0);
        assert_eq!(known.tokens(&of("0"), 400), 200);
    }
}
