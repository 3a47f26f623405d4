//! One attempt: the claims of all gates on it, and its end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::context::Gate;
use crate::{limiter::Permit, store::Settlement};

/// One HTTP exchange. It ends once: later ends find nothing to end.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(super) number: u32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    claims: Vec<(Gate, Permit)>,
    /// The depth of the layer that sent it; 0 while it was not sent.
    sender: u32,
    /// Whether its claims are dated.
    dated: bool,
    ended: bool,
}

impl Attempt {
    pub(super) fn new(number: u32) -> Arc<Self> {
        Arc::new(Attempt {
            number,
            state: Mutex::default(),
        })
    }

    /// Whether some gate has claimed for what `gate` looks at.
    pub(super) fn holds(&self, gate: &Gate) -> bool {
        self.lock()
            .claims
            .iter()
            .any(|(held, _)| held.same_count(gate))
    }

    pub(super) fn add(&self, gate: Gate, permit: Permit) {
        self.lock().claims.push((gate, permit));
    }

    /// The layer at `depth` hands the attempt on. It leaves now, or, where the body will say when
    /// ([`left`](Self::left)), at some moment until its answer.
    pub(super) fn send(&self, depth: u32, body_tells: bool) {
        let mut state = self.lock();
        state.sender = depth;
        state.dated = !body_tells;
        for (_, permit) in &mut state.claims {
            if body_tells {
                permit.leaving();
            } else {
                permit.sent();
            }
        }
    }

    /// It has left, just now at the latest. Later calls change nothing.
    pub(crate) fn left(&self) {
        let mut state = self.lock();
        if state.sender != 0 && !std::mem::replace(&mut state.dated, true) {
            state
                .claims
                .iter_mut()
                .for_each(|(_, permit)| permit.sent());
        }
    }

    /// The depth of the layer that sent it; 0 where it was not sent.
    pub(super) fn sender(&self) -> u32 {
        self.lock().sender
    }

    pub(super) fn ended(&self) -> bool {
        self.lock().ended
    }

    /// It was not sent after all by whoever presumed so: a layer further in has it now.
    pub(super) fn take_over(&self) {
        let mut state = self.lock();
        state.sender = 0;
        state
            .claims
            .iter_mut()
            .for_each(|(_, permit)| permit.unsent());
    }

    /// Gives back every claim: it was not sent. It may be claimed for again.
    pub(crate) fn release(&self) {
        let claims = {
            let mut state = self.lock();
            state.sender = 0;
            std::mem::take(&mut state.claims)
        };
        claims.into_iter().for_each(|(_, permit)| permit.release());
    }

    /// Ends it: every claim is settled with the same words.
    pub(crate) fn end(&self, settlement: Settlement) {
        for (_, permit) in self.close() {
            permit.end_with(settlement);
        }
    }

    /// Ends it without a word: what was sent counts as reserved, what was not is given back.
    fn abandon(&self) {
        drop(self.close());
    }

    fn close(&self) -> Vec<(Gate, Permit)> {
        let mut state = self.lock();
        state.ended = true;
        std::mem::take(&mut state.claims)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends an attempt when it is dropped, unless somebody has ended it before.
#[derive(Debug)]
pub(crate) struct Unfinished(Option<Arc<Attempt>>);

impl Unfinished {
    pub(super) fn new(attempt: Arc<Attempt>) -> Self {
        Unfinished(Some(attempt))
    }

    /// Ends it with a settlement.
    pub(crate) fn end(mut self, settlement: Settlement) {
        if let Some(attempt) = self.0.take() {
            attempt.end(settlement);
        }
    }

    /// Gives back every claim: it was not sent.
    pub(crate) fn release(mut self) {
        if let Some(attempt) = self.0.take() {
            attempt.release();
            attempt.abandon();
        }
    }

    /// Leaves the end to somebody else.
    pub(super) fn leave(mut self) {
        self.0 = None;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(attempt) = self.0.take() {
            attempt.abandon();
        }
    }
}
