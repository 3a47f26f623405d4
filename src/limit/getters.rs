//! What a limit says of itself.

use std::sync::Arc;

use super::{Limit, Period, Quantity};
use crate::tags::Tag;

impl Limit {
    /// Returns what it counts.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_quota::{Tag, limit::{Limit, Period, Quantity}};
    ///
    /// let minute = Duration::from_secs(60);
    /// let limit = Limit::tokens(90_000).every(minute).when_any(Tag::Model, ["b", "a"]).per(Tag::Agent);
    /// assert_eq!((limit.quantity(), limit.amount()), (Quantity::Tokens, 90_000));
    /// assert_eq!(limit.period(), Some(Period::Sliding(minute)));
    ///
    /// let (tag, values) = limit.conditions().next().unwrap();
    /// assert_eq!((tag, values.join("|")), (&Tag::Model, "a|b".to_owned()));
    /// assert!(limit.split_by().eq([&Tag::Agent]));
    /// ```
    #[must_use]
    pub fn quantity(&self) -> Quantity {
        self.quantity
    }

    /// Returns the amount as it was given: [headroom](Self::headroom) and amounts for [single values](Self::amount_for)
    /// are not considered. Cost is in billionths of a dollar: see [`Money::from_nanos`](crate::Money::from_nanos).
    #[must_use]
    pub fn amount(&self) -> u64 {
        self.amount
    }

    /// Returns the time over which it counts. `None` if it counts calls in flight, or is a [pause](Self::paused).
    #[must_use]
    pub fn period(&self) -> Option<Period> {
        self.period
    }

    /// Returns the name of the time zone whose [calendar](Self::every_calendar) it goes by.
    #[must_use]
    pub fn time_zone(&self) -> Option<&str> {
        self.zone.as_deref()
    }

    /// Returns which calls it applies to: those that have, for each of these tags, one of the values. They are what
    /// [`when`](Self::when) and [`when_any`](Self::when_any) were given, the values sorted.
    pub fn conditions(&self) -> impl Iterator<Item = (&Tag, &[Arc<str>])> {
        self.when.iter().map(|(tag, values)| (tag, &values[..]))
    }

    /// Returns the tags of which each value is counted separately: what [`per`](Self::per) was given, and `run` if it
    /// counts over the life of one [run](Self::every_run).
    pub fn split_by(&self) -> impl Iterator<Item = &Tag> {
        self.per.iter()
    }
}
