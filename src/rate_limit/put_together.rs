//! The four layers with all that was set, in whatever order that was.

use std::sync::Arc;
#[cfg(feature = "gateway")]
use std::time::Duration;

use tower_layer::Layer;

use super::{
    RateLimitLayer,
    service::{Layers, RateLimit},
};
use crate::call::Inspect;
#[cfg(feature = "gateway")]
use crate::{
    call::{Gate, Places},
    event::Observers,
};

impl<S> Layer<S> for RateLimitLayer {
    type Service = RateLimit<S>;

    fn layer(&self, inner: S) -> RateLimit<S> {
        let all = self.as_set();
        let layers = Layers {
            failover: all.failover.settings(),
            retry: all.retry.settings(),
            budget: all.budget.around(&all.admission).gate(),
            admission: Arc::new(all.admission.gate()),
        };
        RateLimit::new(inner, layers)
    }
}

impl RateLimitLayer {
    /// With what was set here in the layers that do it.
    fn as_set(&self) -> Self {
        let mut all = self.clone();
        if self.off {
            all.failover = all.failover.off();
            all.retry = all.retry.off();
            all.budget = all.budget.off();
            all.admission = all.admission.off();
            return all;
        }
        if self.routed_only {
            all.failover = all.failover.routed_only();
        }
        for statistics in self.statistics.iter() {
            // What is switched off records nothing.
            match all.budget.inspect().off {
                false => all.budget = all.budget.statistics(statistics.clone()),
                true => all.admission = all.admission.recording(statistics.clone()),
            }
        }
        // From the inside: whichever is the first that a call comes to reads requests as any of them says.
        all.admission = all.admission.inspects_for(self.inspect());
        all.budget = all.budget.inspects_for(all.admission.inspect());
        all.retry = all.retry.inspects_for(all.budget.inspect());
        all.failover = all.failover.inspects_for(all.retry.inspect());
        all
    }

    /// How its layers look into requests, without those that are switched off.
    fn inspects(&self) -> impl Iterator<Item = Inspect> {
        let all = [
            self.failover.inspect(),
            self.retry.inspect(),
            self.budget.inspect(),
            self.admission.inspect(),
        ];
        let off = self.off;
        all.into_iter().filter(move |one| !off && !one.off)
    }

    /// How requests are read and who is told, by whichever of its layers; of several that say how, by the outermost.
    fn inspect(&self) -> Inspect {
        let own = Inspect {
            observers: self.observers.clone(),
            ..Inspect::default()
        };
        Inspect {
            // That depends on which layers a call comes to.
            reads_all: false,
            ..self.inspects().fold(own, Inspect::over)
        }
    }

    /// Who is told of its calls, and where they are recorded; of what is claimed beside it they are told the same.
    #[cfg(feature = "gateway")]
    pub(crate) fn watched_by(&self) -> (Observers, Places) {
        if !self.keeps_bodies() {
            // Switched off: whoever was added hears of no calls either.
            return (Observers::default(), Places::default());
        }
        let mut places = self.statistics.clone();
        if !self.budget.inspect().off {
            places.add(self.budget.places());
        }
        (self.inspect().observers, places)
    }

    /// The gates that a call passes which comes now, from the outside, and the longest told wait that is waited out around them:
    /// what is claimed beside its calls waits as they do.
    #[cfg(feature = "gateway")]
    pub(crate) fn gates(&self) -> (Vec<Arc<Gate>>, Option<Duration>) {
        let budget = self.budget.clone().around(&self.admission).gate().now();
        let both = [budget, Arc::new(self.admission.gate())].into_iter();
        let gates = both.filter(|gate| !self.off && !gate.inspect.off);
        (gates.collect(), self.retry.waits_out())
    }

    /// Whether a call may have more than one attempt at one target.
    #[cfg(feature = "gateway")]
    pub(crate) fn repeats(&self) -> bool {
        !self.off && self.retry.repeats()
    }

    /// Whether the bodies of calls are kept in memory until they are answered: wherever any of its layers is on.
    #[cfg(feature = "gateway")]
    pub(crate) fn keeps_bodies(&self) -> bool {
        self.inspects().next().is_some()
    }
}
