//! The store in this process's memory.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::time::Instant;

use super::{Answer, Claim, Decision, Grant, NotNow, Settlement, Store, claim::Part};
use crate::limit::{ChargedAt, LimitKey, Limits, Quantity, Room, Rule, Tick, Window};

/// Below this many counts nothing is swept.
const SWEEP_FROM: usize = 1_024;

/// Counts in this process's memory, behind one lock that is never held across an await.
///
/// Its time is `tokio::time`, so that tests can pause it. Counts that are idle are forgotten: the memory
/// follows what is in use, not what was ever seen.
pub struct MemoryStore {
    limits: Limits,
    start: Instant,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    places: HashMap<LimitKey, u32>,
    entries: Vec<Entry>,
    free: Vec<u32>,
    sweep_at: usize,
}

#[derive(Default)]
struct Entry {
    window: Window,
    generation: u32,
}

impl MemoryStore {
    /// An empty store that counts under `limits`.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let counts = Counts {
            sweep_at: SWEEP_FROM,
            ..Counts::default()
        };
        MemoryStore {
            limits,
            start: Instant::now(),
            counts: Mutex::new(counts),
        }
    }

    /// How many counts are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().places.len()
    }

    /// Whether nothing is counted at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        // A panic while the lock is held cannot leave a count half changed: each change is one assignment.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rule(&self, part: &Part) -> &Rule {
        &self.limits.rules()[part.limit as usize]
    }

    fn end(&self, grant: &Grant, change: impl Fn(&Rule, &mut Window, &Part)) {
        let mut counts = self.lock();
        for part in &grant.parts {
            if let Some(window) = counts.window(part) {
                change(self.rule(part), window, part);
            }
        }
    }
}

impl Store for MemoryStore {
    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn now(&self) -> Tick {
        Tick::default().after(self.start.elapsed())
    }

    fn claim(&self, claim: &Claim) -> Answer<Decision> {
        let mut counts = self.lock();
        // Inside the lock: dates are booked in the order in which they are taken.
        let now = self.now();
        if counts.places.len() >= counts.sweep_at {
            counts.sweep(&self.limits, now);
        }
        let mut parts = Vec::new();
        let mut latest: Option<(Room, NotNow)> = None;
        for (place, rule) in (0u32..).zip(self.limits.rules()) {
            let limit = &rule.limit;
            let skip = !claim.quantities.contain(limit.quantity)
                || (claim.repeat && !limit.counts_repeats());
            if skip || !limit.touches(&claim.tags) {
                continue;
            }
            let (asked, declared) = limit.charge.reserve(limit.quantity, &claim.demand);
            let amount = asked.min(limit.amount).max(declared);
            let key = LimitKey::of(place, limit, &claim.tags);
            let index = counts.place(&key);
            let entry = &mut counts.entries[index as usize];
            entry.window.expire(rule, now);
            let room = entry.window.room(rule, amount);
            if room != Room::Now && latest.as_ref().is_none_or(|(other, _)| later(room, *other)) {
                let at = if let Room::At(at) = room {
                    Some(at)
                } else {
                    None
                };
                latest = Some((
                    room,
                    NotNow {
                        key,
                        at,
                        in_use: entry.window.in_use(),
                        needed: amount,
                    },
                ));
            }
            parts.push(Part {
                limit: place,
                window: index,
                generation: entry.generation,
                amount,
                date: None,
            });
        }
        Answer::Now(Ok(match latest {
            Some((Room::Never, refused)) => Decision::Never(refused),
            Some((_, refused)) => Decision::NotNow(refused),
            None => {
                for part in &parts {
                    counts.entries[part.window as usize]
                        .window
                        .hold(part.amount);
                }
                Decision::Granted(Grant { parts })
            }
        }))
    }

    fn date(&self, grant: &mut Grant) {
        let mut counts = self.lock();
        let now = self.now();
        for part in &mut grant.parts {
            let rule = self.rule(part);
            if stays_held(rule) {
                continue;
            }
            if let Some(window) = counts.window(part) {
                match part.date {
                    None => window.unhold(part.amount),
                    Some(earlier) => window.rebook(rule, earlier, part.amount, 0),
                }
                part.date = Some(window.book(rule, part.amount, now));
            }
        }
    }

    fn settle(&self, grant: Grant, settlement: Settlement) -> Answer<()> {
        self.end(&grant, |rule, window, part| {
            let limit = &rule.limit;
            let used = match settlement {
                Settlement::Usage(usage) => {
                    limit.charge.settled(limit.quantity, part.amount, &usage)
                }
                Settlement::Unknown => part.amount,
            };
            match part.date {
                Some(date) => window.rebook(rule, date, part.amount, used),
                None => {
                    window.unhold(part.amount);
                    if limit.quantity != Quantity::Concurrency {
                        window.expire(rule, self.now());
                        window.book(rule, used, self.now());
                    }
                }
            }
        });
        Answer::Now(Ok(()))
    }

    fn release(&self, grant: Grant) -> Answer<()> {
        self.end(&grant, |rule, window, part| match part.date {
            Some(date) => window.rebook(rule, date, part.amount, 0),
            None => window.unhold(part.amount),
        });
        Answer::Now(Ok(()))
    }
}

impl Counts {
    /// The place of a count, made where there is none yet.
    fn place(&mut self, key: &LimitKey) -> u32 {
        if let Some(place) = self.places.get(key) {
            return *place;
        }
        let place = self.free.pop().unwrap_or_else(|| {
            self.entries.push(Entry::default());
            u32::try_from(self.entries.len() - 1).expect("fewer than 2^32 counts fit into memory")
        });
        self.places.insert(key.clone(), place);
        place
    }

    fn window(&mut self, part: &Part) -> Option<&mut Window> {
        let entry = self.entries.get_mut(part.window as usize)?;
        (entry.generation == part.generation).then_some(&mut entry.window)
    }

    /// Forgets idle counts. Run when the number of counts has doubled, so that it costs each new count
    /// only a constant.
    fn sweep(&mut self, limits: &Limits, now: Tick) {
        let Counts {
            places,
            entries,
            free,
            sweep_at,
        } = self;
        places.retain(|key, place| {
            let entry = &mut entries[*place as usize];
            entry.window.expire(&limits.rules()[key.limit()], now);
            let keep = !entry.window.is_idle();
            if !keep {
                *entry = Entry {
                    window: Window::default(),
                    generation: entry.generation.wrapping_add(1),
                };
                free.push(*place);
            }
            keep
        });
        *sweep_at = (places.len() * 2).max(SWEEP_FROM);
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("counts", &self.len())
            .finish_non_exhaustive()
    }
}

/// Whether a charge stays held from the send to the settlement.
fn stays_held(rule: &Rule) -> bool {
    let limit = &rule.limit;
    match limit.quantity {
        Quantity::Requests => false,
        Quantity::Concurrency => true,
        _ => limit.charge.at == ChargedAt::Completion,
    }
}

/// Whether `a` has room later than `b`.
fn later(a: Room, b: Room) -> bool {
    let order = |room| match room {
        Room::Now => (0, Tick::default()),
        Room::At(at) => (1, at),
        Room::WhenGivenBack => (2, Tick::default()),
        Room::Never => (3, Tick::default()),
    };
    order(a) > order(b)
}
