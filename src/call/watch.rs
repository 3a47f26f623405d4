//! What observers are told of a call, by those who do it.

use std::sync::{Arc, atomic::Ordering};

use http::Response;

use super::{Entry, Gate, attempt::Attempt};
use crate::{
    error::Rejection,
    event::{AttemptOutcome, CallOutcome, Event, ObservedCall, Waiting, Watched},
    limit::Demand,
    limiter::Limiter,
    money::Money,
    store::{NotNow, Settlement},
    usage::Usage,
    wire::ProviderError,
};

impl Entry {
    fn observed(&self) -> Option<&Arc<ObservedCall>> {
        self.facts().observed.as_ref()
    }

    /// Tells observers, if there are any.
    pub(crate) fn tell(&self, event: &Event<'_>) {
        if let Some(call) = self.observed() {
            call.tell(event);
        }
    }

    /// It is refused here.
    pub(crate) fn tell_refusal(&self, rejection: &Rejection) {
        let tags = self.tags();
        self.tell(&Event::Refused { tags, rejection });
    }

    /// It goes on from the target of this view.
    pub(crate) fn moves_on(&self, cause: &'static str) {
        let from = self.tags();
        self.tell(&Event::MovesOn { from, cause });
    }

    /// What the outermost layer hands on.
    pub(crate) fn hands_on<R, E>(&self, result: &Result<Response<R>, E>) {
        hands_on(self.observed().filter(|_| self.depth() == 1), result);
    }

    /// The call, where this is its outermost layer and somebody observes.
    pub(crate) fn observed_from_here(&self) -> Option<Arc<ObservedCall>> {
        self.observed().filter(|_| self.depth() == 1).cloned()
    }

    /// The attempt leaves.
    pub(super) fn watch(&self, attempt: &Attempt) {
        if let Some(call) = self.observed() {
            let tags = self.facts().tags.clone();
            attempt.watch(Watched::new(call.clone(), attempt.number, tags));
        }
    }

    /// What the inner service does for the attempt is inside of the call's span.
    #[cfg(feature = "tracing")]
    pub(super) fn inside<F: Future>(
        &self,
        call: impl FnOnce() -> F,
    ) -> tracing::instrument::Instrumented<F> {
        use tracing::{Instrument as _, Span};

        let span = self.observed().and_then(|call| call.span().get());
        let span = span.cloned().unwrap_or_else(Span::none);
        span.in_scope(call).instrument(span)
    }

    #[cfg(not(feature = "tracing"))]
    pub(super) fn inside<F>(&self, call: impl FnOnce() -> F) -> F {
        call()
    }

    /// It waits from now on, if anybody is to know.
    pub(super) fn waits(&self, limiter: &Limiter, refused: &NotNow) -> Option<Waiting> {
        let call = self.observed()?.clone();
        Some(Waiting::begin(call, &limiter.limits(), &refused.key))
    }
}

impl Attempt {
    fn is_watched(&self) -> bool {
        self.watches.load(Ordering::Relaxed)
    }

    /// What came of it.
    pub(super) fn came_to(&self, outcome: AttemptOutcome) {
        if self.is_watched() {
            self.watched(|watched| watched.came_to(outcome));
        }
    }

    /// What its answer turned out to be: which error, and by which model.
    pub(super) fn says(
        &self,
        failed: Option<ProviderError>,
        model: impl FnOnce() -> Option<Box<str>>,
    ) {
        if self.is_watched() {
            let model = model();
            let failed = failed.map(|error| error.class.name());
            self.watched(|watched| watched.says(failed, model));
        }
    }

    /// Something was generated.
    pub(super) fn began(&self) {
        if !self.is_watched() {
            return;
        }
        if let Some((call, tags, after)) = self.watched(|watched| watched.began()) {
            let tags = &tags;
            call.tell(&Event::Began { tags, after });
        }
    }

    /// Its target is to be left alone for so long.
    pub(super) fn cools(&self, span: std::time::Duration) {
        if !self.is_watched() {
            return;
        }
        if let Some((call, tags)) = self.watched(|watched| watched.of()) {
            let tags = &tags;
            call.tell(&Event::Cools { tags, span });
        }
    }
}

/// What an attempt used, by what `gate` has settled it with: that one's word counts which knows prices.
pub(super) fn charge(
    charged: &mut Option<Usage>,
    gate: &Gate,
    settlement: &Settlement,
    reserved: &Demand,
) {
    let is_priced = gate.pricing.is_some();
    if charged.is_some() && !is_priced {
        return;
    }
    *charged = match settlement {
        Settlement::Usage(usage) => Some(*usage),
        Settlement::Unknown if reserved.input == 0 && reserved.output == 0 => None,
        Settlement::Unknown => {
            let mut usage = Usage::new(reserved.input, reserved.output);
            usage.cost = is_priced.then(|| Money::from_nanos(reserved.cost));
            Some(usage)
        }
    };
}

/// What is handed on for a call that is observed.
pub(crate) fn hands_on<R, E>(call: Option<&Arc<ObservedCall>>, result: &Result<Response<R>, E>) {
    if let Some(call) = call {
        call.hands_on(outcome(result));
    }
}

fn outcome<R, E>(result: &Result<Response<R>, E>) -> CallOutcome {
    let Ok(response) = result else {
        return CallOutcome::Failed;
    };
    let (status, extensions) = (response.status().as_u16(), response.extensions());
    if let Some(rejection) = extensions.get::<Rejection>() {
        let kind = rejection.kind();
        return CallOutcome::Refused { kind };
    }
    match status < 400 && extensions.get::<ProviderError>().is_none() {
        true => CallOutcome::Answered { status },
        false => CallOutcome::Error { status },
    }
}
