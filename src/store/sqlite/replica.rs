//! A second store that does what was committed. It is what an image is taken of, without a pause for anybody, and what
//! a log is replayed on: the same code every day and after a crash.

use std::{collections::HashMap, sync::Arc};

use super::op::Op;
use crate::{
    limit::{Demand, Limit, Limits, Quantities},
    store::{
        Answer, BudgetEvent, Decision, Grant, MemoryStore, Store as _,
        clock::{
            Clock,
            told::{At, Told},
        },
        image::Image,
    },
};

#[derive(Debug)]
pub(super) struct Replica {
    store: MemoryStore,
    told: Arc<Told>,
    open: HashMap<u64, Open>,
    /// The limits that the program opened it with: amounts may be others since.
    given: Vec<Limit>,
    /// When something was done last.
    at: At,
}

/// A grant that has not ended, and what is to be known of it should it be lost.
#[derive(Clone, Debug)]
pub(super) struct Open {
    grant: Grant,
    pub(super) kept: Kept,
}

/// What the ledger wants to know of a grant.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct Kept {
    /// Its attempt's row.
    pub(super) row: i64,
    pub(super) demand: Demand,
    pub(super) quantities: Quantities,
}

impl Replica {
    /// One that has done nothing yet.
    pub(super) fn new(limits: Limits, most: Option<usize>) -> Self {
        let told = Arc::new(Told::default());
        let given = limits.iter().cloned().collect();
        let mut store = MemoryStore::new(limits);
        store.clock = Clock::telling(told.clone());
        let store = match most {
            Some(most) => store.max_counts(most),
            None => store,
        };
        let (open, at) = (HashMap::new(), At::default());
        Replica {
            store,
            told,
            open,
            given,
            at,
        }
    }

    /// One that goes on where an image was taken.
    pub(super) fn of_image(
        limits: Limits,
        given: Vec<Limit>,
        most: Option<usize>,
        (image, mut kept, at): (&Image, HashMap<u64, Kept>, At),
    ) -> Self {
        let told = Arc::new(Told::default());
        told.tell(at);
        let clock = Clock::telling(told.clone());
        let (store, grants) = MemoryStore::of_image(limits, most, image, clock);
        let grants = grants.into_iter();
        let open = grants.filter_map(|(number, grant)| {
            let kept = kept.remove(&number)?;
            Some((number, Open { grant, kept }))
        });
        let open = open.collect();
        Replica {
            store,
            told,
            open,
            given,
            at,
        }
    }

    /// Does it again. What has happened to budgets then.
    pub(super) fn redo(&mut self, at: At, op: &Op) -> Vec<BudgetEvent> {
        self.at = at;
        self.told.tell(at);
        let store = &self.store;
        match op {
            Op::Claim {
                grant: number,
                row,
                asked,
            } => {
                let claim = asked.to(store.limits());
                let grant = store.take_anyway(&claim);
                let kept = Kept {
                    row: *row,
                    demand: claim.demand,
                    quantities: claim.quantities,
                };
                self.open.insert(*number, Open { grant, kept });
            }
            Op::Refused(asked) => {
                let answer = store.claim(&asked.to(store.limits()));
                // It was refused then. Should there be room now, nothing is to be taken.
                if let Answer::Now(Ok(Decision::Granted(grant))) = answer {
                    drop(store.release(grant));
                }
            }
            Op::Date(number) => {
                if let Some(open) = self.open.get_mut(number) {
                    store.date(&mut open.grant);
                }
            }
            Op::Streamed(number, output) => {
                if let Some(open) = self.open.get_mut(number) {
                    store.streamed(&mut open.grant, *output);
                }
            }
            Op::Settle(number, settlement) => {
                if let Some(open) = self.open.remove(number) {
                    drop(store.settle(open.grant, *settlement));
                }
            }
            Op::Release(number) => {
                if let Some(open) = self.open.remove(number) {
                    drop(store.release(open.grant));
                }
            }
            Op::Observe { grant, tags, seen } => {
                let open = self.open.get(grant);
                let grant = open.map_or_else(|| store.no_grant(), |open| open.grant.clone());
                drop(store.observe(tags, &grant, seen));
            }
            Op::Refuse(asked) => drop(store.refuse(&asked.to(store.limits()))),
            Op::Record(tags, usage) => drop(store.record(tags, *usage)),
            Op::Correct {
                tags,
                correction,
                reason,
            } => drop(store.correct(tags, *correction, reason)),
            Op::Reset { tags, reason } => drop(store.reset(tags, reason)),
            Op::Reconfigure(limits) => {
                if let Ok(limits) = Limits::new(limits.iter().cloned()) {
                    drop(store.reconfigure(&limits));
                }
            }
        }
        store.take_events()
    }

    /// The limits that the program opened it with.
    pub(super) fn given(&self) -> &[Limit] {
        &self.given
    }

    /// When something was done last.
    pub(super) fn at(&self) -> At {
        self.at
    }

    /// How many counts there are.
    pub(super) fn len(&self) -> usize {
        self.store.len()
    }

    /// The grants that have not ended.
    pub(super) fn open(&self) -> impl Iterator<Item = (u64, &Kept)> {
        self.open.iter().map(|(number, open)| (*number, &open.kept))
    }

    pub(super) fn image(&self) -> Image {
        self.store.image(
            self.open
                .iter()
                .map(|(number, open)| (*number, &open.grant)),
        )
    }

    /// A store that stands where this one does.
    pub(super) fn copy(&self, limits: Limits, most: Option<usize>, clock: Clock) -> MemoryStore {
        let (store, _) = MemoryStore::of_image(limits, most, &self.image(), clock);
        store
    }
}
