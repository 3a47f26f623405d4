//! The limits of one limiter, checked when they are put together.

use std::{collections::HashMap, sync::Arc};

use super::{
    Around, Hold, Identity, Life, Limit, LimitError, LimitKey, Quantity, Wall,
    amount::{check_adaptive, check_amounts},
    circuit::check_alarms,
    idle::check_idle,
    life::{life, slice},
    pause::check_pause,
    share::check_shares,
    terms::Terms,
};
use crate::tags::Tags;

/// The limits of one limiter, checked and ready for use.
///
/// ```
/// use tower_quota::limit::{Limit, LimitError, Limits};
///
/// let error = Limits::new([Limit::requests(100)]).unwrap_err();
/// assert!(matches!(error, LimitError::NoPeriod { .. }));
/// assert_eq!(
///     error.to_string(),
///     "limit 0 (requests 100): `period` is missing; say `every(…)`, or `every_run()`"
/// );
/// ```
///
/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Limits(Arc<Set>);

#[derive(Debug)]
struct Set {
    /// By place: those that were given, then the slices of them, then the guaranteed shares. Where limits were
    /// [changed](Limits::changed_to) there are also such as hold no more, and what came is behind them.
    rules: Vec<Rule>,
    /// The places of those that were given, in order.
    given: Vec<u32>,
    /// The places of all that hold, from the first on.
    live: Vec<u32>,
    levels: Vec<Level>,
    /// How often they were changed.
    version: u32,
    /// Of those that hold, whether any is such.
    has: Has,
    /// What the clock shows by which calendars go.
    wall: Arc<Wall>,
}

#[derive(Debug)]
struct Has {
    dates_at_the_end: bool,
    calendars: bool,
    shares: bool,
    budgets: bool,
    count_refused: bool,
    adaptive: bool,
    pauses: bool,
}

/// Limits on the same tags: their counts are found together.
#[derive(Clone, Debug)]
pub(crate) struct Level {
    /// The places of its limits, in order.
    pub(crate) places: Vec<u32>,
    /// The same with what each call asks of them, side by side.
    pub(crate) terms: Vec<(u32, Terms)>,
    /// One of them: all have the same tags.
    pub(crate) limit: Limit,
}

/// A limit as the arithmetic wants it: lengths in ticks.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) limit: Limit,
    /// How much may be used: less than is published, where there is headroom.
    pub(crate) amount: u64,
    /// The same for values that have an amount of their own.
    pub(super) amounts: HashMap<Arc<str>, u64>,
    pub(crate) life: Life,
    pub(crate) terms: Terms,
    pub(crate) hold: Hold,
    /// Where it is no limit that holds, but how calls in flight are charged that were claimed before the one at this
    /// place was charged otherwise.
    pub(crate) before: Option<u32>,
    /// Since which [version](Limits::version) of its limits it holds.
    pub(crate) since: u32,
}

impl Level {
    /// Whether a limit is on the same tags.
    pub(crate) fn is_of(&self, limit: &Limit) -> bool {
        self.limit.when == limit.when && self.limit.per == limit.per
    }
}

impl Limits {
    /// Checks the limits and puts them together. An empty set is valid: everything is admitted.
    ///
    /// # Errors
    /// The first value that makes no sense, with the name of its field.
    pub fn new(limits: impl IntoIterator<Item = Limit>) -> Result<Self, LimitError> {
        let limits: Vec<Limit> = limits.into_iter().collect();
        let mut places = limits.iter().enumerate();
        places.try_for_each(|(place, limit)| check_idle(place, limit))?;
        Self::on_wall(limits, Arc::default())
    }

    /// The same of limits that were taken before, by this version or an earlier one, which may have taken settings that change
    /// nothing.
    #[cfg(any(feature = "redis", feature = "sqlite"))]
    pub(crate) fn taken_before(
        limits: impl IntoIterator<Item = Limit>,
    ) -> Result<Self, LimitError> {
        Self::on_wall(limits, Arc::default())
    }

    /// The same limits for one more store, with a clock of its own.
    pub(crate) fn for_a_store(self) -> Self {
        // There may be calendars later, where there are none now.
        Self::on_wall(self.iter().cloned(), Arc::default()).expect("they were checked")
    }

    /// Whether any limit is on cost.
    pub(crate) fn count_cost(&self) -> bool {
        self.0.has.budgets
    }

    /// Whether any budget that acts is for calls with these tags.
    pub(crate) fn have_budgets(&self, tags: &Tags) -> bool {
        let mut limits = self.live().map(|(_, rule)| &rule.limit);
        let acts = |limit: &Limit| limit.quantity == Quantity::Cost && !limit.shadow;
        self.0.has.budgets && {
            let around = Around::of(tags);
            limits.any(|limit| acts(limit) && around.touch(limit))
        }
    }

    /// Whether any limit goes by a calendar.
    pub(crate) fn have_calendars(&self) -> bool {
        self.0.has.calendars
    }

    /// Whether anything is guaranteed to anybody.
    pub(crate) fn have_shares(&self) -> bool {
        self.0.has.shares
    }

    pub(crate) fn wall(&self) -> &Arc<Wall> {
        &self.0.wall
    }

    /// How often they were changed: of two that one store had, the later has more.
    pub(crate) fn version(&self) -> u32 {
        self.0.version
    }

    pub(super) fn on_wall(
        limits: impl IntoIterator<Item = Limit>,
        wall: Arc<Wall>,
    ) -> Result<Self, LimitError> {
        let (mut rules, mut slices, mut shares): (Vec<Rule>, Vec<Rule>, Vec<Rule>) =
            Default::default();
        let mut known: Vec<Identity> = Vec::new();
        for (place, limit) in limits.into_iter().enumerate() {
            check_pause(place, &limit)?;
            let life = life(place, &limit, &wall)?;
            tags_once(place, &limit)?;
            check_amounts(place, &limit)?;
            check_shares(place, &limit)?;
            check_adaptive(place, &limit)?;
            check_alarms(place, &limit)?;
            slices.extend(slice(place, &limit, &wall)?);
            shares.extend(
                limit
                    .of_shares()
                    .map(|share| Rule::new(share, life.clone())),
            );
            let same = Identity::of(&limit).sorted();
            if let Some(first) = known.iter().position(|known| *known == same) {
                return Err(LimitError::Duplicate {
                    first,
                    second: place,
                    limit: limit.to_string(),
                });
            }
            known.push(same);
            rules.push(Rule::new(limit, life));
        }
        let given = rules.len();
        rules.append(&mut slices);
        rules.append(&mut shares);
        let live: Vec<u32> = (0u32..).take(rules.len()).collect();
        let given = live[..given].to_vec();
        Ok(Self::of(rules, (given, live), 0, wall))
    }

    /// Rules by their places, of which those at these were given, and those at these hold.
    pub(super) fn of(
        rules: Vec<Rule>,
        (given, mut live): (Vec<u32>, Vec<u32>),
        version: u32,
        wall: Arc<Wall>,
    ) -> Self {
        live.sort_unstable();
        let any = |is: fn(&Rule) -> bool| live.iter().any(|place| is(&rules[*place as usize]));
        let has = Has {
            dates_at_the_end: any(Rule::dates_at_the_end)
                || rules.iter().any(|rule| rule.before.is_some()),
            calendars: any(|rule| matches!(rule.life, Life::Calendar(_))),
            shares: any(Rule::is_share),
            budgets: any(|rule| rule.limit.quantity == Quantity::Cost),
            count_refused: any(|rule| rule.limit.count_refused),
            adaptive: any(|rule| rule.limit.adaptive.is_some()),
            pauses: any(|rule| rule.limit.paused),
        };
        Limits(Arc::new(Set {
            levels: levels(&rules, &live),
            rules,
            given,
            live,
            version,
            has,
            wall,
        }))
    }

    /// Returns the limits, in the order in which they were given. Slices and shares are not listed separately.
    pub fn iter(&self) -> impl Iterator<Item = &Limit> {
        let given = self.0.given.iter();
        given.map(|place| &self.0.rules[*place as usize].limit)
    }

    /// The places of those.
    #[cfg(any(feature = "redis", feature = "sqlite"))]
    pub(super) fn given(&self) -> &[u32] {
        &self.0.given
    }

    /// All that hold, with their places.
    pub(crate) fn live(&self) -> impl Iterator<Item = (u32, &Rule)> {
        let live = self.0.live.iter();
        live.map(|place| (*place, &self.0.rules[*place as usize]))
    }

    /// Whether there is a limit at this place that holds.
    pub(crate) fn hold(&self, place: u32) -> bool {
        self.0.live.binary_search(&place).is_ok()
    }

    /// By place, with those that hold no more.
    #[inline]
    pub(crate) fn rules(&self) -> &[Rule] {
        &self.0.rules
    }

    #[inline]
    pub(crate) fn levels(&self) -> &[Level] {
        &self.0.levels
    }

    /// The number of the level of the limit at this place, and its place there.
    pub(crate) fn level_of(&self, place: u32) -> (usize, usize) {
        let levels = self.levels().iter().enumerate();
        let within = |level: &Level| level.places.iter().position(|other| *other == place);
        levels
            .filter_map(|(number, level)| Some((number, within(level)?)))
            .next()
            .expect("every limit is of one level")
    }

    /// The counts that a call with these tags takes from.
    pub(crate) fn keys(&self, tags: &Tags) -> Vec<LimitKey> {
        let around = Around::of(tags);
        let of = |(place, rule): (u32, &Rule)| {
            let limit = &rule.limit;
            let keys = around.under(limit);
            keys.map(|tags| LimitKey::of(place, limit, tags)).collect()
        };
        self.live().flat_map::<Vec<_>, _>(of).collect()
    }

    /// The counts where room may have come back when such a call ends: its own, and those that it may have
    /// shared with others.
    pub(crate) fn keys_given_back(&self, tags: &Tags) -> Vec<LimitKey> {
        let mut keys = self.keys(tags);
        let split = |key: &&LimitKey| !key.values().is_empty();
        let shared: Vec<LimitKey> = keys.iter().filter(split).map(LimitKey::to_shared).collect();
        keys.extend(shared);
        keys
    }

    /// Whether any limit dates something when an attempt ends.
    #[inline]
    pub(crate) fn dates_at_the_end(&self) -> bool {
        self.0.has.dates_at_the_end
    }

    /// Whether any limit counts refused calls.
    pub(crate) fn count_refused(&self) -> bool {
        self.0.has.count_refused
    }

    /// Whether any of them is a pause.
    pub(crate) fn have_pauses(&self) -> bool {
        self.0.has.pauses
    }

    /// Whether any limit learns from refusals.
    pub(crate) fn adaptive(&self) -> bool {
        self.0.has.adaptive
    }

    /// Whether the limits of a level have an amount for just this call's value.
    pub(crate) fn names(&self, level: &Level, tags: &Tags) -> bool {
        let value = |rule: &Rule| Some(tags.get(rule.limit.per.first()?).unwrap_or_default());
        let rules = level
            .places
            .iter()
            .map(|place| &self.rules()[*place as usize]);
        rules
            .filter(|rule| !rule.amounts.is_empty())
            .any(|rule| value(rule).is_some_and(|value| rule.names(value)))
    }
}

fn levels(rules: &[Rule], live: &[u32]) -> Vec<Level> {
    let mut levels: Vec<Level> = Vec::new();
    for place in live.iter().copied() {
        let rule = &rules[place as usize];
        let same = levels.iter_mut().find(|level| level.is_of(&rule.limit));
        match same {
            Some(level) => {
                level.places.push(place);
                level.terms.push((place, rule.terms));
            }
            None => levels.push(Level {
                places: vec![place],
                terms: vec![(place, rule.terms)],
                limit: rule.limit.clone(),
            }),
        }
    }
    levels
}

fn tags_once(place: usize, limit: &Limit) -> Result<(), LimitError> {
    let twice = |field, tag: &dyn ToString| LimitError::TagTwice {
        place,
        limit: limit.to_string(),
        field,
        tag: tag.to_string(),
    };
    for (i, (tag, values)) in limit.when.iter().enumerate() {
        if values.is_empty() {
            return Err(LimitError::NoValue {
                place,
                limit: limit.to_string(),
                tag: tag.to_string(),
            });
        }
        if limit.when[..i].iter().any(|(earlier, _)| earlier == tag) {
            return Err(twice("when", tag));
        }
    }
    for (i, tag) in limit.per.iter().enumerate() {
        if limit.per[..i].contains(tag) {
            return Err(twice("per", tag));
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "set_tests.rs"]
mod tests;
