//! How long charges count.

use std::{sync::Arc, time::Duration};

use super::{
    Calendar, CalendarUnit, Limit, LimitError, Period, Quantity, Rule, Wall, WallCalendar,
    amount::is_share, tick::micros,
};

/// The longest period that is taken for meant: ten years.
pub(super) const LONGEST: Duration = Duration::from_secs(10 * 366 * 86_400);
/// The shortest: below it, timers that fire once a millisecond have nothing to say.
pub(super) const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST_DEFAULT_MARGIN: Duration = Duration::from_millis(500);
/// Slots a period. A slot's charges expire together, with its last one: this is how late the first can be.
const SLOTS: u64 = 240;

/// How long a charge counts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Life {
    /// Until `stay` after its date; charges dated within one `slot` leave together.
    Sliding { stay: u64, slot: u64 },
    /// Until the period of a calendar ends in which it was dated.
    Calendar(WallCalendar),
    /// For ever.
    Run,
    /// While it is in flight.
    Flight,
}

pub(super) fn life(place: usize, limit: &Limit, wall: &Arc<Wall>) -> Result<Life, LimitError> {
    let words = || limit.to_string();
    if limit.amount == 0 && !limit.paused {
        return Err(LimitError::ZeroAmount {
            place,
            limit: words(),
        });
    }
    if let Some(share) = limit.headroom.filter(|share| !is_share(*share)) {
        return Err(LimitError::BadHeadroom {
            place,
            limit: words(),
            share: share.to_string(),
        });
    }
    if limit.count_refused && limit.quantity != Quantity::Requests {
        return Err(LimitError::RefusedOfOthers {
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
        (Quantity::Cost, Some(Period::Total)) => return Ok(Life::Run),
        (_, Some(Period::Total)) => {
            return Err(LimitError::TotalOfOthers {
                place,
                limit: words(),
            });
        }
        (_, Some(Period::Run)) => return Ok(Life::Run),
        (_, Some(Period::Calendar(unit))) => return calendar(place, limit, unit, wall),
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

fn calendar(
    place: usize,
    limit: &Limit,
    unit: CalendarUnit,
    wall: &Arc<Wall>,
) -> Result<Life, LimitError> {
    let calendar = Calendar::new(unit, limit.zone.as_deref().unwrap_or("UTC"));
    let calendar = calendar.map_err(|source| LimitError::BadZone {
        place,
        limit: limit.to_string(),
        source,
    })?;
    Ok(Life::Calendar(WallCalendar {
        calendar: Arc::new(calendar),
        wall: wall.clone(),
    }))
}

/// The rule for a limit's slices, where it has any.
pub(super) fn slice(
    place: usize,
    limit: &Limit,
    wall: &Arc<Wall>,
) -> Result<Option<Rule>, LimitError> {
    let Some(slice) = limit.slice else {
        return Ok(None);
    };
    match (limit.of_slice(), limit.period) {
        (Some(part), Some(Period::Sliding(whole))) if slice >= SHORTEST && slice < whole => {
            let life = life(place, &part, wall)?;
            Ok(Some(Rule::new(part, life)))
        }
        _ => Err(LimitError::BadSlice {
            place,
            limit: limit.to_string(),
            slice,
        }),
    }
}
