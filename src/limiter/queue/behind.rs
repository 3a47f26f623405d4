//! Who is next when all are granted that the store was asked for and has not answered yet.

use std::sync::Arc;

use super::{Next, Queue};
use crate::{
    limit::{LimitKey, Tick},
    limiter::{
        claimed::Claimed,
        heads::Heads,
        order::{Line, Rank},
        owners::NOBODY,
        waiter::Waiter,
    },
};

impl Queue {
    /// Who is next on a count on which others are asked for. Nobody where that is not sure: where one is passed or
    /// goes first out of turn, waits for another count first, or has to leave room to somebody, where the store
    /// cannot say whether it does. That is seen when all are answered.
    pub(super) fn next_behind(&mut self, key: &LimitKey, now: Tick, claimed: &Claimed) -> Next {
        if !claimed.is_open(key) {
            return Next::Wait;
        }
        let Some(next) = self.first_behind(key, claimed) else {
            return Next::Wait;
        };
        let (rank, stand) = (next.rank(), next.stand());
        let then = |rank| self.then(rank, key, claimed);
        let others = stand.keys.iter().filter(|other| *other != key);
        let mut heads = others.filter_map(|other| self.counts.head(other, &self.order));
        let before = |head: Rank| self.order.before(head, rank) || then(head) < then(rank);
        if let Some(head) = heads.find(|head| before(head.rank())) {
            return match claimed.lane_of(head.place()) {
                Some(lane) if lane != key => Next::WaitFor(head.place()),
                _ => Next::Wait,
            };
        }
        let needs = (&*stand.keys, &*stand.needs);
        let kept = self.kept(needs, rank, now);
        if !kept.is_empty() && !claimed.foreseen() {
            return Next::Wait;
        }
        drop(stand);
        Next::TryBehind(next, kept)
    }

    /// A rank's place when those are granted who are asked for on this count: of two the lesser goes first.
    fn then(&self, rank: Rank, key: &LimitKey, claimed: &Claimed) -> impl Ord + use<> {
        self.order
            .when_gone(rank, |place| claimed.lane_of(place) == Some(key))
    }

    /// The first who is not asked for, if it is that when all are granted who are.
    fn first_behind(&self, key: &LimitKey, claimed: &Claimed) -> Option<Arc<Waiter>> {
        let heads = self.counts.heads(key)?;
        if heads
            .lines()
            .any(|line| line.lifted || line.owner != NOBODY)
        {
            return None;
        }
        let lines = heads.lines();
        let firsts = lines.filter_map(|line| self.first_unasked(heads, line, claimed));
        let first = firsts.min_by_key(|first| self.then(first.rank(), key, claimed));
        first.cloned()
    }

    /// The first of a line who is not asked for, of all groups on a count.
    fn first_unasked<'a>(
        &'a self,
        heads: &'a Heads,
        line: Line,
        claimed: &Claimed,
    ) -> Option<&'a Arc<Waiter>> {
        let unasked = |waiter: &&Arc<Waiter>| claimed.lane_of(waiter.place()).is_none();
        let mut first: Option<&Arc<Waiter>> = None;
        for head in heads.of_line(line) {
            if first.is_some_and(|first| first.rank().seat < head.rank().seat) {
                break;
            }
            if unasked(&head) {
                first = Some(head);
                break;
            }
            let group = self.groups.get(&head.stand().keys)?;
            let next = group.waiters.of_line(line).find(unasked);
            let both = first.into_iter().chain(next);
            first = both.min_by_key(|waiter| waiter.rank().seat);
        }
        first
    }
}
