//! A call as the core knows it, without HTTP.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, timeout_at};

use super::{Delegation, Limiter, Progress, TakenIn};
use crate::{
    error::StoreError,
    limit::{Demand, NewTarget, Quantities},
    money::Money,
    store::Claim,
    tags::{self, Tags},
};

/// One call: who makes it, how much it needs, and how urgent it is.
///
/// Its place in the queue and its [`max_wait`](Self::max_wait) count from [`Call::new`]. Make a new one for each call,
/// just before it is used; do not keep one as a template to clone.
///
/// ```
/// use std::time::Duration;
/// use tower_quota::{limiter::Call, Tag, Tags};
///
/// let call = Call::new()
///     .tags(Tags::new().with(Tag::Agent, "scout"))
///     .tokens(1_200, 400)
///     .priority(2)
///     .max_wait(Duration::from_secs(30));
/// assert_eq!(call.demand().input, 1_200);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Call {
    tags: Arc<Tags>,
    demand: Demand,
    turn: Turn,
    progress: Option<Progress>,
}

/// A call's place among others: when it came, how urgent it is, how long it may wait. It keeps its turn
/// however often it has to queue again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    pub(crate) arrived: Instant,
    /// Tells apart calls that came in the same instant.
    pub(crate) order: u64,
    pub(crate) priority: i32,
    pub(crate) deadline: Option<Instant>,
    /// The longest told wait that it waits out; `None`: any.
    pub(crate) longest_told: Option<Duration>,
    /// Where it began in the queue that it comes back to.
    pub(crate) start: Option<u64>,
}

impl Turn {
    pub(crate) fn new(priority: i32, max_wait: Option<Duration>) -> Self {
        static ORDER: AtomicU64 = AtomicU64::new(0);
        let arrived = Instant::now();
        Turn {
            arrived,
            order: ORDER.fetch_add(1, Ordering::Relaxed),
            priority,
            longest_told: None,
            start: None,
            // A wait too long to be dated is no bound.
            deadline: max_wait.and_then(|wait| arrived.checked_add(wait)),
        }
    }

    /// What the store answers, as long as there is time for it. A call that must not wait for room at all waits for that
    /// all the same: it would never have any otherwise.
    pub(super) async fn in_time<T, E: From<StoreError>>(
        self,
        answer: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        match self.deadline.filter(|deadline| *deadline > Instant::now()) {
            None => answer.await,
            Some(deadline) => timeout_at(deadline, answer).await.unwrap_or_else(|_| {
                let late = "it has not answered before the deadline of the call";
                Err(StoreError::new(late).into())
            }),
        }
    }
}

impl Call {
    /// Creates a call that needs one request and no tokens. It arrives now, with the tags of the
    /// [`scope`](crate::scope) in which it is made.
    pub fn new() -> Self {
        Call {
            tags: tags::inherited().unwrap_or_default(),
            demand: Demand::default(),
            turn: Turn::new(0, None),
            progress: None,
        }
    }

    /// Sets the tags: who makes the call and where it goes. Tags that are not set here are taken from the
    /// [`scope`](crate::scope).
    pub fn tags(mut self, tags: impl Into<Arc<Tags>>) -> Self {
        self.tags = tags::inherit(tags.into());
        self
    }

    /// Sets how many input tokens the call needs, and how many output tokens at most.
    ///
    /// Both are taken as declared: a call that is larger than a limit can ever hold is refused.
    pub fn tokens(mut self, input: u64, output: u64) -> Self {
        self.demand.input = input;
        self.demand.output = output;
        self
    }

    /// Sets the most that the call may cost. If it is settled without a [cost](crate::Usage::cost), all of that is
    /// charged.
    pub fn cost(mut self, most: Money) -> Self {
        self.demand.cost = most.as_nanos();
        self
    }

    /// Sets how urgent the call is: each step up counts as having arrived one *aging* span earlier. 0 by default.
    pub fn priority(mut self, priority: i32) -> Self {
        self.turn.priority = priority;
        self
    }

    /// Sets how long the call may wait, counted from [`Call::new`]. A wait that cannot end in time is refused at once.
    pub fn max_wait(mut self, wait: Duration) -> Self {
        self.turn.deadline = self.turn.arrived.checked_add(wait);
        self
    }

    /// Has `progress` show what becomes of this call. Use one for each call.
    pub fn progress(mut self, progress: &Progress) -> Self {
        self.progress = Some(progress.clone());
        self
    }

    /// What shows it, until it is let in or refused.
    pub(super) fn shown(&self) -> Option<TakenIn> {
        self.progress.as_ref().map(Progress::taken_in)
    }

    /// Returns what the call needs.
    #[must_use]
    pub fn demand(&self) -> &Demand {
        &self.demand
    }
}

impl Limiter {
    /// A turn that waits no longer than any call does here.
    pub(crate) fn bound(&self, turn: Turn) -> Turn {
        let wait = self.shared.options.max_wait;
        let Some(until) = wait.and_then(|wait| turn.arrived.checked_add(wait)) else {
            return turn;
        };
        Turn {
            deadline: Some(turn.deadline.map_or(until, |own| own.min(until))),
            ..turn
        }
    }

    /// A call as its claim and its turn. The claim leaves alone the slots that are held around the call.
    pub(super) fn parts(&self, call: Call) -> (Claim, Turn) {
        let Call {
            tags, demand, turn, ..
        } = call;
        let claim = Claim {
            tags,
            demand,
            quantities: Quantities::ALL,
            repeat: false,
            new_target: NewTarget::default(),
            held: Delegation::current().held(&self.shared),
            attempt: 0,
        };
        (claim, self.bound(turn))
    }
}

impl Default for Call {
    fn default() -> Self {
        Self::new()
    }
}
