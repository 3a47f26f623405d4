//! Who has guaranteed shares, and who of them may go first.
//!
//! An **owner** is whoever has a share of the same counts. It may go first while it uses less than its share
//! of each; the store says, when it is asked. Plain data: no clock, lock or task.

use std::{collections::HashMap, sync::Arc};

use crate::limit::LimitKey;

/// The counts of what an owner uses of its shares.
pub(super) type Shares = Arc<[LimitKey]>;

/// The number of those who have no share.
pub(super) const NOBODY: u32 = 0;
/// The number of one who may go first, and is not known because none of its calls wait.
const FIRST: u32 = u32::MAX;
/// The same of one who may not.
const STRANGER: u32 = FIRST - 1;

#[derive(Debug, Default)]
pub(super) struct Owners {
    numbers: HashMap<Shares, u32>,
    known: HashMap<u32, Owner>,
    /// Of each count of a share, who has it.
    of: HashMap<LimitKey, Vec<u32>>,
    last: u32,
}

#[derive(Debug)]
struct Owner {
    shares: Shares,
    waiting: usize,
    below: bool,
}

impl Owners {
    /// The number of one that comes, without taking it in. `below`: whether it is below its shares.
    pub(super) fn number(&self, shares: Option<&Shares>, below: bool) -> u32 {
        let Some(shares) = shares else {
            return NOBODY;
        };
        let stranger = if below { FIRST } else { STRANGER };
        self.numbers.get(shares).copied().unwrap_or(stranger)
    }

    /// Takes one in that waits.
    pub(super) fn join(&mut self, shares: Option<&Shares>, below: bool) -> u32 {
        let Some(shares) = shares else {
            return NOBODY;
        };
        let number = *self.numbers.entry(shares.clone()).or_insert_with(|| {
            // Numbers of those who wait still are passed over: after four thousand million there are some.
            loop {
                self.last = (self.last + 1) % STRANGER;
                if self.last != NOBODY && !self.known.contains_key(&self.last) {
                    break;
                }
            }
            for share in shares.iter() {
                self.of.entry(share.clone()).or_default().push(self.last);
            }
            self.last
        });
        let owner = self.known.entry(number).or_insert_with(|| Owner {
            shares: shares.clone(),
            waiting: 0,
            below,
        });
        owner.waiting += 1;
        number
    }

    /// Lets one go.
    pub(super) fn leave(&mut self, number: u32) {
        let Some(owner) = self.known.get_mut(&number) else {
            return;
        };
        owner.waiting -= 1;
        if owner.waiting == 0 {
            for share in owner.shares.iter() {
                if let Some(of) = self.of.get_mut(share) {
                    of.retain(|other| *other != number);
                    if of.is_empty() {
                        self.of.remove(share);
                    }
                }
            }
            self.numbers.remove(&owner.shares);
            self.known.remove(&number);
        }
    }

    /// Lets one go from its owner to that of these shares.
    pub(super) fn pass(&mut self, from: u32, shares: Option<&Shares>) -> u32 {
        let below = self.is_below(from);
        self.leave(from);
        self.join(shares, below)
    }

    /// Whether it may go first.
    pub(super) fn is_below(&self, number: u32) -> bool {
        match number {
            NOBODY | STRANGER => false,
            FIRST => true,
            _ => self.known.get(&number).is_some_and(|owner| owner.below),
        }
    }

    /// Notes whether one may go first, where any of its calls wait. Returns whether that is new.
    pub(super) fn note_below(&mut self, shares: &Shares, below: bool) -> bool {
        let number = self.numbers.get(shares);
        let Some(owner) = number.and_then(|number| self.known.get_mut(number)) else {
            return false;
        };
        std::mem::replace(&mut owner.below, below) != below
    }

    /// Those whose calls wait, who have a share in one of these counts and are not below their shares.
    pub(super) fn not_below(&self, counts: &[LimitKey]) -> Vec<u32> {
        if self.known.is_empty() {
            return Vec::new();
        }
        let of = counts.iter().filter_map(|count| self.of.get(count));
        let of = of.flatten().copied();
        of.filter(|number| !self.is_below(*number)).collect()
    }

    /// The shares of one whose calls wait.
    pub(super) fn shares(&self, number: u32) -> Option<&Shares> {
        self.known.get(&number).map(|owner| &owner.shares)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        limit::Limit,
        tags::{Tag, Tags},
    };

    fn shares(user: &str) -> Shares {
        let limit = Limit::concurrency(2).per(Tag::User);
        [LimitKey::of(0, &limit, &Tags::new().with(Tag::User, user))].into()
    }

    #[test]
    fn an_owner_is_known_while_any_of_its_calls_wait() {
        let mut owners = Owners::default();
        let (a, b) = (shares("a"), shares("b"));
        assert_eq!(owners.number(None, true), NOBODY);
        assert!(owners.is_below(owners.number(Some(&a), true)));
        assert!(!owners.is_below(owners.number(Some(&a), false)));
        let (one, other) = (owners.join(Some(&a), true), owners.join(Some(&a), false));
        assert_eq!(one, other);
        assert_ne!(owners.join(Some(&b), false), one);
        assert!(
            owners.is_below(one),
            "it is noted, not said by whoever comes"
        );
        assert!(owners.note_below(&a, false) && !owners.note_below(&a, false));
        assert!(!owners.is_below(owners.number(Some(&a), true)));
        assert_eq!(owners.not_below(&a), [one]);
        owners.leave(one);
        assert_eq!(owners.number(Some(&a), true), one);
        owners.leave(one);
        assert!(owners.not_below(&a).is_empty());
        assert!(!owners.of.contains_key(&a[0]), "nothing is kept of it");
        assert_eq!(owners.number(Some(&a), true), FIRST);
        assert!(owners.shares(one).is_none());
    }
}
