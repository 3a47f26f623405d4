//! The memory store's table: from a level and tag values to the counts there.

use std::{hash::BuildHasher as _, sync::Arc, time::Duration};

use hashbrown::{DefaultHashBuilder, HashTable};

use super::{Learnt, claim::Part, gates::Gates, resting::Resting};
use crate::{
    limit::{Level, Limit, LimitKey, Limits, Period, Tick, Window},
    tags::Tags,
};

/// Below this many entries nothing is swept.
const SWEEP_FROM: usize = 1_024;
/// A full table is swept no more often than this: a sweep looks at every entry.
const SWEEP_AGAIN: Duration = Duration::from_secs(1);
/// How many entries there may be, where nothing else is said.
const MOST: usize = 1_000_000;

#[derive(Debug)]
pub(super) struct Counts {
    /// For each level, where its entries are.
    tables: Vec<HashTable<u32>>,
    entries: Vec<Entry>,
    free: Vec<u32>,
    /// For each level, the entry of all values that have none of their own.
    shared: Vec<Option<u32>>,
    len: usize,
    most: usize,
    /// For each limit that only watches, what it would have refused.
    over: Vec<u64>,
    /// The limits with the amounts that hold now.
    current: Limits,
    /// Targets that are to be left alone.
    pub(super) gates: Gates,
    sweep_at: usize,
    swept: Option<Tick>,
    resting: Resting,
    hasher: DefaultHashBuilder,
}

/// The counts of one level under one set of tag values.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) values: Box<[Arc<str>]>,
    /// One for each limit of the level.
    pub(super) windows: Box<[Window]>,
    pub(super) generation: u32,
    /// Parts of grants that have not ended: one that reserved nothing may still report usage.
    pub(super) open: u32,
}

impl Counts {
    pub(super) fn new(limits: &Limits) -> Self {
        Counts {
            tables: limits.levels().iter().map(|_| HashTable::new()).collect(),
            entries: Vec::new(),
            free: Vec::new(),
            shared: vec![None; limits.levels().len()],
            len: 0,
            most: MOST,
            over: vec![0; limits.rules().len()],
            current: limits.clone(),
            gates: Gates::default(),
            sweep_at: SWEEP_FROM,
            swept: None,
            resting: Resting::default(),
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
        let limit = limits.of_level(&limits.levels()[number]);
        let place = match self.find(number, limit, tags) {
            Ok(place) => place,
            Err(hash) => self.make(limits, number, tags, hash, now()),
        };
        (place, &mut self.entries[place as usize])
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
        limits.of_level(level).per.is_empty() || self.current.names(level, tags)
    }

    /// A claim was granted that a limit which only watches would have refused.
    #[cold]
    pub(super) fn note_over(&mut self, limit: u32) {
        self.over[limit as usize] += 1;
    }

    /// How many those are for each limit.
    pub(super) fn over(&self) -> &[u64] {
        &self.over
    }

    /// The limits with the amounts that hold now.
    pub(super) fn current(&self) -> &Limits {
        &self.current
    }

    /// Has other amounts hold from now on; the limits are the same.
    pub(super) fn set_amounts(&mut self, limits: Limits) {
        self.current = limits;
        for (number, level) in self.current.levels().iter().enumerate() {
            let places = self.tables[number].iter().copied();
            for place in places.chain(self.shared[number]) {
                let Entry {
                    values, windows, ..
                } = &mut self.entries[place as usize];
                for (limit, window) in level.places.iter().zip(windows) {
                    let rule = &self.current.rules()[*limit as usize];
                    window.set_amount(rule.amount_for(values));
                }
            }
        }
    }

    /// What was learnt of every count.
    pub(super) fn learnt(&mut self, limits: &Limits, now: Tick) -> Vec<Learnt> {
        let mut learnt = Vec::new();
        for (number, level) in limits.levels().iter().enumerate() {
            let places = self.tables[number]
                .iter()
                .copied()
                .chain(self.shared[number]);
            for place in places {
                let entry = &mut self.entries[place as usize];
                let shared = entry.is_shared(limits.of_level(level));
                for (limit, window) in level.places.iter().zip(&mut entry.windows) {
                    let rule = &limits.rules()[*limit as usize];
                    window.expire(rule, now);
                    if !window.has_learnt() {
                        continue;
                    }
                    let key = LimitKey::of_values(*limit, &entry.values, shared);
                    learnt.push(Learnt {
                        limit: self.current.describe(&key),
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
            listed.flat_map(|(number, table)| table.iter().map(move |place| (number, *place)));
        listed
            .chain(shared)
            .map(|(number, place)| (number, &self.entries[place as usize]))
    }

    /// The entry that a count which was kept goes to, made where there is none, however many there are;
    /// without tags the one that is shared.
    pub(super) fn kept(
        &mut self,
        limits: &Limits,
        number: usize,
        tags: Option<&Tags>,
    ) -> &mut Entry {
        let limit = limits.of_level(&limits.levels()[number]);
        let place = match tags.map(|tags| (tags, self.find(number, limit, tags))) {
            Some((_, Ok(place))) => place,
            Some((tags, Err(hash))) => self.place(limits, number, Some((tags, hash))),
            None => self.place(limits, number, None),
        };
        &mut self.entries[place as usize]
    }

    /// Where the entry is that is shared, or a new one for these tags under their hash.
    fn place(&mut self, limits: &Limits, number: usize, own: Option<(&Tags, u64)>) -> u32 {
        let Some((tags, hash)) = own else {
            return match self.shared[number] {
                Some(place) => place,
                None => {
                    let place = self.put(Box::default(), number);
                    self.shared[number] = Some(place);
                    place
                }
            };
        };
        let per = limits.of_level(&limits.levels()[number]).per.iter();
        let values = per.map(|tag| tags.shared(tag).cloned().unwrap_or_default());
        let place = self.put(values.collect(), number);
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
        let limit = limits.of_level(&limits.levels()[number]);
        !self.is_own(limits, number, tags)
            && self.find(number, limit, tags).is_err()
            && !self.has_room(limits, number, now)
    }

    /// Where a level's entry for these tags is, or under which hash it would be.
    #[inline(always)]
    fn find(&self, number: usize, limit: &Limit, tags: &Tags) -> Result<u32, u64> {
        let value = |tag| tags.get(tag).unwrap_or_default();
        let hash = limit
            .per
            .iter()
            .fold(0, |hash, tag| self.hasher.hash_one((hash, value(tag))));
        let same = |place: &u32| {
            let values = &self.entries[*place as usize].values;
            values
                .iter()
                .zip(&limit.per)
                .all(|(known, tag)| **known == *value(tag))
        };
        self.tables[number].find(hash, same).copied().ok_or(hash)
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
        let entry = &mut self.entries[place as usize];
        let idle = entry.expire(limits, number, now)
            || self
                .resting
                .is_over(place, entry.used_by_runs(limits, number), now);
        if idle {
            self.shared[number] = None;
            self.forget(place);
        }
        idle
    }

    fn put(&mut self, values: Box<[Arc<str>]>, number: usize) -> u32 {
        let rules = self.current.rules();
        let places = self.current.levels()[number].places.iter();
        let amounts = places.map(|limit| rules[*limit as usize].amount_for(&values));
        let windows = amounts.map(Window::new).collect();
        let place = self.free.pop().unwrap_or_else(|| {
            self.entries.push(Entry::default());
            u32::try_from(self.entries.len() - 1).expect("fewer than 2^32 counts fit into memory")
        });
        let entry = &mut self.entries[place as usize];
        *entry = Entry {
            values,
            windows,
            ..Entry {
                generation: entry.generation,
                ..Entry::default()
            }
        };
        self.len += 1;
        place
    }

    fn list(&mut self, number: usize, hash: u64, place: u32) {
        let Counts {
            tables,
            entries,
            hasher,
            ..
        } = self;
        let rehash = |place: &u32| {
            let values = &entries[*place as usize].values;
            values
                .iter()
                .fold(0, |hash, value| hasher.hash_one((hash, &**value)))
        };
        tables[number].insert_unique(hash, place, rehash);
    }

    fn forget(&mut self, place: u32) {
        self.entries[place as usize].clear();
        self.resting.forget(place);
        self.free.push(place);
        self.len -= 1;
    }

    /// The count that a part was taken from; `None` where it is forgotten.
    pub(super) fn window(&mut self, part: &Part) -> Option<&mut Window> {
        self.entry_of(part)
            .map(|entry| &mut entry.windows[part.window as usize])
    }

    /// What is published of the limit that a part was taken from; `None` where its count is shared by many
    /// values, or forgotten.
    pub(super) fn published(&mut self, part: &Part, limit: &Limit) -> Option<u64> {
        let now = self.current.rules()[part.limit as usize].limit.clone();
        let entry = self.entry_of(part)?;
        (!entry.is_shared(limit)).then(|| now.published_for(&entry.values))
    }

    /// Holds what a grant takes.
    pub(super) fn open(&mut self, parts: &[Part]) {
        for part in parts {
            if let Some(entry) = self.entry_of(part) {
                entry.open += 1;
                entry.windows[part.window as usize].hold(part.amount());
            }
        }
    }

    /// As [`window`](Self::window), for a part that ends.
    pub(super) fn close(&mut self, part: &Part) -> Option<&mut Window> {
        let entry = self.entry_of(part)?;
        entry.open = entry.open.saturating_sub(1);
        let window = &mut entry.windows[part.window as usize];
        window.ended(part.amount());
        Some(window)
    }

    fn entry_of(&mut self, part: &Part) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(part.entry as usize)?;
        (entry.generation == part.generation).then_some(entry)
    }

    /// Forgets idle entries, where their number has doubled since the last time: so it costs each new entry
    /// only a constant. Where they are about as many as there may be, at most once a second; and where there may
    /// be no more, runs that are over too.
    pub(super) fn sweep_if_grown(&mut self, limits: &Limits, now: impl FnOnce() -> Tick) {
        if self.len < self.sweep_at {
            return;
        }
        let now = now();
        let lately = |swept: Tick| now < swept.after(SWEEP_AGAIN);
        let (full, crowded) = (self.len >= self.most, self.len > self.most / 2);
        if crowded && self.swept.is_some_and(lately) {
            return;
        }
        self.swept = Some(now);
        let Counts {
            tables,
            entries,
            free,
            len,
            shared,
            resting,
            ..
        } = self;
        for (number, (table, shared)) in tables.iter_mut().zip(shared).enumerate() {
            let runs = counts_runs(limits, &limits.levels()[number]);
            let mut keep = |place: &u32| {
                let entry = &mut entries[*place as usize];
                let idle = entry.expire(limits, number, now);
                let used = || entry.used_by_runs(limits, number);
                let over = runs && resting.is_over(*place, used(), now);
                let keep = !(idle || over && full);
                if !keep {
                    entry.clear();
                    resting.forget(*place);
                    free.push(*place);
                    *len -= 1;
                }
                keep
            };
            table.retain(|place| keep(place));
            *shared = shared.filter(|place| keep(place));
        }
        let mut most = self.most;
        if limits
            .levels()
            .iter()
            .any(|level| counts_runs(limits, level))
        {
            // Half of what is left at a time: by the time it is full it is known which runs rest.
            most = self.len + most.saturating_sub(self.len).div_ceil(2);
        }
        self.sweep_at = (self.len * 2).max(SWEEP_FROM).min(most);
    }

    /// About how much memory all of this takes.
    pub(super) fn bytes(&self) -> usize {
        let tables = self
            .tables
            .iter()
            .map(|table| table.capacity() * 2 * size_of::<u32>());
        let entries = self.entries.iter().map(Entry::bytes);
        let spare = self.entries.capacity() - self.entries.len();
        tables.chain(entries).sum::<usize>()
            + spare * size_of::<Entry>()
            + self.free.capacity() * size_of::<u32>()
            + self.resting.bytes()
    }
}

fn is_of_run(limits: &Limits, place: u32) -> bool {
    limits.rules()[place as usize].limit.period == Some(Period::Run)
}

/// Whether any limit of a level is on runs.
fn counts_runs(limits: &Limits, level: &Level) -> bool {
    level.places.iter().any(|place| is_of_run(limits, *place))
}

impl Entry {
    /// Whether this counts all values that have no entry of their own.
    pub(super) fn is_shared(&self, limit: &Limit) -> bool {
        self.values.is_empty() && !limit.per.is_empty()
    }

    /// Lets go what has left by `now`. Returns whether nothing counts here any more, nor may by a grant.
    fn expire(&mut self, limits: &Limits, number: usize, now: Tick) -> bool {
        let places = &limits.levels()[number].places;
        let mut idle = self.open == 0;
        for (place, window) in places.iter().zip(&mut self.windows) {
            window.expire(&limits.rules()[*place as usize], now);
            idle &= window.is_idle();
        }
        idle
    }

    /// What runs used of it, where nothing else counts here and no call is in flight.
    fn used_by_runs(&self, limits: &Limits, number: usize) -> Option<u64> {
        let places = limits.levels()[number].places.iter().zip(&self.windows);
        let mut counting = places.filter(|(_, window)| !window.is_idle());
        let used = counting.try_fold(0u64, |used, (place, window)| {
            is_of_run(limits, *place).then(|| used.saturating_add(window.in_use()))
        });
        used.filter(|_| self.open == 0)
    }

    /// Grants from before find nothing here any more.
    fn clear(&mut self) {
        *self = Entry {
            generation: self.generation.wrapping_add(1),
            ..Entry::default()
        };
    }

    fn bytes(&self) -> usize {
        // Each value stands behind two counters.
        let value = |value: &Arc<str>| size_of::<Arc<str>>() + 2 * size_of::<usize>() + value.len();
        size_of::<Self>()
            + self.values.iter().map(value).sum::<usize>()
            + self.windows.iter().map(Window::bytes).sum::<usize>()
    }
}
