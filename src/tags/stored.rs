//! Tags as data: an object of names and values.
//!
//! The agents around are one more of them, a list in its text: what does not know of them takes it for a free tag.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Tag, Tags};

/// Under which name the agents around stand.
const OUTER: &str = "(outer)";

impl Serialize for Tags {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(outer) = self.outer_text() else {
            return serializer.collect_map(self.iter());
        };
        let tags = self.iter().filter(|(tag, _)| tag.name() != OUTER);
        serializer.collect_map(tags.chain([(Tag::from(OUTER), &*outer)]))
    }
}

impl<'de> Deserialize<'de> for Tags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let pairs = BTreeMap::<Tag, Arc<str>>::deserialize(deserializer)?;
        let tags = pairs.into_iter();
        Ok(tags.fold(Tags::new(), |tags, (tag, value)| {
            let outer = (tag.name() == OUTER).then(|| tags.clone().with_outer(&value));
            outer.flatten().unwrap_or_else(|| tags.with(tag, value))
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_an_object_and_come_back_the_same() {
        let tags = Tags::new()
            .with(Tag::Model, "m")
            .with("tenant", "acme \"co\"");
        let text = serde_json::to_string(&tags).unwrap();
        assert_eq!(text, r#"{"model":"m","tenant":"acme \"co\""}"#);
        assert_eq!(serde_json::from_str::<Tags>(&text).unwrap(), tags);
        assert_eq!(serde_json::from_str::<Tags>("{}").unwrap(), Tags::new());
        assert!(serde_json::from_str::<Tags>(r#"{"model":1}"#).is_err());
    }
}
