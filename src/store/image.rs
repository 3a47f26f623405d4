//! All of a memory store, exactly: what is dated, what is held, and by which grants. A store that is made of it
//! decides as that one, and its grants end here.

use std::{collections::HashMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    Grant, MemoryStore,
    clock::{Clock, told::Told},
    counts::Counts,
    grants::{Name, Part, Streamed},
    memory::State,
    snapshot,
};
use crate::limit::{Identity, KeptLimits, LimitKey, Limits, Tick, Window};

/// All of a memory store.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Image {
    /// With every place that counts, grants and what is done later name.
    limits: KeptLimits,
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
    /// The place of what it is charged by: that of its limit, or what this was [before](crate::limit::Rule::before).
    limit: u32,
    amount: u64,
    apart: u64,
    sent: Option<Tick>,
    then: u64,
}

impl MemoryStore {
    /// All of it, with all grants that are open.
    #[cfg(feature = "sqlite")]
    pub(super) fn image_of_all(&self) -> Image {
        let state = &*self.lock();
        let open = state.counts.grants.open();
        Self::image_of(state, open.map(|name| (name.number(), name)))
    }

    /// All of it, with these grants of those that are open.
    pub(super) fn image<'g>(&self, grants: impl Iterator<Item = (u64, &'g Grant)>) -> Image {
        let grants = grants.map(|(number, grant)| (number, grant.name));
        Self::image_of(&self.lock(), grants)
    }

    fn image_of(
        State { counts, limits }: &State,
        grants: impl Iterator<Item = (u64, Name)>,
    ) -> Image {
        let mut image = Image {
            limits: limits.kept(),
            counts: Vec::new(),
            grants: Vec::new(),
            closed: Vec::new(),
        };
        let mut places = HashMap::new();
        image.take_counts(limits, counts, &mut places);
        for (number, name) in grants {
            if let Some(open) = counts.grants.find(name) {
                let parts = open.parts.iter();
                let parts = parts.filter_map(|part| {
                    let count = *places.get(&(part.entry, part.window))?;
                    let Part {
                        limit,
                        amount,
                        apart,
                        sent,
                        then,
                        ..
                    } = *part;
                    Some(HeldPart {
                        count,
                        limit,
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

    /// A store that goes on where an image was taken of one with the limits `old`, under those or others: counts are
    /// matched by quantity, period, `when` and `per`, and those of limits that are no more are dropped. Its clock shows
    /// what `told` says. With it, its grants.
    pub(super) fn of_image(
        (old, limits): (&Limits, Limits),
        most: Option<usize>,
        image: &Image,
        told: Arc<Told>,
    ) -> (Self, HashMap<u64, Grant>) {
        let clock = Clock::telling(told, &limits);
        let mut counts = Counts::new(&limits);
        let at = image.put_counts((old, &limits), &mut counts);
        let mut names = Vec::new();
        for held in &image.grants {
            let parts = (0..).zip(&held.parts);
            let kept: Vec<(u32, Part)> = parts
                .filter_map(|(number, part)| {
                    let at = (*at.get(part.count as usize)?)?;
                    Some((number, part.under(&limits, at)))
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
                if part.sent.is_some() {
                    let rule = part.rule(limits.rules());
                    part.opens(counts.entries.window(part), rule);
                }
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

impl HeldPart {
    /// The same where its count is now: of a limit, in an entry, as so manyth window of it.
    fn under(&self, limits: &Limits, at: (u32, u32, u32)) -> Part {
        let HeldPart {
            limit: by,
            amount,
            apart,
            sent,
            then,
            ..
        } = *self;
        let (limit, entry, window) = at;
        let rules = limits.rules();
        let was = rules.get(by as usize);
        let limit = match was.filter(|rule| rule.before == Some(limit)) {
            Some(_) => by,
            None => limit,
        };
        Part {
            limit,
            terms: rules[limit as usize].terms,
            entry,
            window,
            amount,
            apart,
            sent,
            then,
        }
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
    fn put_counts(
        &self,
        (old, limits): (&Limits, &Limits),
        counts: &mut Counts,
    ) -> Vec<Option<(u32, u32, u32)>> {
        let mut places = vec![None; old.rules().len()];
        let live = old.live();
        let (stood, known): (Vec<u32>, Vec<Identity>) = live
            .map(|(place, rule)| (place, Identity::of(&rule.limit)))
            .unzip();
        for (place, now) in stood.into_iter().zip(snapshot::places(limits, &known)) {
            places[place as usize] = now;
        }
        let put = |kept: &Counted| {
            let limit = (*places.get(kept.limit as usize)?)?;
            let old = &old.rules()[kept.limit as usize];
            let values = kept.values.as_ref();
            let tags = values.map(|values| snapshot::tags(&old.limit.per, values));
            let (level, window) = limits.level_of(limit);
            let entry = counts.kept_at(limits, level, tags.as_ref());
            let rule = &limits.rules()[limit as usize];
            let at = counts.entries.at(entry);
            let amount = rule.amount_for(at.values.first());
            let mut count = kept.window.clone();
            count.go_by(old, rule, amount);
            counts.entries.at_mut(entry).windows[window] = count;
            Some((limit, entry, u32::try_from(window).unwrap_or(u32::MAX)))
        };
        self.counts.iter().map(put).collect()
    }

    /// How many counts are in it.
    #[cfg(feature = "sqlite")]
    pub(super) fn len(&self) -> usize {
        self.counts.len()
    }

    /// The limits of the store that it was taken of, each where it stood. `None`, where they make no sense.
    pub(super) fn limits(&self) -> Option<Limits> {
        Limits::of_kept(&self.limits)
    }
}
