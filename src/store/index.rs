//! From the hash of tag values to the place of their entry.

use hashbrown::HashTable;

/// With fewer places than this, the table itself is as near.
const MANY: usize = 16_384;
/// How many places stand near.
const NEAR: usize = 8_192;

/// The places of entries by the hashes of their values.
///
/// A table of a million is spread over thousands of pages of memory, and to look into two of them for each claim
/// costs more than all the rest of it. So the places that were asked for last also stand in a few pages of their own.
#[derive(Debug, Default)]
pub(super) struct Index {
    table: HashTable<u32>,
    /// Those asked for last, where there are many in all: each hash has one slot here, and there may be another.
    near: Vec<Near>,
    /// One more than the place that was found last; zero where there is none.
    last: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Near {
    /// The upper half of the hash.
    hash: u32,
    /// The number after the place; zero where there is none.
    after: u32,
}

impl Index {
    /// The place of the entry of this hash that is the one.
    #[inline(always)]
    pub(super) fn find(&mut self, hash: u64, is: impl Fn(u32) -> bool) -> Option<u32> {
        let place = self.look_up(hash, is)?;
        self.last = place + 1;
        Some(place)
    }

    /// The place that was found last, if that is the one: then nothing has to be hashed.
    #[inline(always)]
    pub(super) fn last(&self, is: impl Fn(u32) -> bool) -> Option<u32> {
        let last = self.last.checked_sub(1)?;
        is(last).then_some(last)
    }

    #[inline(always)]
    fn look_up(&mut self, hash: u64, is: impl Fn(u32) -> bool) -> Option<u32> {
        if self.near.is_empty() {
            return self.table.find(hash, |place| is(*place)).copied();
        }
        let near = &mut self.near[usize::try_from(hash % NEAR as u64).unwrap_or_default()];
        let upper = u32::try_from(hash >> 32).unwrap_or_default();
        if near.hash == upper && near.after > 0 && is(near.after - 1) {
            return Some(near.after - 1);
        }
        let place = *self.table.find(hash, |place| is(*place))?;
        *near = Near {
            hash: upper,
            after: place + 1,
        };
        Some(place)
    }

    /// Lists a place that is not there yet. `rehash` tells the hashes of those that are.
    pub(super) fn insert(&mut self, hash: u64, place: u32, rehash: impl Fn(&u32) -> u64) {
        self.table.insert_unique(hash, place, rehash);
        if self.near.is_empty() && self.table.len() >= MANY {
            self.near = vec![Near::default(); NEAR];
        }
    }

    /// Forgets the places that are not to be kept.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(u32) -> bool) {
        self.table.retain(|place| keep(*place));
        // A place that was forgotten may be another's soon.
        self.near.fill(Near::default());
        self.last = 0;
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        self.table.iter().copied()
    }

    /// About how much memory it takes.
    pub(super) fn bytes(&self) -> usize {
        self.table.allocation_size() + self.near.capacity() * size_of::<Near>()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// Of so many keys a sixteenth have the same hash, and many the same slot near.
    fn hash(key: u32) -> u64 {
        u64::from(key / 16).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }

    #[test]
    fn each_key_is_found_and_no_other_however_many_there_are() {
        let (mut index, mut keys) = (Index::default(), HashMap::new());
        let many = 3 * u32::try_from(MANY).unwrap();
        for place in 0..many {
            let key = place ^ 1;
            keys.insert(key, place);
            index.insert(hash(key), place, |place| hash(*place ^ 1));
        }
        assert!(!index.near.is_empty());
        for round in 0..3 {
            for key in (0..many).chain((0..many).rev()) {
                let known = keys.get(&key).copied();
                let is = |place: u32| place ^ 1 == key;
                assert_eq!(index.find(hash(key), is), known, "round {round}, key {key}");
            }
            index.retain(|place| place % 3 != round);
            keys.retain(|_, place| *place % 3 != round);
        }
        assert_eq!((index.iter().count(), keys.len()), (0, 0));
    }

    #[test]
    fn a_place_that_was_forgotten_is_not_found_also_where_another_has_it_now() {
        let mut index = Index::default();
        for place in 0..u32::try_from(MANY).unwrap() {
            index.insert(hash(place), place, |place| hash(*place));
        }
        assert_eq!(index.find(hash(7), |place| place == 7), Some(7));
        index.retain(|place| place != 7);
        assert_eq!(index.find(hash(7), |_| true), index.find(hash(6), |_| true));
        assert_eq!(index.find(hash(7), |place| place == 7), None);
        assert_eq!(index.find(hash(8), |place| place == 8), Some(8));
        assert_eq!(index.last(|place| place == 8), Some(8));
        assert_eq!(index.last(|place| place == 9), None);
        index.retain(|place| place != 8);
        assert_eq!(index.last(|place| place == 8), None);
    }
}
