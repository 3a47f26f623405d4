//! One attempt: the claims of all gates on it, and its end.

mod end;
mod limiters;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use smallvec::SmallVec;
use tokio::time::Instant;

use super::{Gate, gate::Held, repeat::Noted};
use crate::{
    event::Watched,
    limiter::{Delegation, Flight, LookAgain, Progress},
    tags::Tags,
};

/// How old a date may be for its claim still to be good: no period is shorter.
pub(super) const GOOD_FOR: Duration = Duration::from_millis(1);

/// One HTTP exchange. It ends once: later ends find nothing to end.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(super) number: u32,
    /// What its claims say that they are for: no other attempt of the process has it that is open.
    pub(super) id: u32,
    /// Whether somebody observes it.
    pub(super) watches: AtomicBool,
    state: Mutex<State>,
    /// Where it is shown what becomes of it.
    progress: OnceLock<Progress>,
}

/// What gates have claimed.
type Claims = SmallVec<[Held; 2]>;

/// Who is to look again, once the attempt's lock is let go: that may wake anybody.
type LooksAgain = SmallVec<[LookAgain; 2]>;

#[derive(Debug)]
struct State {
    claims: Claims,
    /// What budgets hold besides, since it has come to more than was claimed.
    more: Vec<Held>,
    /// The depth of the innermost layer that has come to see it: the one that answers for it.
    reached: u32,
    /// The depth of the layer that sent it; 0 while it was not sent.
    sender: u32,
    /// The tags with which it was sent last.
    sent_as: Option<Arc<Tags>>,
    leaves: Leaves,
    /// When its claims were dated, if they are.
    dated: Option<Instant>,
    ended: bool,
    /// What its answer said, where it was no.
    noted: Option<Noted>,
    /// Whether a foreign layer has made another call of it.
    forked: bool,
    /// The output tokens that have streamed by now.
    output: u64,
    /// What observers are told when it ends, once it has left.
    watched: Option<Box<Watched>>,
}

/// When one that was handed on leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaves {
    /// It has when it was handed on.
    AtOnce,
    /// It does when something is taken of its body, by whoever has that.
    WithItsBody,
    /// Its body is gone, and nothing was taken of it.
    Never,
}

impl State {
    /// Whether it has left, or may still.
    fn may_leave(&self) -> bool {
        self.sender != 0 && (self.dated.is_some() || self.leaves == Leaves::WithItsBody)
    }

    /// It leaves now.
    fn date(&mut self, now: Instant) -> LooksAgain {
        self.dated = Some(now);
        let claims = self.claims.iter_mut();
        claims.filter_map(|held| held.permit.date()).collect()
    }
}

impl Attempt {
    /// An attempt that begins with the layer at `depth`.
    pub(super) fn new(number: u32, depth: u32) -> Arc<Self> {
        let state = State {
            claims: SmallVec::new(),
            more: Vec::new(),
            reached: depth,
            sender: 0,
            sent_as: None,
            leaves: Leaves::AtOnce,
            dated: None,
            ended: false,
            noted: None,
            forked: false,
            output: 0,
            watched: None,
        };
        Arc::new(Attempt {
            number,
            id: next_id(),
            watches: AtomicBool::new(false),
            state: Mutex::new(state),
            progress: OnceLock::new(),
        })
    }

    /// Whether some gate has claimed for what `gate` looks at. Then it also records where that one does.
    pub(super) fn holds(&self, gate: &Gate) -> bool {
        let mut state = self.lock();
        let mut claims = state.claims.iter_mut();
        let held = claims.find(|held| held.gate.same_count(gate));
        let Some(held) = held else {
            return false;
        };
        held.places.add(&gate.places);
        true
    }

    pub(super) fn holds_nothing(&self) -> bool {
        self.lock().claims.is_empty()
    }

    pub(super) fn add(&self, held: Held) {
        self.lock().claims.push(held);
    }

    /// What is handed down anyway, and the slots that it holds.
    pub(super) fn hand_down(&self, outer: Delegation) -> Delegation {
        let state = self.lock();
        let permits = state.claims.iter().map(|held| &held.permit);
        permits.fold(outer, |outer, permit| permit.hand_down(outer))
    }

    /// The layer at `depth` hands the attempt on. It leaves now, or, where the body will say when
    /// ([`left`](Self::left)), at some moment until its answer.
    pub(super) fn send(&self, depth: u32, tags: &Arc<Tags>, body_tells: bool, now: Instant) {
        let look_again = {
            let mut state = self.lock();
            state.sender = depth;
            state.sent_as = Some(tags.clone());
            if body_tells {
                state.dated = None;
                state.leaves = Leaves::WithItsBody;
                let claims = state.claims.iter_mut();
                claims.for_each(|held| held.permit.leaving());
                return;
            }
            state.leaves = Leaves::AtOnce;
            state.date(now)
        };
        look_again.into_iter().for_each(LookAgain::now);
    }

    /// It leaves with these tags, and is shown from now on.
    pub(super) fn shows(self: &Arc<Self>, progress: &Progress, tags: &Arc<Tags>) {
        let flight: Weak<Attempt> = Arc::downgrade(self);
        progress.sent(tags, flight);
        self.progress.get_or_init(|| progress.clone());
    }

    /// Observers are told when it ends.
    pub(super) fn watch(&self, watched: Box<Watched>) {
        self.watches.store(true, Ordering::Relaxed);
        let before = self.lock().watched.replace(watched);
        drop(before);
    }

    /// What observers are told of it, where it is observed.
    pub(super) fn watched<T>(&self, look: impl FnOnce(&mut Watched) -> T) -> Option<T> {
        self.lock().watched.as_deref_mut().map(look)
    }

    /// It has left, just now at the latest. Later calls change nothing.
    pub(crate) fn left(&self) {
        let look_again = {
            let mut state = self.lock();
            if state.sender == 0 || state.dated.is_some() {
                return;
            }
            state.date(Instant::now())
        };
        look_again.into_iter().for_each(LookAgain::now);
    }

    /// Its body is gone, and nothing was taken of it.
    pub(super) fn body_is_gone(&self) {
        let mut state = self.lock();
        if state.leaves == Leaves::WithItsBody {
            state.leaves = Leaves::Never;
        }
    }

    /// Whether it has left, or may still. One whose body tells has not while nothing was taken of it, and does not any more
    /// when that is gone.
    pub(super) fn may_leave(&self) -> bool {
        self.lock().may_leave()
    }

    pub(super) fn fork(&self) {
        self.lock().forked = true;
    }

    pub(super) fn is_forked(&self) -> bool {
        self.lock().forked
    }

    pub(super) fn note(&self, noted: Noted) {
        self.lock().noted = Some(noted);
    }

    /// What its answer said, where it was no. Of one that was forked nobody knows whose answer that is.
    pub(super) fn noted(&self) -> Option<Noted> {
        let state = self.lock();
        state.noted.clone().filter(|_| !state.forked)
    }

    /// Whether it was neither sent nor refused yet.
    pub(super) fn is_fresh(&self) -> bool {
        let state = self.lock();
        !state.ended && state.sender == 0
    }

    /// Whether a layer further in than the one at `depth` has come to see it: it may wait there still.
    pub(super) fn has_passed(&self, depth: u32) -> bool {
        self.lock().reached > depth
    }

    /// The depth of the layer that sent it, and the tags that it has there. `None` where it was not sent.
    pub(super) fn sent(&self) -> Option<(u32, Arc<Tags>)> {
        let state = self.lock();
        let tags = state.sent_as.clone().filter(|_| state.sender != 0)?;
        Some((state.sender, tags))
    }

    /// The depth of the layer that sent it; 0 where it was not sent.
    pub(super) fn sender(&self) -> u32 {
        self.lock().sender
    }

    /// The layer next to the one at `depth` takes it over: it was not sent after all by whoever presumed so.
    /// False where somebody else has it already, or had.
    pub(super) fn take_over(&self, depth: u32) -> bool {
        let mut state = self.lock();
        if state.ended || state.reached > depth {
            return false;
        }
        state.reached = depth + 1;
        state.sender = 0;
        let presumed = state.watched.take();
        state
            .claims
            .iter_mut()
            .for_each(|held| held.permit.unsent());
        let dated = state.dated.take();
        let stale = if dated.is_some_and(|dated| dated.elapsed() >= GOOD_FOR) {
            // It was held up on the way, and the room may be somebody else's by now: claimed for again.
            std::mem::take(&mut state.claims)
        } else {
            SmallVec::new()
        };
        drop(state);
        drop((stale, presumed));
        true
    }

    /// The layer at `depth` comes to see it. Nobody has presumed to send it since the layers directly around it did.
    pub(super) fn reach(&self, depth: u32) {
        let mut state = self.lock();
        state.reached = state.reached.max(depth);
    }

    /// So many output tokens have come by now.
    pub(super) fn streamed(&self, output: u64) {
        let look_again: LooksAgain = {
            let mut state = self.lock();
            state.output = output;
            let claims = state.claims.iter_mut();
            claims
                .filter_map(|held| held.permit.note_streamed(output))
                .collect()
        };
        look_again.into_iter().for_each(LookAgain::now);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flight for Attempt {
    fn has_ended(&self) -> bool {
        self.lock().ended
    }

    fn output(&self) -> u64 {
        self.lock().output
    }
}

/// What claims say that they are for: no other attempt of the process has it that is open.
pub(crate) fn next_id() -> u32 {
    // After four thousand millions it begins again: those are over by then. What has 0 goes by itself.
    static IDS: AtomicU32 = AtomicU32::new(1);
    IDS.fetch_add(1, Ordering::Relaxed)
}

/// The money that is held besides for a gate's claim.
fn held_besides(more: &[Held], gate: &Gate) -> u64 {
    let more = more.iter().filter(|other| other.gate.same_count(gate));
    more.map(|held| held.permit.money()).sum()
}
