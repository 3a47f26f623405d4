//! How every count stands, for whoever shows it.

use std::{cmp::Reverse, sync::Arc};

use serde::Serialize;

use super::{MemoryStore, Store as _, budgets::by_tag, counts::Counts};
use crate::{
    limit::{LimitKey, Limits, Quantity, Rule, Tick},
    tags::Tag,
};

/// How many values of a limit are looked at: nobody who claims waits for longer.
const LOOKED_AT: usize = 10_000;

/// How one count stands. A count is a limit; if the limit is split by tags, it is for one value.
///
/// ```
/// # use std::time::Duration;
/// use tower_quota::{Limiter, Tag, Tags, limit::{Limit, Limits}, limiter::Call};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let limit = Limit::requests(60).every(Duration::from_secs(60)).per(Tag::Agent);
/// let limiter = Limiter::new(Limits::new([limit])?);
/// drop(limiter.acquire(Call::new().tags(Tags::new().with(Tag::Agent, "scout"))).await?);
///
/// let json = serde_json::to_value(limiter.counts(10).await?)?;
/// assert_eq!(json[0]["rule"], "requests 60/min per agent");
/// assert_eq!(json[0]["of"]["agent"], "scout");
/// assert_eq!(json[0]["in_use"], 1);
/// assert_eq!(json[0]["amount"], 60);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CountStanding {
    /// The limit's place in its [`Limits`].
    pub limit: usize,
    /// The limit as it was given, the same for all of its counts, such as `tokens 90000/min per agent`.
    pub rule: Arc<str>,
    /// What is counted. Cost is in billionths of a dollar.
    pub quantity: Quantity,
    /// Whose count it is: a value for each tag that the limit is split by; empty for calls without the tag. `None` for
    /// the count of all values that have none of their own. In JSON, an object.
    #[serde(serialize_with = "by_tag")]
    pub of: Option<Vec<(Tag, Arc<str>)>>,
    /// How much may be used now.
    pub amount: u64,
    /// What counts under it now, including others on the same account if that is known.
    pub in_use: u64,
    /// The part of `in_use` that is held for calls that have not ended.
    pub reserved: u64,
    /// Whether the limit only watches.
    pub shadow: bool,
}

impl CountStanding {
    /// Returns how full it is: 1 if no more may be used.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share is no exact figure")]
    pub fn share(&self) -> f64 {
        match (self.in_use, self.amount) {
            (0, _) => 0.0,
            (used, amount) => used as f64 / amount.max(1) as f64,
        }
    }

    /// The fullest first; of equal ones by their values.
    fn order(&self) -> impl Ord + use<> {
        let full = u128::from(self.in_use) << 64;
        let of = self.of.iter().flatten();
        let of: Vec<Arc<str>> = of.map(|(_, value)| value.clone()).collect();
        (Reverse(full / u128::from(self.amount.max(1))), of)
    }
}

impl MemoryStore {
    pub(super) fn count_standings(&self, most: usize) -> Vec<CountStanding> {
        let state = &mut *self.lock();
        self.clock.set_calendars();
        let (limits, now) = (state.limits.clone(), self.now());
        let mut standings = state.counts.standings(&limits, now);
        for (place, rule) in limits.live() {
            let met = standings.iter().any(|one| one.limit == place as usize);
            if !met && rule.limit.per.is_empty() && is_given(rule) {
                // Nobody has come to it yet.
                let name = rule.limit.to_string().into();
                let amount = limits.amount_of(&LimitKey::of_values(place, &[], false));
                standings.push(CountStanding::new(place, name, rule, (amount, 0, 0)));
            }
        }
        standings.sort_by_cached_key(|one| (one.limit, one.order()));
        let mut of_limit = (usize::MAX, 0);
        standings.retain(|one| {
            of_limit = match of_limit {
                (limit, shown) if limit == one.limit => (limit, shown + 1),
                _ => (one.limit, 1),
            };
            of_limit.1 <= most
        });
        standings
    }
}

impl CountStanding {
    fn new(
        place: u32,
        name: Arc<str>,
        rule: &Rule,
        (amount, in_use, reserved): (u64, u64, u64),
    ) -> Self {
        CountStanding {
            limit: place as usize,
            rule: name,
            quantity: rule.limit.quantity,
            of: Some(Vec::new()),
            amount,
            in_use,
            reserved,
            shadow: rule.limit.shadow,
        }
    }
}

impl Counts {
    /// Every count of a limit as it was given, of so many entries a level.
    fn standings(&mut self, limits: &Limits, now: Tick) -> Vec<CountStanding> {
        let mut standings = Vec::new();
        for (number, level) in limits.levels().iter().enumerate() {
            let given = level.places.iter().map(|place| {
                let rule = &limits.rules()[*place as usize];
                is_given(rule).then(|| Arc::<str>::from(rule.limit.to_string()))
            });
            let given: Vec<Option<Arc<str>>> = given.collect();
            let places = self.tables[number].iter().take(LOOKED_AT);
            for place in places.chain(self.shared[number]) {
                let entry = self.entries.at_mut(place);
                let shared = entry.is_shared(&level.limit);
                let values = entry.values.shared();
                let of = level.limit.per.iter().cloned().zip(values);
                let of: Option<Vec<(Tag, Arc<str>)>> = (!shared).then(|| of.collect());
                let counts = level.places.iter().zip(&mut entry.windows);
                for ((limit, count), name) in counts.zip(&given) {
                    let (Some(name), rule) = (name, &limits.rules()[*limit as usize]) else {
                        continue;
                    };
                    count.expire(rule, now);
                    let figures = (
                        count.usable(),
                        count.in_use_of_all(rule, now),
                        count.reserved(),
                    );
                    let standing = CountStanding::new(*limit, name.clone(), rule, figures);
                    standings.push(CountStanding {
                        of: of.clone(),
                        ..standing
                    });
                }
            }
        }
        standings
    }
}

/// Whether a limit is one that was given, no slice and no share of one.
fn is_given(rule: &Rule) -> bool {
    rule.limit.whole.is_none() && !rule.is_share()
}
