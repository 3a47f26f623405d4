//! The context of one call, and a layer's view of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{CallOptions, Unfinished, attempt::Attempt};
use crate::{
    error::Rejection,
    limit::{Demand, Quantities},
    limiter::{Limiter, Refused, Turn},
    store::Claim,
    tags::Tags,
    wire::Dialect,
};

/// What is known of one call.
#[derive(Debug)]
pub(crate) struct CallContext {
    facts: Facts,
    state: Mutex<State>,
}

#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) dialect: Dialect,
    pub(super) demand: Demand,
    pub(super) tags: Arc<Tags>,
    pub(super) turn: Turn,
}

#[derive(Debug)]
struct State {
    gates: Vec<Gate>,
    /// The limiters that have counted this call in an earlier attempt.
    counted: Vec<Limiter>,
    attempt: Arc<Attempt>,
}

/// A layer that claims: under which limiter, what it looks at, and whether it waits.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    pub(crate) limiter: Limiter,
    pub(crate) quantities: Quantities,
    pub(crate) wait: bool,
    /// How many of our layers are around it, itself included.
    pub(super) depth: u32,
}

/// What travels in the request's extensions.
#[derive(Clone, Debug)]
pub(super) struct Handle {
    context: Arc<CallContext>,
    /// The depth of the layer that passed the request on.
    depth: u32,
    /// Which attempt it is.
    attempt: u32,
}

/// One layer's view of the call.
#[derive(Debug)]
pub(crate) struct Entry {
    context: Arc<CallContext>,
    depth: u32,
}

impl Gate {
    pub(crate) fn new(limiter: Limiter, quantities: Quantities, wait: bool) -> Self {
        Gate {
            limiter,
            quantities,
            wait,
            depth: 0,
        }
    }

    /// Whether a claim for the one serves the other.
    pub(super) fn same_count(&self, other: &Gate) -> bool {
        self.limiter.is(&other.limiter) && self.quantities == other.quantities
    }
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
            attempt: Attempt::new(1),
        };
        Entry {
            context: Arc::new(CallContext {
                facts,
                state: Mutex::new(state),
            }),
            depth: 1,
        }
    }

    /// A layer further in.
    pub(super) fn further(handle: Handle) -> Self {
        let Handle {
            context,
            depth,
            attempt: number,
        } = handle;
        let current = context.lock().attempt.clone();
        let again = current.number != number || current.ended() || current.sender() > depth;
        let context = if again {
            Arc::new(context.fork(depth))
        } else {
            context
        };
        if !again {
            current.take_over();
        }
        Entry {
            context,
            depth: depth + 1,
        }
    }

    /// What the request says to the next of our layers.
    pub(super) fn handle(&self) -> Handle {
        let attempt = self.attempt().number;
        Handle {
            context: self.context.clone(),
            depth: self.depth,
            attempt,
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
        state.attempt = Attempt::new(state.attempt.number + 1);
    }

    /// Takes down who has counted the present attempt, which is about to end.
    pub(crate) fn note_counted(&self) {
        let mut state = self.context.lock();
        let counted = state.attempt.counted_by();
        state.counted.extend(counted);
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.context.facts.dialect
    }

    pub(crate) fn demand(&self) -> Demand {
        self.context.facts.demand
    }

    pub(crate) fn turn(&self) -> Turn {
        self.context.facts.turn
    }

    pub(crate) fn attempt(&self) -> Arc<Attempt> {
        self.context.lock().attempt.clone()
    }

    pub(super) fn unfinished(&self) -> Unfinished {
        Unfinished::new(self.attempt())
    }

    /// Whether this layer sent the attempt.
    pub(super) fn is_sender(&self, attempt: &Attempt) -> bool {
        attempt.sender() == self.depth
    }

    pub(super) fn depth(&self) -> u32 {
        self.depth
    }

    /// Claims for every gate from here outwards that holds nothing yet, waiting where it has to.
    pub(super) async fn claim(&self) -> Result<(), Rejection> {
        let attempt = self.attempt();
        while let Some((gate, claim, refused)) = self.claim_missing(&attempt).await? {
            let turn = self.turn();
            if !gate.wait {
                return Err(gate.limiter.turn_away(&claim, &refused));
            }
            attempt.release();
            let permit = gate.limiter.wait(&claim, turn, refused).await?;
            attempt.add(gate, permit);
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
            let claim = self.context.claim(&gate);
            match gate.limiter.try_claim(&claim, self.turn()).await {
                Ok(permit) => attempt.add(gate, permit),
                Err(Refused::NotNow(refused)) => return Ok(Some((gate, claim, refused))),
                Err(Refused::Rejected(rejection)) => return Err(rejection),
            }
        }
        Ok(None)
    }
}

impl CallContext {
    fn claim(&self, gate: &Gate) -> Claim {
        let Facts { tags, demand, .. } = &self.facts;
        let repeat = self
            .lock()
            .counted
            .iter()
            .any(|limiter| limiter.is(&gate.limiter));
        Claim {
            tags: tags.clone(),
            demand: *demand,
            quantities: gate.quantities,
            repeat,
        }
    }

    /// A call of its own from the layer at `depth` inwards.
    fn fork(&self, depth: u32) -> Self {
        let state = self.lock();
        let gates = state
            .gates
            .iter()
            .filter(|gate| gate.depth <= depth)
            .cloned()
            .collect();
        let mut counted = state.counted.clone();
        counted.extend(state.attempt.counted_by());
        let state = State {
            gates,
            counted,
            attempt: Attempt::new(1),
        };
        CallContext {
            facts: self.facts.clone(),
            state: Mutex::new(state),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
