//! The thread that asks the server: what has come together goes there in one round trip, and what all have done comes back.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::sleep;

use super::{
    entry::{Entry, Op, Place},
    link::{Failure, Link},
    notes::Noted,
    replica::Outcome,
    ring::Ring,
    shared::{Outgoing, RENEW, Shared, State, instant},
    trip::{Batch, Reply},
};
use crate::store::{Store as _, clock::told::At};

/// So much goes in one round trip.
const MOST: usize = 1_024;
/// A server that is away is tried again after this, and after twice as long each time up to a quarter of a second.
const AGAIN: Duration = Duration::from_millis(20);
const AGAIN_AT_MOST: Duration = Duration::from_millis(250);
/// What nobody waits for waits so long for company.
const LAZY: Duration = Duration::from_millis(20);
/// What others do is looked at no more often than this while somebody waits here.
const LOOK: Duration = Duration::from_millis(3);

pub(super) struct Worker {
    pub(super) shared: Arc<Shared>,
    pub(super) link: Link,
    /// On its way to the server, or come to it without an answer.
    pub(super) pending: VecDeque<Outgoing>,
    pub(super) ring: Ring,
    pub(super) settings: Settings,
    /// Where the last image stands that is known of.
    pub(super) image: Place,
    pub(super) asked: Instant,
    /// What the audit log does not say yet.
    pub(super) notes: Vec<Noted>,
    pub(super) renewed: Instant,
    /// How often the server was had to begin anew in this round.
    pub(super) restored: u32,
    /// What happened to budgets by what this process did up to this number was told.
    pub(super) told: u64,
}

pub(super) struct Settings {
    pub(super) silence: Duration,
    pub(super) batch: Duration,
    pub(super) image_after: u64,
    pub(super) form: (u32, u32),
}

impl Worker {
    /// Until the store is closed, and then until all is done.
    pub(super) async fn run(mut self) -> Result<(), String> {
        let mut again = AGAIN;
        loop {
            let closed = self.wait().await;
            let done = self.round().await;
            match done {
                Ok(()) => {
                    again = AGAIN;
                    self.recovered();
                    let state = self.shared.lock();
                    if closed && self.pending.is_empty() && state.queue.is_empty() {
                        return Ok(());
                    }
                }
                Err(failure) => {
                    self.failed(&failure);
                    if closed {
                        return Err(failure.reason);
                    }
                    sleep(again).await;
                    again = (again * 2).min(AGAIN_AT_MOST);
                }
            }
        }
    }

    /// Until there is something to do. Whether the store was closed.
    async fn wait(&mut self) -> bool {
        let shared = self.shared.clone();
        loop {
            let (urgent, lazy, waiting) = {
                let state = shared.lock();
                if state.closed {
                    return true;
                }
                let urgent = state.urgent || !self.pending.is_empty() || state.failing.is_some();
                let first = state.queue.front().map(|first| first.queued.elapsed());
                let lazy = first.map(|waited| LAZY.saturating_sub(waited));
                (
                    urgent || lazy.is_some_and(|rest| rest.is_zero()),
                    lazy,
                    !state.waiting.is_empty(),
                )
            };
            let since = self.asked.elapsed();
            if urgent {
                let rest = self.settings.batch.saturating_sub(since);
                if rest.is_zero() {
                    return false;
                }
                // What comes meanwhile goes along.
                sleep(rest).await;
                return false;
            }
            let quiet = (self.settings.silence / 3).saturating_sub(since);
            if quiet.is_zero() {
                return false;
            }
            let batch = self.settings.batch;
            let quiet = match waiting {
                false => quiet,
                true if batch.is_zero() => quiet.min(RENEW),
                // There is a round trip that often anyway: nobody listens besides.
                true if since >= batch => return false,
                true => quiet.min(batch - since),
            };
            let quiet = quiet.min(lazy.unwrap_or(quiet));
            tokio::select! {
                () = shared.work.notified() => {}
                () = shared.news.heard.notified(), if waiting => {
                    let span = LOOK.max(self.settings.batch);
                    sleep(span.saturating_sub(self.asked.elapsed())).await;
                    return false;
                }
                () = sleep(quiet) => {}
            }
            if waiting && self.renewed.elapsed() >= RENEW {
                self.renewed = instant();
                shared.tell_changed();
            }
        }
    }

    /// One round trip, or more where the first tells that others are needed. What was not answered is asked once more.
    pub(super) async fn round(&mut self) -> Result<(), Failure> {
        self.take();
        self.restored = 0;
        let mut once_more = true;
        loop {
            match self.trip().await {
                Ok(true) => {
                    self.keep_notes().await;
                    return Ok(());
                }
                Ok(false) => {}
                Err(failure) if once_more && failure.unknown => once_more = false,
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Takes up what has come: of one instant, where tests pass the time in.
    fn take(&mut self) {
        let state = &mut *self.shared.lock();
        while self.pending.len() < MOST {
            let Some(next) = state.queue.front() else {
                state.urgent = false;
                return;
            };
            if self
                .pending
                .front()
                .is_some_and(|first| first.at != next.at)
            {
                return;
            }
            self.pending.extend(state.queue.pop_front());
        }
    }

    /// Whether all that was taken up is done.
    async fn trip(&mut self) -> Result<bool, Failure> {
        if let Some(batch) = self.ring.missing(&self.shared) {
            let reply = self.append(&batch).await?;
            self.take_in(&batch, reply).await?;
            return Ok(false);
        }
        let at = self.pending.front().and_then(|first| first.at);
        let batch = Batch {
            process: self.shared.me,
            first: self.pending.front().map_or(0, |first| first.number),
            at: at.or_else(|| self.shared.given_last()),
            ops: self.pending.iter().map(Outgoing::op_now).collect(),
        };
        let reply = self.append(&batch).await?;
        self.take_in(&batch, reply).await
    }

    /// Takes in what a round trip has brought. Whether that is all.
    async fn take_in(&mut self, batch: &Batch, reply: Reply) -> Result<bool, Failure> {
        match reply {
            Reply::Appended {
                at,
                entries,
                own,
                buried,
            } => {
                let wrote = own.last().map(|entry| entry.place.pos);
                let first = own.first().map(|entry| entry.place.pos);
                let left = own.last().is_some_and(|entry| entry.op == Op::Leave);
                self.absorb(entries, at)?;
                self.absorb(own, at)?;
                if let (Some(first), Some(last)) = (first, wrote) {
                    self.write_image(first, last).await;
                }
                Ok((!buried || left) && batch.process == self.shared.me)
            }
            Reply::More { entries } => {
                // What comes next was done at earlier instants than this answer.
                let last = entries.last().map(|entry| entry.at);
                let at = last.unwrap_or_else(|| self.shared.lock().replica.at());
                self.absorb(entries, at)?;
                Ok(false)
            }
            Reply::Astray => {
                self.find_again().await?;
                Ok(false)
            }
            Reply::Newer(wanted) => Err(Failure {
                reason: format!(
                    "a newer version counts there in form {wanted}, and this one knows {}: use that",
                    self.settings.form.0
                ),
                unknown: false,
            }),
        }
    }

    fn recovered(&mut self) {
        {
            let state = &mut *self.shared.lock();
            if state.failing.take().is_none() {
                return;
            }
            state.outage = None;
        }
        self.shared.tell_changed();
    }

    /// Whoever waits hears of it; what has to be done all the same stays.
    fn failed(&mut self, failure: &Failure) {
        let shared = self.shared.clone();
        let state = &mut *shared.lock();
        let error = shared.error(&failure.reason);
        state.failing = Some(failure.reason.as_str().into());
        for reader in state.readers.drain(..) {
            drop(reader.send(Err(error.clone())));
        }
        let (mut unsure, mut waited, mut looks) = (Vec::new(), Vec::new(), Vec::new());
        for outgoing in self.pending.iter_mut().chain(&mut state.queue) {
            let Some(reply) = outgoing.reply.take() else {
                continue;
            };
            match &outgoing.op {
                Op::Settle(..) | Op::Record(..) | Op::Refuse(_) => {}
                Op::Peek(asked) => {
                    looks.push((asked.clone(), reply));
                    outgoing.op = Op::Nothing;
                    continue;
                }
                Op::Claim(asked) | Op::Wait { asked, .. } => {
                    if let Some(waiter) = outgoing.waiter.take() {
                        state.asks.answered(waiter);
                    }
                    // Who waited hears of it, and stands there no more.
                    if let Op::Wait { number, .. } = outgoing.op {
                        state.waiting.remove(&number);
                        waited.push(number);
                    }
                    unsure.push((outgoing.number, asked.clone(), reply));
                    outgoing.op = Op::Nothing;
                    continue;
                }
                _ => outgoing.op = Op::Nothing,
            }
            drop(reply.send(Err(error.clone())));
        }
        // They may have been granted, or stand in the line, since before the connection broke.
        let at = shared.given().map(|_| state.replica.at());
        let granted = unsure.iter().map(|(number, ..)| Op::Release(*number));
        for op in granted.chain(waited.into_iter().map(Op::Forgo)) {
            shared.queue_at(state, op, None, at);
        }
        for (asked, reply) in looks {
            let claim = asked.to(&state.replica.store().limits());
            let standings = shared.peek_alone(state, &claim, at, error.clone());
            drop(reply.send(standings.map(Outcome::Standings)));
        }
        for (_, asked, reply) in unsure {
            let claim = asked.to(&state.replica.store().limits());
            let outcome = shared.claim_alone(state, (&claim, asked), at, error.clone());
            let alone = match &outcome {
                Ok(Outcome::GrantedAlone(number)) => Some(*number),
                _ => None,
            };
            if reply.send(outcome).is_err()
                && let Some(number) = alone
            {
                // Nobody wants it any more.
                shared.end_alone(state, number, None, at);
                shared.queue_at(state, Op::Release(number), None, at);
            }
        }
    }

    /// Does what comes next in the log, and answers whoever waits for it.
    fn absorb(&mut self, entries: Vec<Entry>, at: At) -> Result<(), Failure> {
        let shared = self.shared.clone();
        let mut changed = false;
        {
            let state = &mut *shared.lock();
            for entry in entries {
                let last = state.replica.last().pos;
                if entry.place.pos <= last {
                    continue;
                }
                if entry.place.pos > last + 1 {
                    return Err(Failure {
                        reason: format!("its log has nothing between {last} and {}", entry.place),
                        unknown: false,
                    });
                }
                let applied = state.replica.apply(&entry);
                if entry.process == shared.me {
                    // What is done again is not told again.
                    if entry.number == 0 || entry.number > self.told {
                        state.tell(applied.events);
                    }
                    self.told = self.told.max(entry.number);
                    changed |= matches!(entry.op, Op::Bury(_));
                } else if entry.op == Op::Bury(shared.me) && !state.closed {
                    // It was silent for long, and is here.
                    let at = shared.given().map(|_| state.replica.at());
                    shared.queue_at(state, Op::Nothing, None, at);
                    changed = true;
                } else {
                    changed |= applied.frees;
                }
                self.note(&entry, applied.notes);
                let granted = matches!(applied.outcome, Outcome::Granted);
                if entry.process == shared.me {
                    self.answer(state, entry.number, applied.outcome);
                }
                self.ring.push(entry, granted);
            }
            state.hear(at);
        }
        shared.news.taken.notify_waiters();
        if changed {
            shared.tell_changed();
        }
        Ok(())
    }

    /// Answers whoever waits for what is done already where it is gone on from: nothing comes of it any more.
    pub(super) fn answer_done(&mut self, state: &mut State) {
        let me = self.shared.me;
        let done = state.replica.number_of(me);
        while let Some(first) = self.pending.front().filter(|first| first.number <= done) {
            let number = first.number;
            match first.op {
                Op::Claim(_) | Op::Wait { .. } if state.replica.is_open(me, number) => {
                    self.answer(state, number, Outcome::Granted);
                }
                Op::Claim(_) | Op::Wait { .. } | Op::Peek(_) | Op::Budgets | Op::Observe { .. } => {
                    if let Op::Wait { number, .. } = first.op {
                        state.waiting.remove(&number);
                        let at = self.shared.given().map(|_| state.replica.at());
                        self.shared.queue_at(state, Op::Forgo(number), None, at);
                    }
                    let reply = self.pending.pop_front().and_then(|first| first.reply);
                    let error = self.shared.error("its answer was lost");
                    drop(reply.map(|reply| reply.send(Err(error))));
                }
                _ => self.answer(state, number, Outcome::Done),
            }
        }
    }

    /// Answers whoever waits for what this process did under a number.
    fn answer(&mut self, state: &mut State, number: u64, outcome: Outcome) {
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
            if let Op::Wait { number, .. } = op
                && !matches!(outcome, Outcome::NotNow(_))
            {
                state.waiting.remove(&number);
            }
            let granted = matches!(outcome, Outcome::Granted);
            if let Some(reply) = reply
                && reply.send(Ok(outcome)).is_err()
                && granted
            {
                // Nobody wants it any more.
                let at = self.shared.given().map(|_| state.replica.at());
                self.shared.queue_at(state, Op::Release(number), None, at);
            }
            return;
        }
    }
}

impl Outgoing {
    /// As it is said now: what was dated says how long ago that was.
    fn op_now(&self) -> Op {
        match &self.op {
            Op::Date(number, _) if self.at.is_none() => {
                let age = self.queued.elapsed().as_micros();
                Op::Date(*number, u64::try_from(age).unwrap_or(u64::MAX))
            }
            op => op.clone(),
        }
    }
}
