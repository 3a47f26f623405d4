//! What callers and the thread that writes share: the store that decides, and what is on its way to the file.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
};

use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio::sync::oneshot;

use super::{
    ahead::{Ahead, Part},
    commit::Told,
    op::{Done, Op, Queued},
    retention::Task,
};
use crate::{
    error::StoreError,
    limit::Tick,
    store::{
        BudgetEvent, Grant, MemoryStore, Note, Store as _,
        audit::ITSELF,
        clock::{
            Clock,
            told::{self, At},
        },
    },
};

/// What streams is written down no more often than this, in microseconds.
const STREAMED_EACH: u64 = 1_000_000;
/// So many events that nobody has asked for are kept; further ones push out the oldest.
const UNTOLD: usize = 1_024;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) path: PathBuf,
    /// Decides. Its clock shows what it is told, so that each step's instant is known.
    pub(super) live: MemoryStore,
    told: Arc<told::Told>,
    clock: Clock,
    /// Who does things by hand, where nobody is named.
    pub(super) by: Arc<str>,
    state: Mutex<State>,
    pub(super) work: Condvar,
}

/// Things are done to the store, and queued, under one lock: so they are in the file in the order in which they were
/// done.
#[derive(Debug)]
pub(super) struct State {
    /// When something was done last.
    at: At,
    pub(super) queued: Vec<Queued>,
    /// Whether anybody waits for what is queued.
    pub(super) urgent: bool,
    pub(super) tasks: Vec<Task>,
    streams: HashMap<u64, Stream>,
    untold: Vec<BudgetEvent>,
    pub(super) ahead: Ahead,
    /// Why nothing can be written at present.
    pub(super) failing: Option<Arc<str>>,
    pub(super) closed: bool,
    /// The thread is gone.
    pub(super) gone: bool,
}

/// What has streamed of a grant.
#[derive(Debug)]
struct Stream {
    written: Tick,
    /// What is not written down yet.
    output: Option<u64>,
}

impl Shared {
    pub(super) fn new(
        path: PathBuf,
        (live, told): (MemoryStore, Arc<told::Told>),
        clock: Clock,
        by: Arc<str>,
        untold: Vec<BudgetEvent>,
        ahead: Ahead,
    ) -> Self {
        let state = State {
            at: At::default(),
            queued: Vec::new(),
            urgent: false,
            tasks: Vec::new(),
            streams: HashMap::new(),
            untold,
            ahead,
            failing: None,
            closed: false,
            gone: false,
        };
        Shared {
            path,
            live,
            told,
            clock,
            by,
            state: Mutex::new(state),
            work: Condvar::new(),
        }
    }

    pub(super) fn now(&self) -> Tick {
        self.clock.now()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// The lock, with the store's clock set: whoever has it may ask the store, or do something to it.
    pub(super) fn begin(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock();
        let at = self.clock.at();
        // It never goes back, whoever came first.
        state.at = At {
            tick: at.tick.max(state.at.tick),
            wall: at.wall,
        };
        self.told.tell(state.at);
        state
    }

    /// The same, where things can be written at present.
    pub(super) fn begin_lasting(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        let state = self.begin();
        match state.unable(self) {
            Some(error) => Err(error),
            None => Ok(state),
        }
    }

    /// Queues what was done, for whoever waits until it is written.
    pub(super) fn queue_and_wait(&self, state: &mut State, op: Op, notes: Vec<Note>) -> Told {
        let (waits, told) = oneshot::channel();
        self.put(state, op, notes, None, Some(waits));
        if !state.urgent {
            state.urgent = true;
            self.work.notify_one();
        }
        told
    }

    /// Queues what was done. Nobody waits for it.
    pub(super) fn queue(&self, state: &mut State, op: Op) {
        self.queue_part(state, op, None);
    }

    /// The same, of something that has to do with a block.
    pub(super) fn queue_part(&self, state: &mut State, op: Op, part: Option<Part>) {
        if state.queued.is_empty() && !state.urgent {
            self.work.notify_one();
        }
        self.put(state, op, Vec::new(), part, None);
    }

    fn put(
        &self,
        state: &mut State,
        op: Op,
        mut notes: Vec<Note>,
        part: Option<Part>,
        waits: Option<oneshot::Sender<Result<(), StoreError>>>,
    ) {
        if state.gone {
            // Who waits hears of it by that.
            return;
        }
        notes.extend(self.hear(state, ITSELF));
        let done = Done { at: state.at, op };
        state.queued.push(Queued {
            done,
            notes,
            part,
            waits,
        });
    }

    /// Takes up what has happened to budgets, by whoever has done something. What the audit log says of it.
    pub(super) fn hear(&self, state: &mut State, by: &str) -> Vec<Note> {
        let events = self.live.take_events();
        let notes = events.iter().filter_map(|event| Note::of_event(event, by));
        let notes = notes.collect();
        state.untold.extend(events);
        let over = state.untold.len().saturating_sub(UNTOLD);
        state.untold.drain(..over);
        notes
    }

    pub(super) fn take_events(&self) -> Vec<BudgetEvent> {
        std::mem::take(&mut self.lock().untold)
    }

    /// So much has streamed of a grant.
    pub(super) fn streamed(&self, grant: &mut Grant, output: u64) {
        // Whether anything is dated while it streams.
        if !self.live.dates_at_the_end.load(Ordering::Relaxed) {
            return;
        }
        let state = &mut *self.begin();
        let Some(number) = self.live.number_of(grant) else {
            return;
        };
        self.live.streamed(grant, output);
        let (now, held_up) = (state.at.tick, state.failing.is_some());
        let first = Stream {
            written: Tick::default(),
            output: None,
        };
        let stream = state.streams.entry(number).or_insert(first);
        let due =
            stream.written.after_micros(STREAMED_EACH) <= now || stream.written == Tick::default();
        if due && !held_up {
            (stream.written, stream.output) = (now, None);
            self.queue(state, Op::Streamed(number, output));
        } else {
            let most = stream.output.unwrap_or_default().max(output);
            stream.output = Some(most);
        }
    }

    /// Blocks that nobody uses go; all of them, where it is the end. `is_idle`: nothing was done for a while.
    pub(super) fn sweep(&self, state: &mut State, is_idle: bool) {
        let now = state.at.tick;
        if is_idle || state.closed || state.ahead.is_due(now) {
            for op in state.ahead.sweep(now, state.closed) {
                self.queue(state, op);
            }
        }
    }

    /// What streamed of a grant that ends now, and is not written down.
    pub(super) fn end_stream(&self, state: &mut State, number: u64) {
        if let Some(Stream {
            output: Some(output),
            ..
        }) = state.streams.remove(&number)
        {
            self.queue(state, Op::Streamed(number, output));
        }
    }

    /// Gives a grant back.
    pub(super) fn release(&self, grant: Grant) {
        let state = &mut *self.begin();
        if let Some(number) = self.live.number_of(&grant) {
            self.end_stream(state, number);
            drop(self.live.release(grant));
            self.queue(state, Op::Release(number));
        }
    }

    /// It is refused from now on, until something can be written again.
    pub(super) fn error(&self, reason: &str) -> StoreError {
        StoreError::new(format!(
            "{} cannot be written: {reason}; free some room on its disk, or see to the disk and to who may write there: it is tried again",
            self.path.display()
        ))
    }
}

impl State {
    /// When something was done last, or is now.
    pub(super) fn at(&self) -> At {
        self.at
    }

    /// Why nothing can be written.
    pub(super) fn unable(&self, shared: &Shared) -> Option<StoreError> {
        if self.closed || self.gone {
            let path = shared.path.display();
            return Some(StoreError::new(format!("{path} was closed; open it again")));
        }
        self.failing.as_ref().map(|reason| shared.error(reason))
    }
}
