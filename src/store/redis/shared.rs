//! What callers and the thread that asks the server share.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Notify, oneshot};

use super::{
    OnError,
    along::Along,
    asks::Asks,
    entry::{Op, Process},
    line::Who,
    news::News,
    options::RedisOptions,
    outage::Outage,
    replica::{Foreseen, Outcome, Replica},
};
use crate::{
    error::StoreError,
    limit::{Tick, micros},
    store::{
        AuditEntry, BudgetEvent, Claim, NotNow, Store as _,
        clock::{Clock, told::At},
        later::Told,
    },
};

/// So many events that nobody has asked for are kept; further ones push out the oldest.
const UNTOLD: usize = 1_024;
/// So much may wait for a server that is away.
const QUEUED: usize = 200_000;

/// Those who stand in the line say so this often.
pub(super) const RENEW: Duration = Duration::from_secs(3);

pub(super) type Changed = Arc<dyn Fn() + Send + Sync>;

pub(super) struct Shared {
    /// What a grant says that it is of.
    pub(super) id: u64,
    pub(super) me: Process,
    pub(super) server: String,
    pub(super) on_error: OnError,
    pub(super) absorb: bool,
    /// Who does things by hand, where nobody is named.
    pub(super) by: Arc<str>,
    /// So far ahead room is taken, in microseconds.
    pub(super) lease: u64,
    /// Where tests pass the time in.
    clock: Option<Arc<Clock>>,
    state: Mutex<State>,
    pub(super) work: Notify,
    pub(super) news: News,
}

pub(super) struct State {
    pub(super) replica: Replica,
    /// When the server's time was heard that the replica shows.
    heard: Instant,
    /// Time does not go back, though the replica may.
    least: Tick,
    /// The number of what is done next.
    next: u64,
    pub(super) queue: VecDeque<Outgoing>,
    /// Whether anything of it is to be done at once.
    pub(super) urgent: bool,
    pub(super) streams: HashMap<u64, Stream>,
    untold: Vec<BudgetEvent>,
    /// Those of this process that stand in the line, or are about to.
    pub(super) waiting: HashMap<u64, Tick>,
    pub(super) asks: Asks,
    pub(super) along: Along,
    pub(super) changed: Vec<Changed>,
    /// Who wants to read the audit log.
    pub(super) readers: Vec<oneshot::Sender<Result<Vec<AuditEntry>, StoreError>>>,
    /// Why the server cannot be asked at present.
    pub(super) failing: Option<Arc<str>>,
    /// Why the log is much too long.
    pub(super) overdue: Option<Arc<str>>,
    pub(super) outage: Option<Outage>,
    pub(super) closed: bool,
    /// The thread is gone.
    pub(super) gone: bool,
}

/// Something that is to be done.
pub(super) struct Outgoing {
    pub(super) number: u64,
    /// Where tests pass the time in, when it is done.
    pub(super) at: Option<At>,
    pub(super) queued: Instant,
    pub(super) op: Op,
    pub(super) reply: Option<Reply>,
    /// For whom it is, of those who wait.
    pub(super) waiter: Option<u64>,
}

pub(super) type Reply = oneshot::Sender<Result<Outcome, StoreError>>;

/// What has streamed of a grant.
pub(super) struct Stream {
    pub(super) told: Instant,
    /// What was not said yet.
    pub(super) output: Option<u64>,
}

impl Shared {
    pub(super) fn new(options: &RedisOptions, me: Process, replica: Replica) -> Self {
        let next = replica.number_of(me) + 1;
        Shared {
            id: fastrand::u64(..),
            me,
            server: options.address.to_string(),
            on_error: options.on_error,
            absorb: options.absorb,
            lease: micros(options.lease_span()),
            by: options.by.clone(),
            clock: options.passed_in.clone(),
            state: Mutex::new(State {
                replica,
                heard: instant(),
                least: Tick::default(),
                next,
                queue: VecDeque::new(),
                urgent: false,
                streams: HashMap::new(),
                untold: Vec::new(),
                waiting: HashMap::new(),
                asks: Asks::default(),
                along: Along::default(),
                changed: Vec::new(),
                readers: Vec::new(),
                failing: None,
                overdue: None,
                outage: None,
                closed: false,
                gone: false,
            }),
            work: Notify::new(),
            news: News::default(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// The time that is passed in, where it is.
    pub(super) fn given(&self) -> Option<At> {
        self.clock.as_ref().map(|clock| clock.at())
    }

    /// The time that was passed in last: the thread that asks has another clock.
    pub(super) fn given_last(&self) -> Option<At> {
        self.clock.as_ref().map(|_| self.lock().replica.at())
    }

    /// The server's time, as well as it is known here: never ahead of it.
    pub(super) fn now(&self) -> Tick {
        match &self.clock {
            Some(clock) => clock.now(),
            None => self.lock().now(),
        }
    }

    /// The same by both clocks.
    pub(super) fn at(&self, state: &State) -> At {
        match &self.clock {
            Some(clock) => clock.at(),
            None => state.at(),
        }
    }

    /// Has something done. Its number.
    pub(super) fn queue(&self, state: &mut State, op: Op, reply: Option<Reply>) -> u64 {
        self.queue_at(state, op, reply, self.given())
    }

    /// The same at this time, where that is passed in.
    pub(super) fn queue_at(
        &self,
        state: &mut State,
        op: Op,
        reply: Option<Reply>,
        at: Option<At>,
    ) -> u64 {
        let number = state.next;
        if state.gone {
            // Who waits hears of it by that.
            return number;
        }
        state.next += 1;
        let alone = state.failing.is_some() || matches!(op, Op::Take(_));
        if alone && let Some(outage) = &mut state.outage {
            outage.owes(number);
        }
        // These say how long ago they were: nobody loses by it that they wait for company.
        let lazy = matches!(op, Op::Date(..) | Op::Streamed(..));
        state.urgent |= !lazy;
        if !lazy || state.queue.is_empty() {
            self.work.notify_one();
        }
        state.queue.push_back(Outgoing {
            number,
            at,
            queued: instant(),
            op,
            reply,
            waiter: None,
        });
        number
    }

    /// Has something done that is waited for.
    pub(super) fn queue_and_wait(&self, state: &mut State, op: Op) -> (u64, Told<Outcome>) {
        let (reply, told) = oneshot::channel();
        (self.queue(state, op, Some(reply)), told)
    }

    /// Why nothing can be asked.
    pub(super) fn unable(&self, state: &State) -> Option<StoreError> {
        if state.closed || state.gone {
            return Some(self.gone());
        }
        let reason = state.failing.as_ref()?;
        Some(self.error(reason))
    }

    pub(super) fn gone(&self) -> StoreError {
        StoreError::new(format!(
            "{} is counted on no more; open it again",
            self.server
        ))
    }

    pub(super) fn error(&self, reason: &str) -> StoreError {
        StoreError::new(format!(
            "Redis at {} cannot be counted on: {reason}; it is tried again",
            self.server
        ))
    }

    /// Whether no more can wait for the server.
    pub(super) fn is_full(state: &State) -> bool {
        state.queue.len() >= QUEUED
    }

    /// What one hears at once that waits, without asking: what is known here says that there is no room, or what was asked
    /// for and is not answered yet would take it. `first`: whether it is first in turn, and has to stand in the line.
    pub(super) fn foresee(
        &self,
        state: &State,
        claim: &Claim,
        number: u64,
        first: bool,
    ) -> Option<NotNow> {
        let now = self.at(state).tick;
        let said = state.waiting.get(&number);
        let stands = said.is_some_and(|said| now.since(*said) < RENEW);
        if (first && !stands) || state.failing.is_some() || state.replica.owing() > 0 {
            return None;
        }
        let who = Who {
            process: self.me,
            number,
        };
        if self.lease > 0 {
            return self.foresee_ahead(state, claim, (who, first), self.lease);
        }
        match state.replica.foresee(claim, (who, first), now)? {
            Foreseen::Refused(refused) => Some(refused),
            Foreseen::Open(standings) => {
                let limits = state.replica.store().limits();
                state.asks.lacks(standings, &limits)
            }
        }
    }

    /// Has everybody look again who waits in this process.
    pub(super) fn tell_changed(&self) {
        let changed = self.lock().changed.clone();
        changed.iter().for_each(|changed| changed());
    }
}

impl State {
    /// The number of what is done next.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    pub(super) fn now(&self) -> Tick {
        let now = self.replica.at().tick.after(self.heard.elapsed());
        now.max(self.least)
    }

    pub(super) fn at(&self) -> At {
        let passed = i64::try_from(self.heard.elapsed().as_micros()).unwrap_or(i64::MAX);
        At {
            tick: self.now(),
            wall: self.replica.at().wall.saturating_add(passed),
        }
    }

    /// Forgets the counts of an outage when the server was told all that was done in it. They are those of its beginning:
    /// should the server go again, shares are of what is left then.
    pub(super) fn end_outage(&mut self, me: Process) {
        let number = self.replica.number_of(me);
        let told = self.outage.as_ref();
        let told = told.is_some_and(|outage| outage.is_told(number));
        // Until others have told what they know, claims are answered by it still.
        if told && self.replica.owing() == 0 {
            self.outage = None;
        }
    }

    /// Goes on from what the server has.
    pub(super) fn adopt(&mut self, found: Replica) {
        self.least = self.now();
        self.replica = found;
    }

    /// This was the server's time just now.
    pub(super) fn hear(&mut self, at: At) {
        self.replica.tell(at);
        self.heard = instant();
    }

    pub(super) fn tell(&mut self, events: Vec<BudgetEvent>) {
        self.untold.extend(events);
        let over = self.untold.len().saturating_sub(UNTOLD);
        self.untold.drain(..over);
    }

    pub(super) fn take_events(&mut self) -> Vec<BudgetEvent> {
        std::mem::take(&mut self.untold)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

/// The true time: the server's goes on where that of `tokio` is paused.
#[expect(
    clippy::disallowed_methods,
    reason = "it measures against another machine's clock"
)]
pub(super) fn instant() -> Instant {
    Instant::now()
}
