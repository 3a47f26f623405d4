//! Whether a call's wait can end in time behind those who go before it, or for a target that was told to wait.

use std::{sync::Arc, time::Duration};

use super::{Limiter, Shared, Turn, keep::one_of, order::Comer};
use crate::{
    error::{Rejection, StoreError},
    limit::LimitKey,
    store::{Claim, NotNow},
};

impl Limiter {
    /// Refuses a wait that cannot end before the deadline.
    pub(super) async fn ends_in_time(
        &self,
        claim: &Claim,
        refused: NotNow,
        of: (&[LimitKey], &Comer),
        turn: Turn,
    ) -> Result<(), Rejection> {
        let (never, refused) = self.in_figures(claim, refused).await?;
        if never {
            return Err(self.shared.never(&refused));
        }
        let late = match self.shared.too_late(&refused, turn.deadline) {
            None => self.shared.too_late_behind(claim, of, turn).await?,
            late => late,
        };
        late.map_or(Ok(()), Err)
    }

    /// Refuses a wait for a target that was told to wait for longer than the call waits out.
    pub(super) async fn opens_soon(
        &self,
        claim: &Claim,
        refused: NotNow,
        turn: Turn,
    ) -> Result<(), Rejection> {
        let refused = match refused.at {
            Some(_) => refused,
            // Others wait before it, and nobody has looked until when.
            None => self.in_figures(claim, refused).await?.1,
        };
        let closed = self.shared.closed_for_long(&refused, turn.longest_told);
        closed.map_or(Ok(()), Err)
    }
}

impl Shared {
    /// The refusal of a wait for a target that was told to wait for longer than this.
    pub(super) fn closed_for_long(
        &self,
        refused: &NotNow,
        longest: Option<Duration>,
    ) -> Option<Rejection> {
        let opens = refused.at.filter(|_| refused.key.is_cooldown())?;
        let long = opens.since(self.store.now()) > longest?;
        long.then(|| self.not_now(refused))
    }

    /// The refusal of a wait that cannot end before the deadline, because of what goes to others before.
    ///
    /// It is the least that the wait takes: those before need what they say, none of them goes away, and what
    /// is held by calls in flight comes back at any moment, as does what others use of the same account. Only what is
    /// never corrected downwards is counted: of the rest nobody knows what it comes to.
    pub(super) async fn too_late_behind(
        self: &Arc<Self>,
        claim: &Claim,
        (keys, comer): (&[LimitKey], &Comer),
        turn: Turn,
    ) -> Result<Option<Rejection>, StoreError> {
        let limits = self.store.limits();
        let before = self.queue().demand_before(keys, comer);
        for ((key, need), before) in keys.iter().zip(&comer.needs).zip(before) {
            // Nobody takes from a cooldown, so those before take no time there: its end is in the refusal.
            let Some(rule) = limits.rule_of(key).filter(|rule| !rule.may_shrink()) else {
                continue;
            };
            let Some(stay) = limits.stay(key).filter(|_| before > 0) else {
                continue;
            };
            let most = limits.amount_of(key);
            let Some((whole, rest)) = periods(before + u128::from(*need), most) else {
                continue;
            };
            let rest = one_of(claim, &rule.limit, rest);
            let standings = self.get(self.store.peek(&rest)).await?;
            let Some(count) = standings.iter().find(|count| count.key == *key) else {
                continue;
            };
            let from = count.not_before.unwrap_or_else(|| self.store.now());
            let at = from.after_micros(stay.saturating_mul(whole));
            let refused = NotNow {
                key: key.clone(),
                at: Some(at),
                not_before: Some(at),
                in_use: count.in_use,
                reserved: count.reserved,
                needed: *need,
            };
            if let Some(late) = self.too_late(&refused, turn.deadline) {
                return Ok(Some(late));
            }
        }
        Ok(None)
    }
}

/// In how many whole periods, and with how much after them, so much of a limit goes: at most all of it in each.
pub(super) fn periods(amount: u128, most: u64) -> Option<(u64, u64)> {
    let (amount, most) = (amount.checked_sub(1)?, u128::from(most));
    let whole = amount.checked_div(most)?;
    let rest = amount - whole * most + 1;
    Some((u64::try_from(whole).ok()?, u64::try_from(rest).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_just_fits_into_whole_periods_needs_no_more_of_them() {
        assert_eq!(periods(1, 10), Some((0, 1)));
        assert_eq!(periods(10, 10), Some((0, 10)));
        assert_eq!(periods(11, 10), Some((1, 1)));
        assert_eq!(periods(30, 10), Some((2, 10)));
        assert_eq!(periods(0, 10), None);
        assert_eq!(periods(5, 0), None);
    }
}
