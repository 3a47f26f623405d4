//! The memory store's table: from a level and tag values to the counts there.

use std::{
    hash::{BuildHasher as _, Hasher as _},
    sync::Arc,
};

use hashbrown::DefaultHashBuilder;

use super::{
    Learnt,
    entry::{Entries, Entry},
    event::Events,
    gates::Gates,
    grants::Grants,
    index::Index,
    sweep::SWEEP_FROM,
    values::Values,
};
use crate::{
    limit::{Around, Limit, LimitKey, Limits, Tick, Window},
    tags::Tags,
};

/// How many entries there may be, where nothing else is said.
const MOST: usize = 1_000_000;

#[derive(Debug)]
// In this order, so that what changes with each call stands together with the lock around it.
#[repr(C)]
pub(super) struct Counts {
    pub(super) grants: Grants,
    pub(super) entries: Entries,
    /// For each level, where its entries are.
    pub(super) tables: Vec<Index>,
    /// For each level that is not split, its entry, which is in its table as well: found without a look there.
    pub(super) alone: Vec<Option<u32>>,
    pub(super) len: usize,
    pub(super) sweep_at: usize,
    /// Targets that are to be left alone.
    pub(super) gates: Gates,
    hasher: DefaultHashBuilder,
    pub(super) free: Vec<u32>,
    /// For each level, the entry of all values that have none of their own.
    pub(super) shared: Vec<Option<u32>>,
    pub(super) most: usize,
    /// For each limit that only watches, what it would have refused.
    pub(super) over: Vec<u64>,
    pub(super) swept: Option<Tick>,
    pub(super) events: Events,
}

impl Counts {
    pub(super) fn new(limits: &Limits) -> Self {
        Counts {
            tables: limits.levels().iter().map(|_| Index::default()).collect(),
            entries: Entries::default(),
            free: Vec::new(),
            shared: vec![None; limits.levels().len()],
            alone: vec![None; limits.levels().len()],
            grants: Grants::default(),
            len: 0,
            most: MOST,
            over: vec![0; limits.rules().len()],
            gates: Gates::default(),
            sweep_at: SWEEP_FROM,
            swept: None,
            events: Events::default(),
            hasher: DefaultHashBuilder::default(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// From now on there are no more entries than this, and one more for each level.
    pub(super) fn set_most(&mut self, most: usize) {
        self.most = most.max(1);
        self.sweep_at = self.sweep_at.min(self.most.div_ceil(2));
    }

    /// The counts of a level under a call's tags, made where there are none yet.
    #[inline(always)]
    pub(super) fn entry(
        &mut self,
        limits: &Limits,
        number: usize,
        tags: &Tags,
        now: impl FnOnce() -> Tick,
    ) -> (u32, &mut Entry) {
        let limit = &limits.levels()[number].limit;
        let place = match self.find(number, limit, tags) {
            Ok(place) => place,
            Err(hash) => self.make(limits, number, tags, hash, now()),
        };
        (place, self.entries.at_mut(place))
    }

    /// Shows each entry that a call takes from, with the number of its level and the tags under which it is found.
    pub(super) fn each_entry<'t>(
        &mut self,
        limits: &'t Limits,
        around: &'t Around<'_>,
        now: impl Fn() -> Tick,
        mut show: impl FnMut(usize, &'t Tags, u32, &mut Entry),
    ) {
        let mut seen = Vec::new();
        for (number, level) in limits.levels().iter().enumerate() {
            for tags in around.under(&level.limit) {
                let (place, entry) = self.entry(limits, number, tags, &now);
                // Several agents may share one.
                if around.are_several() && seen.contains(&place) {
                    continue;
                }
                if around.are_several() {
                    seen.push(place);
                }
                show(number, tags, place, entry);
            }
        }
    }

    /// An entry for tags that have none: their own, or the one that is shared.
    #[cold]
    fn make(&mut self, limits: &Limits, number: usize, tags: &Tags, hash: u64, now: Tick) -> u32 {
        let own = self.is_own(limits, number, tags) || self.has_room(limits, number, now);
        self.place(limits, number, own.then_some((tags, hash)))
    }

    /// Whether a call with these tags has counts of its own at this level, however many there are: the level
    /// is not split, or the value has an amount of its own.
    fn is_own(&self, limits: &Limits, number: usize, tags: &Tags) -> bool {
        let level = &limits.levels()[number];
        level.limit.per.is_empty() || limits.names(level, tags)
    }

    /// A claim was granted that a limit which only watches would have refused.
    #[cold]
    pub(super) fn note_over(&mut self, limit: u32) {
        self.over[limit as usize] += 1;
    }

    /// How many those are of a limit.
    pub(super) fn over(&self, limit: u32) -> u64 {
        self.over[limit as usize]
    }

    /// What was learnt of every count.
    pub(super) fn learnt(&mut self, limits: &Limits, now: Tick) -> Vec<Learnt> {
        let mut learnt = Vec::new();
        for (number, level) in limits.levels().iter().enumerate() {
            let places = self.tables[number].iter().chain(self.shared[number]);
            for place in places {
                let entry = self.entries.at_mut(place);
                let shared = entry.is_shared(&level.limit);
                for (limit, window) in level.places.iter().zip(&mut entry.windows) {
                    let rule = &limits.rules()[*limit as usize];
                    window.expire(rule, now);
                    if !window.has_learnt() {
                        continue;
                    }
                    let key = LimitKey::of_values(*limit, &entry.values.shared(), shared);
                    learnt.push(Learnt {
                        limit: limits.describe(&key),
                        amount: window.usable(),
                        others: window.foreign(rule, now),
                    });
                }
            }
        }
        learnt
    }

    /// Every entry that there is, with the number of its level.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &Entry)> {
        let shared = self.shared.iter().enumerate();
        let shared = shared.filter_map(|(number, place)| Some((number, (*place)?)));
        let listed = self.tables.iter().enumerate();
        let listed =
            listed.flat_map(|(number, table)| table.iter().map(move |place| (number, place)));
        listed
            .chain(shared)
            .map(|(number, place)| (number, self.entries.at(place)))
    }

    /// The entry that a count which was kept goes to, made where there is none, however many there are;
    /// without tags the one that is shared.
    pub(super) fn kept(
        &mut self,
        limits: &Limits,
        number: usize,
        tags: Option<&Tags>,
    ) -> &mut Entry {
        let place = self.kept_at(limits, number, tags);
        self.entries.at_mut(place)
    }

    /// Where that entry is.
    pub(super) fn kept_at(&mut self, limits: &Limits, number: usize, tags: Option<&Tags>) -> u32 {
        let limit = &limits.levels()[number].limit;
        match tags.map(|tags| (tags, self.find(number, limit, tags))) {
            Some((_, Ok(place))) => place,
            Some((tags, Err(hash))) => self.place(limits, number, Some((tags, hash))),
            None => self.place(limits, number, None),
        }
    }

    /// Where the entry is that is shared, or a new one for these tags under their hash.
    fn place(&mut self, limits: &Limits, number: usize, own: Option<(&Tags, u64)>) -> u32 {
        let Some((tags, hash)) = own else {
            return match self.shared[number] {
                Some(place) => place,
                None => {
                    let place = self.put(limits, &[], number);
                    self.shared[number] = Some(place);
                    place
                }
            };
        };
        let per = limits.levels()[number].limit.per.iter();
        let values = per.map(|tag| tags.shared(tag).cloned().unwrap_or_default());
        let place = self.put(limits, &values.collect::<Vec<_>>(), number);
        self.list(number, hash, place);
        place
    }

    /// Whether a call with these tags would take from the counts that are shared.
    pub(super) fn shares(
        &mut self,
        limits: &Limits,
        number: usize,
        tags: &Tags,
        now: Tick,
    ) -> bool {
        let limit = &limits.levels()[number].limit;
        !self.is_own(limits, number, tags)
            && self.find(number, limit, tags).is_err()
            && !self.has_room(limits, number, now)
    }

    /// Where a level's entry for these tags is, or under which hash it would be.
    #[inline(always)]
    pub(super) fn find(&mut self, number: usize, limit: &Limit, tags: &Tags) -> Result<u32, u64> {
        if limit.per.is_empty() {
            return self.alone[number].ok_or(0);
        }
        self.find_split(number, limit, tags)
    }

    #[inline(always)]
    fn find_split(&mut self, number: usize, limit: &Limit, tags: &Tags) -> Result<u32, u64> {
        let [tag] = &*limit.per else {
            return self.find_by_several(number, limit, tags);
        };
        // As a rule.
        let value = tags.get(tag).unwrap_or_default();
        let same = |place| self.entries.at(place).values.is(value);
        let index = &mut self.tables[number];
        if let Some(place) = index.last(same) {
            return Ok(place);
        }
        let hash = hash_of(&self.hasher, [value]);
        index.find(hash, same).ok_or(hash)
    }

    #[inline(never)]
    fn find_by_several(&mut self, number: usize, limit: &Limit, tags: &Tags) -> Result<u32, u64> {
        let value = |tag| tags.get(tag).unwrap_or_default();
        let hash = hash_of(&self.hasher, limit.per.iter().map(value));
        let known = |place| &self.entries.at(place).values;
        let same = |place| known(place).are(limit.per.iter().map(value));
        self.tables[number].find(hash, same).ok_or(hash)
    }

    /// Whether a new value gets an entry of its own. It does not while others that had to share still count
    /// at its level: it may have been among them, and would then have its limit twice.
    fn has_room(&mut self, limits: &Limits, number: usize, now: Tick) -> bool {
        if self.len >= self.most {
            return false;
        }
        let Some(place) = self.shared[number] else {
            return true;
        };
        let entry = self.entries.at_mut(place);
        let idle = entry.expire(limits, number, now) || entry.is_over(limits, number, now);
        if idle {
            self.shared[number] = None;
            self.forget(place);
        }
        idle
    }

    fn put(&mut self, limits: &Limits, values: &[Arc<str>], number: usize) -> u32 {
        let rules = limits.rules();
        let places = limits.levels()[number].places.iter();
        let amounts = places
            .map(|limit| rules[*limit as usize].amount_for(values.first().map(AsRef::as_ref)));
        let windows = amounts.map(Window::new).collect();
        let place = self.free.pop().unwrap_or_else(|| self.entries.add());
        *self.entries.at_mut(place) = Entry {
            values: Values::of(values),
            windows,
            open: 0,
        };
        self.len += 1;
        place
    }

    fn list(&mut self, number: usize, hash: u64, place: u32) {
        let Counts {
            tables,
            entries,
            alone,
            hasher,
            ..
        } = self;
        if entries.at(place).values.is_empty() {
            alone[number] = Some(place);
        }
        let rehash = |place: &u32| {
            let mut state = hasher.build_hasher();
            let values = &entries.at(*place).values;
            values.each(|value| state.write(value));
            state.finish()
        };
        tables[number].insert(hash, place, rehash);
    }

    pub(super) fn forget(&mut self, place: u32) {
        *self.entries.at_mut(place) = Entry::default();
        self.free.push(place);
        self.len -= 1;
    }

    /// About how much memory all of this takes.
    pub(super) fn bytes(&self) -> usize {
        let tables = self.tables.iter().map(Index::bytes);
        tables.sum::<usize>()
            + self.entries.bytes()
            + self.grants.bytes()
            + self.free.capacity() * size_of::<u32>()
    }
}

#[inline(always)]
fn hash_of<'a>(hasher: &DefaultHashBuilder, values: impl IntoIterator<Item = &'a str>) -> u64 {
    let mut state = hasher.build_hasher();
    for value in values {
        state.write(value.as_bytes());
    }
    state.finish()
}
