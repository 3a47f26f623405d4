//! What one that waits waits for, as it stands now.

use tokio::time::Instant;

use super::{Awaited, Shared, deadline::periods, keep::one_of, waiter::Waiter};
use crate::{
    limit::{LimitKey, Room, Tick},
    store::{Answer, Claim, NotNow, Standing},
};

impl Shared {
    /// `None`: it waits no more. `ahead`: whether those are counted who go before it, each of whom is looked at.
    pub(super) fn awaited(&self, waiter: &Waiter, since: Instant, ahead: bool) -> Option<Awaited> {
        let (keys, needs) = {
            let stand = waiter.stand();
            (stand.keys.clone(), stand.needs.clone())
        };
        let (on, before, ahead) = {
            let queue = self.queue();
            let on = queue.parked_on(waiter)?;
            let ahead = match ahead {
                true => queue.ahead_of_rank(&on, waiter.rank()),
                false => 0,
            };
            let before = queue.demand_before_rank(&keys, waiter.rank());
            (on, before, ahead)
        };
        let standings = self.seen(&waiter.claim);
        let count = standings.iter().find(|count| count.key == on);
        // Where nobody can say at once, as it was when it was tried last.
        let refused = count.map_or_else(|| waiter.refused(), of_count);
        let expected = self.expected(waiter, (&keys, &needs, &before), &standings);
        let wait = expected.map(|at| at.since(self.store.now()));
        let mut shortage = self.shortage(&refused);
        shortage.retry_after = wait;
        Some(Awaited {
            since,
            shortage,
            ahead,
            expected_in: wait,
        })
    }

    /// When it goes, if those before it need what they say. `None`: nobody can say.
    fn expected(
        &self,
        waiter: &Waiter,
        (keys, needs, before): (&[LimitKey], &[u64], &[u128]),
        standings: &[Standing],
    ) -> Option<Tick> {
        let now = self.store.now();
        if standings.is_empty() {
            let is_first = before.iter().all(|before| *before == 0);
            return waiter.refused().at.filter(|_| is_first);
        }
        let mut expected = now;
        for count in standings.iter().filter(|count| !count.shadow) {
            expected = expected.max(instant(count.room, now)?);
        }
        let limits = self.store.limits();
        for ((key, need), before) in keys.iter().zip(needs).zip(before) {
            let rule = limits.rule_of(key).filter(|_| *before > 0);
            let Some((rule, stay)) = rule.zip(limits.stay(key)) else {
                continue;
            };
            let in_all = before + u128::from(*need);
            let Some((whole, rest)) = periods(in_all, limits.amount_of(key)) else {
                continue;
            };
            let from = self.room_of(key, &one_of(&waiter.claim, &rule.limit, rest))?;
            expected = expected.max(from.after_micros(stay.saturating_mul(whole)));
        }
        Some(expected)
    }

    /// When a count has room for a claim.
    fn room_of(&self, key: &LimitKey, claim: &Claim) -> Option<Tick> {
        let standings = self.seen(claim);
        let count = standings.iter().find(|count| count.key == *key)?;
        instant(count.room, self.store.now())
    }

    /// How counts stand, where that is known here.
    fn seen(&self, claim: &Claim) -> Vec<Standing> {
        match self.store.look(claim) {
            Answer::Now(standings) => standings.unwrap_or_default(),
            Answer::Later(_) => Vec::new(),
        }
    }
}

fn instant(room: Room, now: Tick) -> Option<Tick> {
    match room {
        Room::Now => Some(now),
        Room::At(at) => Some(at),
        Room::WhenGivenBack | Room::Never => None,
    }
}

fn of_count(count: &Standing) -> NotNow {
    NotNow {
        key: count.key.clone(),
        at: None,
        not_before: None,
        in_use: count.in_use,
        reserved: count.reserved,
        needed: count.needed,
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        limit::{Limit, Limits},
        limiter::{Call, CallState, Limiter, Progress},
    };

    #[tokio::test(start_paused = true)]
    async fn all_else_is_said_where_those_before_are_not_counted() {
        let limiter = Limiter::new(Limits::new([Limit::concurrency(1)]).unwrap());
        let held = limiter.acquire(Call::new()).await.unwrap();
        let (progress, mut tasks) = (Progress::new(), tokio::task::JoinSet::new());
        for call in [Call::new(), Call::new(), Call::new().progress(&progress)] {
            let limiter = limiter.clone();
            tasks.spawn(async move { limiter.acquire(call).await.map(drop) });
            tokio::task::yield_now().await;
        }
        let states = (progress.state(), progress.state_without_ahead());
        let (CallState::Waiting(all), CallState::Waiting(mut seen)) = states else {
            panic!("it waits");
        };
        assert_eq!((all.ahead, seen.ahead), (2, 0));
        seen.ahead = all.ahead;
        assert_eq!(seen, all);
        drop((held, tasks));
    }
}
