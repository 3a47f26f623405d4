//! Grants that have not ended. They stay here, because to hand them from hand to hand would cost more than to claim.

use serde::{Deserialize, Serialize};

use crate::limit::{Demand, Terms, Tick};

/// What a claim took that has not ended.
#[derive(Debug, Default)]
pub(super) struct Open {
    pub(super) parts: Vec<Part>,
    /// What was dated while it streamed.
    pub(super) streamed: Vec<Streamed>,
    /// How many grants have begun and ended here: odd while one is open. Those from before find nothing here.
    generation: u32,
    /// Where nothing is open here: one more than the next such place; zero where there is none.
    next_free: u32,
}

/// What a claim took from one count.
#[derive(Debug)]
pub(super) struct Part {
    /// The limit's place.
    pub(super) limit: u32,
    pub(super) terms: Terms,
    /// The count's place in the store.
    pub(super) entry: u32,
    /// Its place among the counts of its level.
    pub(super) window: u32,
    pub(super) amount: u64,
    /// What is kept to know which part of it is held: see [`Hold`](crate::limit::Hold).
    pub(super) apart: u64,
    /// When the attempt left; from then on what is not held any more is booked under it.
    pub(super) sent: Option<Tick>,
    /// What counted when the attempt left, itself included.
    pub(super) then: u64,
}

impl Part {
    /// `amount` of a count at this place, entry and window, of which so much is held for `demand`.
    #[inline]
    pub(super) fn new(
        (limit, entry, window): (u32, u32, u32),
        terms: Terms,
        demand: &Demand,
        amount: u64,
    ) -> Self {
        Part {
            limit,
            terms,
            entry,
            window,
            amount,
            apart: terms.apart(demand, amount),
            sent: None,
            then: 0,
        }
    }
}

/// Output that one part of a grant dated while it streamed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Streamed {
    /// Which part.
    pub(super) part: u32,
    pub(super) total: u64,
    /// Under which dates, the oldest first.
    pub(super) dated: Vec<(Tick, u64)>,
}

/// What a grant is called outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Name {
    place: u32,
    generation: u32,
}

impl Name {
    /// What no grant is called.
    #[cfg(any(feature = "redis", feature = "sqlite"))]
    pub(super) const NONE: Name = Name {
        place: u32::MAX,
        generation: 0,
    };

    #[inline]
    fn is_of_open(self) -> bool {
        self.generation % 2 == 1
    }

    /// What a store that numbers its grants itself calls one.
    #[cfg(feature = "redis")]
    pub(super) fn of_number(number: u64) -> Self {
        let [place, generation] = [number, number >> 32].map(|half| half & u64::from(u32::MAX));
        let half = |half| u32::try_from(half).unwrap_or_default();
        Name {
            place: half(place),
            generation: half(generation),
        }
    }

    /// A number that no other grant of this store has while this one is open.
    #[cfg(any(feature = "redis", feature = "sqlite"))]
    pub(super) fn number(self) -> u64 {
        (u64::from(self.generation) << 32) | u64::from(self.place)
    }
}

/// The memory of those that ended is used again, and none of it is given back: it follows the most that were open
/// at a time.
#[derive(Debug, Default)]
pub(super) struct Grants {
    places: Vec<Open>,
    /// One more than the first place where nothing is open; zero where there is none.
    free: u32,
}

impl Grants {
    /// A place for a grant that takes nothing yet.
    #[inline]
    pub(super) fn begin(&mut self) -> u32 {
        let place = self.free.checked_sub(1).unwrap_or_else(|| self.add());
        let open = &mut self.places[place as usize];
        self.free = open.next_free;
        open.generation = open.generation.wrapping_add(1);
        place
    }

    #[cold]
    fn add(&mut self) -> u32 {
        self.places.push(Open::default());
        u32::try_from(self.places.len() - 1).expect("fewer than 2^32 calls are in flight")
    }

    /// One that took these.
    pub(super) fn put(&mut self, parts: Vec<Part>) -> Name {
        let place = self.begin();
        self.at(place).parts = parts;
        self.name(place)
    }

    /// What the grant at a place is called outside.
    #[inline]
    pub(super) fn name(&self, place: u32) -> Name {
        Name {
            place,
            generation: self.places[place as usize].generation,
        }
    }

    #[inline]
    pub(super) fn at(&mut self, place: u32) -> &mut Open {
        &mut self.places[place as usize]
    }

    /// The grant of this name, where it has not ended.
    #[inline]
    pub(super) fn find(&self, name: Name) -> Option<&Open> {
        let open = self.places.get(name.place as usize)?;
        (open.generation == name.generation && name.is_of_open()).then_some(open)
    }

    #[inline]
    pub(super) fn find_mut(&mut self, name: Name) -> Option<&mut Open> {
        let open = self.places.get_mut(name.place as usize)?;
        (open.generation == name.generation && name.is_of_open()).then_some(open)
    }

    /// The grant of this name has ended.
    #[inline]
    pub(super) fn end(&mut self, name: Name) {
        let free = self.free;
        if let Some(open) = self.find_mut(name) {
            open.generation = open.generation.wrapping_add(1);
            open.parts.clear();
            open.streamed.clear();
            open.next_free = free;
            self.free = name.place + 1;
        }
    }

    /// What those are called that have not ended.
    #[cfg(feature = "sqlite")]
    pub(super) fn open(&self) -> impl Iterator<Item = Name> {
        let names = (0..).zip(&self.places).map(|(place, open)| Name {
            place,
            generation: open.generation,
        });
        names.filter(|name| name.is_of_open())
    }

    /// All that have not ended.
    pub(super) fn each_open(&mut self) -> impl Iterator<Item = &mut Open> {
        let places = self.places.iter_mut();
        places.filter(|open| open.generation % 2 == 1)
    }

    /// About how much memory they take.
    pub(super) fn bytes(&self) -> usize {
        let apart = |open: &Open| {
            let dated = open
                .streamed
                .iter()
                .map(|streamed| streamed.dated.capacity());
            open.parts.capacity() * size_of::<Part>()
                + open.streamed.capacity() * size_of::<Streamed>()
                + dated.sum::<usize>() * size_of::<(Tick, u64)>()
        };
        self.places.capacity() * size_of::<Open>() + self.places.iter().map(apart).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_used_again_and_the_grant_that_had_it_finds_nothing() {
        let mut grants = Grants::default();
        let place = grants.begin();
        let first = grants.name(place);
        assert!(grants.find(first).is_some());
        grants.end(first);
        assert!(grants.find(first).is_none());
        grants.end(first);
        let second = grants.begin();
        assert_eq!(second, place);
        assert_ne!(grants.name(second), first);
        assert!(grants.find(first).is_none() && grants.find(grants.name(second)).is_some());
        assert_ne!(grants.begin(), second, "twice ended, once free");
    }

    #[test]
    fn a_name_that_nobody_was_given_is_of_nothing() {
        let mut grants = Grants::default();
        let place = grants.begin();
        let name = grants.name(place);
        grants.end(name);
        for generation in 0..4 {
            let forged = Name { place, generation };
            assert!(grants.find(forged).is_none(), "{forged:?}");
            grants.end(forged);
        }
        let far = Name { place: 7, ..name };
        assert!(grants.find(far).is_none());
        grants.end(far);
        assert_ne!(grants.begin(), grants.begin());
    }
}
