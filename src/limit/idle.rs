//! Settings that change nothing on a limit of its kind: whoever writes one expects something of it.

use super::{Limit, LimitError, Period, Quantity};

pub(super) fn check_idle(place: usize, limit: &Limit) -> Result<(), LimitError> {
    if limit.paused {
        // It takes no settings at all.
        return Ok(());
    }
    let words = || limit.to_string();
    let is_money = limit.quantity == Quantity::Cost;
    if let Some(floor) = limit.adaptive.filter(|_| is_money) {
        return Err(LimitError::BadAdaptive {
            place,
            limit: words(),
            floor: floor.to_string(),
            reason: "means nothing for money, which no provider limits by the call; leave it out",
        });
    }
    let (field, of) = match () {
        () if limit.count.is_some() && limit.quantity != Quantity::Requests => {
            ("count", "requests")
        }
        () if limit.margin.is_some() && has_no_margin(limit) => {
            ("margin", "limits over any interval of a length")
        }
        () => return Ok(()),
    };
    Err(LimitError::IdleSetting {
        place,
        limit: words(),
        field,
        of,
    })
}

/// Whether a margin changes nothing on it.
pub(super) fn has_no_margin(limit: &Limit) -> bool {
    limit.quantity == Quantity::Concurrency
        || !matches!(limit.period, None | Some(Period::Sliding(_)))
}
