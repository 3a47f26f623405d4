//! How a limiter's queue behaves.

use std::{collections::HashMap, num::NonZeroU32, sync::Arc, time::Duration};

use super::order::WHOLE;
use crate::tags::{Tag, Tags};

/// How waiting calls share the room there is.
///
/// ```
/// use std::{num::NonZeroU32, time::Duration};
/// use tower_quota::{Tag, limiter::QueueOptions};
///
/// let options = QueueOptions::new()
///     .max_waiting(10_000)
///     .aging(Duration::from_secs(30))
///     .share_by(Tag::Team)
///     .weight("research", const { NonZeroU32::new(3).unwrap() });
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct QueueOptions {
    pub(super) max_waiting: usize,
    pub(super) max_wait: Option<Duration>,
    pub(super) aging: Duration,
    share_by: Tag,
    weights: HashMap<Arc<str>, NonZeroU32>,
}

impl QueueOptions {
    /// Creates the default options: 100 000 calls may wait, each for as long as it says itself, one step of priority is
    /// worth ten seconds, and all agents have equal shares.
    pub fn new() -> Self {
        QueueOptions {
            max_waiting: 100_000,
            max_wait: None,
            aging: Duration::from_secs(10),
            share_by: Tag::Agent,
            weights: HashMap::new(),
        }
    }

    /// Sets how many calls may wait; any further call is refused. With 0, no call may wait.
    pub fn max_waiting(mut self, calls: usize) -> Self {
        self.max_waiting = calls;
        self
    }

    /// Sets how long a call may wait at most, as if each had said so itself: a call that says
    /// [less](super::Call::max_wait) waits for less. It counts from when the call came, over all attempts.
    ///
    /// ```
    /// # use std::{sync::Arc, time::Duration};
    /// use tower_quota::{Limiter, limit::{Limit, Limits}, limiter::{Call, QueueOptions}, store::MemoryStore};
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let a_day = Duration::from_secs(86_400);
    /// let store = MemoryStore::new(Limits::new([Limit::requests(1).every(a_day)])?);
    /// let options = QueueOptions::new().max_wait(Duration::from_secs(30));
    /// let limiter = Limiter::build(Arc::new(store), options);
    /// drop(limiter.acquire(Call::new()).await?);
    ///
    /// let refused = limiter.acquire(Call::new()).await.unwrap_err();
    /// assert_eq!(refused.kind(), "deadline_exceeded");
    /// assert!(refused.retry_after().unwrap() >= a_day, "there will be room tomorrow");
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_wait(mut self, wait: Duration) -> Self {
        self.max_wait = Some(wait);
        self
    }

    /// Sets how much older one step of priority makes a call.
    pub fn aging(mut self, span: Duration) -> Self {
        self.aging = span;
        self
    }

    /// Sets the tag by which calls share fairly: calls with the same value of this tag are one party.
    pub fn share_by(mut self, tag: impl Into<Tag>) -> Self {
        self.share_by = tag.into();
        self
    }

    /// Sets the weight of one party's share. Parties that are not named have weight 1.
    pub fn weight(mut self, party: impl Into<Arc<str>>, weight: NonZeroU32) -> Self {
        self.weights.insert(party.into(), weight);
        self
    }

    /// The party that a call belongs to.
    pub(super) fn party(&self, tags: &Tags) -> Arc<str> {
        tags.shared(&self.share_by).cloned().unwrap_or_default()
    }

    /// How much virtual time a party's call takes: the largest part that it needs of any limit, by the weight.
    pub(super) fn size(&self, party: &str, parts: impl Iterator<Item = (u64, u64)>) -> u64 {
        let part = |(need, amount): (u64, u64)| {
            u128::from(need) * u128::from(WHOLE) / u128::from(amount.max(1))
        };
        let largest = u64::try_from(parts.map(part).max().unwrap_or_default()).unwrap_or(u64::MAX);
        let weight = self.weights.get(party).map_or(1, |weight| weight.get());
        (largest / u64::from(weight)).max(1)
    }
}

impl Default for QueueOptions {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_as_large_as_the_largest_part_it_needs_of_any_limit() {
        let options = QueueOptions::new().weight("heavy", 4.try_into().unwrap());
        let parts = || [(1, 100), (500, 1_000)].into_iter();
        assert_eq!(options.size("light", parts()), WHOLE / 2);
        assert_eq!(options.size("heavy", parts()), WHOLE / 8);
        assert_eq!(options.size("light", [].into_iter()), 1);
    }
}
