//! A second store that does what was committed: what a log is replayed on after a crash, and, where there are many counts,
//! what an image is taken of without a pause for anybody.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::op::Op;
use crate::{
    limit::{Demand, Limit, Limits, Quantities},
    store::{
        Answer, BudgetEvent, Decision, Grant, MemoryStore, Reason, Settlement, Store as _,
        asked::Asked,
        clock::{
            Clock,
            told::{At, Told},
        },
        image::Image,
    },
    tags::Tags,
};

#[derive(Debug)]
pub(super) struct Replica {
    store: MemoryStore,
    /// What the file was opened with.
    given: Vec<Limit>,
    told: Arc<Told>,
    open: HashMap<u64, Open>,
    /// Blocks, by their numbers.
    ahead: BTreeMap<u64, Asked>,
    /// When something was done last.
    at: At,
}

/// By a clock that is further behind than this, in microseconds, no time is measured: nobody has set it yet.
const UNSET: i64 = 24 * 3_600 * 1_000_000;

/// When something was done, by which time is measured later: where the clock on the wall was not set, by what it showed
/// `before`.
pub(super) fn measured(before: i64, at: At) -> At {
    let is_unset = at.wall.saturating_add(UNSET) < before;
    let wall = if is_unset { before } else { at.wall };
    At { wall, ..at }
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
        store.clock = Clock::telling(told.clone(), &store.limits());
        let store = match most {
            Some(most) => store.max_counts(most),
            None => store,
        };
        Replica {
            store,
            given,
            told,
            open: HashMap::new(),
            ahead: BTreeMap::new(),
            at: At::default(),
        }
    }

    /// One that goes on where an image was taken of one with the limits `old`, under those or others.
    pub(super) fn of_image(
        given: Vec<Limit>,
        (old, limits): (&Limits, Limits),
        most: Option<usize>,
        (image, mut kept, at): (&Image, HashMap<u64, Kept>, At),
    ) -> Self {
        let told = Arc::new(Told::default());
        told.tell(at);
        let (store, grants) = MemoryStore::of_image((old, limits), most, image, told.clone());
        let grants = grants.into_iter();
        let open = grants.filter_map(|(number, grant)| {
            let kept = kept.remove(&number)?;
            Some((number, Open { grant, kept }))
        });
        let open = open.collect();
        Replica {
            store,
            given,
            told,
            open,
            ahead: BTreeMap::new(),
            at,
        }
    }

    /// With the blocks that there were.
    pub(super) fn with_ahead(mut self, ahead: BTreeMap<u64, Asked>) -> Self {
        self.ahead = ahead;
        self
    }

    /// Does it again. What has happened to budgets then.
    pub(super) fn redo(&mut self, at: At, op: &Op) -> Vec<BudgetEvent> {
        self.at = measured(self.at.wall, at);
        self.told.tell(at);
        let store = &self.store;
        match op {
            Op::Claim {
                grant: number,
                row,
                asked,
            } => {
                let claim = asked.to(&store.limits());
                let grant = store.take_anyway(&claim);
                let kept = Kept {
                    row: *row,
                    demand: claim.demand,
                    quantities: claim.quantities,
                };
                self.open.insert(*number, Open { grant, kept });
            }
            Op::Refused(asked) => {
                let answer = store.claim(&asked.to(&store.limits()));
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
            Op::Refuse(asked) => drop(store.refuse(&asked.to(&store.limits()))),
            Op::Record(tags, usage) => drop(store.record(tags, *usage)),
            Op::Correct {
                tags,
                correction,
                reason,
            } => drop(store.correct(tags, *correction, &reason.as_str().into())),
            Op::Reset { tags, reason } => drop(store.reset(tags, &reason.as_str().into())),
            Op::Reconfigure(limits) => self.replace(limits),
            Op::Reload { limits, given } => {
                self.replace(limits);
                self.given.clone_from(given);
            }
            Op::Ahead(number, asked) => drop(self.ahead.insert(*number, asked.clone())),
            Op::Behind(number) => drop(self.ahead.remove(number)),
            Op::Noted => {}
        }
        self.store.take_events()
    }

    fn replace(&self, limits: &[Limit]) {
        if let Ok(limits) = Limits::taken_before(limits.iter().cloned()) {
            drop(self.store.reconfigure(&limits, &Reason::default()));
        }
    }

    /// The blocks that there are.
    pub(super) fn ahead(&self) -> &BTreeMap<u64, Asked> {
        &self.ahead
    }

    /// Counts all blocks as used, as far as there is room, and they are gone. Whose they were, what of them counts as
    /// used, and what has happened to budgets by that.
    pub(super) fn use_ahead(&mut self, at: At) -> (Vec<(Arc<Tags>, Kept)>, Vec<BudgetEvent>) {
        self.at = at;
        self.told.tell(at);
        let mut used = Vec::new();
        for (_, asked) in std::mem::take(&mut self.ahead) {
            let claim = asked.to(&self.store.limits());
            let (grant, cost) = self.store.take_what_is_left(&claim);
            drop(self.store.settle(grant, Settlement::Unknown));
            let kept = Kept {
                row: 0,
                demand: Demand {
                    cost: cost.unwrap_or(claim.demand.cost),
                    ..claim.demand
                },
                quantities: claim.quantities,
            };
            used.push((claim.tags, kept));
        }
        (used, self.store.take_events())
    }

    /// What has happened to budgets by other amounts.
    pub(super) fn look_at_budgets(&self) -> Vec<BudgetEvent> {
        self.store.look_at_budgets();
        self.store.take_events()
    }

    /// When something was done last.
    pub(super) fn at(&self) -> At {
        self.at
    }

    /// By the clock on the wall, time passes only from this on.
    pub(super) fn not_before(&mut self, wall: i64) {
        self.at.wall = self.at.wall.max(wall);
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

    /// What the file was opened with.
    pub(super) fn given(&self) -> &[Limit] {
        &self.given
    }

    /// The limits that hold.
    pub(super) fn limits(&self) -> Limits {
        self.store.limits()
    }

    /// A store that stands where this one does, in which nothing is open: one that shows what `told` says.
    pub(super) fn copy(&self, most: Option<usize>, told: Arc<Told>) -> MemoryStore {
        let limits = self.limits();
        let own = limits.clone().for_a_store();
        let (store, _) = MemoryStore::of_image((&limits, own), most, &self.image(), told);
        store
    }
}
