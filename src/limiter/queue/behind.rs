//! Who is next when all are granted that the store was asked for and has not answered yet.

use std::sync::Arc;

use super::{Next, Queue};
use crate::{
    limit::{LimitKey, Tick},
    limiter::{claimed::Claimed, heads::Heads, order::Line, owners::NOBODY, waiter::Waiter},
};

impl Queue {
    /// Who is next on a count on which others are asked for. Nobody where that is not sure: where one is passed or
    /// goes first out of turn, waits for another count first, or has to leave room to somebody. That is seen
    /// when all are answered.
    pub(super) fn next_behind(&mut self, key: &LimitKey, now: Tick, claimed: &Claimed) -> Next {
        if !claimed.is_open(key) {
            return Next::Wait;
        }
        let Some(next) = self.sure_next(key, claimed) else {
            return Next::Wait;
        };
        let stand = next.stand();
        let others = stand.keys.iter().filter(|other| *other != key);
        let mut heads = others.filter_map(|other| self.counts.head(other, &self.order));
        if let Some(head) = heads.find(|head| self.order.before(head.rank(), next.rank())) {
            return match claimed.lane_of(head.place()) {
                Some(lane) if lane != key => Next::WaitFor(head.place()),
                _ => Next::Wait,
            };
        }
        if !self
            .kept((&stand.keys, &stand.needs), next.rank(), now)
            .is_empty()
        {
            return Next::Wait;
        }
        drop(stand);
        Next::TryBehind(next)
    }

    /// The first who is not asked for, if it is that whatever becomes of those who are.
    fn sure_next(&self, key: &LimitKey, claimed: &Claimed) -> Option<Arc<Waiter>> {
        let heads = self.counts.heads(key)?;
        if heads
            .lines()
            .any(|line| line.lifted || line.owner != NOBODY)
        {
            return None;
        }
        let lines = heads.lines();
        let firsts = lines.filter_map(|line| self.first_unasked(heads, line, claimed));
        let firsts: Vec<&Arc<Waiter>> = firsts.collect();
        let before = |a: &Arc<Waiter>, b: &Arc<Waiter>| self.order.stays_before(a.rank(), b.rank());
        let others = |first: &Arc<Waiter>| {
            let mut others = firsts.iter().filter(|other| !Arc::ptr_eq(first, other));
            others.all(|other| before(first, other))
        };
        let first = firsts.iter().find(|first| others(first));
        first.map(|first| Arc::clone(first))
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
