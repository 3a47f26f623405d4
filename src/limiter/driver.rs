//! The task that grants.
//!
//! Granting must not hang on a waiter being polled: a future that is kept and never polled again would
//! stop everybody behind it. So a task grants, one for each runtime on which somebody waits: it is started
//! when somebody has to wait and ends when nobody does. Where the store answers later it asks for the next in turn
//! meanwhile, and each answer is a task of its own. A runtime that is not run any more stalls nobody on
//! another, but for one that is left while its driver waits for a store that answers later: what it had asked for
//! is looked at again when something is given back there, or when that runtime is run or shut down. Two
//! drivers may try the same waiter; it takes one grant, and the other is given back.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use tokio::{
    runtime::{Handle, Id},
    sync::watch,
    time::Instant,
};

use super::{
    Refused, Shared,
    claimed::Outcome,
    queue::Next,
    registration::{Asked, Asking},
    under_way::{Heard, UnderWay},
    waiter::Waiter,
};
use crate::{error::Rejection, limit::LimitKey, store::NotNow};

/// After this many steps in a row, on whichever counts, the driver lets others run. Otherwise thousands that it
/// grants leave at one instant by the books and over the next half second in truth, and their dates are wrong by
/// that; and a thread is kept from all else while it looks at very many counts.
const STEPS_IN_A_ROW: u32 = 32;

/// So often the counts are looked at that go by a calendar: the clock on the wall is set, or goes on while the machine
/// is suspended, and no timer knows.
const CALENDARS_EACH: Duration = Duration::from_secs(60);

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
            under_way: UnderWay::new(shared.store.foresees()),
            calendars: None,
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
    under_way: UnderWay,
    /// When the counts are to be looked at that go by a calendar, where there may be any.
    calendars: Option<Instant>,
    steps: u32,
    finished: bool,
}

async fn drive(mut driver: Driver) {
    let mut last: Option<LimitKey> = None;
    loop {
        driver.shared.flush();
        driver.hear_all().await;
        let now = driver.shared.store.now();
        let due = {
            let mut queue = driver.shared.queue();
            let claimed = &driver.under_way.claimed;
            let due = match claimed.is_full() {
                false => queue.due(now, last.as_ref()),
                true => None,
            };
            if queue.len() == 0 && due.is_none() && claimed.is_empty() {
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
    /// Until the next count is worth a look, an answer came, or something changed.
    async fn sleep(&mut self) {
        let next = self.next_look();
        let full = self.under_way.claimed.is_full();
        let heard = {
            // The sender lives as long as this does.
            let mut told = pin!(self.told.changed());
            let under_way = &mut self.under_way;
            let first = poll_fn(|cx| match under_way.poll_next(cx) {
                Poll::Ready(heard) => Poll::Ready(Some(heard)),
                // Whatever else there is to do, it is for then.
                Poll::Pending if full => Poll::Pending,
                Poll::Pending => told.as_mut().poll(cx).map(|_| None),
            });
            // Whichever comes first.
            match next.filter(|_| !full) {
                None => first.await,
                Some(until) => tokio::time::timeout_at(until, first).await.unwrap_or(None),
            }
        };
        self.look_at_calendars();
        if let Some(heard) = heard {
            self.hear(heard);
        }
    }

    /// When the next count is worth a look.
    fn next_look(&mut self) -> Option<Instant> {
        let (timer, calendars) = {
            let queue = self.shared.queue();
            (queue.next_timer(), queue.limits().have_calendars())
        };
        let timer = timer.map(|at| Instant::now() + at.since(self.shared.store.now()));
        if !calendars {
            self.calendars = None;
            return timer;
        }
        let next = || Instant::now() + CALENDARS_EACH;
        let calendars = *self.calendars.get_or_insert_with(next);
        Some(timer.map_or(calendars, |timer| timer.min(calendars)))
    }

    /// Has the counts looked at that go by a calendar, where it is time to.
    fn look_at_calendars(&mut self) {
        let due = |at: Instant| at <= Instant::now();
        if self.calendars.is_some_and(due) {
            self.calendars = None;
            self.shared.queue().kick_calendars();
        }
    }

    /// Takes in the answers that have come.
    async fn hear_all(&mut self) {
        while let Some(heard) = self.under_way.next_now() {
            self.hear(heard);
            self.step(None).await;
        }
    }

    fn hear(&mut self, heard: Heard) {
        let Heard {
            waiter,
            key,
            first,
            asked,
        } = heard;
        let outcome = self.answered(&waiter, asked, &key, first);
        let claimed = &mut self.under_way.claimed;
        let look = claimed.heard(waiter.place(), first, outcome);
        self.shared.queue().kick(look);
    }

    /// Grants the waiters on one count in rank order, as far as there is room. Where the store answers later the next
    /// ones are asked for meanwhile.
    async fn serve(&mut self, key: &LimitKey) {
        self.under_way.claimed.due(key);
        loop {
            self.step(Some(key)).await;
            // A store that cannot say who is below its share says so at the claim as well.
            let _ = self.shared.look_at_shares(std::slice::from_ref(key)).await;
            let now = self.shared.store.now();
            let claimed = &mut self.under_way.claimed;
            let next = self.shared.queue().next_on(key, now, claimed);
            let (waiter, kept, first) = match next {
                Next::Nobody => return claimed.nobody(key),
                Next::Moved => continue,
                Next::Try(head, kept) => (head, kept, true),
                Next::TryBehind(waiter, kept) => (waiter, kept, false),
                Next::Wait => return,
                Next::WaitFor(place) => return claimed.put_off(key, place),
            };
            let keys = waiter.stand().keys.clone();
            if let Ok(true) = self.shared.look_at_shares(&keys).await {
                continue;
            }
            let asking = match self.shared.takes_what_is_kept(&waiter.claim, &kept).await {
                Ok(None) => self.shared.ask_for(&waiter, first),
                Ok(Some(refused)) => Asking::Now(Err(Refused::NotNow(refused)).into()),
                Err(error) => Asking::Now(Err(error.into()).into()),
            };
            match asking {
                Asking::Now(asked) => {
                    let refused = self.answered(&waiter, asked, key, first) == Outcome::Refused;
                    self.under_way.claimed.answered(key, refused);
                    if refused {
                        return;
                    }
                }
                Asking::Later(answer) => self.under_way.push(waiter, key, first, answer),
            }
        }
    }

    /// Counts a step, and lets others run after some. Should this runtime not be run any more after that, another
    /// driver goes on with the count that is being served.
    async fn step(&mut self, serves: Option<&LimitKey>) {
        self.steps = self.steps.wrapping_add(1);
        if !self.steps.is_multiple_of(STEPS_IN_A_ROW) {
            return;
        }
        let others = {
            let mut queue = self.shared.queue();
            queue.kick(serves.cloned());
            queue.driven.len() > 1
        };
        if others {
            self.shared.changed.send_replace(());
        }
        tokio::task::yield_now().await;
    }

    /// What the store said to one that was tried on a count.
    fn answered(&self, waiter: &Arc<Waiter>, asked: Asked, key: &LimitKey, first: bool) -> Outcome {
        let starts = asked.starts();
        let (answer, kept) = asked.noted();
        if let Err(Refused::NotNow(refused)) = &answer {
            self.shared.queue().lasts(&refused.key);
        }
        match answer {
            Ok(mut permit) => {
                permit.waited_from(waiter.rank().seat.start);
                {
                    let mut queue = self.shared.queue();
                    queue.went(key);
                    queue.granted(waiter, first);
                }
                match starts {
                    // Where nobody wants it any more it is dropped here, and gives everything back.
                    None => drop(waiter.answer(Ok(permit))),
                    Some(at) => self.shared.hand_over(waiter, permit, at),
                }
                Outcome::Granted
            }
            Err(Refused::NotNow(refused)) if first => self.park(waiter, &refused, kept, key),
            // It is tried again when it is first, and parked then.
            Err(Refused::NotNow(refused)) => {
                waiter.refuse(refused);
                Outcome::Refused
            }
            Err(Refused::Rejected(rejection)) => {
                self.reject(waiter, rejection, kept);
                Outcome::Gone
            }
        }
    }

    /// Parks the head where it was refused. If that is still `key`, its turn is over. `kept`: whether the store keeps
    /// room for it.
    fn park(&self, head: &Arc<Waiter>, refused: &NotNow, kept: bool, key: &LimitKey) -> Outcome {
        let late = self.shared.too_late(refused, head.deadline);
        let closed = || self.shared.closed_for_long(refused, head.longest_told);
        if let Some(rejection) = late.or_else(closed) {
            self.reject(head, rejection, kept);
            return Outcome::Gone;
        }
        head.refuse(refused.clone());
        let now = self.shared.store.now();
        self.shared.queue().refused(head, refused, now, kept);
        if refused.key == *key {
            Outcome::Refused
        } else {
            Outcome::Gone
        }
    }

    fn reject(&self, waiter: &Waiter, rejection: Rejection, kept: bool) {
        {
            let mut queue = self.shared.queue();
            if kept {
                queue.unheard(waiter);
            }
            queue.gave_up(waiter);
        }
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
