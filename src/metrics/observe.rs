//! What events come to.

use opentelemetry::KeyValue;

use super::{
    Metrics, Shared,
    bound::{AttemptKind, BoundAttempt, BoundCall, CallKind},
    names::{ANSWERED_BY, ASKED, CAUSE, CHANGE, HAS_ROOM, KIND, LIMIT, OPERATION, OUTCOME},
};
use crate::{
    event::{
        AttemptEnd, AttemptOutcome, CallEnd, CallOutcome, Event, ObservedCall, Observer,
        names::operation_name,
    },
    store::{BudgetChange, BudgetEvent},
    wire::Dialect,
};

const NANOS: f64 = 1e9;

impl Observer for Metrics {
    fn on_event(&self, call: &ObservedCall, event: &Event<'_>) {
        let shared = &*self.shared;
        let (instruments, labels) = (&shared.instruments, &shared.labels);
        match event {
            Event::Came => shared.active(call, 1),
            Event::Waits { .. } => {}
            Event::Waited {
                rule,
                span,
                has_room,
            } => {
                let labels = [
                    labels.label(LIMIT, rule),
                    KeyValue::new(HAS_ROOM, *has_room),
                ];
                instruments.waits.record(span.as_secs_f64(), &labels);
            }
            Event::Began { tags, after } => {
                let mut labels = labels.target(tags);
                labels.push(operation(call));
                instruments.first_chunk.record(after.as_secs_f64(), &labels);
            }
            Event::Ended(end) => shared.ended(call, end),
            Event::Refused { tags, rejection } => {
                let kind = rejection.kind();
                let mut with = labels.of_unsent(tags);
                with.push(KeyValue::new(KIND, kind));
                if let Some(shortage) = rejection.shortage() {
                    with.push(labels.label(LIMIT, &shortage.rule));
                }
                instruments.refusals.add(1, &with);
                if kind == "store_unavailable" {
                    shared.store_failed("claim");
                }
            }
            Event::Repeats { cause, .. } => {
                let mut labels = labels.target(call.tags());
                labels.push(cause_of(cause));
                instruments.retries.add(1, &labels);
            }
            Event::MovesOn { from, cause } => {
                let mut labels = labels.target(from);
                labels.push(cause_of(cause));
                instruments.failovers.add(1, &labels);
            }
            Event::Cools { tags, span } => {
                let labels = labels.target(tags);
                instruments.cooldowns.add(1, &labels);
                shared.targets.cools(tags, *span);
            }
            Event::Over(end) => shared.over(call, end),
        }
    }
}

impl Shared {
    fn ended(&self, call: &ObservedCall, end: &AttemptEnd<'_>) {
        let instruments = &self.instruments;
        let of_a_model =
            call.dialect() != Dialect::Generic && end.outcome != AttemptOutcome::NotSent;
        let kind = AttemptKind {
            operation: of_a_model.then(|| operation_name(call.dialect())),
            status: match end.outcome {
                AttemptOutcome::Answered { status, .. } => Some(status),
                _ => None,
            },
            error: end.outcome.error(),
        };
        let model = end.model.filter(|_| of_a_model).unwrap_or_default();
        let make = || {
            let answered_by = self.labels.said(ANSWERED_BY, model);
            BoundAttempt::new(instruments, &kind, self.labels.of(end.tags), answered_by)
        };
        let of = self.labels.values_of(end.tags).chain([model]);
        self.bound.attempts.with(kind, of, make, |bound| {
            bound.ended(end.took.as_secs_f64());
            let Some(usage) = end.usage else { return };
            bound.used(instruments, usage);
            if of_a_model && end.is_reported && kind.error.is_none() {
                bound.reported(instruments, usage);
            }
        });
    }

    fn over(&self, call: &ObservedCall, end: &CallEnd) {
        self.active(call, -1);
        let kind = CallKind {
            operation: operation_name(call.dialect()),
            outcome: end.outcome.name(),
            refused: match end.outcome {
                CallOutcome::Refused { kind } => Some(kind),
                _ => None,
            },
        };
        let has_left = end.attempts > 0 && kind.refused.is_none();
        let make = || {
            let outcome = KeyValue::new(OUTCOME, kind.outcome);
            let mut labels = match has_left {
                true => self.labels.of(call.tags()),
                false => self.labels.of_unsent(call.tags()),
            };
            labels.extend([operation(call), outcome.clone()]);
            let refused = kind.refused;
            labels.extend(refused.map(|kind| KeyValue::new(KIND, kind)));
            let instruments = &self.instruments;
            BoundCall {
                calls: instruments.calls.bind(&labels),
                took: instruments.call_duration.bind(&[operation(call), outcome]),
            }
        };
        let used = |bound: &BoundCall| {
            bound.took.record(end.took.as_secs_f64());
            bound.calls.add(1);
        };
        // What has no value of its own may get one by an attempt: until then nothing is kept of it.
        if !has_left && !self.labels.know_all(call.tags()) {
            return used(&make());
        }
        let of = self.labels.values_of(call.tags());
        self.bound.calls.with(kind, of, make, used);
    }

    fn active(&self, call: &ObservedCall, more: i64) {
        let bind = || self.instruments.active.bind(&[operation(call)]);
        let name = operation_name(call.dialect());
        let active = &self.bound.active;
        active.with(name, std::iter::empty(), bind, |bound| bound.add(more));
    }

    pub(super) fn budget_changed(&self, event: &BudgetEvent) {
        let change = match event.change {
            BudgetChange::Passed { .. } => "passed",
            BudgetChange::Tripped => "tripped",
            BudgetChange::Reset { .. } => "reset",
            BudgetChange::Corrected { .. } => "corrected",
            BudgetChange::AmountChanged { .. } => "amount_changed",
            BudgetChange::Added => "added",
            BudgetChange::Removed => "removed",
        };
        let labels = [KeyValue::new(CHANGE, change)];
        self.instruments.budget_events.add(1, &labels);
    }

    pub(super) fn store_failed(&self, asked: &'static str) {
        let labels = [KeyValue::new(ASKED, asked)];
        self.instruments.store_errors.add(1, &labels);
    }
}

fn operation(call: &ObservedCall) -> KeyValue {
    KeyValue::new(OPERATION, operation_name(call.dialect()))
}

fn cause_of(cause: &'static str) -> KeyValue {
    KeyValue::new(CAUSE, cause)
}

/// For eyes and graphs, not for bills.
#[expect(clippy::cast_precision_loss, reason = "metrics are floats")]
pub(super) fn dollars(nanos: u64) -> f64 {
    nanos as f64 / NANOS
}
