//! How much is needed by those who stand before a seat.
//!
//! A line is cut into blocks of some dozens of waiters, each with the sum of what they need, so that nobody has
//! to look at each of a hundred thousand. Plain data: no clock, lock or task.

use std::collections::BTreeMap;

use super::{
    heads::Heads,
    order::{Line, Seat},
    waiter::Waiter,
};

/// A block that has grown to so many is cut in two.
const MOST: usize = 128;
/// Before every seat.
const START: Seat = Seat {
    start: 0,
    order: 0,
    place: 0,
};

/// What the waiters of one group need of each of their counts.
#[derive(Debug, Default)]
pub(super) struct Demand {
    lines: BTreeMap<Line, BTreeMap<Seat, Block>>,
}

/// Those from one seat on, up to the next block.
#[derive(Debug, Default)]
struct Block {
    len: usize,
    needs: Vec<u128>,
}

impl Demand {
    /// Adds one that is among `waiters` by now.
    pub(super) fn add(&mut self, waiter: &Waiter, waiters: &Heads) {
        let (line, seat) = (waiter.rank().line, waiter.rank().seat);
        let blocks = self.lines.entry(line).or_default();
        let from = *blocks
            .range(..=seat)
            .next_back()
            .map_or(&START, |(from, _)| from);
        let block = blocks.entry(from).or_default();
        block.add(waiter);
        if block.len <= MOST {
            return;
        }
        let to = blocks.range(from..).nth(1).map(|(to, _)| *to);
        let mut middle = None;
        let mut second = Block::default();
        for waiter in waiters.between(line, from, to).skip(MOST / 2) {
            middle.get_or_insert(waiter.rank().seat);
            second.add(waiter);
        }
        if let (Some(middle), Some(first)) = (middle, blocks.get_mut(&from)) {
            first.len -= second.len;
            first
                .needs
                .iter_mut()
                .zip(&second.needs)
                .for_each(|(all, part)| *all -= part);
            blocks.insert(middle, second);
        }
    }

    /// Takes one off.
    pub(super) fn remove(&mut self, waiter: &Waiter) {
        let (line, seat) = (waiter.rank().line, waiter.rank().seat);
        let Some(blocks) = self.lines.get_mut(&line) else {
            return;
        };
        let Some((from, block)) = blocks.range_mut(..=seat).next_back() else {
            return;
        };
        block.len -= 1;
        let stand = waiter.stand();
        let sums = block.needs.iter_mut().zip(&stand.needs);
        sums.for_each(|(all, need)| *all -= u128::from(*need));
        if block.len == 0 {
            let from = *from;
            blocks.remove(&from);
        }
        if blocks.is_empty() {
            self.lines.remove(&line);
        }
    }

    /// What those of a line need, of each count in turn, who stand before a seat.
    pub(super) fn before(&self, line: Line, seat: Seat, waiters: &Heads) -> Vec<u128> {
        let mut sum = Block::default();
        let blocks = self.lines.get(&line).into_iter();
        let mut blocks = blocks.flat_map(|blocks| blocks.range(..seat)).peekable();
        while let Some((from, block)) = blocks.next() {
            if blocks.peek().is_some() {
                sum.take(block);
            } else {
                let rest = waiters.between(line, *from, Some(seat));
                rest.for_each(|waiter| sum.add(waiter));
            }
        }
        sum.needs
    }

    /// What all of a line need, of each count in turn.
    pub(super) fn of_line(&self, line: Line) -> Vec<u128> {
        let mut sum = Block::default();
        let blocks = self.lines.get(&line).into_iter();
        blocks
            .flat_map(BTreeMap::values)
            .for_each(|block| sum.take(block));
        sum.needs
    }
}

impl Block {
    fn add(&mut self, waiter: &Waiter) {
        self.sum(1, waiter.stand().needs.iter().copied().map(u128::from));
    }

    fn take(&mut self, other: &Block) {
        self.sum(other.len, other.needs.iter().copied());
    }

    fn sum(&mut self, len: usize, needs: impl ExactSizeIterator<Item = u128>) {
        self.len += len;
        self.needs.resize(needs.len().max(self.needs.len()), 0);
        self.needs
            .iter_mut()
            .zip(needs)
            .for_each(|(all, need)| *all += need);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        limit::{Limit, LimitKey, NewTarget, Quantities},
        limiter::{
            keep,
            order::{Comer, Order},
        },
        store::Claim,
        tags::Tags,
    };

    /// One that needs so much of two counts, somewhere in a line.
    fn waiter(random: &mut fastrand::Rng, order: u64) -> Arc<Waiter> {
        let key = |place| LimitKey::of(place, &Limit::concurrency(1), &Tags::new());
        let comer = Comer {
            priority: 0,
            arrival: 0,
            order,
            start: Some(random.u64(..1_000)),
            agent: "a".into(),
            size: 1,
            needs: [random.u64(..), random.u64(..9)].into(),
            shares: None,
            below: false,
            version: 0,
        };
        let rank = Order::new(0).rank(&comer);
        let claim = Claim {
            tags: Arc::default(),
            demand: crate::limit::Demand::default(),
            quantities: Quantities::ADMISSION,
            repeat: false,
            new_target: NewTarget::default(),
            held: Vec::new(),
            attempt: 0,
        };
        let keys = [key(0), key(1)].into();
        let refused = keep::behind(key(0), None);
        Arc::new(Waiter::new(claim, keys, comer, rank, None, refused))
    }

    #[test]
    fn the_sum_before_a_seat_is_that_of_each_of_them() {
        let mut random = fastrand::Rng::with_seed(11);
        let (mut heads, mut demand) = (Heads::default(), Demand::default());
        let mut all: Vec<Arc<Waiter>> = Vec::new();
        for order in 0..4_000 {
            // More come than go, then more go than come.
            let comes = random.u64(..4_000) > order;
            if comes || all.is_empty() {
                let waiter = waiter(&mut random, order);
                heads.insert(waiter.clone());
                demand.add(&waiter, &heads);
                all.push(waiter);
            } else {
                let goes = all.swap_remove(random.usize(..all.len()));
                heads.remove(goes.rank());
                demand.remove(&goes);
            }
            let asks = waiter(&mut random, order).rank();
            let sum = |before: &dyn Fn(&Waiter) -> bool, count: usize| -> u128 {
                let those = all.iter().filter(|waiter| before(waiter));
                those
                    .map(|waiter| u128::from(waiter.stand().needs[count]))
                    .sum()
            };
            let before = demand.before(asks.line, asks.seat, &heads);
            let whole = demand.of_line(asks.line);
            for count in 0..2 {
                let earlier = |waiter: &Waiter| waiter.rank().seat < asks.seat;
                let found = before.get(count).copied().unwrap_or_default();
                assert_eq!(found, sum(&earlier, count), "after {order}");
                let found = whole.get(count).copied().unwrap_or_default();
                assert_eq!(found, sum(&|_| true, count), "after {order}");
            }
            let blocks = demand.lines.values().map(BTreeMap::len).sum::<usize>();
            assert!(
                blocks <= all.len().max(1),
                "{blocks} blocks of {}",
                all.len()
            );
        }
        assert!(all.len() < 1_000);
    }
}
