//! What of a call travels with its request, in the extensions and by its mark.

use std::sync::{Arc, Weak};

use super::context::{CallContext, Facts};
use crate::wire::Dialect;

/// How a request was passed on.
#[derive(Clone, Debug)]
pub(super) struct Passed {
    pub(super) depth: u32,
    pub(super) attempt: u32,
    pub(super) facts: Arc<Facts>,
}

/// What travels in the request's extensions.
#[derive(Clone, Debug)]
pub(super) struct Handle {
    pub(super) context: Arc<CallContext>,
    /// How the layer outside has passed it on.
    pub(super) passed: Passed,
}

/// The same, which keeps neither the request nor those who observe the call: they hear of its end however long it is kept.
#[derive(Debug)]
pub(super) struct KeptHandle {
    context: Arc<CallContext>,
    depth: u32,
    attempt: u32,
    /// As long as a layer has the call that has passed it on.
    facts: Weak<Facts>,
    /// Without them, for a call that goes on without that layer.
    alone: Arc<Facts>,
}

impl KeptHandle {
    pub(super) fn handle(&self) -> Handle {
        let facts = self.facts.upgrade().unwrap_or_else(|| self.alone.clone());
        Handle {
            context: self.context.clone(),
            passed: Passed {
                depth: self.depth,
                attempt: self.attempt,
                facts,
            },
        }
    }
}

impl Handle {
    /// To be kept for an unknown time.
    pub(super) fn kept(&self) -> KeptHandle {
        let Handle { context, passed } = self;
        let Facts {
            dialect,
            demand,
            bound,
            hides_usage,
            as_is,
            ref cap_output,
            unfitted: _,
            streams,
            ref asked_model,
            ref tags,
            observed: _,
            turn,
            progress: _,
            ref delegation,
        } = *passed.facts;
        let alone = Facts {
            dialect,
            demand,
            bound,
            hides_usage,
            as_is,
            cap_output: cap_output.clone(),
            unfitted: None,
            streams,
            asked_model: asked_model.clone(),
            tags: tags.clone(),
            observed: None,
            turn,
            progress: None,
            delegation: delegation.clone(),
        };
        KeptHandle {
            context: context.clone(),
            depth: passed.depth,
            attempt: passed.attempt,
            facts: Arc::downgrade(&passed.facts),
            alone: Arc::new(alone),
        }
    }

    pub(super) fn dialect(&self) -> Dialect {
        self.passed.facts.dialect
    }
}

#[cfg(test)]
impl Handle {
    /// Of a call that does not exist.
    pub(super) fn of_nothing() -> Self {
        let facts = Facts {
            dialect: Dialect::Generic,
            demand: crate::limit::Demand::default(),
            bound: super::priced::Bound::default(),
            hides_usage: false,
            as_is: false,
            cap_output: None,
            unfitted: None,
            streams: false,
            asked_model: None,
            tags: Arc::default(),
            observed: None,
            turn: Facts::turn(super::CallOptions::default()),
            progress: None,
            delegation: crate::limiter::Delegation::default(),
        };
        let entry = super::Entry::first(facts);
        Handle {
            context: entry.came_with.clone(),
            passed: Passed {
                depth: 1,
                attempt: 1,
                facts: Arc::new(entry.facts().clone()),
            },
        }
    }

    pub(super) fn is(&self, other: &Handle) -> bool {
        Arc::ptr_eq(&self.context, &other.context)
    }

    /// By how many.
    pub(super) fn held(&self) -> usize {
        Arc::strong_count(&self.context)
    }
}
