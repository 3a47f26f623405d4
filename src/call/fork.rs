//! The context of a call from one attempt to the next, and where a foreign layer makes several calls of one.
//!
//! Each attempt after the first has a context of its own. What is under way of an earlier one, as the copy that a hedge
//! did not wait for, goes on in that one's: the layer that begins the next attempt leaves it, with those around it.
//!
//! The second request with the same handle forks: it has a context of its own as well.

use std::sync::{Arc, OnceLock};

use super::{
    Entry,
    attempt::Attempt,
    context::{CallContext, State},
};

/// What a context was left for.
#[derive(Debug)]
pub(super) struct Left {
    /// Of the layer that has left it, with those around it.
    by: u32,
    next: Arc<CallContext>,
    /// What one further in has left it for, when those had gone.
    further_in: OnceLock<Box<Left>>,
}

impl Entry {
    /// Starts the next attempt. Gates further in will register again when it passes them.
    pub(crate) fn next_attempt(&self) {
        self.goes_on_from_refusal();
        let by = self.depth();
        loop {
            let context = self.context();
            let state = context.lock();
            if !Arc::ptr_eq(context, self.context()) {
                // A layer further in was faster.
                continue;
            }
            let mut place = &context.left_for;
            while let Some(left) = place.get() {
                place = &left.further_in;
            }
            let next = Arc::new(CallContext::new(state.next(by)));
            let further_in = OnceLock::new();
            let left = Left {
                by,
                next,
                further_in,
            };
            if place.set(Box::new(left)).is_ok() {
                return;
            }
        }
    }

    /// The context as this layer has it.
    pub(super) fn context(&self) -> &Arc<CallContext> {
        let mut context = &self.came_with;
        let mut left = context.left_for.get();
        while let Some(Left {
            by,
            next,
            further_in,
        }) = left.map(|left| &**left)
        {
            left = if self.depth() <= *by {
                context = next;
                context.left_for.get()
            } else {
                further_in.get()
            };
        }
        context
    }
}

impl State {
    /// With the next attempt, which the layer at `depth` begins.
    fn next(&self, depth: u32) -> Self {
        let gates = self.gates.iter().filter(|passed| passed.depth < depth);
        State {
            gates: gates.cloned().collect(),
            counted: self.counted.clone(),
            starts: self.starts.clone(),
            attempt: Attempt::new(self.attempt.number + 1, depth),
            log: self.log.clone(),
            most: self.most,
            repeater: self.repeater,
            longest_wait: self.longest_wait,
            shows: self.shows,
        }
    }
}

impl CallContext {
    /// A call of its own from the layer at `depth` inwards.
    pub(super) fn fork(&self, depth: u32) -> State {
        let state = self.lock();
        state.attempt.fork();
        let gates = state
            .gates
            .iter()
            .filter(|passed| passed.depth <= depth)
            .cloned()
            .collect();
        let mut counted = state.counted.clone();
        counted.extend(state.counted_attempt());
        // Of the layers from there inwards.
        let kept = |layer: u32| if layer > depth { 0 } else { layer };
        State {
            gates,
            counted,
            starts: state.starts.clone(),
            attempt: Attempt::new(1, depth + 1),
            log: state.log.clone(),
            most: state.most,
            repeater: kept(state.repeater),
            longest_wait: state.longest_wait,
            shows: kept(state.shows),
        }
    }
}
