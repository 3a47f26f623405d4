//! What others have changed in the file, which nobody here has heard of.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde_json::Value;

use super::key::{Key, KeyState};

/// How a key is another one than before, in the words of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::gateway) struct Difference {
    /// Its name.
    pub(in crate::gateway) name: String,
    /// What it was; `None`: there was none.
    pub(in crate::gateway) was: Option<String>,
    /// What it is now; `None`: it is gone.
    pub(in crate::gateway) now: Option<String>,
    /// Whether it was a key before, and is no good one any more.
    pub(in crate::gateway) ends: bool,
    /// Until when it is good, if it goes on.
    pub(in crate::gateway) lasts: Option<Option<Timestamp>>,
}

impl Difference {
    /// How the keys that there are now differ from those before: first what is gone, then what is new or another. One with
    /// another token is another key, whatever its name.
    pub(in crate::gateway) fn between(before: &[Key], after: &[Key], now: Timestamp) -> Vec<Self> {
        let (old, new) = (by_name(before), by_name(after));
        let is_in = |keys: &HashMap<&str, &Key>, key: &Key| {
            let same = keys.get(key.name.as_str());
            same.is_some_and(|same| same.hash == key.hash)
        };
        let gone = before.iter().filter(|key| !is_in(&new, key));
        let mut found: Vec<Difference> = gone
            .map(|key| Difference {
                name: key.name.clone(),
                was: Some(word(key)),
                now: None,
                ends: true,
                lasts: None,
            })
            .collect();
        for key in after {
            match old.get(key.name.as_str()).filter(|_| is_in(&old, key)) {
                None => found.push(Difference {
                    name: key.name.clone(),
                    was: None,
                    now: Some(word(key)),
                    ends: false,
                    lasts: None,
                }),
                Some(before) => found.extend(changes(before, key, now)),
            }
        }
        found
    }
}

fn by_name(keys: &[Key]) -> HashMap<&str, &Key> {
    keys.iter().map(|key| (key.name.as_str(), key)).collect()
}

/// What has become of one that is there still.
fn changes(before: &Key, key: &Key, now: Timestamp) -> impl Iterator<Item = Difference> {
    let set = |key: &Key| if key.disabled { "disabled" } else { "enabled" }.to_owned();
    let is_set = (before.disabled != key.disabled).then(|| (set(before), set(key)));
    let (was, is) = (rights(before), rights(key));
    let is_other = |name: &str| was.get(name) != is.get(name);
    let other = |rights: &BTreeMap<&'static str, Value>| {
        let rights = rights.iter().filter(|(name, _)| is_other(name));
        let words = rights.map(|(name, value)| format!("{name} {value}"));
        words.collect::<Vec<_>>().join(", ")
    };
    let rights = (was != is).then(|| (other(&was), other(&is)));
    let ends = key.state(now) != KeyState::Good;
    let (name, lasts) = (key.name.clone(), (!ends).then_some(key.expires));
    let both = is_set.into_iter().chain(rights);
    both.map(move |(was, now)| Difference {
        name: name.clone(),
        was: Some(was),
        now: Some(now),
        ends,
        lasts,
    })
}

/// What its holder may do, as it is written in the file.
fn rights(key: &Key) -> BTreeMap<&'static str, Value> {
    let written = |value: serde_json::Result<Value>| value.unwrap_or_default();
    BTreeMap::from([
        ("role", written(serde_json::to_value(key.role))),
        ("tags", written(serde_json::to_value(&key.tags))),
        ("may", written(serde_json::to_value(&key.may))),
        ("max_priority", key.max_priority.into()),
        ("expires", written(serde_json::to_value(key.expires))),
    ])
}

/// A key in a word or two.
fn word(key: &Key) -> String {
    let role = key.role.name();
    match key.disabled {
        true => format!("{role}, disabled"),
        false => role.to_owned(),
    }
}
