//! The store in this process's memory.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use smallvec::SmallVec;
use tokio::time::Instant;

use super::{
    Answer, Claim, Decision, Grant, NotNow, Settlement, Store,
    claim::Part,
    counts::{Counts, Entry},
};
use crate::{
    error::StoreError,
    limit::{LimitKey, Limits, Quantity, Room, Rule, Tick},
    tags::Tags,
};

/// Counts in this process's memory, behind one lock that is never held across an await.
///
/// Its time is `tokio::time`, so that tests can pause it. Counts that are idle are forgotten: the memory
/// follows what is in use, not what was ever seen.
///
/// # Bounds
/// No more than a million counts are kept, or as many as [`max_counts`](Self::max_counts) says. When that
/// many are in use, idle ones go first; these are looked for at most once a second. When all are busy, the
/// further values of a limit *share one count*, which holds as much as one value may use: too strict for
/// them, and never unlimited. Values with a count of their own notice nothing. Messages name the shared
/// count as that of all others, and it ends when nothing counts there any more.
pub struct MemoryStore {
    limits: Limits,
    /// Told by grants, so that those of another store do nothing here.
    id: u64,
    start: Instant,
    /// The time at the start.
    began: Tick,
    counts: Mutex<Counts>,
}

impl MemoryStore {
    /// An empty store that counts under `limits`.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let counts = Counts::new(&limits);
        Self::of(limits, counts, Tick::default())
    }

    pub(super) fn of(limits: Limits, counts: Counts, began: Tick) -> Self {
        MemoryStore {
            limits,
            id: fastrand::u64(..),
            start: Instant::now(),
            began,
            counts: Mutex::new(counts),
        }
    }

    /// This store with at most `most` counts, and one more for each set of tags that limits have.
    ///
    /// ```
    /// use tower_quota::{limit::Limits, store::MemoryStore};
    ///
    /// let store = MemoryStore::new(Limits::new([])?).max_counts(10_000);
    /// assert!(store.is_empty());
    /// # Ok::<(), tower_quota::limit::LimitError>(())
    /// ```
    #[must_use]
    pub fn max_counts(self, most: usize) -> Self {
        self.lock().set_most(most);
        self
    }

    /// What the limits that [only watch](crate::limit::Limit::shadow) would have refused of what was granted
    /// since this store was made: each limit in words, and how many claims. A call with several attempts
    /// makes several.
    ///
    /// ```
    /// use std::{sync::Arc, time::Duration};
    /// use tower_quota::{Limiter, limit::{Limit, Limits}, limiter::Call, store::MemoryStore};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let limit = Limit::requests(1).every(Duration::from_secs(60)).shadow();
    /// let store = Arc::new(MemoryStore::new(Limits::new([limit])?));
    /// let limiter = Limiter::build(store.clone(), 1_000, Duration::from_secs(10));
    /// for _ in 0..3 {
    ///     drop(limiter.acquire(Call::new()).await?);
    /// }
    /// assert_eq!(store.would_have_refused(), [("requests 1/min (shadow)".to_owned(), 2)]);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn would_have_refused(&self) -> Vec<(String, u64)> {
        let counts = self.lock();
        let rules = counts.current().rules().iter().zip(counts.over());
        let shadows = rules.filter(|(rule, _)| rule.limit.shadow);
        shadows
            .map(|(rule, over)| (rule.limit.to_string(), *over))
            .collect()
    }

    /// About how many bytes the counts take. Looks at each of them.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.lock().bytes()
    }

    /// How many counts are kept: one for each tag value that limits are split by.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether nothing is counted at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Counts> {
        // A panic while the lock is held cannot leave a count half changed: each change is one assignment.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is room once what has left is let go; notes it where there is none.
    #[cold]
    fn look_closer(
        &self,
        met: &mut Met,
        entry: &mut Entry,
        (limit, window, needed): (u32, u32, u64),
        tags: &Tags,
    ) {
        let rule = &self.limits.rules()[limit as usize];
        let shared = entry.is_shared(&rule.limit);
        let count = &mut entry.windows[window as usize];
        count.expire(rule, *met.now.get_or_insert_with(|| self.now()));
        let room = count.room(rule, needed);
        if room == Room::Now {
            return;
        }
        if rule.limit.shadow {
            met.over.push(limit);
            return;
        }
        if met
            .latest
            .as_ref()
            .is_none_or(|(other, _)| later(room, *other))
        {
            let key = if shared {
                LimitKey::shared(limit)
            } else {
                LimitKey::of(limit, &rule.limit, tags)
            };
            let refused = NotNow {
                key,
                at: if let Room::At(at) = room {
                    Some(at)
                } else {
                    None
                },
                in_use: count.in_use(),
                needed,
            };
            met.latest = Some((room, refused));
        }
    }

    fn rule(&self, part: &Part) -> &Rule {
        &self.limits.rules()[part.limit as usize]
    }
}

/// What a claim met that had no room.
#[derive(Default)]
struct Met {
    /// The time, once it was asked for.
    now: Option<Tick>,
    /// Limits that only watch.
    over: Vec<u32>,
    /// Of the others the one that has room last.
    latest: Option<(Room, NotNow)>,
}

impl Store for MemoryStore {
    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn refuse(&self, claim: &Claim) -> Answer<()> {
        if !self.limits.count_refused() {
            return Answer::Now(Ok(()));
        }
        let mut counts = self.lock();
        let now = self.now();
        for (number, level) in self.limits.levels().iter().enumerate() {
            if !self.limits.of_level(level).touches(&claim.tags) {
                continue;
            }
            let (_, entry) = counts.entry(&self.limits, number, &claim.tags, || now);
            for (window, limit) in entry.windows.iter_mut().zip(&level.places) {
                let rule = &self.limits.rules()[*limit as usize];
                let need = rule.need(
                    window.amount(),
                    &claim.demand,
                    claim.quantities,
                    claim.repeat,
                );
                if let Some(need) = need.filter(|_| rule.limit.count_refused) {
                    window.book(rule, need, now);
                }
            }
        }
        Answer::Now(Ok(()))
    }

    fn limits_now(&self) -> Limits {
        self.lock().current().clone()
    }

    fn reconfigure(&self, limits: &Limits) -> Answer<()> {
        Answer::Now(match self.limits.with_amounts_of(limits) {
            Ok(limits) => {
                self.lock().set_amounts(limits);
                Ok(())
            }
            Err(differ) => Err(StoreError::new(differ.to_string())),
        })
    }

    fn keys(&self, tags: &Tags) -> Vec<LimitKey> {
        let mut keys = self.limits.keys(tags);
        let mut counts = self.lock();
        let now = self.now();
        for (number, level) in self.limits.levels().iter().enumerate() {
            if counts.shares(&self.limits, number, tags, now) {
                let of_level = |key: &&mut LimitKey| level.places.contains(&key.place());
                let keys = keys.iter_mut().filter(of_level);
                keys.for_each(|key| *key = key.to_shared());
            }
        }
        keys
    }

    fn now(&self) -> Tick {
        self.began.after(self.start.elapsed())
    }

    fn claim(&self, claim: &Claim) -> Answer<Decision> {
        let mut counts = self.lock();
        // The clock is asked only where something has to expire first, and then inside the lock: dates are
        // booked in the order in which they are taken.
        let mut met = Met::default();
        counts.sweep_if_grown(&self.limits, || self.now());
        let mut parts = SmallVec::new();
        for (number, level) in self.limits.levels().iter().enumerate() {
            let tagged = self.limits.of_level(level);
            if !tagged.touches(&claim.tags) {
                continue;
            }
            let (place, entry) = counts.entry(&self.limits, number, &claim.tags, || self.now());
            for (window, limit) in (0u32..).zip(&level.places) {
                let rule = &self.limits.rules()[*limit as usize];
                let count = &entry.windows[window as usize];
                let most = count.amount();
                let need = rule.need(most, &claim.demand, claim.quantities, claim.repeat);
                let Some(amount) = need else {
                    continue;
                };
                if !count.fits(amount) {
                    let at = (*limit, window, amount);
                    self.look_closer(&mut met, entry, at, &claim.tags);
                }
                let generation = entry.generation;
                parts.push(Part {
                    limit: *limit,
                    entry: place,
                    generation,
                    window,
                    amount,
                    date: None,
                });
            }
        }
        Answer::Now(Ok(match met.latest {
            Some((Room::Never, refused)) => Decision::Never(refused),
            Some((_, refused)) => Decision::NotNow(refused),
            None => {
                for part in &parts {
                    let window = counts.window(part);
                    window.expect("found just above").hold(part.amount);
                }
                met.over.iter().for_each(|limit| counts.note_over(*limit));
                let store = self.id;
                Decision::Granted(Grant { store, parts })
            }
        }))
    }

    fn date(&self, grant: &mut Grant) {
        if grant.store != self.id {
            return;
        }
        let mut counts = self.lock();
        let now = self.now();
        for part in &mut grant.parts {
            let rule = self.rule(part);
            if rule.stays_held() {
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
        let used = |part: &Part| {
            let limit = &self.rule(part).limit;
            match settlement {
                Settlement::Usage(usage) => {
                    limit.charge.settled(limit.quantity, part.amount, &usage)
                }
                Settlement::Unknown => part.amount,
            }
        };
        // What is dated and stays what it was needs neither the lock nor the clock.
        let stays = |part: &Part| part.date.is_some() && used(part) == part.amount;
        if grant.store != self.id || grant.parts.iter().all(stays) {
            return Answer::Now(Ok(()));
        }
        let mut counts = self.lock();
        let mut now = None;
        for part in &grant.parts {
            let (rule, used) = (self.rule(part), used(part));
            let Some(window) = counts.window(part) else {
                continue;
            };
            match part.date {
                Some(date) => window.rebook(rule, date, part.amount, used),
                None => {
                    window.unhold(part.amount);
                    if rule.limit.quantity != Quantity::Concurrency {
                        window.book(rule, used, *now.get_or_insert_with(|| self.now()));
                    }
                }
            }
        }
        Answer::Now(Ok(()))
    }

    fn release(&self, grant: Grant) -> Answer<()> {
        if grant.store != self.id {
            return Answer::Now(Ok(()));
        }
        let mut counts = self.lock();
        for part in &grant.parts {
            let Some(window) = counts.window(part) else {
                continue;
            };
            match part.date {
                Some(date) => window.rebook(self.rule(part), date, part.amount, 0),
                None => window.unhold(part.amount),
            }
        }
        Answer::Now(Ok(()))
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("counts", &self.len())
            .finish_non_exhaustive()
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
