//! Sums by the values of tags.

use std::{cmp::Reverse, sync::Arc, time::Duration};

use hashbrown::HashMap;

use super::{
    report::{LevelUse, TagUse},
    waits::Waited,
};
use crate::{
    money::Money,
    tags::{Tag, Tags},
    usage::Usage,
};

/// So many values of a tag are told one by one, those with the most calls.
const TOLD: usize = 100;

/// What became of some calls.
#[derive(Clone, Debug, Default)]
pub(super) struct Sums {
    calls: u64,
    refused: u64,
    failed: u64,
    attempts: u64,
    input: u64,
    output: u64,
    cost: Money,
    waited: Waited,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Came {
    Answered,
    Refused,
    Failed,
}

impl Sums {
    pub(super) fn call(&mut self, came: Came, waited: Duration) {
        self.calls += 1;
        self.refused += u64::from(came == Came::Refused);
        self.failed += u64::from(came == Came::Failed);
        self.waited.add(waited);
    }

    pub(super) fn attempt(&mut self, usage: Option<&Usage>, cost: Money) {
        self.attempts += 1;
        let (input, output) = usage.map_or((0, 0), |usage| (usage.input, usage.output));
        self.input = self.input.saturating_add(input);
        self.output = self.output.saturating_add(output);
        self.cost = self.cost + cost;
    }

    fn merge(&mut self, other: &Sums) {
        self.calls += other.calls;
        self.refused += other.refused;
        self.failed += other.failed;
        self.attempts += other.attempts;
        self.input = self.input.saturating_add(other.input);
        self.output = self.output.saturating_add(other.output);
        self.cost = self.cost + other.cost;
        self.waited.merge(&other.waited);
    }

    pub(super) fn level(&self, value: &str) -> LevelUse {
        LevelUse {
            value: value.to_owned(),
            calls: self.calls,
            refused: self.refused,
            failed: self.failed,
            attempts: self.attempts,
            input_tokens: self.input,
            output_tokens: self.output,
            cost: self.cost,
            waits: self.waited.report(),
        }
    }
}

/// What became of calls, by each tag that they have.
#[derive(Debug, Default)]
pub(super) struct Groups(HashMap<Tag, HashMap<Arc<str>, Sums>>);

impl Groups {
    /// Shows what there is by now of each value of these tags.
    pub(super) fn each(&mut self, tags: &Tags, mut show: impl FnMut(&mut Sums)) {
        for (tag, value) in tags.iter() {
            let values = self.0.entry(tag).or_default();
            match values.get_mut(value) {
                Some(sums) => show(sums),
                None => show(values.entry(value.into()).or_default()),
            }
        }
    }

    /// All tags in order; of each its values, those with the most calls first.
    pub(super) fn report(&self) -> Vec<TagUse> {
        let mut tags: Vec<TagUse> = self.0.iter().map(|(tag, values)| of(tag, values)).collect();
        tags.sort_by(|one, other| one.tag.cmp(&other.tag));
        tags
    }
}

fn of(tag: &Tag, values: &HashMap<Arc<str>, Sums>) -> TagUse {
    let mut all: Vec<(&Arc<str>, &Sums)> = values.iter().collect();
    all.sort_by_key(|(value, sums)| (Reverse(sums.calls.max(sums.attempts)), (*value).clone()));
    let told = all.iter().take(TOLD);
    let others = all.get(TOLD..).unwrap_or_default();
    let mut rest = Sums::default();
    others.iter().for_each(|(_, sums)| rest.merge(sums));
    let count = others.len();
    TagUse {
        tag: tag.clone(),
        values: told.map(|(value, sums)| sums.level(value)).collect(),
        others: (count > 0).then(|| rest.level(&format!("{count} others"))),
    }
}
