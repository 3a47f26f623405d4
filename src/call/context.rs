//! The context of one call, and a layer's view of it.

use std::{
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::request::Parts;
use smallvec::SmallVec;
use tokio::time::Instant;

use super::{
    CallOptions, Gate, ReadBody, Unfinished,
    attempt::Attempt,
    attempts::SharedLog,
    fork::Left,
    gate,
    handle::{Handle, Passed},
    mark::mark,
    output_cap::OutputCap,
    priced::{Allowed, Bound},
    toward::AtTarget,
    unfitted::Unfitted,
};
use crate::{
    event::ObservedCall,
    limit::Demand,
    limiter::{Delegation, Limiter, Progress, Turn},
    statistics::Statistics,
    tags::{Tag, Tags},
    wire::Dialect,
};

/// What is known of one call.
#[derive(Debug)]
pub(crate) struct CallContext {
    state: Mutex<State>,
    /// Set when the next attempt has begun.
    pub(super) left_for: OnceLock<Box<Left>>,
}

/// What is known of what it asks for, and of where it goes: each layer has it as the layers outside of it left it.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) dialect: Dialect,
    pub(super) demand: Demand,
    /// What it can come to at most.
    pub(super) bound: Bound,
    /// Whether its stream was asked for its usage, and not by the caller.
    pub(super) hides_usage: bool,
    /// Whether it is to leave as it came.
    pub(super) as_is: bool,
    /// The output tokens that it is to be capped at where it names no cap.
    pub(super) cap_output: Option<OutputCap>,
    /// As it was before any of that was put into it.
    pub(super) unfitted: Option<Arc<Unfitted>>,
    /// Whether its answer is asked for as a stream.
    pub(super) streams: bool,
    /// The model that its body asks for, where it stands there.
    pub(super) asked_model: Option<Arc<str>>,
    pub(super) tags: Arc<Tags>,
    /// For those who observe the call.
    pub(super) observed: Option<Arc<ObservedCall>>,
    pub(super) turn: Turn,
    /// Where it goes, if a layer has sent it there that may send it elsewhere.
    pub(super) at_target: Option<AtTarget>,
    /// Where it is shown what becomes of it.
    pub(super) progress: Option<Progress>,
    /// What the call inherits from those around it; and, of tags, what those inside inherit from it.
    pub(super) delegation: Delegation,
}

/// Most calls pass two.
type Gates = SmallVec<[gate::Passed; 2]>;

#[derive(Debug)]
pub(super) struct State {
    pub(super) gates: Gates,
    /// The limiters that have counted this call in earlier attempts, and with which tags.
    pub(super) counted: Vec<(Limiter, Arc<Tags>)>,
    /// Where it began in the queues that it waited in.
    pub(super) starts: Vec<(Limiter, u64)>,
    pub(super) attempt: Arc<Attempt>,
    /// What became of its attempts, where a layer may repeat them.
    pub(super) log: Option<SharedLog>,
    /// How many attempts it may have in all, by all layers.
    pub(super) most: u32,
    /// The depth of the layer that repeats attempts at one target; 0 while there is none.
    pub(super) repeater: u32,
    /// The longest told wait that a layer waits out which may make further attempts, where there is one.
    pub(super) longest_wait: Option<Duration>,
    /// The depth of the outermost layer that may make further attempts: it shows what became of them. 0: there is none.
    pub(super) shows: u32,
}

/// The tags with which the last of our layers has passed a request on: who calls and where it goes.
#[cfg(feature = "simulate")]
pub(crate) fn tags_passed_on(extensions: &http::Extensions) -> Option<Arc<Tags>> {
    let handle = extensions.get::<Handle>()?;
    Some(handle.passed.facts.tags.clone())
}

/// One layer's view of the call.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// As the request came with it; [`Entry::context`] is the one that it goes by.
    pub(super) came_with: Arc<CallContext>,
    depth: u32,
    facts: Arc<Facts>,
    /// The request's body, where it was read.
    body: Option<Bytes>,
}

impl Facts {
    pub(super) fn turn(options: CallOptions) -> Turn {
        Turn::new(options.priority, options.max_wait)
    }
}

impl Entry {
    /// The first of our layers.
    pub(super) fn first(facts: Facts) -> Self {
        let state = State {
            gates: Gates::new(),
            counted: Vec::new(),
            starts: Vec::new(),
            attempt: Attempt::new(1, 1),
            log: None,
            most: u32::MAX,
            repeater: 0,
            longest_wait: None,
            shows: 0,
        };
        Entry {
            came_with: Arc::new(CallContext::new(state)),
            depth: 1,
            facts: Arc::new(facts),
            body: None,
        }
    }

    /// A layer further in.
    pub(super) fn further(handle: Handle) -> Self {
        let Handle { context, passed } = handle;
        let Passed {
            depth,
            attempt: number,
            facts,
        } = passed;
        let current = context.lock().attempt.clone();
        let first = current.number == number && current.take_over(depth);
        let context = if first {
            context
        } else {
            Arc::new(CallContext::new(context.fork(depth)))
        };
        Entry {
            came_with: context,
            depth: depth + 1,
            facts,
            body: None,
        }
    }

    /// Has a request say to the next of our layers whose it is.
    pub(super) fn put_handle(&self, parts: &mut Parts) {
        let context = self.context();
        let passed = Passed {
            depth: self.depth,
            attempt: context.lock().attempt.number,
            facts: self.facts.clone(),
        };
        let handle = Handle {
            context: context.clone(),
            passed,
        };
        mark(parts, &handle);
        match parts.extensions.get_mut::<Handle>() {
            // Where that of the layer outside was.
            Some(place) => *place = handle,
            None => drop(parts.extensions.insert(handle)),
        }
    }

    /// Has this gate claim at every attempt that passes it, and at those started further in.
    pub(crate) fn register(&self, gate: Arc<Gate>) {
        let depth = self.depth;
        self.context()
            .lock()
            .gates
            .push(gate::Passed { gate, depth });
    }

    /// Takes down who has counted the present attempt.
    pub(crate) fn note_counted(&self) {
        let mut state = self.context().lock();
        let counted = state.counted_attempt();
        state.counted.extend(counted);
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.facts.dialect
    }

    pub(crate) fn demand(&self) -> Demand {
        self.facts.demand
    }

    pub(crate) fn allowed(&self) -> Allowed {
        let bound = &self.facts.bound;
        Allowed {
            each: bound.output,
            choices: bound.choices,
            goes_on: bound.goes_on,
        }
    }

    /// The model that the body asks for, where it stands there.
    pub(crate) fn asked_model(&self) -> Option<&str> {
        self.facts.asked_model.as_deref()
    }

    pub(crate) fn hides_usage(&self) -> bool {
        self.facts.hides_usage
    }

    /// Where it is shown what becomes of it.
    pub(crate) fn progress(&self) -> Option<&Progress> {
        self.facts.progress.as_ref()
    }

    pub(crate) fn turn(&self) -> Turn {
        self.facts.turn
    }

    /// When the call came, in the eyes of the first of our layers, which has it since then; `None` in those of others.
    pub(crate) fn came(&self) -> Option<Instant> {
        (self.depth == 1).then_some(self.facts.turn.arrived)
    }

    pub(crate) fn tag(&self, tag: &Tag) -> Option<Arc<str>> {
        self.facts.tags.shared(tag).cloned()
    }

    pub(crate) fn tags(&self) -> &Tags {
        &self.facts.tags
    }

    pub(crate) fn attempt(&self) -> Arc<Attempt> {
        self.context().lock().attempt.clone()
    }

    /// Looks at the present attempt, which is to take no other lock than its own.
    pub(super) fn look_at_attempt<T>(&self, look: impl FnOnce(&Attempt) -> T) -> T {
        look(&self.context().lock().attempt)
    }

    /// Where the gates from here outwards record.
    pub(super) fn recorders(&self) -> Vec<Statistics> {
        let state = self.context().lock();
        let gates = state
            .gates
            .iter()
            .filter(|passed| passed.depth <= self.depth);
        let recorders = gates.flat_map(|passed| passed.gate.places.iter());
        recorders.cloned().collect()
    }

    pub(super) fn unfinished(&self) -> Unfinished {
        Unfinished::new(self.attempt(), self.depth)
    }

    /// Whether this layer sent the attempt.
    pub(super) fn is_sender(&self, attempt: &Attempt) -> bool {
        attempt.sender() == self.depth
    }

    pub(super) fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The same view, with other facts and another body.
    pub(super) fn seeing(&self, facts: Facts, body: &Bytes) -> Self {
        Entry {
            came_with: self.context().clone(),
            depth: self.depth,
            facts: Arc::new(facts),
            body: Some(body.clone()),
        }
    }

    /// The same view, of a layer at this depth.
    pub(super) fn at(&self, depth: u32) -> Self {
        Entry {
            came_with: self.context().clone(),
            depth,
            facts: self.facts.clone(),
            body: self.body.clone(),
        }
    }

    /// This view, of a request with this body.
    pub(super) fn of<B>(mut self, body: &ReadBody<B>) -> Self {
        if let ReadBody::Whole(bytes) = body {
            self.body = Some(bytes.clone());
        }
        self
    }

    pub(super) fn body(&self) -> Option<Bytes> {
        self.body.clone()
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.context().lock()
    }

    pub(super) fn depth(&self) -> u32 {
        self.depth
    }

    /// What is handed down to calls made inside the service that this layer passes the attempt to.
    ///
    /// The slots of the attempt must not reach the claims of its own call, made by layers further in: those go
    /// by what the call inherited when it came in. `None` where that is what is handed down here anyway.
    pub(super) fn hand_down(&self, attempt: &Attempt) -> Option<Delegation> {
        let current = Delegation::current();
        // Others may have opened scopes between the layers.
        let inherited = match self.depth > 1 && !current.is_empty() {
            true => current.clone(),
            false => self.facts.delegation.clone(),
        };
        let inside = attempt.hand_down(inherited);
        (!inside.is(&current)).then_some(inside)
    }
}

impl State {
    /// The layer at this depth may make further attempts: from `now` on it is noted what becomes of them.
    pub(super) fn log_at(&mut self, depth: u32, now: impl FnOnce() -> Instant) {
        self.log.get_or_insert_with(|| SharedLog::new(now()));
        if self.shows == 0 {
            self.shows = depth;
        }
    }

    /// The limiters that have counted the present attempt, ended or not: of all gates that it passed when
    /// it was sent.
    pub(super) fn counted_attempt(&self) -> Vec<(Limiter, Arc<Tags>)> {
        let Some((sender, tags)) = self.attempt.sent() else {
            return Vec::new();
        };
        let passed = self.gates.iter().filter(|passed| passed.depth <= sender);
        passed
            .map(|passed| (passed.gate.limiter.clone(), tags.clone()))
            .collect()
    }
}

impl CallContext {
    pub(super) fn new(state: State) -> Self {
        CallContext {
            state: Mutex::new(state),
            left_for: OnceLock::new(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
