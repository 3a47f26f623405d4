//! The targets of a route with each of their keys, as they are known to all calls.

use std::sync::Arc;

use hashbrown::HashMap;
use http::HeaderValue;

use super::{ApiKey, Pool, Route, Routes, Target, rotation::Rotation};
use crate::{
    call::TargetName,
    tags::{Tag, Tags},
};

/// A target with one of its keys.
#[derive(Debug)]
pub(super) struct Candidate {
    /// The same in every route.
    pub(super) number: usize,
    /// Of all that are paid for together: a provider's address and a key.
    pub(super) account: usize,
    pub(super) target: Target,
    pub(super) key: Option<ApiKey>,
    /// The header that shows the key, where it can stand in one.
    pub(super) credentials: Option<HeaderValue>,
    pub(super) name: TargetName,
    /// The tags that say so.
    pub(super) tags: Arc<Tags>,
}

fn tags(name: &TargetName) -> Tags {
    let mut tags = Tags::new();
    for (tag, value) in [
        (Tag::Provider, &name.provider),
        (Tag::Model, &name.model),
        (Tag::ApiKey, &name.api_key),
    ] {
        if let Some(value) = value {
            tags.set(tag, value.clone());
        }
    }
    tags
}

/// What it is known as. Without a key, it has the label of its provider in place of the key's, if there is one.
fn name(target: &Target, key: Option<&ApiKey>) -> TargetName {
    let Target {
        provider, model, ..
    } = target;
    let label = key.map(ApiKey::shared_label);
    TargetName {
        provider: Some(provider.name.clone()),
        model: Some(model.clone()),
        api_key: label.or(provider.label.as_ref()).cloned(),
    }
}

/// A target, and what there is with each of its keys.
#[derive(Debug)]
struct Choice {
    weight: u32,
    pool: Pool,
    keys: Vec<Arc<Candidate>>,
    rotation: Rotation,
}

/// Targets of a route, in the order they are tried in.
#[derive(Debug)]
pub(super) struct Choices {
    choices: Vec<Choice>,
    is_weighted: bool,
    rotation: Rotation,
    /// All of them, where the order is always the same.
    fixed: Option<Arc<[Arc<Candidate>]>>,
}

/// A route, ready to be used.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) targets: Choices,
    /// From which share of a budget on, which ones.
    pub(super) degraded: Option<(f64, Choices)>,
}

/// The targets of one call, of which those with keys by headroom are still to be put in order.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) keys: Vec<Arc<Candidate>>,
    pub(super) by_headroom: bool,
}

/// Every route, ready to be used.
pub(super) fn ways(routes: &Routes) -> HashMap<Arc<str>, Way> {
    let mut numbers = Numbers::default();
    let way = |(model, route): (&Arc<str>, &Route)| {
        let targets = numbers.choices(&route.targets, route.is_weighted);
        let degraded = route.degraded.as_ref();
        let degraded = degraded.map(|other| (other.from, numbers.choices(&other.targets, false)));
        (model.clone(), Way { targets, degraded })
    };
    routes.0.iter().map(way).collect()
}

impl Way {
    /// Its targets with each of their keys, those that serve when it is degraded too.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Candidate>> {
        let degraded = self.degraded.iter();
        let degraded = degraded.flat_map(|(_, choices)| choices.all());
        self.targets.all().chain(degraded)
    }
}

impl Choices {
    fn all(&self) -> impl Iterator<Item = &Arc<Candidate>> {
        self.choices.iter().flat_map(|choice| &choice.keys)
    }

    /// All of them in their order, where that is always the same.
    pub(super) fn fixed(&self) -> Option<&Arc<[Arc<Candidate>]>> {
        self.fixed.as_ref()
    }

    /// Whose turn it is, one after the other. Who `is_out` for now has none.
    pub(super) fn turn(&self, is_out: impl Fn(&Candidate) -> bool) -> Vec<Turn> {
        let order = match self.is_weighted {
            true => {
                let weights = self.choices.iter().map(|choice| choice.weight(&is_out));
                self.rotation.turn(&weights.collect::<Vec<u32>>())
            }
            false => (0..self.choices.len()).collect(),
        };
        order
            .iter()
            .map(|place| self.choices[*place].turn(&is_out))
            .collect()
    }
}

impl Choice {
    /// How often it is first, beside others.
    fn weight(&self, is_out: &impl Fn(&Candidate) -> bool) -> u32 {
        match self.keys.iter().all(|candidate| is_out(candidate)) {
            true => 0,
            false => self.weight,
        }
    }

    fn turn(&self, is_out: &impl Fn(&Candidate) -> bool) -> Turn {
        let order = match self.pool {
            Pool::Weighted | Pool::RoundRobin => self.rotation.turn(&self.weights(is_out)),
            Pool::Ordered | Pool::MostHeadroom => (0..self.keys.len()).collect(),
        };
        Turn {
            keys: order
                .iter()
                .map(|place| self.keys[*place].clone())
                .collect(),
            by_headroom: self.pool == Pool::MostHeadroom && self.keys.len() > 1,
        }
    }

    /// How often each of its keys is first. One that is out never is: whoever is behind it would have all its turns.
    fn weights(&self, is_out: &impl Fn(&Candidate) -> bool) -> Vec<u32> {
        let is_weighted = self.pool == Pool::Weighted;
        let weight = |candidate: &Arc<Candidate>| match is_out(candidate) {
            true => 0,
            false if is_weighted => candidate.weight(),
            false => 1,
        };
        self.keys.iter().map(weight).collect()
    }
}

impl Candidate {
    fn weight(&self) -> u32 {
        self.key.as_ref().map_or(1, ApiKey::weight_now)
    }

    /// Whether it has all of these tags.
    pub(super) fn has(&self, tags: &Tags) -> bool {
        let mut tags = tags.iter();
        tags.all(|(tag, value)| self.tags.get(&tag) == Some(value))
    }
}

/// Which numbers are given to what.
#[derive(Default)]
struct Numbers {
    candidates: HashMap<(String, Arc<str>), usize>,
    accounts: HashMap<String, usize>,
}

impl Numbers {
    fn choices(&mut self, targets: &[Target], is_weighted: bool) -> Choices {
        let choices = targets.iter().map(|target| {
            let keys = &target.provider.keys;
            let keys: Vec<Option<&ApiKey>> = match keys.is_empty() {
                true => vec![None],
                false => keys.iter().map(Some).collect(),
            };
            Choice {
                weight: target.weight,
                pool: target.provider.pool,
                keys: keys
                    .iter()
                    .map(|key| self.candidate(target, *key))
                    .collect(),
                rotation: Rotation::default(),
            }
        });
        let choices: Vec<Choice> = choices.collect();
        let is_fixed = |choice: &Choice| choice.pool == Pool::Ordered || choice.keys.len() == 1;
        let is_fixed = !is_weighted && choices.iter().all(is_fixed);
        let all = choices.iter().flat_map(|choice| &choice.keys);
        Choices {
            fixed: is_fixed.then(|| all.cloned().collect()),
            choices,
            is_weighted,
            rotation: Rotation::default(),
        }
    }

    fn candidate(&mut self, target: &Target, key: Option<&ApiKey>) -> Arc<Candidate> {
        let provider = &target.provider;
        let label = key.map(ApiKey::label);
        let account = format!("{} {:?} {label:?}", provider.name, provider.base);
        let next = self.candidates.len();
        let number = *self
            .candidates
            .entry((account.clone(), target.sent_as.clone()))
            .or_insert(next);
        let next = self.accounts.len();
        let name = name(target, key);
        Arc::new(Candidate {
            number,
            account: *self.accounts.entry(account).or_insert(next),
            tags: Arc::new(tags(&name)),
            target: target.clone(),
            key: key.cloned(),
            credentials: key.and_then(|key| key.header(provider.auth.scheme())),
            name,
        })
    }
}
