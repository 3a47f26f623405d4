//! The thread that asks the server: what has come together goes there in one round trip, and what all have done comes back.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::sleep;

use super::{
    OnError,
    entry::{Entry, Op},
    history::Found,
    images::Images,
    lease::Pace,
    link::{Failure, Link},
    notes::Noted,
    replica::Outcome,
    replies::Replies,
    ring::Ring,
    shared::{Outgoing, RENEW, Shared, instant},
    trip::{Batch, Reply},
};
use crate::store::clock::told::At;

/// So much goes in one round trip.
const MOST: usize = 4_096;
/// So many round trips are made before those who wait hear that it takes too long. A log of two million entries has come by
/// then.
const TRIPS: u32 = 200;
/// A server that is away is tried again after this, and after twice as long each time up to a quarter of a second.
const AGAIN: Duration = Duration::from_millis(20);
const AGAIN_AT_MOST: Duration = Duration::from_millis(250);
/// What nobody waits for waits so long for company.
const LAZY: Duration = Duration::from_millis(20);
/// Who may have to decide alone hears at least this often what others do.
const FRESH: Duration = Duration::from_secs(1);
/// What others do is looked at no more often than this while somebody waits here.
const LOOK: Duration = Duration::from_millis(3);

pub(super) struct Worker {
    pub(super) shared: Arc<Shared>,
    pub(super) link: Link,
    /// On its way to the server, or come to it without an answer.
    pub(super) pending: VecDeque<Outgoing>,
    /// What the server has, where more of it has to be read before it is known whether to go on from that.
    pub(super) found: Option<Box<Found>>,
    /// How many entries a round trip asks for.
    pub(super) page: u32,
    /// Whether there is more there than has come: it is read before anything is sent again.
    pub(super) is_behind: bool,
    pub(super) ring: Ring,
    pub(super) images: Images,
    pub(super) settings: Settings,
    pub(super) asked: Instant,
    pub(super) pace: Pace,
    /// What is to be said to those who wait, when nothing is locked.
    pub(super) replies: Replies,
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
    pub(super) each_alone: bool,
    pub(super) image_after: u64,
    pub(super) form: (u32, u32),
}

impl Worker {
    /// Until the store is closed, and then until all is done.
    pub(super) async fn run(mut self) -> Result<(), String> {
        let mut again = AGAIN;
        loop {
            let closed = self.wait().await;
            self.pace.asks(self.asked.elapsed());
            let done = self.round().await;
            match done {
                Ok(()) => {
                    again = AGAIN;
                    self.recovered();
                    if self.pace.leases() {
                        // Some may be granted now what is further ahead than it was.
                        self.shared.tell_changed();
                    }
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
            let since = self.asked.elapsed();
            let (urgent, lazy, waiting, rest) = {
                let state = shared.lock();
                if state.closed {
                    return true;
                }
                let urgent = state.urgent || !self.pending.is_empty() || state.failing.is_some();
                let first = state.queue.front().map(|first| first.queued.elapsed());
                let lazy = first.map(|waited| LAZY.saturating_sub(waited));
                let rest = match state.queue.len() < MOST
                    && state.failing.is_none()
                    && !state.replica.owes(shared.me)
                {
                    true => self.pace.rest(&state, &shared, since),
                    false => Duration::ZERO,
                };
                (
                    urgent || lazy.is_some_and(|rest| rest.is_zero()),
                    lazy,
                    !state.waiting.is_empty(),
                    rest,
                )
            };
            if urgent {
                if rest.is_zero() {
                    return false;
                }
                // What comes meanwhile goes along.
                tokio::select! {
                    () = shared.work.notified() => continue,
                    () = sleep(rest) => return false,
                }
            }
            let quiet = match shared.on_error {
                OnError::Local => (self.settings.silence / 3).min(FRESH),
                _ => self.settings.silence / 3,
            };
            let quiet = quiet.saturating_sub(since);
            let image = self.images.rest(instant());
            let quiet = image.map_or(quiet, |rest| quiet.min(rest));
            if quiet.is_zero() {
                return false;
            }
            let quiet = match waiting {
                false => quiet,
                true if !self.pace.leases() => quiet.min(RENEW),
                // There is a round trip that often anyway: nobody listens besides.
                true if rest.is_zero() => return false,
                true => quiet.min(rest),
            };
            let quiet = quiet.min(lazy.unwrap_or(quiet));
            tokio::select! {
                () = shared.work.notified() => {}
                () = shared.news.heard.notified(), if waiting => {
                    sleep(LOOK.saturating_sub(self.asked.elapsed())).await;
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
        for _ in 0..TRIPS {
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
        Err(Failure {
            reason: "others change what it has faster than that can be taken in".into(),
            unknown: false,
        })
    }

    /// Takes up what has come: of one instant, where tests pass the time in.
    fn take(&mut self) {
        let state = &mut *self.shared.lock();
        let alone = |op: &Op| !matches!(op, Op::Date(..) | Op::Streamed(..));
        while self.pending.len() < MOST {
            if self.settings.each_alone && self.pending.back().is_some_and(|last| alone(&last.op)) {
                return;
            }
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
        if let Some(found) = self.found.take() {
            self.read_on(found).await?;
            return Ok(false);
        }
        if let Some(batch) = self.ring.missing(&self.shared) {
            let reply = self.append(&batch).await?;
            self.take_in(&batch, reply).await?;
            return Ok(false);
        }
        if self.is_behind {
            let known = {
                let state = self.shared.lock();
                (state.replica.epoch().to_owned(), state.replica.last())
            };
            let (batch, reply) = self.read_behind(known).await?;
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
        self.is_behind = false;
        match reply {
            Reply::Appended {
                at,
                entries,
                own,
                buried,
                image: (last, is_there),
            } => {
                let ends = own.first().zip(own.last());
                let wrote = ends.map(|(first, last)| (first.place.pos, last.place.pos));
                let left = own.last().is_some_and(|entry| entry.op == Op::Leave);
                self.absorb(entries, at)?;
                self.absorb(own, at)?;
                self.images.hear(last, is_there);
                self.keep_image(wrote).await;
                Ok((!buried || left) && batch.process == self.shared.me)
            }
            Reply::More { entries } => {
                self.is_behind = true;
                self.absorb_past(entries)?;
                Ok(false)
            }
            Reply::Astray => {
                self.find_again().await?;
                Ok(false)
            }
            Reply::Newer(wanted) => Err(self.newer(wanted)),
        }
    }

    pub(super) fn newer(&self, wanted: u32) -> Failure {
        Failure {
            reason: format!(
                "a newer version counts there in form {wanted}, and this one knows {}: use that",
                self.settings.form.0
            ),
            unknown: false,
        }
    }

    fn recovered(&mut self) {
        {
            let state = &mut *self.shared.lock();
            // More may be queued by now, and under load always is.
            state.end_outage(self.shared.me);
            if state.failing.take().is_none() {
                return;
            }
        }
        self.shared.tell_changed();
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
                if entry.process == shared.me && shared.lease > 0 {
                    shared.note_along(state, &entry, granted);
                }
                if entry.process == shared.me {
                    self.answer(state, entry.number, applied.outcome);
                }
                self.ring.push(entry, granted);
            }
            state.hear(at);
        }
        self.deliver();
        shared.news.taken.notify_waiters();
        if changed {
            shared.tell_changed();
        }
        Ok(())
    }

    /// The same where more comes: what that is was done at earlier instants than this answer.
    pub(super) fn absorb_past(&mut self, entries: Vec<Entry>) -> Result<(), Failure> {
        let last = entries.last().map(|entry| entry.at);
        let at = last.unwrap_or_else(|| self.shared.lock().replica.at());
        self.absorb(entries, at)
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

#[cfg(test)]
#[path = "worker_tests.rs"]
mod tests;
