//! The thread that writes: all that waits in one transaction, then it wakes who waits for it.

use std::{collections::VecDeque, mem, sync::Arc, time::Duration};

use rusqlite::{Connection, TransactionBehavior};

use super::{
    ahead::Ahead,
    book::Book,
    brief::Log,
    file::Lock,
    note::audit,
    op::{Done, Queued},
    pruning::Pruning,
    retention::Task,
    shared::{Shared, State},
    standing::{Standing, Stored},
    sync::Syncer,
};
use crate::store::{clock::told::At, image::Image};

/// What nobody waits for waits so long for company.
const LAZY: Duration = Duration::from_millis(20);
/// What is waited for waits so long for company, where several waited the last time. Where each commit goes to the disk,
/// they wait for that together anyway.
const COMPANY: Duration = Duration::from_millis(1);
/// How long after a failure it is tried again: from the first to the last.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

pub(super) struct Writer {
    shared: Arc<Shared>,
    conn: Connection,
    /// Goes with the file.
    lock: Lock,
    /// Brings what is written to the disk, where no commit does.
    sync: Option<Syncer>,
    /// Whether several waited for the last commit.
    has_company: bool,
    standing: Standing,
    book: Book,
    /// What is to be written, in its order: it stays here until it is.
    backlog: Vec<Queued>,
    retry: Duration,
    pruning: VecDeque<Pruning>,
}

/// Says that the thread is gone, however it went.
struct Gone(Arc<Shared>);

impl Drop for Gone {
    fn drop(&mut self) {
        let (queued, tasks) = {
            let mut state = self.0.lock();
            state.gone = true;
            (mem::take(&mut state.queued), mem::take(&mut state.tasks))
        };
        // Who waits hears of it by that.
        drop((queued, tasks));
    }
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        (conn, lock, sync): (Connection, Lock, Option<Syncer>),
        standing: Standing,
        book: Book,
    ) -> Self {
        Writer {
            shared,
            conn,
            lock,
            sync,
            has_company: false,
            standing,
            book,
            backlog: Vec::new(),
            retry: RETRY.0,
            pruning: VecDeque::new(),
        }
    }

    /// Writes until the store is closed.
    pub(super) fn run(mut self) -> Result<(), String> {
        let gone = Gone(self.shared.clone());
        let ended = loop {
            let (tasks, closed) = self.wait();
            let written = self.write_backlog(false);
            for task in tasks {
                let written = written.clone().and_then(|()| self.read_for(&task));
                match Pruning::of(task) {
                    Ok(pruning) => self.pruning.push_back(pruning),
                    Err(task) => task.answer(written.clone().and_then(|()| self.synced())),
                }
            }
            self.prune_some();
            if closed {
                break written;
            }
        };
        if ended.is_ok() && self.standing.has_moved() {
            // A short log opens sooner. Without it nothing is lost.
            let _ = match self.standing.replica() {
                Some(_) => self.take_image().map_err(|error| error.to_string()),
                None => self.write_backlog(true),
            };
        }
        // The database brings its log to the disk when it is closed, but not where somebody else reads it yet.
        let ended = ended.and_then(|()| self.synced());
        drop(gone);
        let Writer {
            conn, lock, sync, ..
        } = self;
        drop(sync);
        let _ = conn.close();
        drop(lock);
        ended
    }

    /// Waits for something to do, and takes what is queued. What is to be done besides; whether it is the end.
    fn wait(&mut self) -> (Vec<Task>, bool) {
        let shared = self.shared.clone();
        let mut state = shared.lock();
        loop {
            let asked = state.closed || !state.tasks.is_empty();
            if asked || (self.backlog.is_empty() && (state.urgent || !self.pruning.is_empty())) {
                break;
            }
            if !self.backlog.is_empty() {
                // After a failure, nobody's hurry makes it any sooner.
                let timed_out = shared.work.wait_for(&mut state, self.retry).timed_out();
                if timed_out {
                    break;
                }
            } else if state.queued.is_empty() && state.ahead.is_empty() {
                shared.work.wait(&mut state);
            } else if state.queued.is_empty() {
                let waited = shared.work.wait_for(&mut state, Ahead::EACH);
                shared.sweep(&mut state, waited.timed_out());
            } else if shared.work.wait_for(&mut state, LAZY).timed_out() {
                break;
            }
        }
        let waits_alone = state.closed || !state.tasks.is_empty() || !self.backlog.is_empty();
        if state.urgent && self.has_company && self.sync.is_some() && !waits_alone {
            // Others on their way are written with it, for little more.
            let _ = shared.work.wait_for(&mut state, COMPANY);
        }
        shared.sweep(&mut state, false);
        self.take_queued(&mut state);
        (mem::take(&mut state.tasks), state.closed)
    }

    /// Reads what is asked for, where that is all that is to be done.
    fn read_for(&self, task: &Task) -> Result<(), String> {
        if let Task::Audit { result, .. } = task {
            *result.lock() = audit(&self.conn).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Goes on with what is to be deleted.
    fn prune_some(&mut self) {
        let Some(pruning) = self.pruning.front_mut() else {
            self.book.bound_names();
            return;
        };
        let ended = pruning.step(&mut self.conn, &self.book);
        // Names may be gone by it. And the next step is to know which were used since this one.
        self.book.forget_names();
        let ended = match ended {
            Ok(false) => return,
            Ok(true) => Ok(()),
            Err(error) => Err(error),
        };
        if let Some(pruning) = self.pruning.pop_front() {
            pruning.answer(ended);
        }
    }

    /// Writes all of the backlog, and all counts where it is time for that, or is to be.
    fn write_backlog(&mut self, with_image: bool) -> Result<(), String> {
        let image = self.image(with_image);
        if self.backlog.is_empty() && image.is_none() {
            return Ok(());
        }
        let written = match self.sync.as_ref().map_or(Ok(()), Syncer::failure) {
            Ok(()) => self.transact_with(image).map_err(|error| error.to_string()),
            // Who claims is to hear that the disk fails.
            Err(error) => Err(error.to_string()),
        };
        match written {
            Ok(stored) => {
                self.committed();
                if let Some(stored) = stored {
                    self.standing.imaged_as(stored);
                }
                Ok(())
            }
            // The log goes on without an image.
            Err(_) if self.backlog.is_empty() => {
                self.book.rolled_back();
                Ok(())
            }
            Err(reason) => {
                self.failed(&reason);
                Err(reason)
            }
        }
    }

    /// An image of the store that decides, where it is time for one. What is queued is in it, and is in the backlog.
    fn image(&mut self, now: bool) -> Option<(Image, At)> {
        let shared = self.shared.clone();
        if self.standing.replica().is_some() || !(now || self.standing.is_due(shared.live.len())) {
            return None;
        }
        // As of what was done last: this thread asks no clock.
        let mut state = shared.lock();
        self.take_queued(&mut state);
        Some((shared.live.image_of_all(), state.at()))
    }

    fn take_queued(&mut self, state: &mut State) {
        state.urgent = false;
        state.ahead.taken();
        match self.backlog.is_empty() {
            // Nothing comes before it: nobody who claims waits for a copy.
            true => mem::swap(&mut self.backlog, &mut state.queued),
            false => self.backlog.append(&mut state.queued),
        }
    }

    /// All of the backlog in one transaction, with the image, where that can be written.
    fn transact_with(&mut self, image: Option<(Image, At)>) -> rusqlite::Result<Option<Stored>> {
        let Some(image) = image else {
            return self.transact(None);
        };
        match self.transact(Some(image)) {
            Err(_) if !self.backlog.is_empty() => {
                // The log goes on.
                self.book.rolled_back();
                self.transact(None)
            }
            written => written,
        }
    }

    fn transact(&mut self, image: Option<(Image, At)>) -> rusqlite::Result<Option<Stored>> {
        let Writer {
            conn,
            book,
            backlog,
            standing,
            ..
        } = self;
        let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let unwritten = |error: serde_json::Error| -> rusqlite::Error {
            rusqlite::Error::ToSqlConversionFailure(error.into())
        };
        let mut log = Log::default();
        for queued in &mut *backlog {
            let Done { at, op } = &mut queued.done;
            book.take(&tx, *at, op)?;
            if image.is_none() {
                log.push(&queued.done).map_err(unwritten)?;
            }
            queued
                .notes
                .iter()
                .try_for_each(|note| note.write(&tx, queued.done.at))?;
        }
        book.write(&tx)?;
        let ops = backlog.iter().map(|queued| &queued.done.op);
        let stored = image.map(|image| standing.stored(image, book.kept(), ops));
        match &stored {
            Some(stored) => stored.write(&tx)?,
            None => {
                let text = String::from_utf8(log.end());
                let text =
                    text.map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
                let mut insert = tx.prepare_cached("INSERT INTO log (ops) VALUES (?)")?;
                insert.execute([text])?;
            }
        }
        tx.commit()?;
        Ok(stored)
    }

    fn committed(&mut self) {
        self.book.committed();
        self.retry = RETRY.0;
        {
            let mut state = self.shared.lock();
            state.failing = None;
            state.ahead.written();
        }
        if let Some(sync) = &self.sync {
            sync.written();
        }
        let waiting = self.backlog.iter().filter(|queued| queued.waits.is_some());
        self.has_company = waiting.take(2).count() > 1;
        for queued in self.backlog.drain(..) {
            let Queued {
                done, part, waits, ..
            } = queued;
            if let Some(part) = part {
                part.written();
            }
            if let Some(waits) = waits {
                // It may have gone away.
                let _ = waits.send(Ok(()));
            }
            self.standing.took(&done);
        }
        let replica = self.standing.replica();
        if replica.is_some_and(|replica| self.standing.is_due(replica.len())) {
            // Where it cannot be written, the log goes on.
            let _ = self.take_image();
        }
    }

    /// All that is written is on the disk.
    fn synced(&self) -> Result<(), String> {
        let synced = self.sync.as_ref().map_or(Ok(()), Syncer::now);
        synced.map_err(|error| error.to_string())
    }

    fn failed(&mut self, reason: &str) {
        self.book.rolled_back();
        self.retry = (self.retry * 2).min(RETRY.1);
        let error = self.shared.error(reason);
        self.shared.lock().failing = Some(reason.into());
        for waits in self
            .backlog
            .iter_mut()
            .filter_map(|queued| queued.waits.take())
        {
            let _ = waits.send(Err(error.clone()));
        }
    }

    /// Writes an image of the replica in place of the log.
    fn take_image(&mut self) -> rusqlite::Result<()> {
        let Some(replica) = self.standing.replica() else {
            return Ok(());
        };
        let stored = Stored::of(replica);
        let tx = self
            .conn
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        stored.write(&tx)?;
        tx.commit()?;
        self.standing.imaged();
        Ok(())
    }
}
