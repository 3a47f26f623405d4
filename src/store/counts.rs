//! The memory store's table: from a level and tag values to the counts there.

use std::{hash::BuildHasher as _, sync::Arc};

use hashbrown::{DefaultHashBuilder, HashTable};

use super::claim::Part;
use crate::{
    limit::{Level, Limit, Limits, Tick, Window},
    tags::Tags,
};

/// Below this many entries nothing is swept.
const SWEEP_FROM: usize = 1_024;

#[derive(Debug)]
pub(super) struct Counts {
    /// For each level, where its entries are.
    tables: Vec<HashTable<u32>>,
    entries: Vec<Entry>,
    free: Vec<u32>,
    len: usize,
    sweep_at: usize,
    hasher: DefaultHashBuilder,
}

/// The counts of one level under one set of tag values.
#[derive(Debug, Default)]
pub(super) struct Entry {
    values: Box<[Arc<str>]>,
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
            len: 0,
            sweep_at: SWEEP_FROM,
            hasher: DefaultHashBuilder::default(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The counts of a level under a call's tags, made where there are none yet.
    pub(super) fn entry(
        &mut self,
        number: usize,
        level: &Level,
        limit: &Limit,
        tags: &Tags,
    ) -> (u32, &mut Entry) {
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
        let place = match self.tables[number].find(hash, same) {
            Some(place) => *place,
            None => {
                let values = limit
                    .per
                    .iter()
                    .map(|tag| tags.shared(tag).cloned().unwrap_or_default());
                let windows = level.places.iter().map(|_| Window::default());
                self.insert(number, hash, values.collect(), windows.collect())
            }
        };
        (place, &mut self.entries[place as usize])
    }

    fn insert(
        &mut self,
        number: usize,
        hash: u64,
        values: Box<[Arc<str>]>,
        windows: Box<[Window]>,
    ) -> u32 {
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
        self.len += 1;
        place
    }

    /// The count that a part was taken from; `None` where it is forgotten.
    pub(super) fn window(&mut self, part: &Part) -> Option<&mut Window> {
        self.entry_of(part)
            .map(|entry| &mut entry.windows[part.window as usize])
    }

    /// Holds what a grant takes.
    pub(super) fn open(&mut self, parts: &[Part]) {
        for part in parts {
            if let Some(entry) = self.entry_of(part) {
                entry.open += 1;
                entry.windows[part.window as usize].hold(part.amount);
            }
        }
    }

    /// As [`window`](Self::window), for a part that ends.
    pub(super) fn close(&mut self, part: &Part) -> Option<&mut Window> {
        let entry = self.entry_of(part)?;
        entry.open = entry.open.saturating_sub(1);
        Some(&mut entry.windows[part.window as usize])
    }

    fn entry_of(&mut self, part: &Part) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(part.entry as usize)?;
        (entry.generation == part.generation).then_some(entry)
    }

    /// Forgets idle entries, where their number has doubled since the last time: so it costs each new entry
    /// only a constant.
    pub(super) fn sweep_if_grown(&mut self, limits: &Limits, now: impl FnOnce() -> Tick) {
        if self.len < self.sweep_at {
            return;
        }
        let now = now();
        let Counts {
            tables,
            entries,
            free,
            len,
            ..
        } = self;
        for (level, table) in limits.levels().iter().zip(tables) {
            table.retain(|place| {
                let entry = &mut entries[*place as usize];
                for (place, window) in level.places.iter().zip(&mut entry.windows) {
                    window.expire(&limits.rules()[*place as usize], now);
                }
                let keep = entry.open > 0 || !entry.windows.iter().all(Window::is_idle);
                if !keep {
                    *entry = Entry {
                        generation: entry.generation.wrapping_add(1),
                        ..Entry::default()
                    };
                    free.push(*place);
                    *len -= 1;
                }
                keep
            });
        }
        self.sweep_at = (self.len * 2).max(SWEEP_FROM);
    }
}
