//! One attempt: the claims of all gates on it, and its end.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use smallvec::SmallVec;
use tokio::time::Instant;

use super::{Ended, Gate, gate::Held, record::Told, repeat::Noted, watch::charge};
use crate::{
    event::Watched,
    limit::Tick,
    limiter::{Delegation, Flight, Limiter, Permit, Progress},
    store::{Observation, Settlement},
    tags::Tags,
};

/// How old a date may be for its claim still to be good: no period is shorter.
const GOOD_FOR: Duration = Duration::from_millis(1);

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

    /// The claims, what budgets hold besides, and who is told.
    fn close(&mut self) -> (Claims, Vec<Held>, Option<Box<Watched>>) {
        self.ended = true;
        let State {
            claims,
            more,
            watched,
            ..
        } = self;
        (std::mem::take(claims), std::mem::take(more), watched.take())
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
        // After four thousand millions it begins again: those are over by then. What has 0 goes by itself.
        static IDS: AtomicU32 = AtomicU32::new(1);
        Arc::new(Attempt {
            number,
            id: IDS.fetch_add(1, Ordering::Relaxed),
            watches: AtomicBool::new(false),
            state: Mutex::new(state),
            progress: OnceLock::new(),
        })
    }

    /// Whether some gate has claimed for what `gate` looks at. Then it also records for that one, where it does not
    /// record itself.
    pub(super) fn holds(&self, gate: &Gate) -> bool {
        let mut state = self.lock();
        let mut claims = state.claims.iter_mut();
        let held = claims.find(|held| held.gate.same_count(gate));
        let is_held = held.is_some();
        if let (Some(held), Some(recorder)) = (held, &gate.recorder) {
            held.recorder.get_or_insert_with(|| recorder.clone());
        }
        is_held
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
        let mut state = self.lock();
        state.sender = depth;
        state.sent_as = Some(tags.clone());
        state.dated = (!body_tells).then_some(now);
        state.leaves = match body_tells {
            true => Leaves::WithItsBody,
            false => Leaves::AtOnce,
        };
        for Held { permit, .. } in &mut state.claims {
            if body_tells {
                permit.leaving();
            } else {
                permit.sent();
            }
        }
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
        let mut state = self.lock();
        if state.sender != 0 && state.dated.is_none() {
            state.dated = Some(Instant::now());
            state.claims.iter_mut().for_each(|held| held.permit.sent());
        }
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

    /// Gives back every claim: it was not sent. It may be claimed for again.
    pub(crate) fn release(&self) {
        let claims = {
            let mut state = self.lock();
            state.sender = 0;
            if state.claims.is_empty() {
                // As it is before anything was claimed: nothing large is moved.
                return;
            }
            std::mem::take(&mut state.claims)
        };
        claims.into_iter().for_each(|held| held.permit.release());
    }

    /// The same, where it was not sent by now.
    pub(super) fn release_unsent(&self) {
        let claims = {
            let mut state = self.lock();
            if state.sender != 0 || state.claims.is_empty() {
                return;
            }
            std::mem::take(&mut state.claims)
        };
        claims.into_iter().for_each(|held| held.permit.release());
    }

    /// So many output tokens have come by now.
    pub(super) fn streamed(&self, output: u64) {
        let mut state = self.lock();
        state.output = output;
        let claims = state.claims.iter_mut();
        claims.for_each(|held| held.permit.streamed(output));
    }

    /// Tells every limiter that has claimed for it, once, what its answer tells.
    pub(super) fn observe(&self, seen: &Observation) {
        self.each_limiter(|_, permit| permit.observe(seen));
    }

    /// Closes the target for every limiter that has claimed for it, until then. Returns until when, in the time
    /// of each.
    pub(super) fn close_target(&self, until: Instant) -> Vec<(Limiter, Tick)> {
        let wait = until.saturating_duration_since(Instant::now());
        let mut closed = Vec::new();
        self.each_limiter(|limiter, permit| {
            let until = permit.now().after(wait);
            permit.observe(&Observation::Closed { until });
            closed.push((limiter.clone(), until));
        });
        closed
    }

    /// Takes that back.
    pub(super) fn reopen_target(&self, closed: &[(Limiter, Tick)]) {
        self.each_limiter(|limiter, permit| {
            let mine = closed.iter().filter(|(other, _)| other.is(limiter));
            mine.for_each(|(_, until)| permit.observe(&Observation::Reopened { until: *until }));
        });
    }

    fn each_limiter(&self, mut tell: impl FnMut(&Limiter, &Permit)) {
        let state = self.lock();
        for (number, Held { gate, permit, .. }) in state.claims.iter().enumerate() {
            let told = state.claims[..number]
                .iter()
                .any(|other| other.gate.limiter.is(&gate.limiter));
            if !told {
                tell(&gate.limiter, permit);
            }
        }
    }

    /// What each budget holds of money for it: the gate, and its permits.
    pub(super) fn each_budget(&self, mut show: impl FnMut(&Arc<Gate>, &Permit, u64)) {
        let state = self.lock();
        for Held { gate, permit, .. } in &state.claims {
            if gate.acts_as_budget(permit.tags()) {
                let more = held_besides(&state.more, gate);
                show(gate, permit, permit.money().saturating_add(more));
            }
        }
    }

    /// A budget holds more for it. False where it has ended meanwhile: then nothing is to be held any more.
    pub(super) fn add_more(&self, held: Held) -> bool {
        let mut state = self.lock();
        if state.ended {
            drop(state);
            held.permit.release();
            return false;
        }
        state.more.push(held);
        true
    }

    /// Ends it: every claim is settled with the same words.
    pub(crate) fn end(&self, ended: Ended) {
        let (mut claims, more, watched) = self.lock().close();
        let mut charged = match ended.settlement {
            Settlement::Usage(usage) if watched.is_some() => Some(usage),
            _ => None,
        };
        let mut settled = SmallVec::<[_; 2]>::new();
        let mut shown = self.progress.get().map(|progress| (progress, None));
        for held in claims.drain(..) {
            let Held {
                gate,
                recorder,
                reserved,
                permit,
            } = held;
            let besides = held_besides(&more, &gate);
            let money = reserved.cost.saturating_add(besides);
            let settlement = ended.said(gate.settlement(permit.tags(), &ended, money));
            gate.learn(permit.tags(), &ended);
            if watched.is_some() {
                charge(&mut charged, &gate, &settlement, &reserved);
            }
            if let Some((_, shown)) = &mut shown {
                // That of a budget has what it cost.
                *shown = shown.filter(has_cost).or(Some(settlement));
            }
            if let Some(recorder) = recorder {
                settled.push((gate, recorder, permit.tags().clone(), reserved, settlement));
            }
            permit.end_with(settlement);
        }
        if let Some((progress, Some(settlement))) = shown {
            progress.ended(settlement);
        }
        // Only now: in between there is rather too much held than too little. What it cost is in the claim.
        more.into_iter().for_each(|held| held.permit.release());
        // Nobody waits for what was held until it is written down.
        let mut told = Told::default();
        for (gate, recorder, tags, reserved, settlement) in &settled {
            let what = (&**tags, reserved);
            told.ended(
                (gate, Some(recorder)),
                what,
                settlement,
                ended.is_final,
                ended.pays_beside,
            );
        }
        if let Some(watched) = watched {
            watched.ended(charged.as_ref(), ended.is_final);
        }
    }

    /// The layer at `depth` ends it without a word, if nobody further in has it: what was sent counts as
    /// reserved, what was not is given back.
    pub(super) fn abandon(&self, depth: u32) {
        let ((claims, more, watched), sent) = {
            let mut state = self.lock();
            if state.reached > depth {
                return;
            }
            let sent = state.may_leave();
            if !sent {
                // Nobody has counted it.
                state.sender = 0;
            }
            (state.close(), sent)
        };
        if !sent {
            claims.into_iter().for_each(|held| held.permit.release());
            if let Some(watched) = watched {
                watched.ended(None, false);
            }
            return;
        }
        let (mut told, mut charged) = (Told::default(), None);
        for held in &claims {
            let (by, what) = (
                (&*held.gate, held.recorder.as_ref()),
                (&**held.permit.tags(), &held.reserved),
            );
            told.ended(by, what, &Settlement::Unknown, false, false);
            if watched.is_some() {
                charge(
                    &mut charged,
                    &held.gate,
                    &Settlement::Unknown,
                    &held.reserved,
                );
            }
        }
        drop((claims, more));
        if let Some(watched) = watched {
            watched.ended(charged.as_ref(), false);
        }
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

fn has_cost(settlement: &Settlement) -> bool {
    matches!(settlement, Settlement::Usage(usage) if usage.cost.is_some())
}

/// The money that is held besides for a gate's claim.
fn held_besides(more: &[Held], gate: &Gate) -> u64 {
    let more = more.iter().filter(|other| other.gate.same_count(gate));
    more.map(|held| held.permit.money()).sum()
}
