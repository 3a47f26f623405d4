//! The name of one count: a limit, and the tag values it is split by.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use super::Limit;
use crate::tags::{Tag, Tags};

/// What a message says in place of a value that is not counted apart.
const OTHERS: &str = "(all others: too many values to count apart)";

/// The place of what is no limit: a target that a provider told to wait.
const COOLDOWN: u32 = u32::MAX;
/// The tags that name a target.
const TARGET: [Tag; 3] = [Tag::Provider, Tag::ApiKey, Tag::Model];

/// The name of one count: a limit's place in its [`Limits`](super::Limits), and the values of the tags that it is split
/// by. All values without a count of their own share one.
///
/// A [cooldown](Self::is_cooldown) has such a name as well, because calls wait for it as they do for a count.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LimitKey {
    limit: u32,
    values: Option<Arc<[Arc<str>]>>,
    shared: bool,
}

impl LimitKey {
    pub(crate) fn of(place: u32, limit: &Limit, tags: &Tags) -> Self {
        let value = |tag| tags.shared(tag).cloned().unwrap_or_default();
        let values = (!limit.per.is_empty()).then(|| limit.per.iter().map(value).collect());
        LimitKey {
            limit: place,
            values,
            shared: false,
        }
    }

    /// The name of the count of these values, or of the one that is shared.
    pub(crate) fn of_values(place: u32, values: &[Arc<str>], shared: bool) -> Self {
        LimitKey {
            limit: place,
            values: (!values.is_empty()).then(|| values.into()),
            shared,
        }
    }

    /// The count that values share which have none of their own.
    pub(crate) fn shared(place: u32) -> Self {
        LimitKey {
            limit: place,
            values: None,
            shared: true,
        }
    }

    /// The name of the count that a call with these tags takes from.
    pub(crate) fn of_entry(place: u32, limit: &Limit, tags: &Tags, shared: bool) -> Self {
        if shared {
            Self::shared(place)
        } else {
            Self::of(place, limit, tags)
        }
    }

    /// The name of the cooldown of the target that these tags name; `None`: they name none.
    pub(crate) fn cooldown(tags: &Tags) -> Option<Self> {
        let value = |tag| tags.shared(&tag).cloned().unwrap_or_default();
        let named = TARGET.iter().any(|tag| tags.get(tag).is_some());
        named.then(|| LimitKey {
            limit: COOLDOWN,
            values: Some(TARGET.map(value).into()),
            shared: false,
        })
    }

    /// Returns whether this is not a count but a target (provider, API key, model) that a provider told to wait.
    ///
    /// Such a name exists until that wait is over. Its [`limit`](Self::limit) is not the place of any limit; its values
    /// are those three.
    #[must_use]
    pub fn is_cooldown(&self) -> bool {
        self.limit == COOLDOWN
    }

    /// Whether these tags name the target of this cooldown.
    pub(crate) fn is_target(&self, tags: &Tags) -> bool {
        let same = |(tag, value): (&Tag, &Arc<str>)| tags.get(tag).unwrap_or_default() == &**value;
        self.is_cooldown() && TARGET.iter().zip(self.values()).all(same)
    }

    /// `cooldown of provider=openai, model=gpt-4o`.
    pub(crate) fn describe_cooldown(&self) -> String {
        let pairs = TARGET.iter().zip(self.values());
        let named = pairs.filter(|(_, value)| !value.is_empty());
        let named: Vec<String> = named.map(|(tag, value)| format!("{tag}={value}")).collect();
        format!("cooldown of {}", named.join(", "))
    }

    /// Whether it is the own count of these tags at the level of this limit.
    pub(crate) fn is_of(&self, level: &Limit, tags: &Tags) -> bool {
        let value = |tag| tags.get(tag).unwrap_or_default();
        !self.shared
            && self
                .values()
                .iter()
                .map(AsRef::as_ref)
                .eq(level.per.iter().map(value))
    }

    pub(crate) fn to_shared(&self) -> Self {
        Self::shared(self.limit)
    }

    /// Returns whether this is the one count shared by all values that have none of their own, because more values are
    /// in use than are counted separately.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.shared
    }

    pub(crate) fn place(&self) -> u32 {
        self.limit
    }

    /// Returns the limit's place in its [`Limits`](super::Limits).
    ///
    /// The slices of limits come after all limits, and limits that were added [later](crate::Limiter::reconfigure) come
    /// after everything that was there before. A place is never reused for another limit.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit as usize
    }

    /// The limit with its `per` tags replaced by this key's values: `tokens 90000/min for agent=scout`.
    pub(crate) fn describe(&self, limit: &Limit) -> String {
        let mut named = limit.clone();
        named.per.clear();
        named.amounts.clear();
        named.shares.clear();
        if self.shared {
            let others = |named: Limit, tag: &Tag| named.when(tag.clone(), OTHERS);
            return limit.per.iter().fold(named, others).to_string();
        }
        named.amount = limit.published_for(self.values().first().map(AsRef::as_ref));
        for (tag, value) in limit
            .per
            .iter()
            .zip(self.values.iter().flat_map(|v| v.iter()))
        {
            let value: Arc<str> = if value.is_empty() {
                "(none)".into()
            } else {
                value.clone()
            };
            named = named.when(tag.clone(), value);
        }
        named.to_string()
    }

    /// Returns the values that the limit is split by, in the order of its `per` tags. Empty if it is not split.
    #[must_use]
    pub fn values(&self) -> &[Arc<str>] {
        self.values.as_deref().unwrap_or_default()
    }
}

impl fmt::Display for LimitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}{}",
            self.limit,
            if self.shared { "/(others)" } else { "" }
        )?;
        self.values()
            .iter()
            .try_for_each(|value| write!(f, "/{value}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_without_the_tag_share_one_key() {
        let limit = Limit::requests(1).per(Tag::Agent);
        let key = |tags: Tags| LimitKey::of(3, &limit, &tags);
        assert_eq!(key(Tags::new()), key(Tags::new().with(Tag::User, "u")));
        assert_ne!(key(Tags::new()), key(Tags::new().with(Tag::Agent, "a")));
        assert_eq!(
            key(Tags::new()).describe(&limit),
            "requests 1 for agent=(none)"
        );
    }

    #[test]
    fn a_cooldown_is_of_one_target_whoever_calls() {
        let tags = Tags::new()
            .with(Tag::Provider, "p")
            .with(Tag::Model, "m")
            .with(Tag::Agent, "a");
        let key = LimitKey::cooldown(&tags).unwrap();
        let other = tags.clone().with(Tag::Agent, "b");
        assert_eq!(LimitKey::cooldown(&other).as_ref(), Some(&key));
        let nobody = Tags::new().with(Tag::Agent, "a");
        assert_eq!(LimitKey::cooldown(&nobody), None);
        assert!(key.is_target(&tags) && key.is_cooldown());
        assert!(!key.is_target(&tags.clone().with(Tag::ApiKey, "k")));
        assert!(!key.is_target(&tags.with(Tag::Model, "n")));
        assert_eq!(key.describe_cooldown(), "cooldown of provider=p, model=m");
        let limit = Limit::requests(1);
        assert!(!LimitKey::of(0, &limit, &Tags::new()).is_cooldown());
    }
}
