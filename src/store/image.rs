//! All of a memory store, exactly: what is dated, what is held, and by which grants. A store that is made of it
//! decides as that one, and its grants end here.

use std::{collections::HashMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    Grant, MemoryStore, Store as _,
    clock::Clock,
    counts::Counts,
    grants::{Part, Streamed},
    snapshot,
};
use crate::limit::{Identity, Limit, LimitKey, Limits, Tick, Window};

/// All of a memory store.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Image {
    /// The limits that hold.
    pub(super) limits: Vec<Limit>,
    /// What counts are of, by the places that they name: slices and shares as well.
    places: Vec<Identity>,
    counts: Vec<Counted>,
    grants: Vec<Held>,
    /// Targets that were told to wait.
    closed: Vec<(LimitKey, Vec<Tick>)>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Counted {
    /// The place of its limit.
    limit: u32,
    /// The values of the limit's `per` tags; `None`: of all that have no count of their own.
    values: Option<Vec<Arc<str>>>,
    window: Window,
}

/// A grant that has not ended, by the number that whoever keeps it gave it.
#[derive(Debug, Serialize, Deserialize)]
struct Held {
    number: u64,
    parts: Vec<HeldPart>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    streamed: Vec<Streamed>,
}

#[derive(Debug, Serialize, Deserialize)]
struct HeldPart {
    /// Its place among the counts.
    count: u32,
    amount: u64,
    apart: u64,
    sent: Option<Tick>,
    then: u64,
}

impl MemoryStore {
    /// All of it, with these grants of those that are open.
    pub(super) fn image<'g>(&self, grants: impl Iterator<Item = (u64, &'g Grant)>) -> Image {
        let counts = self.lock();
        let rules = |limits: &Limits| {
            let rules = limits.rules().iter();
            rules.map(|rule| Identity::of(&rule.limit)).collect()
        };
        let mut image = Image {
            limits: counts.current().iter().cloned().collect(),
            places: rules(self.limits()),
            counts: Vec::new(),
            grants: Vec::new(),
            closed: Vec::new(),
        };
        let mut places = HashMap::new();
        image.take_counts(self.limits(), &counts, &mut places);
        for (number, grant) in grants {
            if let Some(open) = counts.grants.find(grant.name) {
                let parts = open.parts.iter();
                let parts = parts.filter_map(|part| {
                    let count = *places.get(&(part.entry, part.window))?;
                    let Part {
                        amount,
                        apart,
                        sent,
                        then,
                        ..
                    } = *part;
                    Some(HeldPart {
                        count,
                        amount,
                        apart,
                        sent,
                        then,
                    })
                });
                let (parts, streamed) = (parts.collect(), open.streamed.clone());
                image.grants.push(Held {
                    number,
                    parts,
                    streamed,
                });
            }
        }
        let closed = counts.gates.told();
        image.closed = closed
            .map(|(key, told)| (key.clone(), told.to_vec()))
            .collect();
        image
    }

    /// A store that goes on where an image was taken, under limits that may have changed since: counts are matched by
    /// quantity, period, `when` and `per`, and those of limits that are no more are dropped. With it, its grants.
    pub(super) fn of_image(
        limits: Limits,
        most: Option<usize>,
        image: &Image,
        clock: Clock,
    ) -> (Self, HashMap<u64, Grant>) {
        let limits = limits.for_a_store();
        clock.set_calendars(&limits);
        let mut counts = Counts::new(&limits);
        let at = image.put_counts(&limits, &mut counts);
        let mut names = Vec::new();
        for held in &image.grants {
            let parts = (0..).zip(&held.parts);
            let kept: Vec<(u32, Part)> = parts
                .filter_map(|(number, part)| {
                    let (limit, entry, window) = (*at.get(part.count as usize)?)?;
                    let HeldPart {
                        amount,
                        apart,
                        sent,
                        then,
                        ..
                    } = *part;
                    let terms = limits.rules()[limit as usize].terms;
                    let part = Part {
                        limit,
                        terms,
                        entry,
                        window,
                        amount,
                        apart,
                        sent,
                        then,
                    };
                    Some((number, part))
                })
                .collect();
            // What is left of it has other numbers.
            let place = |old: u32| (0..).zip(&kept).find(|(_, (number, _))| *number == old);
            let streamed = held.streamed.iter().filter_map(|streamed| {
                let (part, _) = place(streamed.part)?;
                Some(Streamed {
                    part,
                    ..streamed.clone()
                })
            });
            let streamed: Vec<Streamed> = streamed.collect();
            for (_, part) in &kept {
                counts.entries.at_mut(part.entry).open += 1;
            }
            let name = counts
                .grants
                .put(kept.into_iter().map(|(_, part)| part).collect());
            if let Some(open) = counts.grants.find_mut(name) {
                open.streamed = streamed;
            }
            names.push((held.number, name));
        }
        for (key, told) in &image.closed {
            told.iter()
                .for_each(|until| counts.gates.close(key.clone(), *until, Tick::default()));
        }
        if let Some(most) = most {
            counts.set_most(most);
        }
        let store = Self::of(limits, counts, clock);
        let id = store.id();
        let grants = names
            .into_iter()
            .map(|(number, name)| (number, Grant { store: id, name }));
        let grants = grants.collect();
        (store, grants)
    }
}

impl Image {
    /// The counts that are of any use, and where they are in the image by where they are in the store.
    fn take_counts(
        &mut self,
        limits: &Limits,
        counts: &Counts,
        places: &mut HashMap<(u32, u32), u32>,
    ) {
        for (number, level) in limits.levels().iter().enumerate() {
            let listed = counts.tables[number].iter();
            for place in listed.chain(counts.shared[number]) {
                let entry = counts.entries.at(place);
                let values = (!entry.is_shared(&level.limit)).then(|| entry.values.shared());
                for (at, (limit, window)) in (0..).zip(level.places.iter().zip(&entry.windows)) {
                    if entry.open == 0 && window.is_idle() {
                        continue;
                    }
                    let count = u32::try_from(self.counts.len()).expect("fewer than 2^32 counts");
                    places.insert((place, at), count);
                    self.counts.push(Counted {
                        limit: *limit,
                        values: values.clone(),
                        window: window.clone(),
                    });
                }
            }
        }
    }

    /// Puts the counts into a table that has none; where each is then: the limit, the entry and its window.
    fn put_counts(&self, limits: &Limits, counts: &mut Counts) -> Vec<Option<(u32, u32, u32)>> {
        let places = self.places.iter().map(|old| snapshot::place(limits, old));
        let places: Vec<Option<u32>> = places.collect();
        let put = |kept: &Counted| {
            let old = self.places.get(kept.limit as usize)?;
            let limit = (*places.get(kept.limit as usize)?)?;
            let values = kept.values.as_ref();
            let tags = values.map(|values| snapshot::tags(&old.per, values));
            let (level, window) = limits.level_of(limit);
            let entry = counts.kept_at(limits, level, tags.as_ref());
            let rule = &counts.current().rules()[limit as usize];
            let at = counts.entries.at(entry);
            let amount = rule.amount_for(at.values.first());
            let count = kept.window.clone();
            let count = count.under(self.thresholds(old), rule, amount);
            counts.entries.at_mut(entry).windows[window] = count;
            Some((limit, entry, u32::try_from(window).unwrap_or(u32::MAX)))
        };
        self.counts.iter().map(put).collect()
    }

    /// Of which shares of a budget was warned.
    fn thresholds(&self, of: &Identity) -> &[f64] {
        let mut limits = self.limits.iter();
        let budget = limits.find(|limit| Identity::of(limit).same(of));
        budget.map_or(&[], |limit| &limit.thresholds)
    }
}
