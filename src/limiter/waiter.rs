//! One waiting call, as it is seen from both sides: the future that waits and the driver that grants.

use std::{
    fmt, mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use parking_lot::{RwLock, RwLockReadGuard};
use tokio::time::Instant;

use super::{
    order::{Comer, Rank},
    permit::Permit,
    queue::Keys,
};
use crate::{
    error::Rejection,
    limit::{LimitKey, Tick},
    store::{Claim, NotNow, Waiting},
};

pub(super) struct Waiter {
    pub(super) claim: Claim,
    stand: RwLock<Stand>,
    /// As it joined.
    rank: Rank,
    /// The [version](crate::limit::Limits::version) of the limits by which it stands.
    version: AtomicU32,
    /// The number of the owner of its shares.
    owner: AtomicU32,
    /// Whose it is.
    pub(super) agent: Arc<str>,
    pub(super) deadline: Option<Instant>,
    /// The longest told wait that it waits out; `None`: any.
    pub(super) longest_told: Option<Duration>,
    /// How often it was sent to another count. Changes under the queue's lock, as the next two, and as the stand and
    /// the owner do.
    moves: AtomicU32,
    /// Since when owners go before it out of turn: one more than the microseconds; zero where they do not.
    passed: AtomicU64,
    /// Whether they do no more.
    lifted: AtomicBool,
    /// Why it was not granted when it was last tried.
    refused: Mutex<NotNow>,
    state: Mutex<State>,
}

/// What one that waits needs, under the limits that hold.
#[derive(Debug)]
pub(super) struct Stand {
    /// The counts that the claim touches.
    pub(super) keys: Keys,
    /// What it needs of each of them, in their order.
    pub(super) needs: Box<[u64]>,
}

enum State {
    Waiting(Option<Waker>),
    Answered(Box<Result<Permit, Rejection>>),
    /// The answer was taken, or nobody wants it any more.
    Done,
}

impl Waiter {
    pub(super) fn new(
        claim: Claim,
        keys: Keys,
        comer: Comer,
        rank: Rank,
        deadline: Option<Instant>,
        refused: NotNow,
    ) -> Self {
        let Comer {
            agent,
            needs,
            version,
            ..
        } = comer;
        let stand = Stand { keys, needs };
        let (refused, state) = (Mutex::new(refused), Mutex::new(State::Waiting(None)));
        Waiter {
            claim,
            stand: RwLock::new(stand),
            version: AtomicU32::new(version),
            owner: AtomicU32::new(rank.line.owner),
            rank,
            agent,
            deadline,
            longest_told: None,
            moves: AtomicU32::new(0),
            passed: AtomicU64::new(0),
            lifted: AtomicBool::new(false),
            refused,
            state,
        }
    }

    /// Its rank at this moment.
    pub(super) fn rank(&self) -> Rank {
        let mut rank = self.rank;
        rank.line.lifted = self.lifted.load(Ordering::Relaxed);
        rank.line.owner = self.owner.load(Ordering::Relaxed);
        rank
    }

    /// A number that nobody else has who waits in this process.
    pub(super) fn place(&self) -> u64 {
        self.rank.seat.place
    }

    /// What a store is told of it where it is first in turn.
    pub(super) fn waiting(&self) -> Waiting {
        Waiting {
            number: self.place(),
            priority: self.rank.line.priority,
        }
    }

    /// What it needs. It changes under the queue's lock: whoever locks that must not hold this before.
    pub(super) fn stand(&self) -> RwLockReadGuard<'_, Stand> {
        self.stand.read()
    }

    /// From now on it needs this, and its shares are of this owner. It is to be taken out wherever it stands before,
    /// and put in again.
    pub(super) fn stand_for(&self, stand: Stand, owner: u32, version: u32) {
        *self.stand.write() = stand;
        self.owner.store(owner, Ordering::Relaxed);
        self.version.store(version, Ordering::Relaxed);
    }

    /// The [version](crate::limit::Limits::version) of the limits by which it stands.
    pub(super) fn version(&self) -> u32 {
        self.version.load(Ordering::Relaxed)
    }

    /// From now on no owner passes it out of turn. It is to be put into its new line wherever it stands.
    pub(super) fn lift(&self) {
        self.lifted.store(true, Ordering::Relaxed);
    }

    /// What it needs of one of its counts.
    pub(super) fn need(&self, key: &LimitKey) -> u64 {
        let stand = self.stand();
        let place = stand.keys.iter().position(|other| other == key);
        let need = place.and_then(|place| stand.needs.get(place));
        need.copied().unwrap_or_default()
    }

    /// It was sent to another count.
    pub(super) fn moved(&self) {
        self.moves.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn moves(&self) -> u32 {
        self.moves.load(Ordering::Relaxed)
    }

    /// Since when owners go before it out of turn: since now, where none has before.
    pub(super) fn passed_since(&self, now: Tick) -> Tick {
        let since = self.passed.load(Ordering::Relaxed);
        let since = since.checked_sub(1).map(Tick::from_micros);
        since.unwrap_or_else(|| {
            let after = now.as_micros().saturating_add(1);
            self.passed.store(after, Ordering::Relaxed);
            now
        })
    }

    /// Why it was not granted when it was last tried.
    pub(super) fn refused(&self) -> NotNow {
        self.refused
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn refuse(&self, refused: NotNow) {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = refused;
    }

    /// Hands over the answer. It comes back where nobody wants it; a permit in it is then the caller's to drop.
    pub(super) fn answer(
        &self,
        answer: Result<Permit, Rejection>,
    ) -> Option<Result<Permit, Rejection>> {
        let mut state = self.lock();
        let State::Waiting(waker) = &mut *state else {
            return Some(answer);
        };
        let waker = waker.take();
        *state = State::Answered(Box::new(answer));
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        None
    }

    /// The answer, once.
    pub(super) fn poll(&self, cx: &Context<'_>) -> Poll<Result<Permit, Rejection>> {
        let mut state = self.lock();
        match &mut *state {
            State::Answered(_) => {
                let State::Answered(answer) = mem::replace(&mut *state, State::Done) else {
                    unreachable!()
                };
                Poll::Ready(*answer)
            }
            State::Waiting(waker) => {
                // The old waker is dropped after the lock: dropping it runs foreign code.
                let old = match waker {
                    Some(waker) if waker.will_wake(cx.waker()) => None,
                    _ => waker.replace(cx.waker().clone()),
                };
                drop(state);
                drop(old);
                Poll::Pending
            }
            State::Done => Poll::Pending,
        }
    }

    /// Nobody waits any more. Returns an answer that came all the same.
    pub(super) fn abandon(&self) -> Option<Result<Permit, Rejection>> {
        // A waker is dropped after the lock: dropping it runs foreign code.
        let old = { mem::replace(&mut *self.lock(), State::Done) };
        match old {
            State::Answered(answer) => Some(*answer),
            _ => None,
        }
    }

    /// Takes the waker, to have the waiter look again.
    pub(super) fn waker(&self) -> Option<Waker> {
        match &mut *self.lock() {
            State::Waiting(waker) => waker.take(),
            _ => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Waiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiter")
            .field("rank", &self.rank())
            .field("claim", &self.claim)
            .finish_non_exhaustive()
    }
}
