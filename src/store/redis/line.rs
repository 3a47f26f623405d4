//! Who waits first, over all processes.
//!
//! Each process has a queue of its own, and only those who are first there stand here. Whoever asks takes nothing that
//! has one go later who stands before it; what that does not need by then, it may have. So a call that needs a large part of a limit is not passed for ever by small
//! ones of other processes: once it stands here, those go first that stood here before, which are as many of each other
//! process as have the first place in a queue there, and no other that takes of what it waits for.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::entry::Process;
use crate::{
    limit::{LimitKey, Limits, Room, Tick, micros},
    store::{Claim, MemoryStore, NotNow, Standing, Store as _, asked::Asked},
};

/// One stands here for so long, in microseconds, if nobody says that it still waits.
const LASTS: u64 = 10_000_000;
/// So many of one process stand here at a time.
const EACH: usize = 64;
/// Nothing is taken that keeps one of the first so many from going who need the same: a claim costs no more, however long
/// the line is.
const FIRST: usize = 32;
/// So often one is passed by those who are granted ahead.
const MISSED: u32 = 2;
/// By so much each priority goes before the next, in microseconds of waiting.
const AGING: i64 = 10_000_000;

/// Those who wait, the first first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Line(Vec<Wait>);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Wait {
    who: Who,
    rank: i64,
    /// Whether another process was granted something ahead since it asked last.
    #[serde(default)]
    passed: bool,
    /// How often it asked in vain after that.
    #[serde(default)]
    missed: u32,
    until: Tick,
    asked: Asked,
}

/// One that waits: the first in a queue of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Who {
    pub(super) process: Process,
    /// Under which number its process knows it.
    pub(super) number: u64,
}

impl Line {
    /// It waits still, or from now on.
    pub(super) fn join(&mut self, who: Who, priority: i32, asked: &Asked, now: Tick) {
        let until = now.after_micros(LASTS);
        if let Some(wait) = self.0.iter_mut().find(|wait| wait.who == who) {
            wait.until = until;
            wait.missed += u32::from(std::mem::take(&mut wait.passed));
            wait.asked = asked.clone();
            return;
        }
        self.0.retain(|wait| wait.until > now);
        let of_process = |wait: &&Wait| wait.who.process == who.process;
        if self.0.iter().filter(of_process).count() >= EACH {
            return;
        }
        let arrival = i64::try_from(now.as_micros()).unwrap_or(i64::MAX);
        let rank = arrival.saturating_sub(i64::from(priority).saturating_mul(AGING));
        let place = self.0.partition_point(|wait| wait.rank <= rank);
        self.0.insert(
            place,
            Wait {
                who,
                rank,
                passed: false,
                missed: 0,
                until,
                asked: asked.clone(),
            },
        );
    }

    /// A process was granted something ahead.
    pub(super) fn passes(&mut self, process: Process) {
        let others = self.0.iter_mut().filter(|wait| wait.who.process != process);
        others.for_each(|wait| wait.passed = true);
    }

    /// It waits no more.
    pub(super) fn leave(&mut self, who: Who) {
        self.0.retain(|wait| wait.who != who);
    }

    /// None of a process waits any more.
    pub(super) fn bury(&mut self, process: Process) {
        self.0.retain(|wait| wait.who.process != process);
    }

    /// How many processes there are of which anybody waits, but for this one.
    pub(super) fn processes_beside(&self, me: Process, now: Tick) -> u64 {
        let waiting = self.0.iter().filter(|wait| wait.until > now);
        let others = waiting.map(|wait| wait.who.process);
        others
            .filter(|process| *process != me)
            .collect::<HashSet<_>>()
            .len() as u64
    }

    /// Whether anybody waits here.
    pub(super) fn stands(&self, who: Who) -> bool {
        self.0.iter().any(|wait| wait.who == who)
    }

    /// What keeps another from going, if a claim is granted that `process` makes, for `who` where that waits here.
    ///
    /// Where it may be granted `ahead`: of those whom others have passed so before, and more than once. Each process asks in
    /// its turn then, and whoever needs no more than others do is granted what it needs.
    pub(super) fn harmed(
        &self,
        store: &MemoryStore,
        claim: &Claim,
        (process, who): (Process, Option<Who>),
        (now, ahead): (Tick, bool),
    ) -> Option<Harm> {
        let before = self
            .0
            .iter()
            .take_while(|wait| who.is_none_or(|who| wait.who != who));
        let mut others = before
            .filter(|wait| wait.who.process != process && wait.until > now)
            .filter(|wait| !ahead || wait.missed >= MISSED)
            .peekable();
        others.peek()?;
        let limits = store.limits();
        let takes = |key: &LimitKey| {
            let rule = limits.rule_of(key);
            rule.and_then(|rule| claim.amount(|| key.clone(), rule, limits.amount_of(key)))
        };
        let keys = claim.keys(&limits);
        let keys: Vec<(LimitKey, u64)> = keys
            .into_iter()
            .filter_map(|key| takes(&key).map(|amount| (key, amount)))
            .collect();
        let concerned = others.filter_map(|wait| {
            let other = wait.asked.to(&limits);
            let needs = other.keys(&limits);
            let shared = keys.iter().any(|(key, _)| needs.contains(key));
            shared.then_some(other)
        });
        let mut first = concerned.take(FIRST);
        first.find_map(|other| harm(store, &other, (&limits, &keys), now))
    }
}

/// What a claim would take that another waits for.
pub(super) struct Harm {
    pub(super) key: LimitKey,
    /// When the other has room.
    pub(super) at: Option<Tick>,
}

impl Harm {
    /// What the claim hears that would do it, of which these are the counts.
    pub(super) fn refusal(self, standings: Vec<Standing>) -> NotNow {
        let own = standings
            .into_iter()
            .find(|standing| standing.key == self.key);
        let (in_use, reserved, needed) =
            own.map_or((0, 0, 0), |own| (own.in_use, own.reserved, own.needed));
        NotNow {
            key: self.key,
            at: self.at,
            not_before: None,
            in_use,
            reserved,
            needed,
        }
    }
}

/// What one that waits would have later than it has now, if so much of these counts were taken.
fn harm(
    store: &MemoryStore,
    claim: &Claim,
    (limits, keys): (&Limits, &[(LimitKey, u64)]),
    now: Tick,
) -> Option<Harm> {
    let taken = |key: &LimitKey| {
        let known = keys.iter().find(|(known, _)| known == key);
        known.map_or(0, |(_, amount)| *amount)
    };
    let rooms = store.rooms_beside(claim, taken);
    let (last_key, last, _) = rooms.iter().max_by_key(|(_, room, _)| *room)?;
    let at = match last {
        Room::Never => return None,
        Room::At(at) => Some(*at),
        Room::Now | Room::WhenGivenBack => None,
    };
    let mut later = rooms.iter().filter(|(key, alone, both)| {
        let waits_for_it = *alone == Room::WhenGivenBack;
        if taken(key) == 0 || (*both <= *last && !waits_for_it) {
            return false;
        }
        // Nothing lies idle for one that waits elsewhere for longer than that takes to come back.
        let stay = || limits.stay(key);
        key == last_key
            || at.is_some_and(|at| stay().is_some_and(|stay| micros(at.since(now)) <= stay))
    });
    later.next().map(|(key, ..)| Harm {
        key: key.clone(),
        at,
    })
}
