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
    facts: KeptFacts,
}

#[derive(Debug)]
enum KeptFacts {
    /// Those that have nothing of that.
    All(Arc<Facts>),
    /// As long as a layer has the call that has passed it on; and without all that, for a call that goes on without that
    /// layer.
    Without(Weak<Facts>, Box<Facts>),
}

impl KeptFacts {
    fn of(facts: &Arc<Facts>) -> Self {
        let keeps =
            facts.observed.is_some() || facts.unfitted.is_some() || facts.progress.is_some();
        if !keeps {
            return KeptFacts::All(facts.clone());
        }
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
            at_target,
            progress: _,
            ref delegation,
        } = **facts;
        let without = Facts {
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
            at_target,
            progress: None,
            delegation: delegation.clone(),
        };
        KeptFacts::Without(Arc::downgrade(facts), Box::new(without))
    }

    fn facts(&self) -> Arc<Facts> {
        match self {
            KeptFacts::All(facts) => facts.clone(),
            KeptFacts::Without(all, without) => {
                let without = || Arc::new(Facts::clone(without));
                all.upgrade().unwrap_or_else(without)
            }
        }
    }
}

impl KeptHandle {
    pub(super) fn handle(&self) -> Handle {
        Handle {
            context: self.context.clone(),
            passed: Passed {
                depth: self.depth,
                attempt: self.attempt,
                facts: self.facts.facts(),
            },
        }
    }
}

impl Handle {
    /// To be kept for an unknown time.
    pub(super) fn kept(&self) -> KeptHandle {
        let Handle { context, passed } = self;
        KeptHandle {
            context: context.clone(),
            depth: passed.depth,
            attempt: passed.attempt,
            facts: KeptFacts::of(&passed.facts),
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
            at_target: None,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        limiter::Progress,
        tags::{Tag, Tags},
    };

    #[test]
    fn what_is_kept_is_all_as_long_as_a_layer_has_the_call_and_nothing_that_shows_it_afterwards() {
        for progress in [Some(Progress::new()), None] {
            let is_shown = progress.is_some();
            let mut handle = Handle::of_nothing();
            let facts = Facts {
                progress,
                tags: Tags::new().with(Tag::Agent, "a").into(),
                ..Facts::clone(&handle.passed.facts)
            };
            handle.passed.facts = Arc::new(facts);
            let kept = handle.kept();
            assert_eq!(kept.handle().passed.facts.progress.is_some(), is_shown);
            let facts = Arc::downgrade(&handle.passed.facts);
            drop(handle);
            assert_eq!(facts.upgrade().is_none(), is_shown);
            let alone = kept.handle().passed.facts;
            assert!(alone.progress.is_none());
            assert_eq!(alone.tags.get(&Tag::Agent), Some("a"));
        }
    }
}
