//! What becomes of one call, for people who look on.

use std::{
    fmt,
    ops::Deref,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::{CallState, Shared, waiter::Waiter};
use crate::{store::Settlement, tags::Tags};

/// Shows where a call is: whether it waits and for what, where it was sent, and until when it backs off.
///
/// Put one into a request's extensions, or hand it to a [`Call`](super::Call) if you use the limiter directly. Keep a
/// clone, and ask it whenever you want to know. Use one for each call: where a foreign layer makes several requests of
/// one, it shows what happened last. Calls without a `Progress` pay nothing for it. To cancel a call, drop its future.
///
/// ```
/// use tower_quota::{Limiter, limit::{Limit, Limits}, limiter::{Call, CallState, Progress}};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let limiter = Limiter::new(Limits::new([Limit::concurrency(1)])?);
/// let held = limiter.acquire(Call::new()).await?;
///
/// let progress = Progress::new();
/// let call = Call::new().progress(&progress);
/// let waits = tokio::spawn({ let limiter = limiter.clone(); async move { limiter.acquire(call).await } });
/// tokio::task::yield_now().await;
/// let CallState::Waiting(wait) = progress.state() else { panic!("it waits") };
/// assert_eq!(wait.to_string(), "waits for concurrency 1: 1 in use, this call needs 1 (would be 2)");
///
/// drop(held);
/// let permit = waits.await??;
/// assert!(matches!(progress.state(), CallState::Sent { attempt: 1, .. }));
/// drop(permit);
/// assert_eq!(progress.state(), CallState::Done);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Progress(Arc<Known>);

struct Known {
    id: u64,
    came: Instant,
    /// Whether no further attempt of it is to be made.
    is_over: AtomicBool,
    now: Mutex<Now>,
}

struct Now {
    stage: Stage,
    /// How many attempts had their answer.
    answered: u32,
    /// The tags of the one that left last.
    last: Option<Arc<Tags>>,
    /// For how long it has waited for room, until the present wait.
    waited: Duration,
    /// What was settled last.
    settled: Option<Settlement>,
    /// Whether its answer is to be a stream, where that is known.
    streams: Option<bool>,
    /// How many have taken it in and are not through with it; `None`: nobody has yet.
    in_hand: Option<u32>,
}

enum Stage {
    Received,
    Waiting {
        since: Instant,
        limiter: Weak<Shared>,
        waiter: Weak<Waiter>,
    },
    Sent {
        since: Instant,
        tags: Arc<Tags>,
        attempt: u32,
        flight: Weak<dyn Flight>,
    },
    BackingOff {
        until: Instant,
    },
}

/// A number that no other call of this process has.
pub(crate) fn next_id() -> u64 {
    static IDS: AtomicU64 = AtomicU64::new(1);
    IDS.fetch_add(1, Ordering::Relaxed)
}

/// An attempt, seen from here.
pub(crate) trait Flight: Send + Sync {
    /// Whether it has ended.
    fn has_ended(&self) -> bool;

    /// How many output tokens have streamed by now.
    fn output(&self) -> u64;
}

/// What a permit has that lives as long as its grant.
impl Flight for () {
    fn has_ended(&self) -> bool {
        false
    }

    fn output(&self) -> u64 {
        0
    }
}

impl Progress {
    /// Creates one for a call that arrives now.
    #[must_use]
    pub fn new() -> Self {
        Progress(Arc::new(Known {
            id: next_id(),
            came: Instant::now(),
            is_over: AtomicBool::new(false),
            now: Mutex::new(Now {
                stage: Stage::Received,
                answered: 0,
                last: None,
                waited: Duration::ZERO,
                settled: None,
                streams: None,
                in_hand: None,
            }),
        }))
    }

    /// Returns a number that no other call of this process has.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// Returns when the call arrived.
    #[must_use]
    pub fn came(&self) -> Instant {
        self.0.came
    }

    /// Returns where the call is now.
    ///
    /// This takes locks and, if the call waits, looks at the calls that wait ahead of it. It is meant for people to
    /// look at, not to base decisions on.
    #[must_use]
    pub fn state(&self) -> CallState {
        self.state_with(true)
    }

    /// The same for whoever looks at all that wait: those who go before it are not counted, and it says that there are
    /// none.
    #[cfg(any(test, feature = "gateway"))]
    pub(crate) fn state_without_ahead(&self) -> CallState {
        self.state_with(false)
    }

    /// `ahead`: whether those are counted who go before it.
    fn state_with(&self, ahead: bool) -> CallState {
        let now = self.now();
        let over = now.in_hand == Some(0);
        let idle = if over {
            CallState::Done
        } else {
            CallState::Received
        };
        // Nothing is asked of others while this is locked.
        match &now.stage {
            Stage::Sent {
                since,
                tags,
                attempt,
                flight,
            } => {
                let (since, tags, attempt) = (*since, tags.clone(), *attempt);
                let flight = flight.clone();
                drop(now);
                match flight.upgrade().filter(|flight| !flight.has_ended()) {
                    Some(flight) => CallState::Sent {
                        since,
                        tags,
                        attempt,
                        output: flight.output(),
                    },
                    None => idle,
                }
            }
            _ if over => idle,
            Stage::Received => idle,
            Stage::BackingOff { until } => CallState::BackingOff { until: *until },
            Stage::Waiting {
                since,
                limiter,
                waiter,
            } => {
                let (since, limiter, waiter) = (*since, limiter.clone(), waiter.clone());
                drop(now);
                let both = limiter.upgrade().zip(waiter.upgrade());
                let awaited =
                    both.and_then(|(limiter, waiter)| limiter.awaited(&waiter, since, ahead));
                awaited.map_or(idle, CallState::Waiting)
            }
        }
    }

    /// Returns how long the call has waited for room so far, in total.
    #[must_use]
    pub fn waited(&self) -> Duration {
        let now = self.now();
        match now.stage {
            Stage::Waiting { since, .. } => now.waited + since.elapsed(),
            _ => now.waited,
        }
    }

    /// Returns how many of its attempts have left and received a response or an error of the inner service. Always 0
    /// for a [`Call`](super::Call) made without the layers.
    #[must_use]
    pub fn answers(&self) -> u32 {
        self.now().answered
    }

    /// Returns the tags of the attempt that left last; who serves the call is among them.
    #[must_use]
    pub fn last_sent(&self) -> Option<Arc<Tags>> {
        self.now().last.clone()
    }

    /// Returns what the last attempt to end was settled with, including its cost if its model has a price.
    ///
    /// Only layers report this; for a call made without them, its permit is told instead.
    #[must_use]
    pub fn settled(&self) -> Option<Settlement> {
        self.now().settled
    }

    /// Returns whether the answer is to be a stream. `None` until the request has been read, and for a call made
    /// without the layers.
    #[must_use]
    pub fn streams(&self) -> Option<bool> {
        self.now().streams
    }

    /// What was read of it says so.
    pub(crate) fn reads(&self, streams: bool) {
        self.now().streams = Some(streams);
    }

    /// It waits in line now.
    pub(super) fn waits(&self, limiter: &Arc<Shared>, waiter: &Arc<Waiter>) {
        let (limiter, waiter) = (Arc::downgrade(limiter), Arc::downgrade(waiter));
        let since = Instant::now();
        self.now().stage = Stage::Waiting {
            since,
            limiter,
            waiter,
        };
    }

    /// It waits no more, for room or for a told instant.
    pub(crate) fn goes_on(&self) {
        let mut now = self.now();
        if let Stage::Waiting { since, .. } = now.stage {
            now.waited += since.elapsed();
        }
        now.stage = Stage::Received;
    }

    /// An attempt leaves. Each layer that it passes says so.
    pub(crate) fn sent(&self, tags: &Arc<Tags>, flight: Weak<dyn Flight>) {
        let mut now = self.now();
        now.last = Some(tags.clone());
        now.stage = Stage::Sent {
            since: Instant::now(),
            tags: tags.clone(),
            attempt: now.answered.saturating_add(1),
            flight,
        };
    }

    /// What was sent has its answer, or an error.
    pub(crate) fn was_answered(&self) {
        let mut now = self.now();
        now.answered = now.answered.saturating_add(1);
    }

    pub(crate) fn backs_off(&self, until: Instant) {
        self.now().stage = Stage::BackingOff { until };
    }

    /// An attempt has ended so.
    pub(crate) fn ended(&self, settlement: Settlement) {
        self.now().settled = Some(settlement);
    }

    /// No further attempt of it is made. The answer of one that is under way is handed on.
    #[cfg(feature = "gateway")]
    pub(crate) fn end(&self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }

    /// Whether somebody has [ended](Self::end) it.
    pub(crate) fn is_over(&self) -> bool {
        self.0.is_over.load(Ordering::Relaxed)
    }

    /// It is taken in, until what this gives is dropped.
    pub(crate) fn taken_in(&self) -> TakenIn {
        let mut now = self.now();
        now.in_hand = Some(now.in_hand.unwrap_or_default() + 1);
        drop(now);
        TakenIn(self.clone())
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.0.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The outermost that deals with a call. When it is dropped the answer was handed on, or the call was given up.
#[derive(Debug)]
pub(crate) struct TakenIn(Progress);

impl Deref for TakenIn {
    type Target = Progress;

    fn deref(&self) -> &Progress {
        &self.0
    }
}

impl Drop for TakenIn {
    fn drop(&mut self) {
        let mut now = self.0.now();
        if let Stage::Waiting { since, .. } = now.stage {
            now.waited += since.elapsed();
            now.stage = Stage::Received;
        }
        now.in_hand = now.in_hand.map(|others| others.saturating_sub(1));
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Progress").field(&self.0.id).finish()
    }
}
