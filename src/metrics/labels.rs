//! Labels with a bounded number of values.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use opentelemetry::{Key, KeyValue};
use parking_lot::RwLock;

use super::names::{MODEL, PROVIDER, label_of};
use crate::{
    event::names::provider_name,
    tags::{Tag, Tags},
};

/// What all values are together that are too many.
const OTHER: &str = "other";
/// Longer values are cut: providers write what they like.
const LONGEST: usize = 256;

/// Labels of calls, and the values that they have had.
#[derive(Debug)]
pub(super) struct Labels {
    /// The tags of callers that are labels, and what these are called.
    tags: Vec<(Tag, Key)>,
    most: usize,
    known: RwLock<HashMap<Key, HashSet<Arc<str>>>>,
}

impl Labels {
    pub(super) fn new(tags: Vec<Tag>, most: usize) -> Self {
        let named = |tag: Tag| {
            let label = label_of(&tag);
            (tag, Key::from(label))
        };
        Labels {
            tags: tags.into_iter().map(named).collect(),
            most,
            known: RwLock::default(),
        }
    }

    /// How many values a label has.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Where something goes, and who calls.
    pub(super) fn of(&self, tags: &Tags) -> Vec<KeyValue> {
        let mut labels = self.target(tags);
        for (tag, name) in &self.tags {
            let value = tags.get(tag).unwrap_or_default();
            labels.extend(self.said(name.clone(), value));
        }
        labels
    }

    /// The same of what did not leave. It costs nothing, so whoever calls may invent names for it without end: it lets values
    /// in only while half of the room for them is left.
    pub(super) fn of_unsent(&self, tags: &Tags) -> Vec<KeyValue> {
        let label = |(name, value)| self.label_within(name, value, self.most / 2);
        self.named(tags).map(label).collect()
    }

    /// Whether all of these values have been let in.
    pub(super) fn know_all(&self, tags: &Tags) -> bool {
        self.named(tags)
            .all(|(name, value)| self.knows(&name, value))
    }

    /// What [`of`](Self::of) says, before it is bounded.
    fn named<'t>(&'t self, tags: &'t Tags) -> impl Iterator<Item = (Key, &'t str)> {
        let value = |tag: &Tag| tags.get(tag).unwrap_or_default();
        let target = [
            (Key::from(PROVIDER), provider_name(value(&Tag::Provider))),
            (Key::from(MODEL), value(&Tag::Model)),
        ];
        let callers = self.tags.iter().map(move |(tag, name)| {
            let value = tags.get(tag).unwrap_or_default();
            (name.clone(), value)
        });
        let all = target.into_iter().chain(callers);
        all.filter(|(_, value)| !value.is_empty())
    }

    /// All that [`of`](Self::of) looks at.
    pub(super) fn values_of<'t>(&self, tags: &'t Tags) -> impl Iterator<Item = &'t str> + Clone {
        let callers = self.tags.iter().map(|(tag, _)| tag);
        let all = [&Tag::Provider, &Tag::Model].into_iter().chain(callers);
        all.map(|tag| tags.get(tag).unwrap_or_default())
    }

    /// Where something goes.
    pub(super) fn target(&self, tags: &Tags) -> Vec<KeyValue> {
        let mut labels = Vec::with_capacity(4 + self.tags.len());
        let value = |tag| tags.get(&tag).unwrap_or_default();
        labels.extend(self.said(PROVIDER, provider_name(value(Tag::Provider))));
        labels.extend(self.said(MODEL, value(Tag::Model)));
        labels
    }

    /// Whose count it is, as far as that is a label.
    pub(super) fn values(&self, of: &[(Tag, Arc<str>)]) -> Vec<KeyValue> {
        let label = |(tag, value): &(Tag, Arc<str>)| match tag {
            Tag::Provider => self.said(PROVIDER, provider_name(value)),
            Tag::Model => self.said(MODEL, value),
            _ => {
                let (_, name) = self.tags.iter().find(|(known, _)| known == tag)?;
                self.said(name.clone(), value)
            }
        };
        of.iter().filter_map(label).collect()
    }

    /// The same where there is a value: to Prometheus an empty label is none.
    pub(super) fn said(&self, name: impl Into<Key>, value: &str) -> Option<KeyValue> {
        (!value.is_empty()).then(|| self.label(name, value))
    }

    /// A label with this value, or with that of all that are too many.
    pub(super) fn label(&self, name: impl Into<Key>, value: &str) -> KeyValue {
        self.label_within(name.into(), value, self.most)
    }

    /// The same, where there are fewer values than `most` so far.
    fn label_within(&self, name: Key, value: &str, most: usize) -> KeyValue {
        let value = cut(value);
        if !self.knows(&name, value) {
            let mut known = self.known.write();
            let values = known.entry(name.clone()).or_default();
            if values.len() >= most && !values.contains(value) {
                return KeyValue::new(name, OTHER);
            }
            values.insert(value.into());
        }
        KeyValue::new(name, value.to_owned())
    }

    /// Whether this value has been let in.
    fn knows(&self, name: &Key, value: &str) -> bool {
        let known = self.known.read();
        let values = known.get(name);
        values.is_some_and(|values| values.contains(cut(value)))
    }
}

fn cut(value: &str) -> &str {
    let mut end = value.len().min(LONGEST);
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    &value[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(labels: &[KeyValue]) -> Vec<String> {
        labels.iter().map(|label| label.value.to_string()).collect()
    }

    #[test]
    fn what_did_not_leave_lets_no_value_into_the_last_half_of_the_room() {
        let labels = Labels::new(vec![Tag::Agent], 1);
        let tags = |model: &str| {
            Tags::new()
                .with(Tag::Provider, "gemini")
                .with(Tag::Model, model)
                .with(Tag::Agent, "scout")
        };
        for number in 0..3 {
            let invented = tags(&format!("invented-{number}"));
            assert_eq!(values(&labels.of_unsent(&invented)), [OTHER; 3]);
            assert!(!labels.know_all(&invented));
        }
        let roomy = Labels::new(Vec::new(), 4);
        for (number, said) in ["invented-0", "invented-1", OTHER].iter().enumerate() {
            let invented = Tags::new().with(Tag::Model, format!("invented-{number}"));
            assert_eq!(values(&roomy.of_unsent(&invented)), [*said]);
        }
        let real = tags("real");
        let known = ["gcp.gemini", "real", "scout"];
        assert_eq!(values(&labels.of(&real)), known, "there is room for it");
        assert_eq!(values(&labels.of_unsent(&real)), known);
        assert!(labels.know_all(&real));
        assert!(labels.of_unsent(&Tags::new()).is_empty());
    }

    #[test]
    fn a_value_that_is_cut_is_known_as_it_is_cut() {
        let labels = Labels::new(Vec::new(), 1);
        let long = Tags::new().with(Tag::Model, "x".repeat(LONGEST + 9));
        let said = labels.of(&long);
        assert_eq!(labels.of_unsent(&long), said);
    }
}
