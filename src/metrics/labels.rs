//! Labels with a bounded number of values.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use opentelemetry::{Key, KeyValue};
use parking_lot::RwLock;

use super::names::{MODEL, PROVIDER};
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
        let named = |tag: Tag| (tag.clone(), Key::from(format!("tower_quota.{tag}")));
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
        let name = name.into();
        let value = cut(value);
        let is_known = {
            let known = self.known.read();
            known
                .get(&name)
                .is_some_and(|values| values.contains(value))
        };
        if !is_known {
            let mut known = self.known.write();
            let values = known.entry(name.clone()).or_default();
            if values.len() >= self.most && !values.contains(value) {
                return KeyValue::new(name, OTHER);
            }
            values.insert(value.into());
        }
        KeyValue::new(name, value.to_owned())
    }
}

fn cut(value: &str) -> &str {
    let mut end = value.len().min(LONGEST);
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    &value[..end]
}
