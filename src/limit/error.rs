//! Why limits cannot be put together, by the name of the field.

use std::time::Duration;

use super::CalendarError;

/// Why a set of limits is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LimitError {
    /// An amount of 0, which would refuse everything.
    #[error(
        "limit {place} ({limit}): `amount` is 0, which refuses every call; leave the limit out, or raise it"
    )]
    ZeroAmount {
        /// Its place in the list.
        place: usize,
        /// The limit, in words.
        limit: String,
    },
    /// No period, which every limit but one on concurrency needs.
    #[error("limit {place} ({limit}): `period` is missing; say `every(…)`, or `every_run()`")]
    NoPeriod {
        /// Its place in the list.
        place: usize,
        /// The limit, in words.
        limit: String,
    },
    /// A period on concurrency, which counts what is in flight now, not over a period.
    #[error("limit {place} ({limit}): `period` means nothing for concurrency; leave it out")]
    PeriodOfConcurrency {
        /// Its place in the list.
        place: usize,
        /// The limit, in words.
        limit: String,
    },
    /// A limit [in total](super::Limit::in_total) on something other than cost.
    #[error("limit {place} ({limit}): only money is limited in total; say `every(…)`")]
    TotalOfOthers {
        /// Its place in the list.
        place: usize,
        /// The limit, in words.
        limit: String,
    },
    /// A [pause](super::Limit::paused) without tags, or with anything besides tags.
    #[error("limit {place} ({limit}): a pause {reason}")]
    BadPause {
        /// Its place in the list.
        place: usize,
        /// The limit, in words.
        limit: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// No limit has this text.
    #[error("there is no limit `{limit}`; there are: {known}")]
    Unknown {
        /// The text that was looked for.
        limit: String,
        /// The limits there are, in words.
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
    /// A slice that is shorter than 1 ms or not shorter than the period, or that is set on something without a period.
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
    /// A time zone that is not known on this machine.
    #[error("limit {place} ({limit}): {source}")]
    BadZone {
        /// Its place in the list.
        place: usize,
        /// The limit, in words.
        limit: String,
        /// What is wrong with it.
        source: CalendarError,
    },
    /// Amounts for single values that are not valid: the limit is not split by exactly one tag, an amount is 0, or a
    /// value is named twice.
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
    /// A guaranteed share of nothing, of more than there is, or of something that cannot be guaranteed.
    #[error("limit {place} ({limit}): `shares` for `{tag}={value}`: {reason}")]
    BadShare {
        /// Its place in the list.
        place: usize,
        /// The limit, in words.
        limit: String,
        /// The tag by which shares are assigned.
        tag: String,
        /// The value.
        value: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A setting for budgets that is on another kind of limit, or makes no sense.
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
    /// Counting of refused calls on something other than requests: refused calls use no tokens and take no slot.
    #[error(
        "limit {place} ({limit}): `count_refused` means something for requests alone; leave it out"
    )]
    RefusedOfOthers {
        /// Its place in the list.
        place: usize,
        /// The limit, in words.
        limit: String,
    },
    /// A setting that changes nothing on a limit of this kind.
    #[error("limit {place} ({limit}): `{field}` means something for {of} alone; leave it out")]
    IdleSetting {
        /// Its place in the list.
        place: usize,
        /// The limit, in words.
        limit: String,
        /// `count` or `margin`.
        field: &'static str,
        /// What it is for.
        of: &'static str,
    },
    /// A headroom that is not more than 0 and at most 1.
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
    /// A floor that is not a share, or learning on a limit where there is nothing to learn.
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
    /// A tag without values in `when`: no call can match it.
    #[error("limit {place} ({limit}): `when` has no value for the tag `{tag}`; name one or more")]
    NoValue {
        /// Its place in the list.
        place: usize,
        /// The limit, in words.
        limit: String,
        /// The tag.
        tag: String,
    },
    /// A tag that stands twice in `when`, so that no call can match both (if any of several values will do, put them
    /// together), or twice in `per`.
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
        /// The place of the first.
        first: usize,
        /// The place of the second.
        second: usize,
        /// The second, in words.
        limit: String,
    },
}

impl LimitError {
    /// Returns the place of the faulty limit in the list that was given; for a limit that is not in it, a place after
    /// all others.
    #[must_use]
    pub fn place(&self) -> usize {
        match self {
            LimitError::ZeroAmount { place, .. }
            | LimitError::NoPeriod { place, .. }
            | LimitError::PeriodOfConcurrency { place, .. }
            | LimitError::TotalOfOthers { place, .. }
            | LimitError::AbsurdPeriod { place, .. }
            | LimitError::MarginOverPeriod { place, .. }
            | LimitError::BadSlice { place, .. }
            | LimitError::BadZone { place, .. }
            | LimitError::BadAmounts { place, .. }
            | LimitError::BadShare { place, .. }
            | LimitError::RefusedOfOthers { place, .. }
            | LimitError::IdleSetting { place, .. }
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
