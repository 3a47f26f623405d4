//! The limits of one limiter, checked when they are put together.

use std::{sync::Arc, time::Duration};

use super::{Demand, Limit, LimitKey, Period, Quantities, Quantity, tick::micros};
use crate::tags::Tags;

/// The longest period that is taken for meant: ten years.
const LONGEST: Duration = Duration::from_secs(10 * 366 * 86_400);
/// The shortest: below it, timers that fire once a millisecond have nothing to say.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST_DEFAULT_MARGIN: Duration = Duration::from_millis(500);
/// Slots a period. A slot's charges expire together, with its last one: this is how late the first can be.
const SLOTS: u64 = 240;

/// The limits of one limiter, checked and ready.
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
#[derive(Clone, Debug)]
pub struct Limits {
    rules: Arc<[Rule]>,
    levels: Arc<[Level]>,
}

/// Limits on the same tags: their counts are found together.
#[derive(Clone, Debug)]
pub(crate) struct Level {
    /// The places of its limits, in order.
    pub(crate) places: Vec<u32>,
}

/// A limit as the arithmetic wants it: lengths in ticks.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) limit: Limit,
    pub(crate) life: Life,
}

impl Rule {
    /// What an attempt takes from a count under this rule; `None`: the rule is not for it.
    pub(crate) fn amount(
        &self,
        quantities: Quantities,
        repeat: bool,
        demand: &Demand,
    ) -> Option<u64> {
        let limit = &self.limit;
        let skip = !quantities.contain(limit.quantity) || (repeat && !limit.counts_repeats());
        let (asked, declared) = limit.charge.reserve(limit.quantity, demand);
        (!skip).then(|| asked.min(limit.amount).max(declared))
    }
}

/// How long a charge counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// Until `stay` after its date; charges dated within one `slot` leave together.
    Sliding { stay: u64, slot: u64 },
    /// For ever.
    Run,
    /// While it is in flight.
    Flight,
}

/// Why limits cannot be put together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LimitError {
    /// An amount of 0 would refuse everything.
    #[error(
        "limit {place} ({limit}): `amount` is 0, which refuses every call; leave the limit out, or raise it"
    )]
    ZeroAmount {
        /// Its place in the list.
        place: usize,
        /// The limit, in words.
        limit: String,
    },
    /// All but concurrency count over a period.
    #[error("limit {place} ({limit}): `period` is missing; say `every(…)`, or `every_run()`")]
    NoPeriod {
        /// Its place in the list.
        place: usize,
        /// The limit, in words.
        limit: String,
    },
    /// Concurrency counts what is in flight now, over no period.
    #[error("limit {place} ({limit}): `period` means nothing for concurrency; leave it out")]
    PeriodOfConcurrency {
        /// Its place in the list.
        place: usize,
        /// The limit, in words.
        limit: String,
    },
    /// A period shorter than 1 ms or longer than ten years.
    #[error(
        "limit {place} ({limit}): `period` is {period:?}; it must be between 1 ms and ten years"
    )]
    AbsurdPeriod {
        /// Its place in the list.
        place: usize,
        /// The limit, in words.
        limit: String,
        /// The period asked for.
        period: Duration,
    },
    /// A margin longer than the period itself.
    #[error(
        "limit {place} ({limit}): `margin` is {margin:?}, longer than the period; 1 % of the period is usual"
    )]
    MarginOverPeriod {
        /// Its place in the list.
        place: usize,
        /// The limit, in words.
        limit: String,
        /// The margin asked for.
        margin: Duration,
    },
    /// One tag with two values in `when`: no call can match both. Or one tag twice in `per`.
    #[error("limit {place} ({limit}): the tag `{tag}` stands twice in `{field}`")]
    TagTwice {
        /// Its place in the list.
        place: usize,
        /// The limit, in words.
        limit: String,
        /// The field: `when` or `per`.
        field: &'static str,
        /// The tag.
        tag: String,
    },
    /// Two limits on the same quantity, period, `when` and `per`: only the smaller would ever act.
    #[error("limits {first} and {second} are on the same thing ({limit}); keep the smaller")]
    Duplicate {
        /// The place of one.
        first: usize,
        /// The place of the other.
        second: usize,
        /// The second, in words.
        limit: String,
    },
}

impl LimitError {
    /// The place of the limit that is wrong, in the list that was given.
    #[must_use]
    pub fn place(&self) -> usize {
        match self {
            LimitError::ZeroAmount { place, .. }
            | LimitError::NoPeriod { place, .. }
            | LimitError::PeriodOfConcurrency { place, .. }
            | LimitError::AbsurdPeriod { place, .. }
            | LimitError::MarginOverPeriod { place, .. }
            | LimitError::TagTwice { place, .. }
            | LimitError::Duplicate { second: place, .. } => *place,
        }
    }
}

impl Limits {
    /// Checks the limits and puts them together. No limits at all is fine: everything is admitted.
    ///
    /// # Errors
    /// The first value that makes no sense, by the name of its field.
    pub fn new(limits: impl IntoIterator<Item = Limit>) -> Result<Self, LimitError> {
        let mut rules: Vec<Rule> = Vec::new();
        for (place, limit) in limits.into_iter().enumerate() {
            let life = life(place, &limit)?;
            tags_once(place, &limit)?;
            if let Some(first) = rules
                .iter()
                .position(|rule| same_thing(&rule.limit, &limit))
            {
                return Err(LimitError::Duplicate {
                    first,
                    second: place,
                    limit: limit.to_string(),
                });
            }
            rules.push(Rule { limit, life });
        }
        let levels = levels(&rules).into();
        Ok(Limits {
            rules: rules.into(),
            levels,
        })
    }

    /// The limits, in the order they were given.
    pub fn iter(&self) -> impl Iterator<Item = &Limit> {
        self.rules.iter().map(|rule| &rule.limit)
    }

    pub(crate) fn rules(&self) -> &[Rule] {
        &self.rules
    }

    pub(crate) fn levels(&self) -> &[Level] {
        &self.levels
    }

    /// A limit of this level: all have the same tags.
    pub(crate) fn of_level(&self, level: &Level) -> &Limit {
        &self.rules[level.places[0] as usize].limit
    }

    /// The counts that a call with these tags takes from.
    pub(crate) fn keys(&self, tags: &Tags) -> Vec<LimitKey> {
        let touched = (0u32..)
            .zip(self.rules.iter())
            .filter(|(_, rule)| rule.limit.touches(tags));
        touched
            .map(|(place, rule)| LimitKey::of(place, &rule.limit, tags))
            .collect()
    }

    /// A count in words.
    pub(crate) fn describe(&self, key: &LimitKey) -> String {
        key.describe(&self.rules[key.limit()].limit)
    }
}

fn levels(rules: &[Rule]) -> Vec<Level> {
    let mut levels: Vec<Level> = Vec::new();
    for (place, rule) in (0u32..).zip(rules) {
        let same = levels.iter_mut().find(|level| {
            let first = &rules[level.places[0] as usize].limit;
            first.when == rule.limit.when && first.per == rule.limit.per
        });
        match same {
            Some(level) => level.places.push(place),
            None => levels.push(Level {
                places: vec![place],
            }),
        }
    }
    levels
}

fn life(place: usize, limit: &Limit) -> Result<Life, LimitError> {
    let words = || limit.to_string();
    if limit.amount == 0 {
        return Err(LimitError::ZeroAmount {
            place,
            limit: words(),
        });
    }
    let length = match (limit.quantity, limit.period) {
        (Quantity::Concurrency, None) => return Ok(Life::Flight),
        (Quantity::Concurrency, Some(_)) => {
            return Err(LimitError::PeriodOfConcurrency {
                place,
                limit: words(),
            });
        }
        (_, None) => {
            return Err(LimitError::NoPeriod {
                place,
                limit: words(),
            });
        }
        (_, Some(Period::Run)) => return Ok(Life::Run),
        (_, Some(Period::Sliding(length))) => length,
    };
    if !(SHORTEST..=LONGEST).contains(&length) {
        return Err(LimitError::AbsurdPeriod {
            place,
            limit: words(),
            period: length,
        });
    }
    let margin = limit
        .margin
        .unwrap_or_else(|| (length / 100).min(LONGEST_DEFAULT_MARGIN));
    if margin > length {
        return Err(LimitError::MarginOverPeriod {
            place,
            limit: words(),
            margin,
        });
    }
    Ok(Life::Sliding {
        stay: micros(length) + micros(margin),
        slot: (micros(length) / SLOTS).max(1),
    })
}

fn tags_once(place: usize, limit: &Limit) -> Result<(), LimitError> {
    let twice = |field, tag: &dyn ToString| LimitError::TagTwice {
        place,
        limit: limit.to_string(),
        field,
        tag: tag.to_string(),
    };
    for (i, (tag, _)) in limit.when.iter().enumerate() {
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

fn same_thing(a: &Limit, b: &Limit) -> bool {
    let sorted = |limit: &Limit| {
        let (mut when, mut per) = (limit.when.clone(), limit.per.clone());
        when.sort();
        per.sort();
        (limit.quantity, limit.period, when, per)
    };
    sorted(a) == sorted(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tags::Tag;

    const MINUTE: Duration = Duration::from_secs(60);

    fn error(limits: impl IntoIterator<Item = Limit>) -> LimitError {
        Limits::new(limits).unwrap_err()
    }

    #[test]
    fn every_field_has_a_value_that_is_refused_by_name() {
        let cases: [(Limit, &str); 9] = [
            (Limit::requests(0).every(MINUTE), "`amount`"),
            (Limit::requests(1), "`period`"),
            (Limit::concurrency(1).every(MINUTE), "`period`"),
            (Limit::concurrency(1).every_run(), "`period`"),
            (Limit::requests(1).every(Duration::ZERO), "`period`"),
            (Limit::requests(1).every(LONGEST * 2), "`period`"),
            (
                Limit::requests(1).every(MINUTE).margin(MINUTE * 2),
                "`margin`",
            ),
            (
                Limit::requests(1)
                    .every(MINUTE)
                    .when(Tag::Model, "a")
                    .when(Tag::Model, "b"),
                "`when`",
            ),
            (
                Limit::requests(1).every(MINUTE).per(Tag::Run).per(Tag::Run),
                "`per`",
            ),
        ];
        for (limit, field) in cases {
            let text = error([limit]).to_string();
            assert!(text.contains(field), "{text} does not name {field}");
        }
    }

    #[test]
    fn the_same_limit_twice_is_refused_and_another_period_is_not() {
        let limit = |span| {
            Limit::requests(5)
                .every(span)
                .when(Tag::Model, "a")
                .per(Tag::Agent)
        };
        assert!(matches!(
            error([limit(MINUTE), limit(MINUTE)]),
            LimitError::Duplicate {
                first: 0,
                second: 1,
                ..
            }
        ));
        assert!(Limits::new([limit(MINUTE), limit(MINUTE * 60)]).is_ok());
    }

    #[test]
    fn the_margin_is_a_hundredth_of_the_period_and_never_more_than_half_a_second() {
        let stay = |limit: Limit| match Limits::new([limit]).unwrap().rules()[0].life {
            Life::Sliding { stay, .. } => stay,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            stay(Limit::requests(1).every(Duration::from_secs(6))),
            6_060_000
        );
        assert_eq!(stay(Limit::requests(1).every(MINUTE * 60)), 3_600_500_000);
        assert_eq!(
            stay(Limit::requests(1).every(MINUTE).margin(Duration::ZERO)),
            60_000_000
        );
    }
}
