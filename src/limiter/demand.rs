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
        let (line, seat) = (waiter.rank.line, waiter.rank.seat);
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
            middle.get_or_insert(waiter.rank.seat);
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
        let (line, seat) = (waiter.rank.line, waiter.rank.seat);
        let Some(blocks) = self.lines.get_mut(&line) else {
            return;
        };
        let Some((from, block)) = blocks.range_mut(..=seat).next_back() else {
            return;
        };
        block.len -= 1;
        let sums = block.needs.iter_mut().zip(waiter.needs());
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
        self.sum(1, waiter.needs().iter().copied().map(u128::from));
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
