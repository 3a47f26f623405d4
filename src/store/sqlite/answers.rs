//! The store as the limiter sees it: memory decides, and what it decided is answered when it is written.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use super::{
    SqliteStore,
    ahead::Covered,
    commit::{Told, committed},
    op::Op,
    retention::Task,
    shared::{Shared, State},
};
use crate::{
    error::StoreError,
    limit::{Limit, LimitKey, Limits, Tick},
    store::{
        Answer, AuditEntry, BudgetEvent, BudgetStanding, Claim, Correction, CountStanding,
        Decision, Grant, Note, Observation, Reason, Remaining, Settlement, Standing, Store,
        asked::Asked, audit::ITSELF,
    },
    tags::Tags,
    usage::Usage,
};

impl Store for SqliteStore {
    fn limits(&self) -> Limits {
        self.shared.live.limits()
    }

    fn now(&self) -> Tick {
        self.shared.now()
    }

    fn keys(&self, claim: &Claim) -> Vec<LimitKey> {
        let _at = self.shared.begin();
        self.shared.live.keys(claim)
    }

    fn claim(&self, claim: &Claim) -> Answer<Decision> {
        let shared = &self.shared;
        let (mut state, grant, op) = match self.decide(claim) {
            Decided::Granted(state, grant, op) => (state, grant, op),
            Decided::Refused(answer) => return answer,
        };
        let before = match state.ahead.cover(claim, true) {
            Covered::By(part) => {
                shared.queue_part(&mut state, op, Some(part));
                return Answer::Now(Ok(Decision::Granted(grant)));
            }
            Covered::Bare(before) => before,
        };
        for (op, part) in before {
            shared.queue_part(&mut state, op, part);
        }
        let told = shared.queue_and_wait(&mut state, op, Vec::new());
        let granted = Granted {
            shared: shared.clone(),
            grant: Some(grant),
        };
        Answer::Later(Box::pin(granted.when(told)))
    }

    fn claim_ahead(&self, claim: &Claim) -> Answer<Decision> {
        match self.decide(claim) {
            Decided::Granted(mut state, grant, op) => {
                // What is queued later is written later, or with it.
                let part = match state.ahead.cover(claim, false) {
                    Covered::By(part) => Some(part),
                    Covered::Bare(before) => {
                        for (op, part) in before {
                            self.shared.queue_part(&mut state, op, part);
                        }
                        None
                    }
                };
                self.shared.queue_part(&mut state, op, part);
                Answer::Now(Ok(Decision::Granted(grant)))
            }
            Decided::Refused(answer) => answer,
        }
    }

    fn date(&self, grant: &mut Grant) {
        let state = &mut *self.shared.begin();
        if let Some(number) = self.shared.live.number_of(grant) {
            self.shared.live.date(grant);
            self.shared.queue(state, Op::Date(number));
        }
    }

    fn streamed(&self, grant: &mut Grant, output: u64) {
        self.shared.streamed(grant, output);
    }

    fn observe(&self, tags: &Tags, grant: &Grant, seen: &Observation) -> Answer<bool> {
        let state = &mut *self.shared.begin();
        let live = &self.shared.live;
        let answer = live.observe(tags, grant, seen).at_once();
        if !live.is_deaf_to(seen) && live.is_of(grant) {
            let number = live.number_of(grant).unwrap_or_default();
            let (tags, seen) = (Arc::new(tags.clone()), seen.clone());
            self.shared.queue(
                state,
                Op::Observe {
                    grant: number,
                    tags,
                    seen,
                },
            );
        }
        Answer::Now(answer)
    }

    fn settle(&self, grant: Grant, settlement: Settlement) -> Answer<()> {
        let state = &mut *self.shared.begin();
        let Some((op, settled)) = self.end(state, grant, settlement) else {
            return Answer::Now(Ok(()));
        };
        let told = self.shared.queue_and_wait(state, op, Vec::new());
        match settled {
            Ok(()) => Answer::Later(Box::pin(committed(told))),
            Err(error) => Answer::Now(Err(error)),
        }
    }

    fn settle_in_passing(&self, grant: Grant, settlement: Settlement) -> Answer<()> {
        let state = &mut *self.shared.begin();
        let Some((op, settled)) = self.end(state, grant, settlement) else {
            return Answer::Now(Ok(()));
        };
        self.shared.queue(state, op);
        Answer::Now(settled)
    }

    fn release(&self, grant: Grant) -> Answer<()> {
        self.shared.release(grant);
        Answer::Now(Ok(()))
    }

    fn refuse(&self, claim: &Claim) -> Answer<()> {
        if !self.limits().count_refused() {
            return Answer::Now(Ok(()));
        }
        self.change(None, |store, _| {
            store.shared.live.refuse(claim).at_once()?;
            Ok((
                (),
                Op::Refuse(Asked::of(claim, &store.limits())),
                Vec::new(),
            ))
        })
    }

    fn peek(&self, claim: &Claim) -> Answer<Vec<Standing>> {
        let _at = self.shared.begin();
        self.shared.live.peek(claim)
    }

    fn health(&self) -> Answer<()> {
        Answer::Now(self.shared.begin_lasting().map(drop))
    }

    fn remaining(&self, tags: &Arc<Tags>) -> Option<Remaining> {
        let _at = self.shared.begin();
        self.shared.live.remaining(tags)
    }

    fn budgets(&self) -> Answer<Vec<BudgetStanding>> {
        let _at = self.shared.begin();
        self.shared.live.budgets()
    }

    fn counts(&self, most: usize) -> Answer<Vec<CountStanding>> {
        let _at = self.shared.begin();
        self.shared.live.counts(most)
    }

    fn record(&self, tags: &Tags, usage: Usage) -> Answer<()> {
        self.change(None, |store, _| {
            store.shared.live.record(tags, usage).at_once()?;
            Ok(((), Op::Record(Arc::new(tags.clone()), usage), Vec::new()))
        })
    }

    fn correct(&self, tags: &Tags, correction: Correction, reason: &Reason) -> Answer<()> {
        self.change(Some(reason), |store, _| {
            let live = &store.shared.live;
            live.correct(tags, correction, reason).at_once()?;
            let (tags, reason) = (Box::new(tags.clone()), reason.why().to_owned());
            Ok((
                (),
                Op::Correct {
                    tags,
                    correction,
                    reason,
                },
                Vec::new(),
            ))
        })
    }

    fn reset(&self, tags: &Tags, reason: &Reason) -> Answer<u64> {
        self.change(Some(reason), |store, _| {
            let count = store.shared.live.reset(tags, reason).at_once()?;
            let (tags, reason) = (Box::new(tags.clone()), reason.why().to_owned());
            Ok((count, Op::Reset { tags, reason }, Vec::new()))
        })
    }

    fn reconfigure(&self, limits: &Limits, reason: &Reason) -> Answer<()> {
        self.replace(limits, Op::Reconfigure(each(limits)), reason)
    }

    fn reload(&self, limits: &Limits, given: &Limits, reason: &Reason) -> Answer<()> {
        let (listed, given) = (each(limits), each(given));
        let op = Op::Reload {
            limits: listed,
            given,
        };
        self.replace(limits, op, reason)
    }

    fn note(&self, note: Note, reason: &Reason) -> Answer<()> {
        self.change(None, |store, _| {
            let note = note.because(reason, &store.shared.by);
            Ok(((), Op::Noted, vec![note]))
        })
    }

    fn audit(&self) -> Answer<Vec<AuditEntry>> {
        let read: Arc<Mutex<Vec<AuditEntry>>> = Arc::default();
        let result = read.clone();
        let told = self.ask(|waits| Task::Audit { result, waits });
        Answer::Later(Box::pin(async move {
            committed(told).await?;
            Ok(std::mem::take(&mut *read.lock()))
        }))
    }

    fn events(&self) -> Vec<BudgetEvent> {
        self.shared.take_events()
    }
}

fn each(limits: &Limits) -> Vec<Limit> {
    limits.iter().cloned().collect()
}

/// What became of a claim, and what is to be written of it: not queued yet.
enum Decided<'s> {
    Granted(MutexGuard<'s, State>, Grant, Op),
    Refused(Answer<Decision>),
}

impl SqliteStore {
    /// Replaces the limits, which is written down as `op`.
    fn replace(&self, limits: &Limits, op: Op, reason: &Reason) -> Answer<()> {
        self.change(Some(reason), |store, by| {
            let live = &store.shared.live;
            let before = live.limits();
            live.reconfigure(limits, reason).at_once()?;
            let notes = Note::of_limits(&before, &live.limits(), by, reason.why_or_changed());
            Ok(((), op, notes))
        })
    }

    fn decide(&self, claim: &Claim) -> Decided<'_> {
        let shared = &self.shared;
        let mut state = match shared.begin_lasting() {
            Ok(state) => state,
            Err(error) => return Decided::Refused(Answer::Now(Err(error))),
        };
        let decision = shared.live.claim(claim).at_once();
        let Ok(Decision::Granted(grant)) = decision else {
            if shared.live.has_events() {
                let asked = Asked::of(claim, &shared.live.limits());
                shared.queue(&mut state, Op::Refused(asked));
            }
            return Decided::Refused(Answer::Now(decision));
        };
        let op = Op::Claim {
            grant: shared.live.number_of(&grant).unwrap_or_default(),
            row: 0,
            asked: Asked::of(claim, &shared.live.limits()),
        };
        Decided::Granted(state, grant, op)
    }

    /// Settles in memory. What is to be written of it; `None`: it has ended before.
    fn end(
        &self,
        state: &mut State,
        grant: Grant,
        settlement: Settlement,
    ) -> Option<(Op, Result<(), StoreError>)> {
        let shared = &self.shared;
        let number = shared.live.number_of(&grant)?;
        shared.end_stream(state, number);
        let settled = shared.live.settle(grant, settlement).at_once();
        Some((Op::Settle(number, settlement), settled))
    }

    /// Does something, for this reason where it is by hand, and waits until it is written.
    fn change<T: Send + 'static>(
        &self,
        reason: Option<&Reason>,
        change: impl FnOnce(&Self, &str) -> Result<(T, Op, Vec<Note>), StoreError>,
    ) -> Answer<T> {
        let mut state = match self.shared.begin_lasting() {
            Ok(state) => state,
            Err(error) => return Answer::Now(Err(error)),
        };
        let by = reason.map_or(ITSELF.into(), |reason| reason.who(&self.shared.by));
        let (value, op, mut notes) = match change(self, &by) {
            Ok(changed) => changed,
            Err(error) => return Answer::Now(Err(error)),
        };
        notes.extend(self.shared.hear(&mut state, &by));
        // What is recorded and what is noted makes no room.
        if reason.is_some() {
            state.ahead.stop();
        }
        let told = self.shared.queue_and_wait(&mut state, op, notes);
        Answer::Later(Box::pin(
            async move { committed(told).await.map(|()| value) },
        ))
    }
}

/// A grant that is not written yet. Where nobody wants it any more, or it cannot be written, it is given back.
struct Granted {
    shared: Arc<Shared>,
    grant: Option<Grant>,
}

impl Granted {
    async fn when(mut self, told: Told) -> Result<Decision, StoreError> {
        committed(told).await?;
        let grant = self.grant.take();
        grant
            .map(Decision::Granted)
            .ok_or_else(|| StoreError::new("the grant is gone"))
    }
}

impl Drop for Granted {
    fn drop(&mut self) {
        if let Some(grant) = self.grant.take() {
            self.shared.release(grant);
        }
    }
}
