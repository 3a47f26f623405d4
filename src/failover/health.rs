//! How the targets are: breakers, told waits, accounts that are out of money. Shared by all calls.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hashbrown::HashMap;
use tokio::time::Instant;

use super::{
    breaker::{Breaker, BreakerOptions, Changed, Probe},
    candidate::Candidate,
    event::{FailoverEvent, Listener},
};
use crate::call::PassedOverWhy;

const DAY: Duration = Duration::from_secs(86_400);
/// A wait that is longer is taken for this long.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// How the targets are. Nobody is told of anything while its lock is held.
#[derive(Debug)]
pub(super) struct Health {
    options: BreakerOptions,
    listener: Listener,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By the candidate's number.
    targets: HashMap<usize, Target>,
    /// Until when the accounts are out of money, by number.
    parked: HashMap<usize, Instant>,
}

#[derive(Debug, Default)]
struct Target {
    breaker: Breaker,
    cools_until: Option<Instant>,
    parked_until: Option<Instant>,
}

/// Whose quota is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parks {
    /// Of this model with this key.
    Target,
    /// Of all that share the key.
    Account,
}

fn later(until: Option<Instant>, now: Instant) -> Option<Instant> {
    until.filter(|until| *until > now)
}

impl State {
    /// What is known of a candidate, and until when it is parked, or its account.
    fn of(&self, candidate: &Candidate, now: Instant) -> (Option<&Target>, Option<Instant>) {
        let target = self.targets.get(&candidate.number);
        let parked = later(self.parked.get(&candidate.account).copied(), now)
            .max(later(target.and_then(|target| target.parked_until), now));
        (target, parked)
    }

    /// Neither a candidate is parked any more, nor its account.
    fn unpark(&mut self, candidate: &Candidate) {
        self.parked.remove(&candidate.account);
        if let Some(target) = self.targets.get_mut(&candidate.number) {
            target.parked_until = None;
        }
    }
}

impl Health {
    pub(super) fn new(options: BreakerOptions, listener: Listener) -> Arc<Self> {
        Arc::new(Health {
            options,
            listener,
            state: Mutex::default(),
        })
    }

    /// Why nothing is to be sent to a candidate now, and until when.
    pub(super) fn passes_over(
        &self,
        candidate: &Candidate,
        now: Instant,
    ) -> Option<(PassedOverWhy, Instant)> {
        let state = self.lock();
        let (target, parked) = state.of(candidate, now);
        if let Some(until) = parked {
            return Some((PassedOverWhy::Parked, until));
        }
        let target = target?;
        if let Some(until) = target.breaker.open_until(now) {
            return Some((PassedOverWhy::BreakerOpen, until));
        }
        let until = later(target.cools_until, now)?;
        Some((PassedOverWhy::CoolingDown, until))
    }

    /// An attempt goes to a candidate: its end is to be told. `None` where its breaker is open, or another one tries it,
    /// unless there is nobody else.
    pub(super) fn begin(
        self: &Arc<Self>,
        candidate: &Arc<Candidate>,
        is_last_resort: bool,
        now: Instant,
    ) -> Option<Trial> {
        let mut state = self.lock();
        let target = state.targets.entry(candidate.number).or_default();
        let probe = target.breaker.begin(now);
        if probe.is_none() && !is_last_resort && target.breaker.open_until(now).is_some() {
            return None;
        }
        Some(Trial {
            health: self.clone(),
            candidate: candidate.clone(),
            probe,
        })
    }

    /// Takes back what parks those that are chosen, and what parks their accounts. Tells of each of `all` that is parked
    /// no more; how many those are.
    pub(super) fn unpark<'c>(
        &self,
        all: impl Iterator<Item = &'c Arc<Candidate>>,
        is_chosen: impl Fn(&Candidate) -> bool,
    ) -> usize {
        let now = Instant::now();
        let mut free: Vec<&Arc<Candidate>> = {
            let mut state = self.lock();
            let is_parked = |candidate: &&Arc<Candidate>| state.of(candidate, now).1.is_some();
            let mut parked: Vec<&Arc<Candidate>> = all.filter(is_parked).collect();
            for candidate in parked.iter().filter(|candidate| is_chosen(candidate)) {
                state.unpark(candidate);
            }
            parked.retain(|candidate| state.of(candidate, now).1.is_none());
            parked
        };
        // One is there as often as there are routes to it.
        free.sort_by_cached_key(|candidate| candidate.name.to_string());
        free.dedup_by(|one, other| one.name == other.name);
        for candidate in &free {
            let target = candidate.name.clone();
            self.listener
                .tell(Some(&FailoverEvent::Unparked { target }));
        }
        free.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An attempt whose end its target's breaker is told. Dropped without a word it says nothing.
#[derive(Debug)]
pub(super) struct Trial {
    health: Arc<Health>,
    candidate: Arc<Candidate>,
    /// Where it tries a target whose breaker was open.
    probe: Option<Probe>,
}

impl Trial {
    /// It is well: it served, or it said no for a reason of the call or of a limit.
    pub(super) fn succeeded(&mut self) {
        self.change(|breaker, _, probe| breaker.succeeded(probe));
    }

    /// It failed.
    pub(super) fn failed(&mut self) {
        let now = Instant::now();
        self.change(|breaker, options, probe| breaker.failed(options, probe, now));
    }

    /// It told a wait, which holds for a day at most: what hangs on one word should not hang for ever.
    pub(super) fn cools(&mut self, wait: Duration) {
        let until = Instant::now() + wait.min(DAY);
        let mut state = self.health.lock();
        let target = state.targets.entry(self.candidate.number).or_default();
        target.cools_until = target.cools_until.max(Some(until));
    }

    /// Its quota is used up for so long, or its account's.
    pub(super) fn parks(&mut self, what: Parks, span: Duration) {
        let (span, now) = (span.min(LONGEST), Instant::now());
        let until = now + span;
        let is_news = {
            let mut state = self.health.lock();
            let place = match what {
                Parks::Account => state.parked.entry(self.candidate.account).or_insert(now),
                Parks::Target => {
                    let target = state.targets.entry(self.candidate.number).or_default();
                    target.parked_until.get_or_insert(now)
                }
            };
            let was_parked = *place > now;
            *place = (*place).max(until);
            !was_parked
        };
        let event = is_news.then(|| FailoverEvent::Parked {
            target: self.candidate.name.clone(),
            span,
        });
        self.health.listener.tell(event.as_ref());
    }

    fn change(
        &mut self,
        change: impl FnOnce(&mut Breaker, &BreakerOptions, Option<Probe>) -> Changed,
    ) {
        let changed = {
            let mut state = self.health.lock();
            let target = state.targets.entry(self.candidate.number).or_default();
            change(&mut target.breaker, &self.health.options, self.probe)
        };
        self.probe = None;
        let target = || self.candidate.name.clone();
        let event = match changed {
            Changed::Nothing => None,
            Changed::Opened(span) => Some(FailoverEvent::BreakerOpened {
                target: target(),
                span,
            }),
            Changed::Closed => Some(FailoverEvent::BreakerClosed { target: target() }),
        };
        self.health.listener.tell(event.as_ref());
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        if let Some(probe) = self.probe {
            let mut state = self.health.lock();
            if let Some(target) = state.targets.get_mut(&self.candidate.number) {
                target.breaker.give_up_probe(probe, Instant::now());
            }
        }
    }
}
