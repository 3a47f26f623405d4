//! What makes a limit the same limit where its amount differs.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Limit, Period, Quantity, definition::Values};
use crate::tags::Tag;

/// What makes a limit the same limit: the quantity, the period, `when`, `per`, and whether it acts. Not the
/// amount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    quantity: Quantity,
    period: Option<Period>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    zone: Option<Arc<str>>,
    /// The period that it is a slice of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    whole: Option<Duration>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    shadow: bool,
    /// Whether it is a guaranteed share of another.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    share: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    paused: bool,
    when: Vec<(Tag, Values)>,
    /// In the order in which values are written.
    pub(crate) per: Vec<Tag>,
}

impl Identity {
    pub(crate) fn of(limit: &Limit) -> Self {
        Identity {
            quantity: limit.quantity,
            period: limit.period,
            zone: limit.zone.clone(),
            whole: limit.whole,
            shadow: limit.shadow,
            share: limit.part.is_some(),
            paused: limit.paused,
            when: limit.when.clone(),
            per: limit.per.clone(),
        }
    }

    /// Whether both mean the same, in whatever order their tags stand.
    pub(crate) fn same(&self, other: &Self) -> bool {
        self.clone().sorted() == other.clone().sorted()
    }

    /// The same in one order of tags.
    pub(super) fn sorted(mut self) -> Self {
        self.when.sort();
        self.per.sort();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_amount_and_the_order_of_tags_make_no_other_limit_and_all_else_does() {
        let limit = |amount| Limit::requests(amount).every(Duration::from_secs(60));
        let same = |a: &Limit, b: &Limit| Identity::of(a).same(&Identity::of(b));
        let (run, user) = (Tag::Run, Tag::User);
        let a = limit(1).per(run.clone()).per(user.clone());
        assert!(same(&a, &limit(2).per(user).per(run)));
        assert!(!same(&a, &limit(1)));
        assert!(!same(&limit(1), &limit(1).every(Duration::from_secs(61))));
        assert!(!same(&limit(1), &limit(1).shadow()));
        assert!(!same(&limit(1), &limit(1).when(Tag::Agent, "a")));
        let any = |values: [&str; 2]| limit(1).when_any(Tag::Agent, values);
        assert!(same(&any(["a", "b"]), &any(["b", "a"])));
        assert!(!same(&any(["a", "b"]), &any(["a", "c"])));
        let slice = limit(60).slice(Duration::from_secs(1)).of_slice().unwrap();
        assert!(!same(&slice, &limit(1).every(Duration::from_secs(1))));
    }
}
