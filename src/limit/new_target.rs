//! Where a call goes that was counted before, and went elsewhere then.

use serde::{Deserialize, Serialize};

use super::Limit;
use crate::tags::{Tag, Tags};

/// The tags of a target, a bit each.
const OF_TARGET: [Tag; 3] = [Tag::Provider, Tag::Model, Tag::ApiKey];

/// By which of its target's tags a call is new that was counted before, at other targets: to a model, say, but not to
/// that model's provider.
///
/// A limit that counts calls takes from a repeated call again where it looks at tags of the target, and no earlier attempt
/// of the call went where all of those are the same.
///
/// ```
/// use tower_quota::{Tag, Tags, limit::NewTarget};
///
/// let to = |model| Tags::new().with(Tag::Provider, "openai").with(Tag::Model, model);
/// let [large, small] = ["gpt-4o", "gpt-4o-mini"].map(to);
/// assert_eq!(NewTarget::of(&large, [&large, &small]), NewTarget::default());
/// assert_ne!(NewTarget::of(&large, [&small]), NewTarget::default());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NewTarget(
    /// A bit for each set of tags, by its number.
    u8,
);

impl NewTarget {
    /// Returns by what `now` is another target than each of those that the call's earlier attempts went to. The default, by
    /// nothing, if one of them is the same, and if there are none.
    #[must_use]
    pub fn of<'t>(now: &Tags, earlier: impl IntoIterator<Item = &'t Tags>) -> Self {
        let same = |earlier: &Tags| {
            let same = |tag: &&Tag| now.get(tag) == earlier.get(tag);
            bits(OF_TARGET.iter().filter(same))
        };
        // A set is known where it lies within what is the same of one of them.
        let within = |all: u8| (0..8).filter(move |set| set & !all == 0);
        let known = earlier.into_iter().map(same).flat_map(within);
        match known.fold(0, |known, set| known | 1 << set) {
            0 => NewTarget(0),
            known => NewTarget(!known),
        }
    }

    /// By what a call is new where it was refused, to limits that count refused calls: by all that it was not refused by
    /// before, where it went `earlier`, and not by what it was `counted` by, where it was admitted before. To limits that look
    /// at no tag of the target it is new once, where that was its end.
    pub(crate) fn of_refused<'t>(
        counted: Option<NewTarget>,
        now: &Tags,
        earlier: impl IntoIterator<Item = &'t Tags>,
        is_end: bool,
    ) -> Self {
        let mut earlier = earlier.into_iter().peekable();
        let is_first = earlier.peek().is_none();
        let not_refused = if is_first {
            u8::MAX
        } else {
            NewTarget::of(now, earlier).0
        };
        let not_counted = counted.map_or(u8::MAX, |counted| counted.0);
        // The lowest bit is of the set that is empty.
        let once = u8::from(is_end && counted.is_none());
        NewTarget((not_refused & not_counted & !1) | once)
    }

    /// Whether it is new by nothing.
    pub(crate) fn is_none(&self) -> bool {
        self.0 == 0
    }

    /// Whether it is new to a limit that looks at these tags.
    #[inline]
    pub(super) const fn is_to(self, looked_at: u32) -> bool {
        self.0 & (1 << (looked_at & 7)) != 0
    }
}

/// At which tags of the target a limit looks, a bit each.
pub(super) fn looked_at(limit: &Limit) -> u32 {
    bits(limit.tags()).into()
}

fn bits<'t>(tags: impl Iterator<Item = &'t Tag>) -> u8 {
    let place = |tag| OF_TARGET.iter().position(|other| other == tag);
    tags.filter_map(place)
        .fold(0, |all, place| all | 1 << place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(provider: &str, model: &str, key: &str) -> Tags {
        let tags = [provider, model, key].into_iter().zip(OF_TARGET);
        let tags = tags.fold(Tags::new(), |tags, (value, tag)| tags.with(tag, value));
        tags.with(Tag::Agent, "a")
    }

    fn is_new(now: &Tags, earlier: &[Tags], looks_at: &[Tag]) -> bool {
        let limit = Limit::requests(1);
        let limit = looks_at.iter().cloned().fold(limit, Limit::per);
        NewTarget::of(now, earlier).is_to(looked_at(&limit))
    }

    #[test]
    fn a_call_is_new_by_each_tag_that_differs_and_by_no_other() {
        let [now, earlier] = [to("p", "m", "k"), to("p", "n", "k")];
        let new = |tags: &[Tag]| is_new(&now, std::slice::from_ref(&earlier), tags);
        assert!(new(&[Tag::Model]));
        assert!(new(&[Tag::Agent, Tag::Model, Tag::Provider]));
        for same in [Tag::Provider, Tag::ApiKey, Tag::Agent, Tag::from("tenant")] {
            assert!(!new(&[same]));
        }
        assert!(!new(&[Tag::Provider, Tag::ApiKey]));
        assert!(!new(&[]));
    }

    #[test]
    fn two_targets_that_have_each_a_part_are_not_the_one_that_has_both() {
        let earlier = [to("p", "n", "k"), to("q", "m", "k")];
        let now = to("p", "m", "k");
        assert!(is_new(&now, &earlier, &[Tag::Provider, Tag::Model]));
        for alone in [Tag::Provider, Tag::Model, Tag::ApiKey] {
            assert!(!is_new(&now, &earlier, &[alone]));
        }
    }

    #[test]
    fn a_refused_call_is_new_to_each_target_once_and_to_limits_on_callers_at_its_end() {
        let [first, second] = [to("p", "m", "k"), to("q", "m", "k")];
        let new = |counted, earlier: &[Tags], is_end| {
            let new = NewTarget::of_refused(counted, &second, earlier, is_end);
            let looks_at: [&[Tag]; 4] = [&[], &[Tag::Agent], &[Tag::Provider], &[Tag::Model]];
            looks_at.map(|tags| {
                let limit = tags.iter().cloned().fold(Limit::requests(1), Limit::per);
                new.is_to(looked_at(&limit))
            })
        };
        let before = std::slice::from_ref(&first);
        assert_eq!(new(None, &[], false), [false, false, true, true]);
        assert_eq!(new(None, &[], true), [true; 4]);
        assert_eq!(new(None, before, false), [false, false, true, false]);
        assert_eq!(new(None, before, true), [true, true, true, false]);
        // It was admitted at the first, and counts there.
        let counted = Some(NewTarget::of(&second, before));
        assert_eq!(new(counted, &[], true), [false, false, true, false]);
        let both = [first, second.clone()];
        assert_eq!(new(None, &both, true), [true, true, false, false]);
    }

    #[test]
    fn what_was_there_before_is_not_new_whatever_came_between() {
        let earlier = [to("p", "m", "k"), to("q", "n", "l")];
        assert!(NewTarget::of(&earlier[0], &earlier).is_none());
        assert!(NewTarget::of(&earlier[0], []).is_none());
    }
}
