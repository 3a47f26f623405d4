//! Answers that a driver waits for.

use std::{
    panic::resume_unwind,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::task::{JoinError, JoinSet};

use super::{claimed::Claimed, registration::Asked, waiter::Waiter};
use crate::{limit::LimitKey, store::BoxFuture};

/// Whom a driver has asked for, and the answers on their way: each is a task of its own, so that it gets on whatever
/// the driver waits for.
pub(super) struct UnderWay {
    pub(super) claimed: Claimed,
    answers: JoinSet<Heard>,
}

/// An answer that came.
pub(super) struct Heard {
    pub(super) waiter: Arc<Waiter>,
    /// On which count it was asked for.
    pub(super) key: LimitKey,
    /// Whether it was first in turn then.
    pub(super) first: bool,
    pub(super) asked: Asked,
}

impl UnderWay {
    /// Nobody is asked for. `foreseen`: whether the store refuses at once what there is no room for.
    pub(super) fn new(foreseen: bool) -> Self {
        UnderWay {
            claimed: Claimed::new(foreseen),
            answers: JoinSet::new(),
        }
    }

    /// Waits for an answer. Where this goes away before, the answer is seen to all the same, and given back.
    pub(super) fn push(
        &mut self,
        waiter: Arc<Waiter>,
        key: &LimitKey,
        first: bool,
        answer: BoxFuture<Asked>,
    ) {
        self.claimed.ask(waiter.place(), key);
        let key = key.clone();
        self.answers.spawn(async move {
            let asked = answer.await;
            Heard {
                waiter,
                key,
                first,
                asked,
            }
        });
    }

    /// One that has come.
    pub(super) fn next_now(&mut self) -> Option<Heard> {
        self.answers.try_join_next().and_then(heard)
    }

    /// One that comes. Pending where none is on its way.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Heard> {
        while let Poll::Ready(Some(answer)) = self.answers.poll_join_next(cx) {
            if let Some(heard) = heard(answer) {
                return Poll::Ready(heard);
            }
        }
        Poll::Pending
    }
}

/// A store that panics takes the driver with it, as it does where it answers at once.
fn heard(answer: Result<Heard, JoinError>) -> Option<Heard> {
    match answer.map_err(JoinError::try_into_panic) {
        Ok(heard) => Some(heard),
        Err(Ok(panic)) => resume_unwind(panic),
        // The runtime goes down, and the driver with it.
        Err(Err(_)) => None,
    }
}
