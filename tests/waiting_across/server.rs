//! One store for several limiters, each by a handle of its own, as processes share a server: it answers claims later,
//! in their order, and keeps room for those who are registered.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::sync::{Notify, oneshot};
use tower_quota::{
    Tags, Usage,
    error::StoreError,
    limit::{LimitKey, Limits, Tick},
    store::{
        Answer, Claim, Decision, Grant, MemoryStore, NotNow, Reason, Settlement, Standing, Store,
        Waiting,
    },
};

type Changed = Arc<dyn Fn() + Send + Sync>;
type Reply = oneshot::Sender<Result<Decision, StoreError>>;

pub(crate) struct Server {
    counts: MemoryStore,
    state: Mutex<State>,
    came: Notify,
}

#[derive(Default)]
struct State {
    line: VecDeque<Asked>,
    registered: Vec<Registered>,
    watchers: Vec<(usize, Changed)>,
    log: Log,
}

enum Asked {
    Claim(usize, Claim, Option<Waiting>, Reply),
    Forgo(usize, u64),
}

#[derive(Debug)]
struct Registered {
    process: usize,
    number: u64,
    on: LimitKey,
}

/// What was done, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Did {
    Registered(u64),
    /// Of one that was registered.
    Granted(u64),
    Forgone(u64),
    /// Of one that was not registered.
    InVain(u64),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    pub(crate) did: Vec<Did>,
    /// Each claim that was answered: who asked, whether as the first, what was asked, whether it was granted.
    pub(crate) claims: Vec<(usize, bool, u64, bool)>,
    /// So many claims waited for an answer at the same time.
    pub(crate) most: usize,
    /// Grants that have not ended.
    pub(crate) open: usize,
}

impl Log {
    pub(crate) fn count(&self, which: fn(&Did) -> bool) -> usize {
        self.did.iter().filter(|did| which(did)).count()
    }

    /// How many were registered, granted after that, forgone, and forgone in vain.
    pub(crate) fn ends(&self) -> [usize; 4] {
        [
            self.count(|did| matches!(did, Did::Registered(_))),
            self.count(|did| matches!(did, Did::Granted(_))),
            self.count(|did| matches!(did, Did::Forgone(_))),
            self.count(|did| matches!(did, Did::InVain(_))),
        ]
    }
}

impl Server {
    /// One that answers when it is told to.
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Server {
            counts: MemoryStore::new(limits),
            state: Mutex::default(),
            came: Notify::new(),
        })
    }

    /// One that answers by itself on this runtime: all that came, so long after it came.
    pub(crate) fn answering(limits: Limits, after: Duration) -> Arc<Self> {
        let server = Self::new(limits);
        let weak = Arc::downgrade(&server);
        tokio::spawn(async move {
            while let Some(server) = weak.upgrade() {
                server.came.notified().await;
                if !after.is_zero() {
                    tokio::time::sleep(after).await;
                }
                server.answer_all();
            }
        });
        server
    }

    pub(crate) fn handle(self: &Arc<Self>, process: usize) -> Handle {
        Handle {
            server: self.clone(),
            process,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn log(&self) -> Log {
        self.state().log.clone()
    }

    /// How many grants have not ended.
    pub(crate) fn log_open(&self) -> usize {
        self.state().log.open
    }

    /// How many are registered.
    pub(crate) fn registered(&self) -> usize {
        self.state().registered.len()
    }

    /// How many claims wait for an answer.
    pub(crate) fn asked(&self) -> usize {
        let state = self.state();
        let claim = |asked: &&Asked| matches!(asked, Asked::Claim(..));
        state.line.iter().filter(claim).count()
    }

    pub(crate) fn answer_all(&self) {
        while self.answer_one() {}
    }

    /// Answers the one that came first. Returns whether there was one.
    pub(crate) fn answer_one(&self) -> bool {
        self.decide_one().map(|tell| tell()).is_some()
    }

    /// Decides what the one that came first is answered, and answers it when the caller says so.
    pub(crate) fn decide_one(&self) -> Option<impl FnOnce()> {
        let mut state = self.state();
        let (process, changed, reply) = match state.line.pop_front()? {
            Asked::Forgo(process, number) => (process, state.forgo(process, number), None),
            Asked::Claim(process, claim, waiting, reply) => {
                let decision = self.decide(&mut state, process, &claim, waiting);
                let granted = matches!(decision, Decision::Granted(_));
                let asked = claim.demand.input;
                let log = (process, waiting.is_some(), asked, granted);
                state.log.claims.push(log);
                state.log.open += usize::from(granted);
                let changed = granted && waiting.is_some();
                (process, changed, Some((reply, decision)))
            }
        };
        drop(state);
        Some(move || {
            if let Some((reply, decision)) = reply
                && let Err(Ok(Decision::Granted(grant))) = reply.send(Ok(decision))
            {
                panic!("nobody hears of {grant:?}");
            }
            if changed {
                self.tell_others(process);
            }
        })
    }

    fn decide(
        &self,
        state: &mut State,
        process: usize,
        claim: &Claim,
        waiting: Option<Waiting>,
    ) -> Decision {
        let own = |other: &Registered| {
            other.process == process && Some(other.number) == waiting.map(|one| one.number)
        };
        let keys = self.counts.keys(claim);
        let own_place = state.registered.iter().position(own);
        let before = &state.registered[..own_place.unwrap_or(state.registered.len())];
        let kept = before
            .iter()
            .find(|other| other.process != process && keys.contains(&other.on));
        let decision = match kept {
            Some(other) => Decision::NotNow(NotNow {
                key: other.on.clone(),
                at: None,
                not_before: None,
                in_use: 0,
                reserved: 0,
                needed: 0,
            }),
            None => match self.counts.claim(claim) {
                Answer::Now(decision) => decision.unwrap(),
                Answer::Later(_) => unreachable!("memory answers at once"),
            },
        };
        let Some(Waiting { number, .. }) = waiting else {
            return decision;
        };
        match (&decision, own_place) {
            (Decision::NotNow(refused), None) => {
                state.registered.push(Registered {
                    process,
                    number,
                    on: refused.key.clone(),
                });
                state.log.did.push(Did::Registered(number));
            }
            (Decision::NotNow(refused), Some(place)) => {
                state.registered[place].on = refused.key.clone();
            }
            (Decision::Granted(_), Some(place)) => {
                state.registered.remove(place);
                state.log.did.push(Did::Granted(number));
            }
            _ => (),
        }
        decision
    }

    /// Something changed by what this process did.
    fn tell_others(&self, process: usize) {
        let watchers: Vec<Changed> = {
            let state = self.state();
            let others = state.watchers.iter().filter(|(of, _)| *of != process);
            others.map(|(_, changed)| changed.clone()).collect()
        };
        watchers.iter().for_each(|changed| changed());
    }

    /// Has everybody renew what is registered.
    pub(crate) fn renew(&self) {
        self.tell_others(usize::MAX);
    }
}

impl State {
    fn forgo(&mut self, process: usize, number: u64) -> bool {
        let this = |one: &Registered| one.process == process && one.number == number;
        let place = self.registered.iter().position(this);
        self.log.did.push(match place {
            Some(place) => {
                self.registered.remove(place);
                Did::Forgone(number)
            }
            None => Did::InVain(number),
        });
        place.is_some()
    }
}

/// The server, as one process sees it.
#[derive(Clone)]
pub(crate) struct Handle {
    server: Arc<Server>,
    process: usize,
}

impl Handle {
    fn ask(&self, claim: &Claim, waiting: Option<Waiting>) -> Answer<Decision> {
        let (reply, told) = oneshot::channel();
        let mut state = self.server.state();
        let asked = Asked::Claim(self.process, claim.clone(), waiting, reply);
        state.line.push_back(asked);
        let claim = |asked: &&Asked| matches!(asked, Asked::Claim(..));
        let now = state.line.iter().filter(claim).count();
        state.log.most = state.log.most.max(now);
        drop(state);
        self.server.came.notify_one();
        Answer::Later(Box::pin(async move {
            told.await.map_err(|_| StoreError::new("it is gone"))?
        }))
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Handle({})", self.process)
    }
}

impl Store for Handle {
    fn limits(&self) -> Limits {
        self.server.counts.limits()
    }

    fn reconfigure(&self, limits: &Limits, reason: &Reason) -> Answer<()> {
        let answer = self.server.counts.reconfigure(limits, reason);
        self.server.tell_others(self.process);
        answer
    }

    fn now(&self) -> Tick {
        self.server.counts.now()
    }

    fn keys(&self, claim: &Claim) -> Vec<LimitKey> {
        self.server.counts.keys(claim)
    }

    fn claim(&self, claim: &Claim) -> Answer<Decision> {
        self.ask(claim, None)
    }

    fn claim_waiting(&self, claim: &Claim, waiting: Waiting) -> Answer<Decision> {
        self.ask(claim, Some(waiting))
    }

    fn forgo(&self, waiting: u64) {
        let forgo = Asked::Forgo(self.process, waiting);
        self.server.state().line.push_back(forgo);
        self.server.came.notify_one();
    }

    fn watch(&self, changed: Changed) {
        self.server.state().watchers.push((self.process, changed));
    }

    fn date(&self, grant: &mut Grant) {
        self.server.counts.date(grant);
        self.server.tell_others(self.process);
    }

    fn streamed(&self, grant: &mut Grant, output: u64) {
        self.server.counts.streamed(grant, output);
        self.server.tell_others(self.process);
    }

    fn settle(&self, grant: Grant, settlement: Settlement) -> Answer<()> {
        self.server.state().log.open -= 1;
        let answer = self.server.counts.settle(grant, settlement);
        self.server.tell_others(self.process);
        answer
    }

    fn release(&self, grant: Grant) -> Answer<()> {
        self.server.state().log.open -= 1;
        let answer = self.server.counts.release(grant);
        self.server.tell_others(self.process);
        answer
    }

    fn peek(&self, claim: &Claim) -> Answer<Vec<Standing>> {
        self.server.counts.peek(claim)
    }

    fn record(&self, tags: &Tags, usage: Usage) -> Answer<()> {
        let answer = self.server.counts.record(tags, usage);
        self.server.tell_others(self.process);
        answer
    }
}
