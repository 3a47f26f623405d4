//! What is granted ahead: for an instant that is still to come, when there will be room.

use super::Replica;
use crate::{
    limit::{Quantity, Room, Tick, micros},
    store::{
        Claim, Standing, Store as _,
        redis::entry::{Entry, Process},
    },
};

/// How far a claim may be granted ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store::redis) struct Reach(u64);

impl Replica {
    /// The instant for which a claim may be granted ahead that was refused. From now on it holds what it takes, so that
    /// nobody is granted it in between; until then that may be more than there is, but nothing has left by it.
    pub(super) fn ahead(&self, claim: &Claim, lease: u64) -> Option<Tick> {
        let standings = self.store.peek(claim).at_once().ok()?;
        let Reach(reach) = self.reach(&standings, lease)?;
        let acting = standings.iter().filter(|standing| !standing.shadow);
        match acting.map(|standing| standing.room).max()? {
            Room::At(at) if micros(at.since(self.rest.at.tick)) <= reach => Some(at),
            _ => None,
        }
    }

    /// No further than a lease, nor than half the time that a charge stays in any of its windows: while it holds room of
    /// one it waits for, room of the others lies idle. None where it waits for anything but a window that slides: when
    /// that has room is not known, or goes by another clock; nor for money, which is there or not.
    pub(in crate::store::redis) fn reach(
        &self,
        standings: &[Standing],
        lease: u64,
    ) -> Option<Reach> {
        let limits = self.store.limits();
        let mut reach = lease;
        for standing in standings.iter().filter(|standing| !standing.shadow) {
            let stay = limits.stay(&standing.key);
            reach = stay.map_or(reach, |stay| reach.min(stay / 2));
            if standing.room == Room::Now {
                continue;
            }
            let rule = limits.rule_of(&standing.key)?;
            stay.filter(|_| rule.limit.quantity != Quantity::Cost)?;
        }
        (reach > 0).then_some(Reach(reach))
    }

    /// Takes what was refused, for an instant to come.
    pub(super) fn take_ahead(&mut self, entry: &Entry, claim: &Claim, at: Tick) {
        let grant = self.store.take_anyway(claim);
        let name = (entry.process, entry.number);
        self.open.insert(name, grant);
        self.starts.insert(name, at);
    }

    /// From when on what was granted ahead may leave, where it has not left yet.
    pub(in crate::store::redis) fn starts(&self, process: Process, number: u64) -> Option<Tick> {
        self.starts.get(&(process, number)).copied()
    }
}

impl Reach {
    /// The last instant for which a claim may be granted that is made then.
    pub(in crate::store::redis) fn from(self, made: Tick) -> Tick {
        made.after_micros(self.0)
    }
}

#[cfg(test)]
#[path = "ahead_tests.rs"]
mod tests;
