//! The queue, for as long as it is locked.

use std::{
    ops::{Deref, DerefMut},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::queue::Queue;
use crate::store::Store;

/// The queue, locked. Whoever is registered no more because of what is done to it, the store hears of after that.
pub(super) struct Locked<'a> {
    // Before what is told, which comes when the lock is gone.
    queue: MutexGuard<'a, Queue>,
    waiting: &'a AtomicUsize,
    forgone: Forgone<'a>,
}

/// Tells the store who is registered no more.
struct Forgone<'a> {
    store: &'a Arc<dyn Store>,
    numbers: Vec<u64>,
}

impl<'a> Locked<'a> {
    /// How many wait is shown in `waiting`, before the lock is gone.
    pub(super) fn new(
        queue: &'a Mutex<Queue>,
        waiting: &'a AtomicUsize,
        store: &'a Arc<dyn Store>,
    ) -> Self {
        Locked {
            queue: queue.lock().unwrap_or_else(PoisonError::into_inner),
            waiting,
            forgone: Forgone {
                store,
                numbers: Vec::new(),
            },
        }
    }
}

impl Deref for Locked<'_> {
    type Target = Queue;

    fn deref(&self) -> &Queue {
        &self.queue
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut Queue {
        &mut self.queue
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        self.waiting.store(self.queue.len(), Ordering::Release);
        let forgone = self.queue.forgone();
        if !forgone.is_empty() {
            self.forgone.numbers = std::mem::take(forgone);
        }
    }
}

impl Drop for Forgone<'_> {
    fn drop(&mut self) {
        let numbers = self.numbers.iter();
        numbers.for_each(|number| self.store.forgo(*number));
    }
}
