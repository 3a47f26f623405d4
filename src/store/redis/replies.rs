//! Answers to those who wait: made under the lock, and told when it is free, as whoever hears one may ask at once.

use super::{
    entry::Op,
    link::Failure,
    replica::Outcome,
    shared::{Outgoing, Reply, State},
    worker::Worker,
};
use crate::{
    error::StoreError,
    store::{Store as _, asked::Asked},
};

/// What is to be said, each with the number of the claim that it is for.
pub(super) type Replies = Vec<(u64, Reply, Result<Outcome, StoreError>)>;

impl Worker {
    /// Says what is to be said. What is granted to somebody who has gone away is given back.
    pub(super) fn deliver(&mut self) {
        for (number, reply, said) in std::mem::take(&mut self.replies) {
            let (granted, alone) = match &said {
                Ok(Outcome::Granted) => (Some(number), false),
                Ok(Outcome::GrantedAlone(number)) => (Some(*number), true),
                _ => (None, false),
            };
            if reply.send(said).is_ok() {
                continue;
            }
            let Some(number) = granted else {
                continue;
            };
            let state = &mut *self.shared.lock();
            let at = self.shared.given().map(|_| state.replica.at());
            if alone {
                self.shared.end_alone(state, number, None, at);
            }
            state.along.refused(number);
            self.shared.queue_at(state, Op::Release(number), None, at);
        }
    }

    /// Whoever waits hears of it; what has to be done all the same stays.
    pub(super) fn failed(&mut self, failure: &Failure) {
        self.note_failure(failure);
        self.deliver();
    }

    fn note_failure(&mut self, failure: &Failure) {
        let shared = self.shared.clone();
        let error = shared.error(&failure.reason);
        let readers = std::mem::take(&mut shared.lock().readers);
        for reader in readers {
            drop(reader.send(Err(error.clone())));
        }
        let state = &mut *shared.lock();
        state.failing = Some(failure.reason.as_str().into());
        let (mut unsure, mut waited, mut looks) = (Vec::new(), Vec::new(), Vec::new());
        for outgoing in self.pending.iter_mut().chain(&mut state.queue) {
            let Some(reply) = outgoing.reply.take() else {
                continue;
            };
            let number = outgoing.number;
            match &outgoing.op {
                Op::Settle(..)
                | Op::Release(_)
                | Op::Record(..)
                | Op::Refuse(_)
                | Op::Observe { .. } => {}
                Op::Peek(asked) => {
                    looks.push((number, asked.clone(), reply));
                    outgoing.op = Op::Nothing;
                    continue;
                }
                Op::Claim(asked) | Op::Wait { asked, .. } | Op::Lease { asked, .. } => {
                    if let Some(waiter) = outgoing.waiter.take() {
                        state.asks.answered(waiter);
                    }
                    // Who waited hears of it, and stands there no more.
                    if let Op::Wait { number, .. } = outgoing.op {
                        state.waiting.remove(&number);
                        waited.push(number);
                    }
                    unsure.push((number, asked.clone(), reply));
                    outgoing.op = Op::Nothing;
                    continue;
                }
                _ => outgoing.op = Op::Nothing,
            }
            self.replies.push((number, reply, Err(error.clone())));
        }
        // They may have been granted, or stand in the line, since before the connection broke.
        let at = shared.given().map(|_| state.replica.at());
        let granted = unsure.iter().map(|(number, ..)| Op::Release(*number));
        for op in granted.chain(waited.into_iter().map(Op::Forgo)) {
            shared.queue_at(state, op, None, at);
        }
        for (number, asked, reply) in looks {
            let claim = asked.to(&state.replica.store().limits());
            let standings = shared.peek_alone(state, &claim, at, error.clone());
            let standings = standings.map(Outcome::Standings);
            self.replies.push((number, reply, standings));
        }
        for (number, asked, reply) in unsure {
            // What it gets now has another number.
            state.along.refused(number);
            let claim = asked.to(&state.replica.store().limits());
            let outcome = shared.claim_alone(state, (&claim, asked), at, error.clone());
            self.replies.push((number, reply, outcome));
        }
    }

    /// Answers whoever waits for what is done already where it is gone on from: nothing comes of it any more.
    pub(super) fn answer_done(&mut self, state: &mut State) {
        let me = self.shared.me;
        let done = state.replica.number_of(me);
        while let Some(first) = self.pending.front().filter(|first| first.number <= done) {
            let number = first.number;
            let claims = first.op.claims().is_some();
            match first.op {
                _ if claims && state.replica.is_open(me, number) => {
                    self.answer(state, number, Outcome::Granted);
                }
                Op::Claim(_)
                | Op::Wait { .. }
                | Op::Lease { .. }
                | Op::Peek(_)
                | Op::Budgets
                | Op::Observe { .. } => {
                    if let Op::Wait { number, .. } = first.op {
                        state.waiting.remove(&number);
                        let at = self.shared.given().map(|_| state.replica.at());
                        self.shared.queue_at(state, Op::Forgo(number), None, at);
                    }
                    let error = self.shared.error("its answer was lost");
                    let Some(Outgoing { reply, waiter, .. }) = self.pending.pop_front() else {
                        return;
                    };
                    if let Some(waiter) = waiter {
                        state.asks.answered(waiter);
                    }
                    state.along.refused(number);
                    self.replies
                        .extend(reply.map(|reply| (number, reply, Err(error))));
                }
                _ => self.answer(state, number, Outcome::Done),
            }
        }
    }

    /// What a claim hears while the server does not know again what it has lost: as if it were away.
    fn undecided(
        &self,
        state: &mut State,
        asked: &Asked,
        processes: usize,
    ) -> Result<Outcome, StoreError> {
        let reason = format!(
            "it has lost what it had, and was not told it again by {processes} processes that were there"
        );
        let (shared, claim) = (&self.shared, asked.to(&state.replica.store().limits()));
        let at = shared.given().map(|_| state.replica.at());
        shared.claim_alone(state, (&claim, asked.clone()), at, shared.error(&reason))
    }

    /// Answers whoever waits for what this process did under a number.
    pub(super) fn answer(&mut self, state: &mut State, number: u64, outcome: Outcome) {
        while let Some(first) = self.pending.front() {
            if first.number > number {
                return;
            }
            let Some(Outgoing {
                number: own,
                op,
                reply,
                waiter,
                ..
            }) = self.pending.pop_front()
            else {
                return;
            };
            if let Some(waiter) = waiter {
                state.asks.answered(waiter);
            }
            if own < number {
                continue;
            }
            if let Op::Wait { number, .. } = &op
                && !matches!(outcome, Outcome::NotNow(_))
            {
                state.waiting.remove(number);
            }
            let said = match (outcome, op.claims()) {
                (Outcome::Owing(processes), Some(asked)) if reply.is_some() => {
                    self.undecided(state, asked, processes)
                }
                (outcome, _) => Ok(outcome),
            };
            self.replies
                .extend(reply.map(|reply| (number, reply, said)));
            return;
        }
    }
}
