//! Tags: who makes a call and where it goes.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// The name of a tag.
///
/// The first three say where an attempt goes (the *provider's* tags), the others who made the call
/// (the *caller's* tags). The difference matters to a limit: see [`Count`](crate::limit::Count).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
#[non_exhaustive]
pub enum Tag {
    /// The company or server that answers: `openai`, `anthropic`.
    Provider,
    /// The model's name as the provider writes it.
    Model,
    /// Which API key is used: a label, never the secret.
    ApiKey,
    /// The agent that makes the call.
    Agent,
    /// The person it works for.
    User,
    /// The team that pays.
    Team,
    /// One run of an agent: everything from its start to its end.
    Run,
    /// Any other name.
    Free(Arc<str>),
}

impl Tag {
    const KNOWN: usize = 7;

    /// The tag's name as written in configuration and messages.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Tag::Provider => "provider",
            Tag::Model => "model",
            Tag::ApiKey => "api_key",
            Tag::Agent => "agent",
            Tag::User => "user",
            Tag::Team => "team",
            Tag::Run => "run",
            Tag::Free(name) => name,
        }
    }

    /// Whether this tag says who calls (true) or where the attempt goes (false).
    #[must_use]
    pub fn is_callers(&self) -> bool {
        !matches!(self, Tag::Provider | Tag::Model | Tag::ApiKey)
    }

    fn place(&self) -> Option<usize> {
        Some(match self {
            Tag::Provider => 0,
            Tag::Model => 1,
            Tag::ApiKey => 2,
            Tag::Agent => 3,
            Tag::User => 4,
            Tag::Team => 5,
            Tag::Run => 6,
            Tag::Free(_) => return None,
        })
    }

    fn known(place: usize) -> Tag {
        match place {
            0 => Tag::Provider,
            1 => Tag::Model,
            2 => Tag::ApiKey,
            3 => Tag::Agent,
            4 => Tag::User,
            5 => Tag::Team,
            _ => Tag::Run,
        }
    }
}

impl From<&str> for Tag {
    fn from(name: &str) -> Self {
        match name {
            "provider" => Tag::Provider,
            "model" => Tag::Model,
            "api_key" => Tag::ApiKey,
            "agent" => Tag::Agent,
            "user" => Tag::User,
            "team" => Tag::Team,
            "run" => Tag::Run,
            other => Tag::Free(other.into()),
        }
    }
}

impl From<String> for Tag {
    fn from(name: String) -> Self {
        Tag::from(name.as_str())
    }
}

impl From<Tag> for String {
    fn from(tag: Tag) -> Self {
        tag.name().to_owned()
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Longer values are cut to this many bytes.
const LONGEST_VALUE: usize = 256;

/// A value of bounded length: one that is too long is cut, and ends with a digest of the whole.
pub(crate) fn bounded(value: Arc<str>) -> Arc<str> {
    if value.len() <= LONGEST_VALUE {
        return value;
    }
    let longest = LONGEST_VALUE - "~".len() - 32;
    let end = (0..=longest)
        .rev()
        .find(|end| value.is_char_boundary(*end))
        .unwrap_or(0);
    format!("{}~{:032x}", &value[..end], digest(value.as_bytes())).into()
}

/// FNV-1a in 128 bits: the same in every process, so that counts can be kept and read again.
fn digest(bytes: &[u8]) -> u128 {
    const START: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    bytes.iter().fold(START, |hash, byte| {
        (hash ^ u128::from(*byte)).wrapping_mul(PRIME)
    })
}

/// The tags of one call: at most one value for each name.
///
/// Put a `Tags` into a request's extensions and every layer of this crate counts the call under it.
/// `provider` and `model` are filled in from the request where they are not set.
///
/// A value longer than 256 bytes is cut, and ends with a digest of the whole, so that what callers send
/// bounds the memory that counting them takes. The digest tells values apart, not attackers: two values
/// made to collide share one count.
///
/// ```
/// use tower_quota::{Tag, Tags};
///
/// let tags = Tags::new().with(Tag::Agent, "scout").with(Tag::from("tenant"), "acme");
/// assert_eq!(tags.get(&Tag::Agent), Some("scout"));
/// assert_eq!(tags.get(&Tag::Team), None);
/// assert_eq!(tags.to_string(), "agent=scout tenant=acme");
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Tags {
    known: [Option<Arc<str>>; Tag::KNOWN],
    free: Vec<(Arc<str>, Arc<str>)>,
}

impl Tags {
    /// No tags.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// These tags and one more; a value already there is replaced.
    #[must_use]
    pub fn with(mut self, tag: Tag, value: impl Into<Arc<str>>) -> Self {
        self.set(tag, value);
        self
    }

    /// Sets one tag; a value already there is replaced.
    pub fn set(&mut self, tag: Tag, value: impl Into<Arc<str>>) {
        let value = bounded(value.into());
        match (tag.place(), tag) {
            (Some(place), _) => self.known[place] = Some(value),
            (None, Tag::Free(name)) => match self.free.iter_mut().find(|(n, _)| *n == name) {
                Some(pair) => pair.1 = value,
                None => self.free.push((name, value)),
            },
            (None, _) => {}
        }
    }

    /// The value of one tag.
    #[must_use]
    pub fn get(&self, tag: &Tag) -> Option<&str> {
        self.shared(tag).map(AsRef::as_ref)
    }

    /// The value of one tag, shared.
    pub(crate) fn shared(&self, tag: &Tag) -> Option<&Arc<str>> {
        match (tag.place(), tag) {
            (Some(place), _) => self.known[place].as_ref(),
            (None, Tag::Free(name)) => self.free.iter().find(|(n, _)| n == name).map(|(_, v)| v),
            (None, _) => None,
        }
    }

    /// Every tag that has a value.
    pub fn iter(&self) -> impl Iterator<Item = (Tag, &str)> {
        let known = self.known.iter().enumerate();
        known
            .filter_map(|(place, value)| Some((Tag::known(place), value.as_deref()?)))
            .chain(self.free.iter().map(|(n, v)| (Tag::Free(n.clone()), &**v)))
    }
}

impl fmt::Display for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (tag, value)) in self.iter().enumerate() {
            let space = if i > 0 { " " } else { "" };
            write!(f, "{space}{tag}={value}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tags({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_leads_back_to_its_tag() {
        for place in 0..Tag::KNOWN {
            let tag = Tag::known(place);
            assert_eq!(Tag::from(tag.name()), tag);
            assert_eq!(tag.place(), Some(place));
        }
        assert_eq!(Tag::from("tenant"), Tag::Free("tenant".into()));
    }

    #[test]
    fn setting_a_tag_again_replaces_its_value() {
        let tags = Tags::new().with(Tag::Run, "a").with(Tag::Run, "b");
        assert_eq!(tags.get(&Tag::Run), Some("b"));
        let free = Tags::new().with("x".into(), "1").with("x".into(), "2");
        assert_eq!(free.iter().count(), 1);
        assert_eq!(free.get(&"x".into()), Some("2"));
    }

    #[test]
    fn long_values_are_cut_and_told_apart_and_others_are_not_touched() {
        let cut = |text: String| {
            Tags::new()
                .with(Tag::Agent, text)
                .get(&Tag::Agent)
                .map(str::to_owned)
        };
        let long = |end: &str| cut("ü".repeat(500_000) + end);
        let (a, b) = (long("a").unwrap(), long("b").unwrap());
        assert!(a.len() <= LONGEST_VALUE && a.starts_with("üü"), "{a}");
        assert_ne!(a, b);
        assert_eq!(Some(a), long("a"));
        let fits = "x".repeat(LONGEST_VALUE);
        assert_eq!(cut(fits.clone()), Some(fits));
        // A published vector of FNV-1a.
        assert_eq!(digest(b"a"), 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
    }

    #[test]
    fn only_provider_model_and_key_are_the_providers_side() {
        let callers: Vec<bool> = (0..Tag::KNOWN)
            .map(|p| Tag::known(p).is_callers())
            .collect();
        assert_eq!(callers, [false, false, false, true, true, true, true]);
        assert!(Tag::from("tenant").is_callers());
    }
}
