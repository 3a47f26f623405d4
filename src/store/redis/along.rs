//! What an attempt has claimed besides, and gave back while it waited: where room is taken ahead that is asked for along with
//! what it waits for, so that it leaves when it has its turn, without another round trip.

use std::collections::HashMap;

use crate::store::asked::Asked;

/// Of so many attempts it is known what they gave back.
const MOST: usize = 10_000;

#[derive(Debug, Default)]
pub(super) struct Along {
    /// What those claimed that have not ended, by number.
    open: HashMap<u64, Asked>,
    /// What an attempt gave back.
    before: HashMap<u32, Vec<Asked>>,
    /// What was granted along, and is not asked for yet.
    aside: HashMap<u32, Vec<Aside>>,
    /// Which attempt a claim is of that something was granted along with.
    attempts: HashMap<u64, u32>,
}

#[derive(Debug)]
struct Aside {
    number: u64,
    /// With which claim it was granted.
    with: u64,
    asked: Asked,
}

impl Along {
    /// One of an attempt that may have several was asked for.
    pub(super) fn asks(&mut self, number: u64, asked: &Asked) {
        if asked.claim.attempt > 0 {
            self.open.insert(number, asked.clone());
        }
    }

    /// It was not granted, or nobody is there who would end it.
    pub(super) fn refused(&mut self, number: u64) {
        self.open.remove(&number);
    }

    /// How many there are that have not ended.
    #[cfg(test)]
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    /// It ends. `given_back`: as nothing has left, so that its attempt may claim it once more.
    pub(super) fn ends(&mut self, number: u64, given_back: bool) {
        let Some(asked) = self.open.remove(&number) else {
            return;
        };
        let attempt = asked.claim.attempt;
        if !given_back {
            self.before.remove(&attempt);
            return;
        }
        if self.before.len() >= MOST {
            self.before.clear();
        }
        let before = self.before.entry(attempt).or_default();
        before.retain(|other| other.claim.quantities != asked.claim.quantities);
        before.push(asked);
    }

    /// What is to be asked for along with what an attempt waits for.
    pub(super) fn with(&self, asked: &Asked) -> Vec<Asked> {
        let before = self.before.get(&asked.claim.attempt).into_iter().flatten();
        let others = before.filter(|other| other.claim.quantities != asked.claim.quantities);
        others.cloned().collect()
    }

    /// It was granted along with another.
    pub(super) fn granted(&mut self, with: u64, number: u64, asked: Asked) {
        let attempt = asked.claim.attempt;
        self.attempts.insert(with, attempt);
        let aside = self.aside.entry(attempt).or_default();
        aside.push(Aside {
            number,
            with,
            asked,
        });
    }

    /// What is asked for was granted already, under this number. `same`: whether another takes as much of the same.
    pub(super) fn take(&mut self, asked: &Asked, same: impl Fn(&Asked) -> bool) -> Option<u64> {
        let aside = self.aside.get_mut(&asked.claim.attempt)?;
        let place = aside.iter().position(|aside| same(&aside.asked))?;
        let Aside { number, .. } = aside.swap_remove(place);
        if aside.is_empty() {
            self.aside.remove(&asked.claim.attempt);
        }
        self.asks(number, asked);
        Some(number)
    }

    /// All that was granted along and is nobody's.
    pub(super) fn all_left(&mut self) -> Vec<u64> {
        let left = std::mem::take(&mut self.aside).into_values().flatten();
        left.map(|aside| aside.number).collect()
    }

    /// A claim has ended: what was granted along with it and is nobody's.
    pub(super) fn left_of(&mut self, number: u64) -> Vec<u64> {
        let Some(attempt) = self.attempts.remove(&number) else {
            return Vec::new();
        };
        let Some(aside) = self.aside.get_mut(&attempt) else {
            return Vec::new();
        };
        let left = aside.extract_if(.., |aside| aside.with == number);
        let left = left.map(|aside| aside.number).collect();
        if aside.is_empty() {
            self.aside.remove(&attempt);
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use std::{slice::from_ref, sync::Arc};

    use super::*;
    use crate::{
        limit::{Demand, Limits, NewTarget, Quantities},
        store::Claim,
        tags::Tags,
    };

    fn asked(attempt: u32, quantities: Quantities) -> Asked {
        let claim = Claim {
            tags: Arc::new(Tags::new()),
            demand: Demand::default(),
            quantities,
            repeat: false,
            new_target: NewTarget::default(),
            held: Vec::new(),
            attempt,
        };
        Asked::of(&claim, &Limits::new([]).unwrap())
    }

    fn take(along: &mut Along, asked: &Asked) -> Option<u64> {
        along.take(asked, |other| other == asked)
    }

    #[test]
    fn what_was_given_back_goes_along_and_is_there_once() {
        let mut along = Along::default();
        let [money, room] = [Quantities::BUDGET, Quantities::ADMISSION].map(|all| asked(7, all));
        along.asks(1, &money);
        assert!(along.with(&room).is_empty());
        along.ends(1, true);
        assert_eq!(along.with(&room), from_ref(&money));
        assert!(
            along.with(&money).is_empty()
                && along.with(&asked(8, Quantities::ADMISSION)).is_empty()
        );
        along.granted(2, 3, money.clone());
        assert_eq!(take(&mut along, &asked(8, Quantities::BUDGET)), None);
        assert_eq!(take(&mut along, &money), Some(3));
        assert_eq!(take(&mut along, &money), None);
        assert!(along.left_of(2).is_empty());
        // Given back once more it goes along once more; settled it does not.
        along.ends(3, true);
        assert_eq!(along.with(&room), from_ref(&money));
        along.granted(4, 5, money.clone());
        assert_eq!(take(&mut along, &money), Some(5));
        along.ends(5, false);
        assert!(along.with(&room).is_empty());
    }

    #[test]
    fn what_nobody_came_for_is_left() {
        let mut along = Along::default();
        let money = asked(7, Quantities::BUDGET);
        along.granted(2, 3, money.clone());
        along.granted(4, 5, money.clone());
        assert_eq!(along.left_of(2), [3]);
        assert!(along.left_of(2).is_empty());
        assert_eq!(take(&mut along, &money), Some(5));
        assert!(along.left_of(4).is_empty() && along.aside.is_empty());
    }
}
