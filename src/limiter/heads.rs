//! The first of several lines, and whoever goes first of those.

use std::{collections::BTreeMap, ops::Bound, sync::Arc};

use super::{
    order::{Line, Rank, Seat},
    waiter::Waiter,
};

/// Waiters in lines: within a line their seats say who goes first, among lines the [order](super::order) does.
#[derive(Debug, Default)]
pub(super) struct Heads {
    lines: BTreeMap<Line, BTreeMap<Seat, Arc<Waiter>>>,
}

impl Heads {
    pub(super) fn insert(&mut self, waiter: Arc<Waiter>) {
        let Rank { line, seat, .. } = waiter.rank();
        self.lines.entry(line).or_default().insert(seat, waiter);
    }

    /// Takes one off. Returns whether it was there.
    pub(super) fn remove(&mut self, rank: Rank) -> bool {
        let Some(line) = self.lines.get_mut(&rank.line) else {
            return false;
        };
        let there = line.remove(&rank.seat).is_some();
        if line.is_empty() {
            self.lines.remove(&rank.line);
        }
        there
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    pub(super) fn holds(&self, rank: Rank) -> bool {
        let line = self.lines.get(&rank.line);
        line.is_some_and(|line| line.contains_key(&rank.seat))
    }

    pub(super) fn lines(&self) -> impl Iterator<Item = Line> {
        self.lines.keys().copied()
    }

    /// The first of one line.
    pub(super) fn first_of(&self, line: Line) -> Option<&Arc<Waiter>> {
        self.lines.get(&line)?.values().next()
    }

    /// The first of each line.
    pub(super) fn firsts(&self) -> impl Iterator<Item = &Arc<Waiter>> {
        self.lines.values().filter_map(|line| line.values().next())
    }

    /// Everybody.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Waiter>> {
        self.lines.values().flat_map(BTreeMap::values)
    }

    /// Those of one line, in the order of their seats.
    pub(super) fn of_line(&self, line: Line) -> impl Iterator<Item = &Arc<Waiter>> {
        self.lines.get(&line).into_iter().flat_map(BTreeMap::values)
    }

    /// Those of one line from a seat on, up to another.
    pub(super) fn between(
        &self,
        line: Line,
        from: Seat,
        to: Option<Seat>,
    ) -> impl Iterator<Item = &Arc<Waiter>> {
        let line = self.lines.get(&line).into_iter();
        let to = to.map_or(Bound::Unbounded, Bound::Excluded);
        line.flat_map(move |line| line.range((Bound::Included(from), to)))
            .map(|(_, waiter)| waiter)
    }

    /// Whoever goes first.
    pub(super) fn first(&self, before: impl Fn(Rank, Rank) -> bool) -> Option<&Arc<Waiter>> {
        self.firsts().reduce(|best, head| {
            if before(head.rank(), best.rank()) {
                head
            } else {
                best
            }
        })
    }
}
