//! The task that grants.
//!
//! Granting must not hang on a waiter being polled: a future that is kept and never polled again would
//! stop everybody behind it. So a task grants, one for each runtime on which somebody waits: it is started
//! when somebody has to wait and ends when nobody does. A runtime that is not run any more stalls nobody on
//! another, but for one that is left while its driver waits for a store that answers later: what it had taken
//! up is looked at again when something is given back there, or when that runtime is run or shut down. Two
//! drivers may try the same waiter; it takes one grant, and the other is given back.

use std::sync::Arc;

use tokio::{
    runtime::{Handle, Id},
    sync::watch,
    time::Instant,
};

use super::{Refused, Shared, queue::Next, registration::Registration, waiter::Waiter};
use crate::{error::Rejection, limit::LimitKey, store::NotNow};

/// After this many steps in a row, on whichever counts, the driver lets others run. Otherwise thousands that it
/// grants leave at one instant by the books and over the next half second in truth, and their dates are wrong by
/// that; and a thread is kept from all else while it looks at very many counts.
const STEPS_IN_A_ROW: u32 = 32;

/// Starts a driver on this runtime, where none runs there. Outside a runtime nothing happens.
pub(super) fn ensure(shared: &Arc<Shared>) {
    let Ok(runtime) = Handle::try_current() else {
        return;
    };
    if shared.queue().driven.insert(runtime.id()) {
        let told = shared.changed.subscribe();
        let driver = Driver {
            shared: shared.clone(),
            runtime: runtime.id(),
            told,
            steps: 0,
            finished: false,
        };
        runtime.spawn(drive(driver));
    }
}

struct Driver {
    shared: Arc<Shared>,
    runtime: Id,
    /// Says that something changed.
    told: watch::Receiver<()>,
    steps: u32,
    finished: bool,
}

async fn drive(mut driver: Driver) {
    let mut last: Option<LimitKey> = None;
    loop {
        driver.shared.flush();
        let now = driver.shared.store.now();
        let due = {
            let mut queue = driver.shared.queue();
            let due = queue.due(now, last.as_ref());
            if queue.len() == 0 && due.is_none() {
                queue.driven.remove(&driver.runtime);
                driver.finished = true;
                return;
            }
            due
        };
        match &due {
            Some(key) => driver.serve(key).await,
            None => driver.sleep().await,
        }
        last = due;
    }
}

impl Driver {
    /// Until the next count is worth a look, or something changed.
    async fn sleep(&mut self) {
        let next = self.shared.queue().next_timer();
        // Whichever comes first. The sender lives as long as this does.
        let told = self.told.changed();
        match next {
            None => drop(told.await),
            Some(at) => {
                let until = Instant::now() + at.since(self.shared.store.now());
                drop(tokio::time::timeout_at(until, told).await);
            }
        }
    }

    /// Grants the waiters on one count in rank order, as far as there is room.
    async fn serve(&mut self, key: &LimitKey) {
        loop {
            self.steps = self.steps.wrapping_add(1);
            if self.steps.is_multiple_of(STEPS_IN_A_ROW) {
                self.rest(key).await;
            }
            // A store that cannot say who is below its share says so at the claim as well.
            let _ = self.shared.look_at_shares(std::slice::from_ref(key)).await;
            let now = self.shared.store.now();
            let next = self.shared.queue().next_on(key, now);
            let (head, kept) = match next {
                Next::Nobody => return,
                Next::Moved => continue,
                Next::Try(head, kept) => (head, kept),
            };
            let keys = head.stand().keys.clone();
            if let Ok(true) = self.shared.look_at_shares(&keys).await {
                continue;
            }
            let asked = match self.shared.takes_what_is_kept(&head.claim, &kept).await {
                Ok(None) => self.shared.ask_waiting(&head).await,
                Ok(Some(refused)) => Err(Refused::NotNow(refused)).into(),
                Err(error) => Err(error.into()).into(),
            };
            let registration = asked.registration;
            match asked.answer {
                Ok(mut permit) => {
                    permit.waited_from(head.rank().seat.start);
                    self.shared.queue().granted(&head);
                    // Where nobody wants it any more it is dropped here, and gives everything back.
                    drop(head.answer(Ok(permit)));
                }
                Err(Refused::NotNow(refused)) => {
                    if self.park(&head, &refused, registration, key) {
                        return;
                    }
                }
                Err(Refused::Rejected(rejection)) => {
                    drop(registration);
                    self.reject(&head, rejection);
                }
            }
        }
    }

    /// Lets others run. Should this runtime not be run any more after that, another driver goes on.
    async fn rest(&self, key: &LimitKey) {
        let others = {
            let mut queue = self.shared.queue();
            queue.kick([key.clone()]);
            queue.driven.len() > 1
        };
        if others {
            self.shared.changed.send_replace(());
        }
        tokio::task::yield_now().await;
    }

    /// Parks the head where it was refused. Returns whether that is still `key`, so that its turn is over.
    fn park(
        &self,
        head: &Arc<Waiter>,
        refused: &NotNow,
        registration: Option<Registration>,
        key: &LimitKey,
    ) -> bool {
        if let Some(rejection) = self.shared.too_late(refused, head.deadline) {
            drop(registration);
            self.reject(head, rejection);
            return false;
        }
        head.refuse(refused.clone());
        let same = refused.key == *key;
        let now = self.shared.store.now();
        let kept = registration.is_some();
        self.shared.queue().refused(head, refused, now, kept);
        if let Some(registration) = registration {
            registration.noted();
        }
        same
    }

    fn reject(&self, waiter: &Waiter, rejection: Rejection) {
        self.shared.queue().gave_up(waiter);
        drop(waiter.answer(Err(rejection)));
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        // The runtime shuts down, or a store panicked. Whoever still waits starts a new driver.
        let wakers: Vec<_> = {
            let mut queue = self.shared.queue();
            queue.driven.remove(&self.runtime);
            // What was due and not served yet is known to nobody: the next driver looks at everything.
            queue.kick_all();
            if queue.driven.is_empty() {
                queue.forgo_all();
            }
            queue
                .waiters()
                .filter_map(|waiter| waiter.waker())
                .collect()
        };
        wakers.into_iter().for_each(std::task::Waker::wake);
        // And the drivers of other runtimes, which may sleep.
        self.shared.changed.send_replace(());
    }
}
