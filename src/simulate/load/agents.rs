//! One agent of a population.

use std::{sync::Arc, time::Duration};

use super::{Group, Population, Size, ToCome};
use crate::tags::{Tag, Tags};

/// After a refusal nobody comes again at once.
const AFTER_A_REFUSAL: Duration = Duration::from_secs(1);
/// Time goes on, whatever an agent does.
const LEAST: Duration = Duration::from_millis(1);

/// One agent: it says when it calls and what.
#[derive(Debug)]
pub(in crate::simulate) struct Agent {
    group: Group,
    name: String,
    tags: Arc<Tags>,
    models: Vec<(Arc<str>, u32)>,
    random: fastrand::Rng,
    made: u64,
    /// When it begins, after the beginning.
    pub(in crate::simulate) begins: Duration,
}

impl Population {
    /// All agents. Each draws by its group's name and its own number, whatever others there are.
    pub(in crate::simulate) fn all(&self, seed: u64) -> impl Iterator<Item = Agent> {
        self.groups.iter().flat_map(move |(name, group)| {
            (1..=group.agents).map(move |number| Agent::new(seed, name, group, number))
        })
    }
}

impl Agent {
    fn new(seed: u64, name: &str, group: &Group, number: u32) -> Self {
        let mut tags = group.tags.clone();
        let own = format!("{name}-{number}");
        if tags.get(&Tag::Agent).is_none() {
            tags.set(Tag::Agent, own.as_str());
        }
        let models = group.models.0.iter();
        let ramp = Duration::from(group.ramp);
        Agent {
            random: fastrand::Rng::with_seed(mixed(seed, &own)),
            models: models
                .map(|(model, weight)| (model.as_str().into(), *weight))
                .collect(),
            begins: ramp.saturating_mul(number - 1) / group.agents.max(1),
            group: group.clone(),
            name: own,
            tags: Arc::new(tags),
            made: 0,
        }
    }

    /// Whether it waits for its answers.
    pub(in crate::simulate) fn waits_for_answers(&self) -> bool {
        self.group.rate.is_none()
    }

    /// How long before its first call: agents that call by chance do not begin with one.
    pub(in crate::simulate) fn before_the_first(&mut self) -> Duration {
        let rate = self.group.rate;
        rate.map_or(Duration::ZERO, |rate| rate.next(&mut self.random))
    }

    /// How long before its next call, after an answer, a refusal, or the last call where it waits for neither.
    pub(in crate::simulate) fn before_the_next(&mut self, refused: bool) -> Duration {
        let random = &mut self.random;
        let think = self.group.think.map(|think| think.span(random));
        let rate = self.group.rate.map(|rate| rate.next(random));
        let least = match refused && think.is_some() {
            true => AFTER_A_REFUSAL,
            false => LEAST,
        };
        think.or(rate).unwrap_or_default().max(least)
    }

    /// Its next call, so long after its beginning; `None`: it makes no more.
    pub(in crate::simulate) fn next(&mut self, after: Duration) -> Option<ToCome> {
        let group = &self.group;
        let over = group.lasts.is_some_and(|lasts| after >= lasts.into());
        if over || group.calls.is_some_and(|calls| self.made >= calls) {
            return None;
        }
        let random = &mut self.random;
        let model = chosen(&self.models, random);
        let output = group.output.number(random);
        let size = Size {
            input: group.input.number(random),
            cached: 0,
            written: 0,
            output: output.min(group.max_tokens.unwrap_or(u64::MAX)),
            max_tokens: group.max_tokens,
            latency: group.latency.span(random),
        };
        let mut tags = self.tags.clone();
        if let Some(each) = group.calls_per_run {
            let run = format!("{}/{}", self.name, self.made / each + 1);
            Arc::make_mut(&mut tags).set(Tag::Run, run);
        }
        self.made += 1;
        Some(ToCome {
            at: self.begins.saturating_add(after),
            model,
            tags,
            size,
            priority: group.priority,
            max_wait: group.max_wait.map(Duration::from),
        })
    }
}

fn chosen(models: &[(Arc<str>, u32)], random: &mut fastrand::Rng) -> Arc<str> {
    let sum: u64 = models.iter().map(|(_, weight)| u64::from(*weight)).sum();
    let mut at = random.u64(..sum.max(1));
    for (model, weight) in models {
        match at.checked_sub(u64::from(*weight)) {
            Some(rest) => at = rest,
            None => return model.clone(),
        }
    }
    models
        .first()
        .map(|(model, _)| model.clone())
        .unwrap_or_default()
}

/// A seed of its own for a name (FNV-1a): the same wherever it runs.
fn mixed(seed: u64, name: &str) -> u64 {
    let bytes = seed.to_le_bytes().into_iter().chain(name.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
