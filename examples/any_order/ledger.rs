//! Our side's ledger: a store that writes down what becomes of each claim, and can be made to go wrong.

use std::{
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tower_quota::{
    Money, Tag, Tags, Usage,
    limit::{Limits, Quantities, Quantity, Tick},
    store::{
        Answer, Claim, Decision, Grant, MemoryStore, Observation, Settlement, Standing, Store,
    },
};

/// The free tag that says which call it is.
pub(crate) const CALL: &str = "call";

/// What goes wrong on purpose, to see that the table tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Defect {
    /// A layer next to the client sends each attempt that fails once more, and tells nobody.
    Resends,
    /// Claims are granted though there is no room, and take nothing.
    Overbooks,
    /// One settlement in fifty is lost.
    Forgets,
    /// Reported output is settled rounded down to tens.
    Rounds,
    /// What nobody reported is settled at nothing.
    Trusts,
}

impl Defect {
    pub(crate) const ALL: [Defect; 5] = [
        Defect::Resends,
        Defect::Overbooks,
        Defect::Forgets,
        Defect::Rounds,
        Defect::Trusts,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Defect::Resends => "resends",
            Defect::Overbooks => "overbooks",
            Defect::Forgets => "forgets",
            Defect::Rounds => "rounds",
            Defect::Trusts => "trusts",
        }
    }
}

/// A settled claim: one attempt, as one gate has it.
#[derive(Clone, Debug)]
pub(crate) struct Settled {
    pub(crate) call: u64,
    pub(crate) provider: String,
    pub(crate) by: Gate,
    /// `None`: nobody knows, and all that was reserved counts.
    pub(crate) usage: Option<Usage>,
    pub(crate) reserved: Money,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Gate {
    Admission,
    Budget,
}

/// What became of the claims.
#[derive(Debug, Default)]
pub(crate) struct Record {
    open: Vec<(Grant, Claim)>,
    /// How often something was to be settled.
    ends: u64,
    pub(crate) granted: u64,
    pub(crate) released: u64,
    pub(crate) settled: Vec<Settled>,
    /// Ends of claims that had ended, or were never granted.
    pub(crate) twice: u64,
}

impl Record {
    /// Claims that have not ended.
    pub(crate) fn open(&self) -> u64 {
        self.open.len() as u64
    }

    fn end(&mut self, grant: &Grant) -> Option<Claim> {
        let place = self.open.iter().position(|(open, _)| open == grant);
        if place.is_none() {
            self.twice += 1;
        }
        place.map(|place| self.open.swap_remove(place).1)
    }
}

/// The ledger's half that is read at the end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger(Arc<Mutex<Record>>);

impl Ledger {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn take(&self) -> Record {
        mem::take(&mut *self.lock())
    }
}

pub(crate) struct LedgerStore {
    store: MemoryStore,
    ledger: Ledger,
    defect: Option<Defect>,
}

impl LedgerStore {
    pub(crate) fn new(limits: Limits, defect: Option<Defect>) -> (Self, Ledger) {
        let ledger = Ledger::default();
        let store = LedgerStore {
            store: MemoryStore::new(limits),
            ledger: ledger.clone(),
            defect,
        };
        (store, ledger)
    }

    fn is(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }
}

impl fmt::Debug for LedgerStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LedgerStore").finish_non_exhaustive()
    }
}

fn gate(quantities: Quantities) -> Gate {
    if quantities.contain(Quantity::Cost) {
        Gate::Budget
    } else {
        Gate::Admission
    }
}

fn settled(claim: &Claim, settlement: Settlement) -> Settled {
    let tag = |tag| claim.tags.get(&tag).unwrap_or_default();
    Settled {
        call: tag(Tag::from(CALL)).parse().unwrap_or(u64::MAX),
        provider: tag(Tag::Provider).to_owned(),
        by: gate(claim.quantities),
        usage: match settlement {
            Settlement::Usage(usage) => Some(usage),
            _ => None,
        },
        reserved: Money::from_nanos(claim.demand.cost),
    }
}

impl Store for LedgerStore {
    fn limits(&self) -> Limits {
        self.store.limits()
    }

    fn now(&self) -> Tick {
        self.store.now()
    }

    fn claim(&self, claim: &Claim) -> Answer<Decision> {
        let mut asked = claim.clone();
        if self.is(Defect::Overbooks) && gate(claim.quantities) == Gate::Admission {
            // Of a quantity that no limit counts.
            asked.quantities = Quantities::BUDGET;
            asked.demand.cost = 0;
        }
        let answer = self.store.claim(&asked);
        if let Answer::Now(Ok(Decision::Granted(grant))) = &answer {
            let mut record = self.ledger.lock();
            record.granted += 1;
            record.open.push((grant.clone(), claim.clone()));
        }
        answer
    }

    fn date(&self, grant: &mut Grant) {
        self.store.date(grant);
    }

    fn streamed(&self, grant: &mut Grant, output: u64) {
        self.store.streamed(grant, output);
    }

    fn settle(&self, grant: Grant, mut settlement: Settlement) -> Answer<()> {
        let mut record = self.ledger.lock();
        record.ends += 1;
        if self.is(Defect::Forgets) && record.ends.is_multiple_of(50) {
            return Answer::Now(Ok(()));
        }
        if let (true, Settlement::Usage(usage)) = (self.is(Defect::Rounds), &mut settlement) {
            usage.output -= usage.output % 10;
            usage.cost = usage
                .cost
                .map(|cost| Money::from_nanos(cost.as_nanos() / 10 * 9));
        }
        if let (true, Settlement::Unknown) = (self.is(Defect::Trusts), &settlement) {
            settlement = Settlement::Usage(Usage::default());
        }
        if let Some(claim) = record.end(&grant) {
            record.settled.push(settled(&claim, settlement));
        }
        drop(record);
        self.store.settle(grant, settlement)
    }

    fn release(&self, grant: Grant) -> Answer<()> {
        let mut record = self.ledger.lock();
        if record.end(&grant).is_some() {
            record.released += 1;
        }
        drop(record);
        self.store.release(grant)
    }

    fn observe(&self, tags: &Tags, grant: &Grant, seen: &Observation) -> Answer<bool> {
        self.store.observe(tags, grant, seen)
    }

    fn peek(&self, claim: &Claim) -> Answer<Vec<Standing>> {
        self.store.peek(claim)
    }

    fn record(&self, tags: &Tags, usage: Usage) -> Answer<()> {
        self.store.record(tags, usage)
    }
}
