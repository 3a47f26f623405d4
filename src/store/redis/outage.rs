//! Claims while the server cannot be reached, by what was known last: each process keeps to its share.

use std::collections::HashMap;

use super::{
    entry::Process,
    replica::{Outcome, Replica},
};
use crate::{
    error::StoreError,
    store::{Claim, Decision, Grant, Settlement, Standing, Store as _, clock::told::At},
    tags::Tags,
    usage::Usage,
};

/// The counts as they were known last, and what was done to them here since.
///
/// Each of the processes that were there takes as much as this one does: so a claim is made as many times here as there
/// are processes. What is left is shared equally by that, and all together take no more than there is.
pub(super) struct Outage {
    replica: Replica,
    processes: usize,
    /// By the number of the claim.
    open: HashMap<u64, Vec<Grant>>,
    /// The number of what was done last meanwhile. The server has to be told.
    last: u64,
}

impl Outage {
    pub(super) fn new(replica: &Replica) -> Result<Self, String> {
        let (replica, _) = Replica::of_text(&replica.text(Vec::new())?)?;
        let processes = replica.live().count().max(1);
        Ok(Outage {
            replica,
            processes,
            open: HashMap::new(),
            last: 0,
        })
    }

    /// Something was done meanwhile under this number, which the server has to be told.
    pub(super) fn owes(&mut self, number: u64) {
        self.last = self.last.max(number);
    }

    /// Whether it was told all of that, where it has so much of this process.
    pub(super) fn is_told(&self, number: u64) -> bool {
        number >= self.last
    }

    pub(super) fn claim(&mut self, claim: &Claim, number: u64, at: At) -> Outcome {
        self.replica.tell(at);
        let (grants, refused) = self.take(claim, self.processes);
        match refused {
            None => {
                self.open.insert(number, grants);
                Outcome::Granted
            }
            Some(refused) => {
                self.give_back(grants);
                refused
            }
        }
    }

    /// As a claim would find the counts.
    pub(super) fn peek(&mut self, claim: &Claim, at: At) -> Result<Vec<Standing>, StoreError> {
        self.replica.tell(at);
        let (grants, _) = self.take(claim, self.processes - 1);
        let standings = self.replica.store().peek(claim).at_once();
        self.give_back(grants);
        standings
    }

    /// So often, or until it is refused.
    fn take(&self, claim: &Claim, times: usize) -> (Vec<Grant>, Option<Outcome>) {
        let mut grants = Vec::with_capacity(times);
        while grants.len() < times {
            let refused = match self.replica.store().claim(claim).at_once() {
                Ok(Decision::Granted(grant)) => {
                    grants.push(grant);
                    continue;
                }
                Ok(Decision::NotNow(refused)) => Outcome::NotNow(refused),
                Ok(Decision::Never(refused)) => Outcome::Never(refused),
                Err(_) => Outcome::Done,
            };
            return (grants, Some(refused));
        }
        (grants, None)
    }

    fn give_back(&self, grants: Vec<Grant>) {
        for grant in grants {
            drop(self.replica.store().release(grant));
        }
    }

    pub(super) fn record(&mut self, tags: &Tags, usage: Usage, at: At) {
        self.replica.tell(at);
        drop(self.replica.store().record(tags, usage));
    }

    pub(super) fn date(&mut self, number: u64, at: At) {
        self.replica.tell(at);
        let store = self.replica.store();
        let grants = self.open.get_mut(&number).into_iter().flatten();
        grants.for_each(|grant| store.date(grant));
    }

    /// Of one that was claimed here, or before.
    pub(super) fn end(
        &mut self,
        (me, number): (Process, u64),
        settlement: Option<Settlement>,
        at: At,
    ) {
        self.replica.tell(at);
        let before = self.replica.take(me, number);
        let grants = self.open.remove(&number).into_iter().flatten();
        let store = self.replica.store();
        for grant in grants.chain(before) {
            drop(match settlement {
                Some(settlement) => store.settle(grant, settlement),
                None => store.release(grant),
            });
        }
    }
}

#[cfg(test)]
#[path = "outage_tests.rs"]
mod tests;
