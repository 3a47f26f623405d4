//! What is written is brought to the disk by a thread of its own, where nobody waits for that.

use std::{
    fs::File,
    io,
    path::Path,
    sync::Arc,
    thread::{Builder, JoinHandle},
    time::Duration,
};

use parking_lot::{Condvar, Mutex};

/// It is done no more often than this.
const EACH: Duration = Duration::from_millis(50);

/// Brings the write-ahead log to the disk, again and again while something is written.
#[derive(Debug)]
pub(super) struct Syncer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    log: File,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_dirty: bool,
    is_closed: bool,
    /// Why the disk did not take it.
    failed: Option<io::Error>,
}

impl Syncer {
    /// Of the database at this path, which is open.
    pub(super) fn start(path: &Path) -> io::Result<Self> {
        let mut name = path.as_os_str().to_owned();
        name.push("-wal");
        let shared = Arc::new(Shared {
            // SQLite keeps this very file until the last connection is closed.
            log: File::options().write(true).open(name)?,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let on = shared.clone();
        let thread = Builder::new()
            .name("tower-quota sync".into())
            .spawn(move || on.run())?;
        Ok(Syncer {
            shared,
            thread: Some(thread),
        })
    }

    /// Something was written.
    pub(super) fn written(&self) {
        let mut state = self.shared.state.lock();
        if !state.is_dirty {
            state.is_dirty = true;
            self.shared.changed.notify_one();
        }
    }

    /// Why the disk has not taken what was written, once.
    pub(super) fn failure(&self) -> io::Result<()> {
        self.shared.state.lock().failed.take().map_or(Ok(()), Err)
    }

    /// Brings it to the disk now.
    pub(super) fn now(&self) -> io::Result<()> {
        self.shared.log.sync_data()
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.shared.state.lock().is_closed = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // It panics nowhere, and what is written is brought to the disk when the database is closed.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn run(&self) {
        let mut state = self.state.lock();
        while !state.is_closed {
            if !state.is_dirty {
                self.changed.wait(&mut state);
                continue;
            }
            state.is_dirty = false;
            drop(state);
            let synced = self.log.sync_data();
            state = self.state.lock();
            state.failed = synced.err().or(state.failed.take());
            // More comes meanwhile, and nobody waits for it.
            if !state.is_closed {
                let _ = self.changed.wait_for(&mut state, EACH);
            }
        }
    }
}
