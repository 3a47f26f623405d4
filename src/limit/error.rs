//! Why limits cannot be put together, by the name of the field.

use std::time::Duration;

use super::CalendarError;

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
    /// A [pause](super::Limit::paused) without tags, or with more than tags.
    #[error("limit {place} ({limit}): a pause {reason}")]
    BadPause {
        /// Its place in the list.
        place: usize,
        /// The limit, in words.
        limit: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// There is no limit that reads so.
    #[error("there is no limit `{limit}`; there are: {known}")]
    Unknown {
        /// What was looked for.
        limit: String,
        /// Those that there are, in words.
        known: String,
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
    /// A margin longer than the period itself, or than its slices.
    #[error(
        "limit {place} ({limit}): `margin` is {margin:?}, longer than the period or its slices; 1 % of the period is usual"
    )]
    MarginOverPeriod {
        /// Its place in the list.
        place: usize,
        /// The limit, in words.
        limit: String,
        /// The margin asked for.
        margin: Duration,
    },
    /// A slice that is shorter than 1 ms or not shorter than the period, or of something without a period.
    #[error(
        "limit {place} ({limit}): `slice` is {slice:?}; it must be at least 1 ms and shorter than the period, and \
         runs and concurrency have none"
    )]
    BadSlice {
        /// Its place in the list.
        place: usize,
        /// The limit, in words.
        limit: String,
        /// The slice asked for.
        slice: Duration,
    },
    /// A time zone that is not known here.
    #[error("limit {place} ({limit}): {source}")]
    BadZone {
        /// Its place in the list.
        place: usize,
        /// The limit, in words.
        limit: String,
        /// What is wrong with it.
        source: CalendarError,
    },
    /// Amounts for values, where there is not one tag that the limit is split by; 0; or a value twice.
    #[error("limit {place} ({limit}): `amounts` for `{value}`: {reason}")]
    BadAmounts {
        /// Its place in the list.
        place: usize,
        /// The limit, in words.
        limit: String,
        /// The value.
        value: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A guaranteed share of nothing, of more than there is, or of what cannot be guaranteed.
    #[error("limit {place} ({limit}): `shares` for `{tag}={value}`: {reason}")]
    BadShare {
        /// Its place in the list.
        place: usize,
        /// The limit, in words.
        limit: String,
        /// The tag that shares go by.
        tag: String,
        /// The value.
        value: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// Something that is for budgets, on something else, or nonsense.
    #[error("limit {place} ({limit}): `{field}` {reason}")]
    BadAlarm {
        /// Its place in the list.
        place: usize,
        /// The limit, in words.
        limit: String,
        /// `thresholds` or `circuit`.
        field: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Refused calls use no tokens and take no place.
    #[error(
        "limit {place} ({limit}): `count_refused` means something for requests alone; leave it out"
    )]
    RefusedOfOthers {
        /// Its place in the list.
        place: usize,
        /// The limit, in words.
        limit: String,
    },
    /// A share that is not more than 0 and at most 1.
    #[error(
        "limit {place} ({limit}): `headroom` is {share}; it must be more than 0 and at most 1: 0.9 uses nine tenths"
    )]
    BadHeadroom {
        /// Its place in the list.
        place: usize,
        /// The limit, in words.
        limit: String,
        /// The share asked for.
        share: String,
    },
    /// A floor that is no share, or learning where there is nothing to learn.
    #[error("limit {place} ({limit}): `adaptive` is {floor}; it {reason}")]
    BadAdaptive {
        /// Its place in the list.
        place: usize,
        /// The limit, in words.
        limit: String,
        /// The floor asked for.
        floor: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A tag with no value in `when`: no call can match.
    #[error("limit {place} ({limit}): `when` has no value for the tag `{tag}`; name one or more")]
    NoValue {
        /// Its place in the list.
        place: usize,
        /// The limit, in words.
        limit: String,
        /// The tag.
        tag: String,
    },
    /// One tag twice in `when`: no call can match both; where one of several values will do, they stand
    /// together. Or one tag twice in `per`.
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
    /// The place of the limit that is wrong, in the list that was given; of one that is not there, behind all.
    #[must_use]
    pub fn place(&self) -> usize {
        match self {
            LimitError::ZeroAmount { place, .. }
            | LimitError::NoPeriod { place, .. }
            | LimitError::PeriodOfConcurrency { place, .. }
            | LimitError::AbsurdPeriod { place, .. }
            | LimitError::MarginOverPeriod { place, .. }
            | LimitError::BadSlice { place, .. }
            | LimitError::BadZone { place, .. }
            | LimitError::BadAmounts { place, .. }
            | LimitError::BadShare { place, .. }
            | LimitError::RefusedOfOthers { place, .. }
            | LimitError::BadHeadroom { place, .. }
            | LimitError::NoValue { place, .. }
            | LimitError::BadAdaptive { place, .. }
            | LimitError::BadAlarm { place, .. }
            | LimitError::TagTwice { place, .. }
            | LimitError::BadPause { place, .. }
            | LimitError::Duplicate { second: place, .. } => *place,
            LimitError::Unknown { .. } => usize::MAX,
        }
    }
}
