//! What a store counts, as data that outlives it.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::{MemoryStore, Store as _, clock::Clock, counts::Counts};
use crate::{
    limit::{Identity, Limits, Spent, Tick, micros, pairs},
    tags::{Tag, Tags},
};

/// The form that this version writes, and the only one it reads.
const VERSION: u32 = 1;

/// What a [`MemoryStore`] counted at one moment. It holds ages instead of instants, so that it means the same in
/// another process.
///
/// What was learnt from answers is not kept: cooldowns, the usage of others, and what adaptive limits allow are learnt
/// again. It contains tag values unchanged: treat it with the same care as those.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    version: u32,
    /// The store's time, in microseconds: where its slots begin hangs on it.
    clock: u64,
    limits: Vec<Identity>,
    counts: Vec<Kept>,
}

/// One count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    /// The place of its limit in `limits`.
    limit: usize,
    /// The values of the limit's `per` tags; `None`: of all that have no count of their own.
    values: Option<Vec<Arc<str>>>,
    /// The oldest first.
    spent: Vec<Spent>,
    /// Whether its circuit is open.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    tripped: bool,
    /// Of how many thresholds was warned.
    #[serde(default)]
    warned: usize,
}

/// Why a snapshot cannot be restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// It was written in another form.
    #[error("the snapshot is of version {found}, and this reads version {VERSION}")]
    Version {
        /// The version of that form.
        found: u32,
    },
    /// A count names a limit that the snapshot does not have, or does not have as many values as its limit has tags.
    #[error("the snapshot is damaged: count {place} does not go with its limits")]
    Damaged {
        /// Which count.
        place: usize,
    },
}

impl MemoryStore {
    /// Returns what is counted now, to be [restored](Self::restore) later or elsewhere.
    ///
    /// What is held by grants that have not ended counts as spent from now on, because nobody may be left to say what
    /// became of it. Calls in flight are not kept: they end with this process. This looks at every count, under the
    /// lock that claims need.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let state = self.lock();
        self.clock.set_calendars();
        Snapshot::of(&state.limits, &state.counts, self.now())
    }

    /// Creates a store that continues from where the snapshot was taken. It decides as the other store would have, to
    /// the tick, if that had then settled what it held.
    ///
    /// There is one exception: where no more counts may be kept, it may have a count for a value that would have shared
    /// one in the other store, because idle counts are not kept in a snapshot.
    ///
    /// Counts are matched by quantity, period, `when` and `per`, so amounts may have changed, and a limit that only
    /// watched may act now; counts of limits that no longer exist are dropped. What a budget passes because its amount is
    /// less now is told as an [event](super::BudgetEvent), and may open its circuit. Grants of the other store may be settled
    /// and released here and change nothing: they already count as spent.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_quota::{Limiter, limit::{Limit, Limits}, limiter::{Call, QueueOptions}, store::MemoryStore};
    /// # use std::sync::Arc;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
    /// let limits = Limits::new([Limit::requests(1).every(Duration::from_secs(60))])?;
    /// let store = Arc::new(MemoryStore::new(limits.clone()));
    /// let limiter = Limiter::build(store.clone(), QueueOptions::new());
    /// drop(limiter.acquire(Call::new()).await?);
    /// let text = serde_json::to_string(&store.snapshot())?;
    ///
    /// // In the next process, ten seconds later:
    /// let snapshot = serde_json::from_str(&text)?;
    /// let store = MemoryStore::restore(limits, &snapshot, Duration::from_secs(10))?;
    /// let refused = Limiter::with_store(store).try_acquire(Call::new()).await.unwrap_err();
    /// assert_eq!(refused.retry_after(), Some(Duration::from_millis(50_500)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// `since` is the time that has passed since the snapshot. If nobody knows it, pass zero: then everything counts
    /// longer than it has to, and nothing shorter.
    ///
    /// # Errors
    /// If the snapshot is of a form that this version does not know, or is damaged.
    pub fn restore(
        limits: Limits,
        snapshot: &Snapshot,
        since: Duration,
    ) -> Result<Self, RestoreError> {
        let limits = limits.for_a_store();
        let began = Tick::from_micros(snapshot.clock.saturating_add(micros(since)));
        let clock = Clock::new(began, &limits);
        let counts = snapshot.counts(&limits)?;
        let store = Self::of(limits, counts, clock);
        // Of a budget that is less now more may be spent than was told.
        store.look_at_budgets();
        Ok(store)
    }
}

impl Snapshot {
    /// Returns how many counts it has that are not empty: one per limit for each tag value.
    #[must_use]
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// Returns whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    pub(super) fn of(limits: &Limits, counts: &Counts, now: Tick) -> Self {
        let mut kept = Vec::new();
        let places: Vec<u32> = limits.live().map(|(place, _)| place).collect();
        for (number, entry) in counts.iter() {
            let level = &limits.levels()[number];
            let shared = entry.is_shared(&level.limit);
            for (limit, window) in level.places.iter().zip(&entry.windows) {
                let spent = window.spent(&limits.rules()[*limit as usize], now);
                let (tripped, warned) = (window.is_tripped(), window.warned());
                if !spent.is_empty() || tripped {
                    let values = (!shared).then(|| entry.values.shared());
                    // Of those that hold: where they stood among others that do not is nobody's business.
                    let limit = places.partition_point(|place| place < limit);
                    kept.push(Kept {
                        limit,
                        values,
                        spent,
                        tripped,
                        warned,
                    });
                }
            }
        }
        Snapshot {
            version: VERSION,
            clock: now.as_micros(),
            limits: limits
                .live()
                .map(|(_, rule)| Identity::of(&rule.limit))
                .collect(),
            counts: kept,
        }
    }

    /// The counts as they were.
    pub(super) fn counts(&self, limits: &Limits) -> Result<Counts, RestoreError> {
        if self.version != VERSION {
            return Err(RestoreError::Version {
                found: self.version,
            });
        }
        let taken = Tick::from_micros(self.clock);
        let mut counts = Counts::new(limits);
        let places = places(limits, &self.limits);
        for (number, kept) in self.counts.iter().enumerate() {
            let damaged = RestoreError::Damaged { place: number };
            let old = self.limits.get(kept.limit).ok_or(damaged)?;
            let tags = match &kept.values {
                Some(values) if values.len() != old.per.len() => return Err(damaged),
                Some(values) => Some(tags(&old.per, values)),
                None if old.per.is_empty() => return Err(damaged),
                None => None,
            };
            let Some(place) = places[kept.limit] else {
                continue;
            };
            let (level, window) = limits.level_of(place);
            let entry = counts.kept(limits, level, tags.as_ref());
            let rule = &limits.rules()[place as usize];
            let count = &mut entry.windows[window];
            count.book_spent(rule, &kept.spent, taken);
            // Of a period that has ended since nobody was warned.
            let warned = kept.warned.min(count.most_warned(rule));
            count.set_alarms(kept.tripped && rule.limit.circuit, warned, taken);
        }
        Ok(counts)
    }
}

/// Where each of these limits is now; also one that acts now and only watched then, or the other way round.
pub(super) fn places(limits: &Limits, old: &[Identity]) -> Vec<Option<u32>> {
    let live = limits.live();
    let (now, same): (Vec<u32>, Vec<Identity>) = live
        .map(|(place, rule)| (place, Identity::of(&rule.limit)))
        .unzip();
    let mut places = vec![None; old.len()];
    for (place, number) in now.into_iter().zip(pairs(old, &same)) {
        if let Some(number) = number {
            places[number] = Some(place);
        }
    }
    places
}

pub(super) fn tags(per: &[Tag], values: &[Arc<str>]) -> Tags {
    per.iter()
        .zip(values)
        .fold(Tags::new(), |tags, (tag, value)| {
            tags.with(tag.clone(), value.clone())
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{limit::Limit, money::Money, usage::Usage};

    fn budget(dollars: u64) -> Limits {
        let hour = Duration::from_secs(3_600);
        let budget = Limit::cost(Money::from_dollars(dollars)).every(hour);
        Limits::new([budget.thresholds([0.8])]).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_passed_because_less_may_be_spent_is_told_once() {
        let store = MemoryStore::new(budget(100));
        let mut usage = Usage::new(1, 1);
        usage.cost = Some(Money::from_dollars(60));
        store.record(&Tags::new(), usage).get().await.unwrap();
        let snapshot = store.snapshot();
        let restored =
            |dollars, since| MemoryStore::restore(budget(dollars), &snapshot, since).unwrap();
        assert_eq!(restored(100, Duration::ZERO).events(), []);
        let less = restored(50, Duration::ZERO);
        assert_eq!(less.events().len(), 1);
        let again = MemoryStore::restore(budget(50), &less.snapshot(), Duration::ZERO).unwrap();
        assert_eq!(again.events(), []);
        // Nor where it is past.
        assert_eq!(restored(50, Duration::from_secs(7_200)).events(), []);
    }
}
