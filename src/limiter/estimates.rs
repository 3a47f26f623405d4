//! What estimates of an input turn out to be, model by model.

use std::{hash::Hash, sync::Arc};

use hashbrown::{Equivalent, HashMap};
use parking_lot::RwLock;

use super::Limiter;
use crate::tags::{Tag, Tags};

/// How many models are known. One more, and the one is forgotten that was heard of longest ago.
const MODELS: usize = 1_024;
/// So many estimated tokens the first guess weighs, which is that estimates are right.
const FIRST: f64 = 10_000.0;
/// So many estimated tokens are remembered; what came before fades.
const MEMORY: f64 = 200_000.0;
/// So many of them one call weighs at most.
const ONE_CALL: f64 = MEMORY / 10.0;
/// However little text turned out to be, it may be code or another language next time: an estimate is never cut to
/// less than this part of itself.
const LEAST: f64 = 0.5;
/// Estimates are of four bytes a token, and no token is shorter than a byte.
const MOST: f64 = 4.0;

/// How many tokens an estimated token is.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Ratio {
    /// Tokens as they were estimated, and as they were, fading.
    estimated: f64,
    used: f64,
    /// When it was heard of last, by the count of all that was heard.
    heard: u64,
}

impl Ratio {
    const RIGHT: Ratio = Ratio {
        estimated: FIRST,
        used: FIRST,
        heard: 0,
    };

    fn learn(&mut self, estimate: u64, used: u64) {
        if estimate == 0 {
            return;
        }
        let ratio = (used as f64 / estimate as f64).clamp(LEAST / 2.0, MOST * 2.0);
        let weight = (estimate as f64).min(ONE_CALL);
        let stays = 1.0 - weight / MEMORY;
        self.estimated = self.estimated * stays + weight;
        self.used = self.used * stays + weight * ratio;
    }

    fn get(self) -> f64 {
        (self.used / self.estimated).clamp(LEAST, MOST)
    }
}

/// What was learnt of every model.
#[derive(Debug, Default)]
pub(super) struct Estimates(RwLock<Learnt>);

#[derive(Debug, Default)]
struct Learnt {
    ratios: HashMap<Model, Ratio>,
    heard: u64,
}

/// A provider and its model.
type Model = (Option<Arc<str>>, Arc<str>);

/// The same as the tags have it.
#[derive(PartialEq, Eq, Hash)]
struct Named<'t>(Option<&'t str>, &'t str);

impl<'t> Named<'t> {
    fn of(tags: &'t Tags) -> Option<Self> {
        Some(Named(tags.get(&Tag::Provider), tags.get(&Tag::Model)?))
    }
}

impl Equivalent<Model> for Named<'_> {
    fn equivalent(&self, (provider, model): &Model) -> bool {
        *self == Named(provider.as_deref(), model)
    }
}

fn model(tags: &Tags) -> Option<Model> {
    let model = tags.shared(&Tag::Model)?.clone();
    Some((tags.shared(&Tag::Provider).cloned(), model))
}

impl Limiter {
    /// What an estimate of input tokens comes to, by what those for the same model turned out to be.
    pub(crate) fn calibrated(&self, tags: &Tags, estimate: u64) -> u64 {
        let learnt = self.shared.estimates.0.read();
        if learnt.ratios.is_empty() {
            return estimate;
        }
        let ratio = Named::of(tags).and_then(|model| learnt.ratios.get(&model).copied());
        match ratio {
            None => estimate,
            Some(ratio) => times(estimate, ratio.get()),
        }
    }

    /// An estimate for this model turned out to be so much.
    pub(crate) fn learn_estimate(&self, tags: &Tags, estimate: u64, used: u64) {
        if estimate == 0 || used == 0 {
            return;
        }
        let Some(named) = Named::of(tags) else {
            return;
        };
        let learnt = &mut *self.shared.estimates.0.write();
        learnt.heard += 1;
        if let Some(ratio) = learnt.ratios.get_mut(&named) {
            ratio.heard = learnt.heard;
            return ratio.learn(estimate, used);
        }
        let Some(model) = model(tags) else {
            return;
        };
        if learnt.ratios.len() >= MODELS {
            let oldest = learnt.ratios.iter().min_by_key(|(_, ratio)| ratio.heard);
            if let Some(oldest) = oldest.map(|(model, _)| model.clone()) {
                learnt.ratios.remove(&oldest);
            }
        }
        let ratio = learnt.ratios.entry(model).or_insert(Ratio::RIGHT);
        ratio.heard = learnt.heard;
        ratio.learn(estimate, used);
    }
}

/// Rounded to the nearest; something stays something.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast from f64 saturates, and no ratio is negative"
)]
fn times(estimate: u64, ratio: f64) -> u64 {
    let calibrated = (estimate as f64 * ratio).round() as u64;
    calibrated.max(u64::from(estimate > 0))
}

#[cfg(test)]
#[path = "estimates_tests.rs"]
mod tests;
