//! Which calls and which attempts a limit is on.

use super::{Count, Limit, Period, Quantity};
use crate::tags::{Tag, Tags};

impl Limit {
    /// Whether a call with these tags falls under this limit.
    #[inline]
    pub(crate) fn touches(&self, tags: &Tags) -> bool {
        self.when.is_empty() || self.matches(tags)
    }

    #[inline(never)]
    fn matches(&self, tags: &Tags) -> bool {
        self.when.iter().all(|(tag, values)| {
            let is_one = |value: &str| values.iter().any(|v| **v == *value);
            tags.get(tag).is_some_and(is_one)
                || (*tag == Tag::Model && tags.plainer_models().iter().any(|name| is_one(name)))
        })
    }

    /// Whether a repeated attempt takes from this limit again.
    pub(crate) fn counts_repeats(&self) -> bool {
        match self.count {
            _ if self.quantity != Quantity::Requests => true,
            Some(count) => count == Count::Attempts,
            None => !self.is_callers(),
        }
    }

    /// Whether any of its tags says where the call goes.
    pub(crate) fn is_of_target(&self) -> bool {
        self.tags().any(|tag| !tag.is_callers())
    }

    /// Whether any of its tags says who calls.
    pub(crate) fn is_callers(&self) -> bool {
        self.tags().any(Tag::is_callers)
    }

    /// Whether a provider's counters may be about it: on where calls go, over a time, whole, for every attempt.
    pub(crate) fn is_shown(&self) -> bool {
        matches!(self.period, Some(Period::Sliding(_)))
            && self.whole.is_none()
            && !self.shadow
            && !self.is_callers()
            && self.counts_repeats()
    }

    /// The tags that it looks at.
    pub(crate) fn tags(&self) -> impl Iterator<Item = &Tag> {
        self.when.iter().map(|(tag, _)| tag).chain(&self.per)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn touches_only_calls_whose_tags_all_match() {
        let limit = Limit::requests(1)
            .when(Tag::Model, "a")
            .when(Tag::Agent, "x");
        let tags = Tags::new().with(Tag::Model, "a");
        assert!(!limit.touches(&tags));
        assert!(limit.touches(&tags.clone().with(Tag::Agent, "x")));
        assert!(!limit.touches(&tags.with(Tag::Agent, "y")));
        assert!(Limit::requests(1).touches(&Tags::new()));
    }

    #[test]
    fn one_of_several_values_will_do() {
        let limit = Limit::requests(1)
            .when_any(Tag::Model, ["b", "a", "b"])
            .when(Tag::Agent, "x");
        let tags = |model| Tags::new().with(Tag::Model, model).with(Tag::Agent, "x");
        assert!(limit.touches(&tags("a")));
        assert!(limit.touches(&tags("b")));
        assert!(!limit.touches(&tags("c")));
        assert!(!limit.touches(&Tags::new().with(Tag::Model, "a")));
        assert_eq!(limit.to_string(), "requests 1 for model=a|b, agent=x");
    }

    #[test]
    fn requests_count_calls_on_the_callers_tags_and_attempts_elsewhere() {
        assert!(!Limit::requests(1).per(Tag::Agent).counts_repeats());
        assert!(!Limit::requests(1).every_run().counts_repeats());
        assert!(Limit::requests(1).counts_repeats());
        assert!(Limit::requests(1).when(Tag::Model, "m").counts_repeats());
        assert!(
            Limit::requests(1)
                .per(Tag::Agent)
                .count(Count::Attempts)
                .counts_repeats()
        );
        assert!(!Limit::requests(1).count(Count::Calls).counts_repeats());
    }

    #[test]
    fn tokens_count_at_every_attempt_whatever_is_set() {
        assert!(
            Limit::tokens(1)
                .per(Tag::Agent)
                .count(Count::Calls)
                .counts_repeats()
        );
    }
}
