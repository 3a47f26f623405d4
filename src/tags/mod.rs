//! Tags: who makes a call, and where it goes.
//!
//! They travel in a request's extensions, by a [`scope`] that calls inside it inherit, and in
//! [headers](Tags::from_headers). A server gives them to its requests with a [`TagLayer`]. If several of these set the
//! same tag, the one nearest to the call wins.

mod bounded;
mod headers;
mod layer;
pub(crate) mod model;
mod outer;
mod scope;
mod stored;
mod tag;

use std::{fmt, sync::Arc};

pub(crate) use bounded::bounded;
pub use headers::BadHeader;
#[cfg(feature = "gateway")]
pub(crate) use headers::{PREFIX, tag_of, value_of};
pub use layer::{TagLayer, Tagged};
use model::Plainer;
use outer::Outer;
pub use scope::scope;
pub(crate) use scope::{Inherited, all_inherited, enter, inherit, inherited, sync_enter};
pub use tag::{FreeTag, Tag};

/// The tags of one call: at most one value for each name.
///
/// Put a `Tags`, or an `Arc<Tags>`, into a request's extensions, and every layer of this crate counts the call under it,
/// and under what it inherits from the [`scope`] in which it is made. `provider` and `model` are filled in from the
/// request if they are not set.
///
/// A value longer than 256 bytes is cut, and ends with a digest of the whole, so that what callers send cannot take
/// unbounded memory when it is counted. The digest tells values apart but does not resist attackers: two values made to
/// collide share one count.
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
    /// Whom the agent works for, the outermost first.
    outer: Option<Arc<[Outer]>>,
    plainer: Plainer,
}

impl Tags {
    /// Creates an empty set of tags.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns these tags with one more. A value that is already there is replaced.
    #[must_use]
    pub fn with(mut self, tag: impl Into<Tag>, value: impl Into<Arc<str>>) -> Self {
        self.set(tag, value);
        self
    }

    /// Sets one tag. A value that is already there is replaced.
    pub fn set(&mut self, tag: impl Into<Tag>, value: impl Into<Arc<str>>) {
        self.put(tag.into(), bounded(value.into()));
    }

    fn put(&mut self, tag: Tag, value: Arc<str>) {
        if tag == Tag::Model {
            self.plainer = Plainer::default();
        }
        match (tag.place(), tag) {
            (Some(place), _) => self.known[place] = Some(value),
            (None, Tag::Free(FreeTag(name))) => {
                match self.free.iter_mut().find(|(n, _)| *n == name) {
                    Some(pair) => pair.1 = value,
                    None => self.free.push((name, value)),
                }
            }
            (None, _) => {}
        }
    }

    /// Returns the value of one tag.
    #[must_use]
    pub fn get(&self, tag: &Tag) -> Option<&str> {
        self.shared(tag).map(AsRef::as_ref)
    }

    /// The value of one tag, shared.
    pub(crate) fn shared(&self, tag: &Tag) -> Option<&Arc<str>> {
        match (tag.place(), tag) {
            (Some(place), _) => self.known[place].as_ref(),
            (None, Tag::Free(FreeTag(name))) => {
                self.free.iter().find(|(n, _)| n == name).map(|(_, v)| v)
            }
            (None, _) => None,
        }
    }

    /// The plainer names of the model: without a vendor in front, a region, a version, a snapshot's date.
    #[inline(never)]
    pub(crate) fn plainer_models(&self) -> &[Box<str>] {
        let model = self.get(&Tag::Model);
        model.map_or(&[], |model| self.plainer.of(model))
    }

    /// These tags and those of `nearer`, which win where both have a value.
    pub(crate) fn overlaid(mut self, nearer: &Tags) -> Self {
        for (tag, value) in nearer.shared_pairs() {
            self.set(tag, value.clone());
        }
        if nearer.outer.is_some() {
            self.outer.clone_from(&nearer.outer);
        }
        self
    }

    /// Those that say who calls: what a call hands down to the calls made inside it.
    pub(crate) fn callers(&self) -> Self {
        let mut tags = self.clone();
        for place in (0..Tag::KNOWN).filter(|place| !Tag::known(*place).is_callers()) {
            tags.known[place] = None;
        }
        tags.plainer = Plainer::default();
        tags
    }

    /// Whether they say anything of who calls.
    pub(crate) fn say_who_calls(&self) -> bool {
        let known = self.known.iter().enumerate();
        let mut said = known.filter(|(_, value)| value.is_some());
        !self.free.is_empty() || said.any(|(place, _)| Tag::known(place).is_callers())
    }

    /// The same call to this target, in one step: who calls as here, where it goes as there.
    pub(crate) fn toward(&self, target: &Tags) -> Self {
        let value = |place: usize| {
            let callers = self.known[place].as_ref();
            let callers = callers.filter(|_| Tag::known(place).is_callers());
            target.known[place].as_ref().or(callers).cloned()
        };
        let mut tags = Tags {
            known: std::array::from_fn(value),
            free: self.free.clone(),
            outer: self.outer.clone(),
            plainer: target.plainer.clone(),
        };
        for (name, value) in &target.free {
            tags.set(Tag::Free(FreeTag(name.clone())), value.clone());
        }
        tags
    }

    /// Returns whether no tag has a value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    fn shared_pairs(&self) -> impl Iterator<Item = (Tag, &Arc<str>)> {
        let known = self.known.iter().enumerate();
        known
            .filter_map(|(place, value)| Some((Tag::known(place), value.as_ref()?)))
            .chain(
                self.free
                    .iter()
                    .map(|(n, v)| (Tag::Free(FreeTag(n.clone())), v)),
            )
    }

    /// Returns every tag that has a value.
    pub fn iter(&self) -> impl Iterator<Item = (Tag, &str)> {
        self.shared_pairs().map(|(tag, value)| (tag, &**value))
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
    fn setting_a_tag_again_replaces_its_value() {
        let tags = Tags::new().with(Tag::Run, "a").with(Tag::Run, "b");
        assert_eq!(tags.get(&Tag::Run), Some("b"));
        let free = Tags::new().with("x", "1").with("x", "2");
        assert_eq!(free.iter().count(), 1);
        assert_eq!(free.get(&"x".into()), Some("2"));
    }

    #[test]
    fn what_is_handed_down_is_who_calls_and_not_where_it_goes() {
        let tags = Tags::new()
            .with(Tag::Model, "m")
            .with(Tag::Run, "r")
            .with("tenant", "acme");
        assert_eq!(tags.callers().to_string(), "run=r tenant=acme");
    }

    #[test]
    fn a_call_to_a_target_has_the_callers_tags_and_the_targets() {
        let call = Tags::new()
            .with(Tag::Model, "m")
            .with(Tag::ApiKey, "k")
            .with(Tag::Run, "r")
            .with("tenant", "acme");
        for target in [
            Tags::new(),
            Tags::new().with(Tag::Provider, "p"),
            Tags::new().with(Tag::Model, "p/m-2024-08-06"),
            Tags::new().with(Tag::Run, "s").with("x", "1"),
            Tags::new().with("tenant", "other"),
        ] {
            assert_eq!(
                target.plainer_models().is_empty(),
                target.get(&Tag::Model).is_none()
            );
            let both = call.toward(&target);
            assert_eq!(both, call.callers().overlaid(&target));
            assert_eq!(both.plainer_models(), target.plainer_models());
        }
    }

    #[test]
    fn a_call_that_says_nothing_of_its_caller_goes_as_its_target_says() {
        let call = Tags::new().with(Tag::Model, "m").with(Tag::ApiKey, "k");
        for target in [Tags::new(), Tags::new().with(Tag::Provider, "p")] {
            assert_eq!(call.toward(&target), target);
        }
        assert!(!call.say_who_calls() && !Tags::new().say_who_calls());
        for tag in [Tag::Agent, Tag::Run, "tenant".into()] {
            assert!(call.clone().with(tag.clone(), "x").say_who_calls(), "{tag}");
        }
    }

    #[test]
    fn the_nearer_tags_win_and_the_others_stay() {
        let tags = |text: &str| {
            let pairs = text.split(' ').filter_map(|pair| pair.split_once('='));
            pairs.fold(Tags::new(), |tags, (tag, value)| tags.with(tag, value))
        };
        let both = tags("agent=a run=r x=1").overlaid(&tags("agent=b x=2 y=3"));
        assert_eq!(both, tags("agent=b run=r x=2 y=3"));
        assert!(Tags::new().is_empty() && !both.is_empty());
    }
}
