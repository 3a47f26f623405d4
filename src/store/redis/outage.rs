//! Claims while the server cannot be reached, by what was known last: each process keeps to its share.

use std::collections::HashMap;

use super::{
    entry::Process,
    replica::{Outcome, Replica},
};
use crate::store::{Claim, Decision, Grant, Settlement, Store as _, clock::told::At};

/// The counts as they were known last, and what was done to them here since.
///
/// Each of the processes that were there takes as much as this one does: so a claim is made as many times here as there
/// are processes. What is left is shared equally by that, and all together take no more than there is.
pub(super) struct Outage {
    replica: Replica,
    processes: usize,
    /// By the number of the claim.
    open: HashMap<u64, Vec<Grant>>,
}

impl Outage {
    pub(super) fn new(replica: &Replica) -> Result<Self, String> {
        let replica = Replica::of_text(&replica.text(&[])?)?;
        let processes = replica.live().count().max(1);
        Ok(Outage {
            replica,
            processes,
            open: HashMap::new(),
        })
    }

    pub(super) fn claim(&mut self, claim: &Claim, number: u64, at: At) -> Outcome {
        self.replica.tell(at);
        let store = self.replica.store();
        let mut grants = Vec::with_capacity(self.processes);
        let refused = loop {
            if grants.len() == self.processes {
                self.open.insert(number, grants);
                return Outcome::Granted;
            }
            match store.claim(claim).at_once() {
                Ok(Decision::Granted(grant)) => grants.push(grant),
                Ok(Decision::NotNow(refused)) => break Outcome::NotNow(refused),
                Ok(Decision::Never(refused)) => break Outcome::Never(refused),
                Err(_) => break Outcome::Done,
            }
        };
        for grant in grants {
            drop(store.release(grant));
        }
        refused
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
