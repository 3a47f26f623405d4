//! Room that is written down ahead, so that claims need not wait until they are written themselves.
//!
//! A *block* is room for so many claims of the same tags and quantities, in the file before any of them. Whoever finds
//! room in one is answered at once, and written with whatever is written next: from then on the block has that room
//! again. So what is in the file, and what a block has room for, is together never less than what was granted. After a crash
//! nobody knows how much of a block was used, and all of it counts as used.

use std::{
    collections::HashSet,
    hash::{BuildHasher as _, Hash as _, Hasher as _},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use hashbrown::{DefaultHashBuilder, HashTable};

use super::op::Op;
use crate::{
    limit::{Demand, NewTarget, Quantities, Tick},
    store::{Claim, asked::Asked},
    tags::Tags,
};

/// So many tags have blocks, or may have.
const MOST: usize = 1_024;
/// In microseconds; a block that nobody has used for so long goes.
const UNUSED: u64 = 10_000_000;

/// The blocks that there are.
#[derive(Debug)]
pub(super) struct Ahead {
    /// How many claims each has room for. Zero: there are none.
    claims: u32,
    known: HashTable<Known>,
    hasher: DefaultHashBuilder,
    numbers: u64,
    /// Attempts of which a claim waits to be written that is in no block: what is queued, and what is being written.
    bare: [HashSet<u32>; 2],
    /// When blocks were looked at last.
    swept: Tick,
}

/// Tags under which something was claimed of late.
#[derive(Debug)]
struct Known {
    hash: u64,
    tags: Arc<Tags>,
    quantities: Quantities,
    is_used: bool,
    block: Option<Arc<Block>>,
}

/// One block.
#[derive(Debug)]
pub(super) struct Block {
    number: u64,
    /// What one claim may need at most.
    each: Demand,
    /// How many more claims it has room for.
    left: AtomicU32,
    is_written: AtomicBool,
}

/// What something that is queued has to do with a block, once it is written.
#[derive(Debug)]
pub(super) enum Part {
    Makes(Arc<Block>),
    Uses(Arc<Block>),
}

/// What becomes of a claim that was granted.
pub(super) enum Covered {
    /// It is in a block.
    By(Part),
    /// It waits until it is written, behind this.
    Bare(Vec<(Op, Option<Part>)>),
}

impl Known {
    fn is_of(&self, claim: &Claim) -> bool {
        let is_same = || Arc::ptr_eq(&self.tags, &claim.tags) || self.tags == claim.tags;
        self.quantities == claim.quantities && is_same()
    }
}

impl Part {
    pub(super) fn written(self) {
        match self {
            Part::Makes(block) => block.is_written.store(true, Ordering::Release),
            Part::Uses(block) => drop(block.left.fetch_add(1, Ordering::AcqRel)),
        }
    }
}

impl Block {
    /// Takes room for a claim, where there is some.
    fn take(&self, demand: &Demand) -> bool {
        let is_there = self.is_written.load(Ordering::Acquire) && fits(demand, &self.each);
        let take = |left: u32| left.checked_sub(1);
        is_there
            && self
                .left
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, take)
                .is_ok()
    }
}

impl Ahead {
    pub(super) fn new(claims: u32) -> Self {
        Ahead {
            claims,
            known: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            numbers: 0,
            bare: Default::default(),
            swept: Tick::default(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Whether this claim is in a block. `is_last`: no other claim of its attempt follows.
    pub(super) fn cover(&mut self, claim: &Claim, is_last: bool) -> Covered {
        if self.claims == 0 {
            return Covered::Bare(Vec::new());
        }
        let known = self.know(claim);
        let waits = |of: &HashSet<u32>| of.contains(&0) || of.contains(&claim.attempt);
        if let Some(Some(block)) = &known
            && !(is_last && self.bare.iter().any(waits))
            && block.take(&claim.demand)
        {
            return Covered::By(Part::Uses(block.clone()));
        }
        if !is_last {
            self.bare[0].insert(claim.attempt);
        }
        Covered::Bare(match known {
            // The first under these tags may be the last.
            None => Vec::new(),
            Some(Some(block)) if fits(&claim.demand, &block.each) => Vec::new(),
            Some(_) => self.make(claim),
        })
    }

    /// The block of such claims; `None`: nothing was claimed like this before.
    fn know(&mut self, claim: &Claim) -> Option<Option<Arc<Block>>> {
        let hash = self.hash(claim);
        if let Some(known) = self.known.find_mut(hash, |known| known.is_of(claim)) {
            known.is_used = true;
            return Some(known.block.clone());
        }
        if self.known.len() < MOST {
            let known = Known {
                hash,
                tags: claim.tags.clone(),
                quantities: claim.quantities,
                is_used: true,
                block: None,
            };
            self.known.insert_unique(hash, known, |known| known.hash);
        }
        None
    }

    fn hash(&self, claim: &Claim) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        for (tag, value) in claim.tags.iter() {
            (tag.name(), value).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// A block for such claims, in place of the one that is too small for them.
    fn make(&mut self, claim: &Claim) -> Vec<(Op, Option<Part>)> {
        let hash = self.hash(claim);
        let Some(known) = self.known.find_mut(hash, |known| known.is_of(claim)) else {
            return Vec::new();
        };
        let before = known.block.take();
        let each = match &before {
            // Those that grow, as a conversation does, grow on.
            Some(before) => each_of(&before.each, &claim.demand, |one, new| {
                one.max(new.saturating_add(new / 2))
            }),
            None => claim.demand,
        };
        self.numbers += 1;
        let block = Arc::new(Block {
            number: self.numbers,
            each,
            left: AtomicU32::new(self.claims),
            is_written: AtomicBool::new(false),
        });
        known.block = Some(block.clone());
        let times = u64::from(self.claims);
        let asked = Asked::alone(Claim {
            tags: claim.tags.clone(),
            demand: each_of(&each, &each, |one, _| one.saturating_mul(times)),
            quantities: claim.quantities,
            repeat: false,
            new_target: NewTarget::default(),
            held: Vec::new(),
            attempt: 0,
        });
        let made = (Op::Ahead(block.number, asked), Some(Part::Makes(block)));
        let gone = before.map(|before| (Op::Behind(before.number), None));
        [Some(made), gone].into_iter().flatten().collect()
    }

    /// Something is queued that makes room by hand: until it is written nobody leaves on its strength.
    pub(super) fn stop(&mut self) {
        self.bare[0].insert(0);
    }

    /// What is queued is being written.
    pub(super) fn taken(&mut self) {
        let [queued, writing] = &mut self.bare;
        writing.extend(queued.drain());
    }

    /// It is written.
    pub(super) fn written(&mut self) {
        self.bare[1].clear();
    }

    /// Whether it is time for it.
    pub(super) fn is_due(&self, now: Tick) -> bool {
        !self.is_empty() && self.swept.after_micros(UNUSED) <= now
    }

    /// Blocks that were not used since the last time go, or all of them: nobody should pay for them after a crash.
    pub(super) fn sweep(&mut self, now: Tick, all: bool) -> Vec<Op> {
        self.swept = now;
        let mut gone = Vec::new();
        self.known.retain(|known| {
            let stays = std::mem::take(&mut known.is_used) && !all;
            if !stays {
                let block = known.block.take();
                gone.extend(block.map(|block| Op::Behind(block.number)));
            }
            stays
        });
        gone
    }

    /// After so long without anything blocks are looked at.
    pub(super) const EACH: Duration = Duration::from_micros(UNUSED);
}

fn fits(demand: &Demand, each: &Demand) -> bool {
    demand.requests <= each.requests
        && demand.input <= each.input
        && demand.output <= each.output
        && demand.cost <= each.cost
}

/// Of each amount what is made of both.
fn each_of(one: &Demand, other: &Demand, make: impl Fn(u64, u64) -> u64) -> Demand {
    Demand {
        requests: make(one.requests, other.requests),
        input: make(one.input, other.input),
        output: make(one.output, other.output),
        cost: make(one.cost, other.cost),
        input_declared: true,
        output_declared: true,
    }
}

#[cfg(test)]
#[path = "ahead_tests.rs"]
mod tests;
