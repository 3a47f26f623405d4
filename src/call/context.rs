//! The context of one call, and a layer's view of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    CallOptions, Gate, ReadBody, Unfinished, attempt::Attempt, attempts::SharedLog, priced::Bound,
};
use crate::{
    error::Rejection,
    limit::Demand,
    limiter::{Delegation, Limiter, Refused, Turn},
    statistics::Statistics,
    store::Claim,
    tags::{Tag, Tags},
    wire::Dialect,
};

/// What is known of one call.
#[derive(Debug)]
pub(crate) struct CallContext {
    state: Mutex<State>,
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
    pub(super) cap_output: Option<u64>,
    /// Whether its answer is asked for as a stream.
    pub(super) streams: bool,
    pub(super) tags: Arc<Tags>,
    pub(super) turn: Turn,
    /// What the call inherits from those around it; and, of tags, what those inside inherit from it.
    pub(super) delegation: Delegation,
}

#[derive(Debug)]
pub(super) struct State {
    gates: Vec<Gate>,
    /// The limiters that have counted this call in an earlier attempt.
    counted: Vec<Limiter>,
    /// Where it began in the queues that it waited in.
    starts: Vec<(Limiter, u64)>,
    attempt: Arc<Attempt>,
    /// What became of its attempts, where a layer may repeat them.
    pub(super) log: Option<SharedLog>,
    /// How many attempts it may have in all, by all layers.
    pub(super) most: u32,
    /// The depth of the layer that repeats attempts at one target; 0 while there is none.
    pub(super) repeater: u32,
    /// The depth of the outermost layer that may make further attempts: it shows what became of them. 0: there is none.
    pub(super) shows: u32,
}

/// What travels in the request's extensions.
#[derive(Clone, Debug)]
pub(super) struct Handle {
    context: Arc<CallContext>,
    /// The depth of the layer that passed the request on.
    depth: u32,
    /// Which attempt it is.
    attempt: u32,
    facts: Arc<Facts>,
}

impl Handle {
    pub(super) fn dialect(&self) -> Dialect {
        self.facts.dialect
    }
}

/// One layer's view of the call.
#[derive(Debug)]
pub(crate) struct Entry {
    context: Arc<CallContext>,
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
            gates: Vec::new(),
            counted: Vec::new(),
            starts: Vec::new(),
            attempt: Attempt::new(1, 1),
            log: None,
            most: u32::MAX,
            repeater: 0,
            shows: 0,
        };
        Entry {
            context: Arc::new(CallContext {
                state: Mutex::new(state),
            }),
            depth: 1,
            facts: Arc::new(facts),
            body: None,
        }
    }

    /// A layer further in.
    pub(super) fn further(handle: Handle) -> Self {
        let Handle {
            context,
            depth,
            attempt: number,
            facts,
        } = handle;
        let current = context.lock().attempt.clone();
        let first = current.number == number && current.take_over(depth);
        let context = if first {
            context
        } else {
            Arc::new(context.fork(depth))
        };
        Entry {
            context,
            depth: depth + 1,
            facts,
            body: None,
        }
    }

    /// What the request says to the next of our layers.
    pub(super) fn handle(&self) -> Handle {
        let attempt = self.attempt().number;
        Handle {
            context: self.context.clone(),
            depth: self.depth,
            attempt,
            facts: self.facts.clone(),
        }
    }

    /// Has this gate claim at every attempt that passes it, and at those started further in.
    pub(crate) fn register(&self, gate: Gate) {
        self.context.lock().gates.push(Gate {
            depth: self.depth,
            ..gate
        });
    }

    /// Starts the next attempt. Gates further in will register again when it passes them.
    pub(crate) fn next_attempt(&self) {
        let mut state = self.context.lock();
        state.gates.retain(|gate| gate.depth < self.depth);
        state.attempt = Attempt::new(state.attempt.number + 1, self.depth);
    }

    /// Takes down who has counted the present attempt.
    pub(crate) fn note_counted(&self) {
        let mut state = self.context.lock();
        let counted = state.counted_attempt();
        state.counted.extend(counted);
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.facts.dialect
    }

    pub(crate) fn demand(&self) -> Demand {
        self.facts.demand
    }

    /// The output that is allowed for each of its choices, by the cap in the request; and how many choices there are.
    pub(crate) fn allowed(&self) -> (Option<u64>, u64) {
        let bound = &self.facts.bound;
        (bound.output, bound.choices)
    }

    pub(crate) fn hides_usage(&self) -> bool {
        self.facts.hides_usage
    }

    pub(crate) fn turn(&self) -> Turn {
        self.facts.turn
    }

    pub(crate) fn tag(&self, tag: &Tag) -> Option<Arc<str>> {
        self.facts.tags.shared(tag).cloned()
    }

    pub(crate) fn tags(&self) -> &Tags {
        &self.facts.tags
    }

    pub(crate) fn attempt(&self) -> Arc<Attempt> {
        self.context.lock().attempt.clone()
    }

    /// Where the gates from here outwards record.
    pub(super) fn recorders(&self) -> Vec<Statistics> {
        let state = self.context.lock();
        let gates = state.gates.iter().filter(|gate| gate.depth <= self.depth);
        let recorders = gates.filter_map(|gate| gate.recorder.as_ref());
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
            context: self.context.clone(),
            depth: self.depth,
            facts: Arc::new(facts),
            body: Some(body.clone()),
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
        self.context.lock()
    }

    pub(super) fn depth(&self) -> u32 {
        self.depth
    }

    /// What is handed down to calls made inside the service that this layer passes the attempt to.
    ///
    /// The slots of the attempt must not reach the claims of its own call, made by layers further in: those go
    /// by what the call inherited when it came in.
    pub(super) fn hand_down(&self, attempt: &Attempt) -> Delegation {
        let further_in = if self.depth > 1 {
            // Others may have opened scopes in between.
            Delegation::inherited()
        } else {
            None
        };
        let inherited = further_in.unwrap_or_else(|| self.facts.delegation.clone());
        attempt.hand_down(inherited)
    }

    /// Claims for every gate from here outwards that holds nothing yet, waiting where it has to.
    pub(super) async fn claim(&self) -> Result<(), Rejection> {
        let (attempt, from) = (self.attempt(), Instant::now());
        while let Some((gate, claim, refused)) = self.claim_missing(&attempt).await? {
            if !gate.wait {
                return Err(gate.limiter.turn_away(&claim, refused).await);
            }
            attempt.release();
            let turn = gate.turn(self.context.turn(self.facts.turn, &gate), from);
            let permit = gate.limiter.wait(&claim, turn, refused).await?;
            self.context.note_start(&gate, permit.start());
            attempt.add(gate.having_reserved(&claim.demand), permit);
        }
        Ok(())
    }

    /// As [`claim`](Self::claim), without waiting: false and nothing held where something has no room.
    pub(super) async fn try_claim(&self) -> Result<bool, Rejection> {
        let attempt = self.attempt();
        let all = self.claim_missing(&attempt).await?.is_none();
        if !all {
            attempt.release();
        }
        Ok(all)
    }

    async fn claim_missing(
        &self,
        attempt: &Attempt,
    ) -> Result<Option<(Gate, Claim, crate::store::NotNow)>, Rejection> {
        let gates = self.context.lock().gates.clone();
        for gate in gates {
            if gate.depth > self.depth || attempt.holds(&gate) {
                continue;
            }
            let mut claim = self.context.claim(&self.facts, &gate)?;
            claim.attempt = attempt.id;
            match gate
                .limiter
                .try_claim(&claim, self.context.turn(self.facts.turn, &gate))
                .await
            {
                Ok(permit) => attempt.add(gate.having_reserved(&claim.demand), permit),
                Err(Refused::NotNow(refused)) => return Ok(Some((gate, claim, refused))),
                Err(Refused::Rejected(rejection)) => return Err(rejection),
            }
        }
        Ok(None)
    }
}

impl State {
    /// The layer at this depth may make further attempts.
    pub(super) fn log_at(&mut self, depth: u32) {
        self.log.get_or_insert_default();
        if self.shows == 0 {
            self.shows = depth;
        }
    }

    /// The limiters that have counted the present attempt, ended or not: of all gates that it passed when
    /// it was sent.
    fn counted_attempt(&self) -> Vec<Limiter> {
        let sender = self.attempt.sender();
        let passed = self.gates.iter().filter(|gate| gate.depth <= sender);
        passed.map(|gate| gate.limiter.clone()).collect()
    }
}

impl CallContext {
    /// The call's turn under a gate: where it waited before, it goes on from where it began.
    fn turn(&self, turn: Turn, gate: &Gate) -> Turn {
        let state = self.lock();
        let start = state
            .starts
            .iter()
            .find(|(limiter, _)| limiter.is(&gate.limiter));
        Turn {
            start: start.map(|(_, start)| *start),
            ..turn
        }
    }

    fn note_start(&self, gate: &Gate, start: Option<u64>) {
        let mut state = self.lock();
        let known = state
            .starts
            .iter()
            .any(|(limiter, _)| limiter.is(&gate.limiter));
        if let (false, Some(start)) = (known, start) {
            state.starts.push((gate.limiter.clone(), start));
        }
    }

    fn claim(&self, facts: &Facts, gate: &Gate) -> Result<Claim, Rejection> {
        let Facts {
            tags, delegation, ..
        } = facts;
        let demand = match &gate.pricing {
            Some(pricing) => match pricing.demand(facts) {
                // Where budgets only watch, nobody is refused.
                Err(rejection) if gate.limiter.limits().have_budgets(tags) => {
                    return Err(rejection);
                }
                demand => demand.unwrap_or(facts.demand),
            },
            None => facts.demand,
        };
        let demand = match demand.input_declared {
            true => demand,
            false => Demand {
                input: gate.limiter.calibrated(tags, demand.input),
                ..demand
            },
        };
        let repeat = self
            .lock()
            .counted
            .iter()
            .any(|limiter| limiter.is(&gate.limiter));
        Ok(Claim {
            tags: tags.clone(),
            demand,
            quantities: gate.quantities,
            repeat,
            held: gate.limiter.held(delegation),
            attempt: 0,
        })
    }

    /// A call of its own from the layer at `depth` inwards.
    fn fork(&self, depth: u32) -> Self {
        let state = self.lock();
        state.attempt.fork();
        let gates = state
            .gates
            .iter()
            .filter(|gate| gate.depth <= depth)
            .cloned()
            .collect();
        let mut counted = state.counted.clone();
        counted.extend(state.counted_attempt());
        // Of the layers from there inwards.
        let kept = |layer: u32| if layer > depth { 0 } else { layer };
        let state = State {
            gates,
            counted,
            starts: state.starts.clone(),
            attempt: Attempt::new(1, depth + 1),
            log: state.log.clone(),
            most: state.most,
            repeater: kept(state.repeater),
            shows: kept(state.shows),
        };
        CallContext {
            state: Mutex::new(state),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
