//! What makes a limit the same limit where its amount differs.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Limit, Period, Quantity, definition::Values};
use crate::tags::Tag;

/// What makes a limit the same limit: the quantity, the period, `when`, `per`, and whether it acts. Not the
/// amount. One that acts now and only watched before goes on [all the same](pairs).
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

    /// The same limit, acting where this only watches, or the other way round.
    fn turned(&self) -> Self {
        Identity {
            shadow: !self.shadow,
            ..self.clone()
        }
    }
}

/// Which of the old limits each of the new ones is, by number: the same one; or, as what only watched may act now, the
/// one that differs in nothing else. Where the old or the new limits have both of these, each stays what it is. Each
/// old one is found once.
pub(crate) fn pairs(old: &[Identity], new: &[Identity]) -> Vec<Option<usize>> {
    let sorted = |all: &[Identity]| -> Vec<Identity> {
        all.iter().map(|one| one.clone().sorted()).collect()
    };
    let (old, new) = (sorted(old), sorted(new));
    let mut taken = vec![false; old.len()];
    let mut found = Vec::with_capacity(new.len());
    for one in &new {
        let free = |same: &Identity| {
            let mut known = old.iter().zip(&taken);
            known.position(|(known, taken)| !taken && known == same)
        };
        let place = free(one).or_else(|| {
            let turned = one.turned();
            let both = old.contains(one) || new.contains(&turned);
            if both { None } else { free(&turned) }
        });
        if let Some(place) = place {
            taken[place] = true;
        }
        found.push(place);
    }
    found
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

    #[test]
    fn what_acts_now_and_only_watched_is_found_unless_there_are_both() {
        let requests = |amount| Limit::requests(amount).every(Duration::from_secs(60));
        let acts = || requests(1).per(Tag::Run).per(Tag::User);
        let watches = || requests(2).per(Tag::User).per(Tag::Run).shadow();
        let found = |old: &[Limit], new: &[Limit]| {
            let of = |all: &[Limit]| all.iter().map(Identity::of).collect::<Vec<_>>();
            pairs(&of(old), &of(new))
        };
        let other = || Limit::concurrency(3);
        assert_eq!(found(&[other(), watches()], &[acts()]), [Some(1)]);
        assert_eq!(found(&[acts()], &[other(), watches()]), [None, Some(0)]);
        assert_eq!(found(&[watches()], &[acts(), watches()]), [None, Some(0)]);
        assert_eq!(found(&[watches(), acts()], &[acts()]), [Some(1)]);
        let both = [acts(), watches()];
        assert_eq!(found(&[watches(), acts()], &both), [Some(1), Some(0)]);
        assert_eq!(found(&[requests(5).shadow()], &both), [None, None]);
    }
}
