//! The store as the limiter sees it.

use std::{sync::Arc, time::Duration};

use super::{
    RedisStore,
    entry::Op,
    replica::Outcome,
    shared::{Shared, State, Stream, instant},
};
use crate::{
    error::StoreError,
    limit::{LimitKey, Limits, Tick},
    store::{
        Answer, AuditEntry, BudgetEvent, BudgetStanding, Claim, Correction, CountStanding,
        Decision, Grant, Note, Observation, Reason, Remaining, Settlement, Standing, Store,
        Waiting,
        asked::Asked,
        grants::Name,
        later::{Told, told},
        remaining::by_look,
    },
    tags::Tags,
    usage::Usage,
};

/// What streams is told no more often than this.
const STREAMED_EACH: Duration = Duration::from_secs(1);

impl Store for RedisStore {
    fn limits(&self) -> Limits {
        self.shared.lock().replica.store().limits()
    }

    fn catch_up(&self) -> Answer<()> {
        self.shared.done(Op::Nothing)
    }

    fn now(&self) -> Tick {
        self.shared.now()
    }

    fn keys(&self, claim: &Claim) -> Vec<LimitKey> {
        self.shared.lock().replica.store().keys(claim)
    }

    fn claim(&self, claim: &Claim) -> Answer<Decision> {
        let state = &mut *self.shared.lock();
        if let Some(number) = self.shared.granted_along(state, claim) {
            return Answer::Now(Ok(Decision::Granted(self.shared.grant(number))));
        }
        self.shared.claim(state, claim, Op::Claim)
    }

    fn claim_waiting(&self, claim: &Claim, waiting: Waiting) -> Answer<Decision> {
        self.shared.claim_of_waiter(claim, waiting, true)
    }

    fn claim_behind(&self, claim: &Claim, waiting: Waiting) -> Answer<Decision> {
        self.shared.claim_of_waiter(claim, waiting, false)
    }

    fn foresees(&self) -> bool {
        true
    }

    fn starts(&self, grant: &Grant) -> Option<Tick> {
        let number = self.shared.number_of(grant)?;
        self.shared.starts(number).filter(|_| self.shared.lease > 0)
    }

    fn forgo(&self, waiting: u64) {
        let state = &mut *self.shared.lock();
        if state.waiting.remove(&waiting).is_some() {
            self.shared.queue(state, Op::Forgo(waiting), None);
        }
    }

    fn watch(&self, changed: Arc<dyn Fn() + Send + Sync>) {
        self.shared.lock().changed.push(changed);
    }

    fn date(&self, grant: &mut Grant) {
        let shared = &self.shared;
        let Some(number) = shared.number_of(grant) else {
            return;
        };
        let state = &mut *shared.lock();
        let at = shared.at(state);
        if let Some(outage) = &mut state.outage {
            outage.date(number, at);
        }
        shared.queue(state, Op::Date(number, 0), None);
    }

    fn streamed(&self, grant: &mut Grant, output: u64) {
        let shared = &self.shared;
        let Some(number) = shared.number_of(grant) else {
            return;
        };
        let state = &mut *shared.lock();
        if !state.replica.store().limits().dates_at_the_end() {
            return;
        }
        let stream = state.streams.entry(number);
        let due = match &stream {
            std::collections::hash_map::Entry::Vacant(_) => true,
            std::collections::hash_map::Entry::Occupied(stream) => {
                stream.get().told.elapsed() >= STREAMED_EACH
            }
        };
        let stream = stream.or_insert_with(|| Stream {
            told: instant(),
            output: None,
        });
        if due || shared.given().is_some() {
            (stream.told, stream.output) = (instant(), None);
            shared.queue(state, Op::Streamed(number, output), None);
        } else {
            stream.output = stream.output.max(Some(output));
        }
    }

    fn observe(&self, tags: &Tags, grant: &Grant, seen: &Observation) -> Answer<bool> {
        let shared = &self.shared;
        let state = &mut *shared.lock();
        let deaf = match seen {
            Observation::Counters { .. } => !shared.absorb,
            _ => state.replica.store().is_deaf_to(seen),
        };
        let Some(number) = shared.number_of(grant).filter(|_| !deaf) else {
            return Answer::Now(Ok(false));
        };
        let op = Op::Observe {
            grant: number,
            tags: Arc::new(tags.clone()),
            seen: seen.clone(),
        };
        if let Some(error) = shared.unable(state) {
            // What was told must not be lost: others wait by it as well.
            shared.queue(state, op, None);
            return Answer::Now(Err(error));
        }
        let (_, answer) = shared.queue_and_wait(state, op);
        shared.later(answer, |outcome| match outcome {
            Outcome::Room(room) => Some(room),
            _ => None,
        })
    }

    fn settle(&self, grant: Grant, settlement: Settlement) -> Answer<()> {
        self.shared.end(&grant, Some(settlement))
    }

    fn release(&self, grant: Grant) -> Answer<()> {
        self.shared.end(&grant, None)
    }

    fn refuse(&self, claim: &Claim) -> Answer<()> {
        let limits = self.limits();
        if !limits.count_refused() {
            return Answer::Now(Ok(()));
        }
        self.shared.done(Op::Refuse(Asked::of(claim, &limits)))
    }

    fn peek(&self, claim: &Claim) -> Answer<Vec<Standing>> {
        let shared = &self.shared;
        let state = &mut *shared.lock();
        if let Some(error) = shared.unable(state) {
            return Answer::Now(shared.peek_alone(state, claim, shared.given(), error));
        }
        let asked = Asked::of(claim, &state.replica.store().limits());
        let (_, answer) = shared.queue_and_wait(state, Op::Peek(asked));
        shared.later(answer, |outcome| match outcome {
            Outcome::Standings(standings) => Some(standings),
            _ => None,
        })
    }

    fn health(&self) -> Answer<()> {
        let overdue = self.shared.lock().overdue.clone();
        Answer::Now(overdue.map_or(Ok(()), |why| Err(self.shared.error(&why))))
    }

    fn remaining(&self, tags: &Arc<Tags>) -> Option<Remaining> {
        let is_known = {
            let state = &mut *self.shared.lock();
            state.failing.is_none() && state.replica.store().knows(tags)
        };
        // Else the server would be asked for what nobody waits for, as it is where that changes just now.
        is_known.then(|| by_look(self, tags))?
    }

    fn look(&self, claim: &Claim) -> Answer<Vec<Standing>> {
        let seen = {
            let state = &mut *self.shared.lock();
            let known = state.failing.is_none() && state.replica.store().knows(&claim.tags);
            known.then(|| state.asks.beside(state.replica.store(), claim))
        };
        match seen {
            Some(standings) => Answer::Now(standings),
            None => self.peek(claim),
        }
    }

    fn budgets(&self) -> Answer<Vec<BudgetStanding>> {
        self.shared.ask(Op::Budgets, |outcome| match outcome {
            Outcome::Budgets(standings) => Some(standings),
            _ => None,
        })
    }

    fn counts(&self, most: usize) -> Answer<Vec<CountStanding>> {
        let (shared, brought_up_to_now) = (self.shared.clone(), self.budgets());
        Answer::Later(Box::pin(async move {
            brought_up_to_now.get().await?;
            let counts = shared.lock().replica.store().counts(most);
            counts.at_once()
        }))
    }

    fn record(&self, tags: &Tags, usage: Usage) -> Answer<()> {
        let shared = &self.shared;
        let op = Op::Record(Arc::new(tags.clone()), usage);
        let state = &mut *shared.lock();
        if let Some(error) = shared.unable(state) {
            // It was used, whoever counts it.
            let at = shared.at(state);
            if let Some(outage) = &mut state.outage {
                outage.record(tags, usage, at);
            }
            shared.queue(state, op, None);
            return Answer::Now(Err(error));
        }
        let (_, answer) = shared.queue_and_wait(state, op);
        shared.later(answer, |_| Some(()))
    }

    fn correct(&self, tags: &Tags, correction: Correction, reason: &Reason) -> Answer<()> {
        let by = reason.who(&self.shared.by);
        let (tags, reason) = (tags.clone(), reason.why().to_owned());
        self.shared.done(Op::Correct {
            tags,
            correction,
            reason,
            by,
        })
    }

    fn reset(&self, tags: &Tags, reason: &Reason) -> Answer<u64> {
        let by = reason.who(&self.shared.by);
        let (tags, reason) = (tags.clone(), reason.why().to_owned());
        let op = Op::Reset { tags, reason, by };
        self.shared.ask(op, |outcome| match outcome {
            Outcome::Count(count) => Some(count),
            _ => None,
        })
    }

    fn reconfigure(&self, limits: &Limits, reason: &Reason) -> Answer<()> {
        let (by, why) = (reason.who(&self.shared.by), reason.why().to_owned());
        let limits = limits.iter().cloned().collect();
        self.shared.done(Op::Reconfigure { limits, by, why })
    }

    fn reload(&self, limits: &Limits, given: &Limits, reason: &Reason) -> Answer<()> {
        let each = |limits: &Limits| limits.iter().cloned().collect();
        let by = || reason.who(&self.shared.by);
        let reconfigure = || Op::Reconfigure {
            limits: each(limits),
            by: by(),
            why: reason.why().to_owned(),
        };
        // What a process brings that joins is what is given from then on, and may change what others have changed by hand:
        // in the end the limits are these.
        let join = Op::Join {
            limits: Some(each(given)),
            by: by(),
        };
        self.shared
            .done_in_turn([reconfigure(), join, reconfigure()])
    }

    fn note(&self, note: Note, reason: &Reason) -> Answer<()> {
        let note = note.because(reason, &self.shared.by);
        self.shared.done(Op::Note(note))
    }

    fn audit(&self) -> Answer<Vec<AuditEntry>> {
        self.shared.read_notes()
    }

    fn events(&self) -> Vec<BudgetEvent> {
        self.shared.lock().take_events()
    }
}

impl Shared {
    /// The number under which this process claimed a grant.
    fn number_of(&self, grant: &Grant) -> Option<u64> {
        (grant.store == self.id).then(|| grant.name.number())
    }

    fn grant(&self, number: u64) -> Grant {
        Grant {
            store: self.id,
            name: Name::of_number(number),
        }
    }

    fn claim(
        self: &Arc<Self>,
        state: &mut State,
        claim: &Claim,
        op: impl FnOnce(Asked) -> Op,
    ) -> Answer<Decision> {
        let asked = Asked::of(claim, &state.replica.store().limits());
        if let Some(error) = self.unable(state) {
            let outcome = self.claim_alone(state, (claim, asked), self.given(), error);
            let wrong = || StoreError::new("the memory has not answered");
            return Answer::Now(
                outcome.and_then(|outcome| self.decision(outcome, 0).ok_or_else(wrong)),
            );
        }
        let leased = (self.lease > 0).then(|| asked.clone());
        let (number, answer) = self.queue_and_wait(state, op(asked));
        if let Some(asked) = leased {
            state.along.asks(number, &asked);
        }
        let shared = self.clone();
        self.later(answer, move |outcome| shared.decision(outcome, number))
    }

    /// What follows for a claim that was made under this number.
    fn decision(&self, outcome: Outcome, number: u64) -> Option<Decision> {
        match outcome {
            Outcome::Granted => Some(Decision::Granted(self.grant(number))),
            Outcome::GrantedAlone(number) => Some(Decision::Granted(self.grant(number))),
            Outcome::NotNow(refused) => Some(Decision::NotNow(refused)),
            Outcome::Never(refused) => Some(Decision::Never(refused)),
            _ => None,
        }
    }

    /// Of one that waits; `first`: and has to stand in the line.
    fn claim_of_waiter(
        self: &Arc<Self>,
        claim: &Claim,
        Waiting { number, priority }: Waiting,
        first: bool,
    ) -> Answer<Decision> {
        let state = &mut *self.lock();
        if let Some(refused) = self.foresee(state, claim, number, first) {
            return Answer::Now(Ok(Decision::NotNow(refused)));
        }
        if self.unable(state).is_some() {
            return self.claim(state, claim, Op::Claim);
        }
        if first {
            let now = self.at(state).tick;
            state.waiting.insert(number, now);
            self.news.waits.notify_one();
        }
        let limits = state.replica.store().limits();
        state.asks.put(number, claim, &limits);
        let lease = self.lease;
        let answer = self.claim(state, claim, |asked| match first {
            true => Op::Wait {
                asked,
                number,
                priority,
                lease,
            },
            false if lease > 0 => Op::Lease { asked, lease },
            false => Op::Claim(asked),
        });
        let with = state.next() - 1;
        if let Some(last) = state.queue.back_mut() {
            last.waiter = Some(number);
        }
        if lease > 0 {
            let asked = Asked::of(claim, &limits);
            for asked in state.along.with(&asked) {
                self.queue(state, Op::Along { asked, with }, None);
            }
        }
        answer
    }

    fn end(self: &Arc<Self>, grant: &Grant, settlement: Option<Settlement>) -> Answer<()> {
        let Some(number) = self.number_of(grant) else {
            return Answer::Now(Ok(()));
        };
        let state = &mut *self.lock();
        if let Some(Stream {
            output: Some(output),
            ..
        }) = state.streams.remove(&number)
        {
            self.queue(state, Op::Streamed(number, output), None);
        }
        self.end_alone(state, number, settlement, self.given());
        state.along.ends(number, settlement.is_none());
        let op = match settlement {
            Some(settlement) => Op::Settle(number, settlement),
            None => Op::Release(number),
        };
        if let Some(error) = self.unable(state) {
            // It is told when the server is back.
            self.queue(state, op, None);
            return Answer::Now(Err(error));
        }
        let (_, answer) = self.queue_and_wait(state, op);
        self.later(answer, |_| Some(()))
    }

    /// Has something done of which nothing is to be said but that it is.
    fn done(self: &Arc<Self>, op: Op) -> Answer<()> {
        self.ask(op, |_| Some(()))
    }

    /// The same of several things, with nothing of this process in between. It is done when the last is.
    fn done_in_turn<const N: usize>(self: &Arc<Self>, ops: [Op; N]) -> Answer<()> {
        let state = &mut *self.lock();
        if let Some(error) = self.unable(state) {
            return Answer::Now(Err(error));
        }
        let told = ops.map(|op| self.queue_and_wait(state, op).1);
        match told.into_iter().last() {
            Some(last) => self.later(last, |_| Some(())),
            None => Answer::Now(Ok(())),
        }
    }

    /// Asks, where somebody can be asked.
    fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        op: Op,
        read: impl FnOnce(Outcome) -> Option<T> + Send + 'static,
    ) -> Answer<T> {
        let state = &mut *self.lock();
        if let Some(error) = self.unable(state) {
            return Answer::Now(Err(error));
        }
        let (_, answer) = self.queue_and_wait(state, op);
        self.later(answer, read)
    }

    fn later<T: Send + 'static>(
        self: &Arc<Self>,
        answer: Told<Outcome>,
        read: impl FnOnce(Outcome) -> Option<T> + Send + 'static,
    ) -> Answer<T> {
        let shared = self.clone();
        Answer::Later(Box::pin(async move {
            let outcome = told(answer, || shared.gone()).await?;
            let read = read(outcome);
            read.ok_or_else(|| StoreError::new("the server's answer is to another question"))
        }))
    }
}
