//! How much of a limit may be used.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::{
    Demand, Hold, Life, Limit, LimitError, NewTarget, Parts, Period, Quantities, Quantity, Rule,
    terms::{Asked, Measure, Terms},
};
use crate::{money::Money, usage::Usage};

/// Shares are kept to the millionth, so that 0.29 of 100 is 29 and not what doubles make of it.
const WHOLE: u64 = 1_000_000;

/// Whether this is a share of something: more than nothing, and no more than all of it.
pub(super) fn is_share(share: f64) -> bool {
    share > 0.0 && share <= 1.0
}

/// A share of `amount`, rounded down and at least 1.
pub(super) fn share_of(amount: u64, share: f64) -> u64 {
    part_of(amount, millionths(share).into(), WHOLE.into())
}

/// A share in millionths.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share is at most 1"
)]
pub(super) fn millionths(share: f64) -> u64 {
    (share * WHOLE as f64).round() as u64
}

/// `amount` times `part` by `whole`, rounded down and at least 1; `part` is at most `whole`.
fn part_of(amount: u64, part: u128, whole: u128) -> u64 {
    let product = u128::from(amount).saturating_mul(part) / whole;
    u64::try_from(product).unwrap_or(amount).max(1)
}

impl Limit {
    /// How much may be used where `published` is allowed.
    pub(crate) fn usable(&self, published: u64) -> u64 {
        let whole = self.usable_of_whole(published);
        if let Some(part) = self.part.filter(|part| is_share(*part)) {
            return share_of(whole, part);
        }
        match (self.whole, self.period) {
            (Some(period), Some(Period::Sliding(slice))) => {
                part_of(whole, slice.as_nanos(), period.as_nanos())
            }
            _ => whole,
        }
    }

    /// As [`usable`](Self::usable), of the whole period where this is a slice.
    pub(super) fn usable_of_whole(&self, published: u64) -> u64 {
        match self.headroom {
            Some(share) if is_share(share) => share_of(published, share),
            _ => published,
        }
    }

    /// What is published for this value of the first tag that it is split by.
    pub(crate) fn published_for(&self, value: Option<&str>) -> u64 {
        let own = |value: &str| self.amounts.iter().find(|(other, _)| **other == *value);
        let own = value.and_then(own);
        own.map_or(self.amount, |(_, amount)| *amount)
    }

    /// The limit on each slice of this one's period, where there are slices.
    pub(super) fn of_slice(&self) -> Option<Limit> {
        let (slice, Some(Period::Sliding(whole))) = (self.slice?, self.period) else {
            return None;
        };
        Some(Limit {
            period: Some(Period::Sliding(slice)),
            slice: None,
            shares: Vec::new(),
            thresholds: Vec::new(),
            circuit: false,
            whole: Some(whole),
            ..self.clone()
        })
    }
}

impl Rule {
    pub(super) fn new(limit: Limit, life: Life) -> Self {
        let own = limit.amounts.iter();
        let amounts: HashMap<Arc<str>, u64> = own
            .map(|(value, amount)| (value.clone(), limit.usable(*amount)))
            .collect();
        Rule {
            amount: limit.usable(limit.amount),
            amounts,
            terms: Terms::of(&limit, Hold::of(limit.quantity, limit.charge)),
            hold: Hold::of(limit.quantity, limit.charge),
            limit,
            life,
            before: None,
            since: 0,
        }
    }

    /// How much calls with this value of the first tag that it is split by may use.
    pub(crate) fn amount_for(&self, value: Option<&str>) -> u64 {
        let own = value.and_then(|value| self.amounts.get(value));
        own.copied().unwrap_or(self.amount)
    }

    /// Whether there is an amount for just this value.
    pub(crate) fn names(&self, value: &str) -> bool {
        self.amounts.contains_key(value)
    }

    /// What counts here of usage that nothing was claimed for: as if exactly that had been asked for.
    pub(crate) fn recorded(&self, usage: &Usage) -> u64 {
        if self.limit.quantity == Quantity::Cost {
            return usage.cost.map_or(0, Money::as_nanos);
        }
        let demand = Demand {
            input: usage.input,
            output: usage.output,
            ..Demand::default()
        };
        let asked = Asked::of(&demand, Quantities::ALL, (false, NewTarget::default()));
        let whole = asked.whole(Measure::of(&self.limit));
        let reserved = self.split(whole, self.terms.apart(&demand, whole));
        let used = self
            .limit
            .charge
            .settled(self.limit.quantity, reserved, usage);
        used.early.saturating_add(used.late)
    }

    /// The parts of `amount`, given what was kept to know them.
    fn split(&self, amount: u64, apart: u64) -> Parts {
        let (late, _) = self.hold.parts(amount, apart);
        Parts {
            early: amount - late,
            late,
        }
    }

    /// Whether any of a charge is dated when the attempt ends.
    pub(super) fn dates_at_the_end(&self) -> bool {
        self.hold != Hold::Nothing && self.limit.quantity != Quantity::Concurrency
    }

    /// How little of `amount` is used at least, whatever is refused; `None`: the amount stays as it is.
    pub(super) fn floor(&self, amount: u64) -> Option<u64> {
        let share = self.limit.adaptive?;
        Some(share_of(amount, share))
    }

    /// Over which time it counts; a minute where it does not say.
    pub(super) fn period(&self) -> Duration {
        let length = self.limit.period.and_then(Period::length);
        length.unwrap_or(Duration::from_secs(60))
    }

    /// How long nothing may be refused before more is tried: a slice is learnt as slowly as its whole.
    pub(super) fn quiet(&self) -> Duration {
        self.limit.whole.unwrap_or_else(|| self.period())
    }

    /// Whether less may count in the end than was reserved, of a call that was sent.
    pub(crate) fn may_shrink(&self) -> bool {
        match self.limit.quantity {
            Quantity::Requests => false,
            Quantity::Concurrency | Quantity::Cost => true,
            _ => self.limit.charge.corrected,
        }
    }
}

/// What is learnt from refusals is learnt of limits that a provider enforces, over some time or in flight.
pub(super) fn check_adaptive(place: usize, limit: &Limit) -> Result<(), LimitError> {
    let Some(floor) = limit.adaptive else {
        return Ok(());
    };
    let reason = match () {
        () if !is_share(floor) => "must be more than 0 and at most 1: 0.25 uses a quarter at least",
        () if limit.period == Some(Period::Run) => "means nothing for a run; leave it out",
        () if limit.period == Some(Period::Total) => "means nothing in total; leave it out",
        () if limit.is_callers() => {
            "is for limits on provider, model and api_key; no provider refuses because of the caller's tags"
        }
        () => return Ok(()),
    };
    Err(LimitError::BadAdaptive {
        place,
        limit: limit.to_string(),
        floor: floor.to_string(),
        reason,
    })
}

/// Amounts for values make sense where there is one tag, and for each value once.
pub(super) fn check_amounts(place: usize, limit: &Limit) -> Result<(), LimitError> {
    for (number, (value, amount)) in limit.amounts.iter().enumerate() {
        let twice = limit.amounts[..number]
            .iter()
            .any(|(other, _)| other == value);
        let reason = match () {
            () if limit.per.len() != 1 => "say by which one tag, in `per`",
            () if *amount == 0 => "0 refuses every call; raise it",
            () if twice => "stands twice",
            () => continue,
        };
        return Err(LimitError::BadAmounts {
            place,
            limit: limit.to_string(),
            value: value.to_string(),
            reason,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_has_its_share_of_what_may_be_used() {
        let second = Duration::from_secs(1);
        let limit = Limit::requests(3_500).every(second * 60).headroom(0.9);
        let slice = limit.clone().slice(second).of_slice().unwrap();
        assert_eq!(slice.usable(3_500), 52);
        assert_eq!(
            slice.to_string(),
            "requests 52/s (a slice of 3150/min, 0.9 of 3500)"
        );
        assert_eq!(limit.of_slice(), None);
        let small = Limit::requests(10).every(second * 60).slice(second);
        assert_eq!(small.of_slice().unwrap().usable(10), 1, "at least 1");
    }

    #[test]
    fn a_share_is_rounded_down_and_never_nothing() {
        assert_eq!(share_of(100, 0.29), 29);
        assert_eq!(share_of(99, 0.9), 89);
        assert_eq!(share_of(1, 0.5), 1);
        assert_eq!(share_of(10, 1e-9), 1);
        assert_eq!(share_of(u64::MAX, 1.0), u64::MAX);
    }
}
