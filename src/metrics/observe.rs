//! What events come to.

use opentelemetry::KeyValue;

use super::{
    Metrics, Shared,
    names::{ANSWERED_BY, ERROR, OPERATION, STATUS, TOKEN_TYPE},
};
use crate::{
    event::{
        AttemptEnd, AttemptOutcome, CallEnd, CallOutcome, Event, ObservedCall, Observer,
        names::operation_name,
    },
    store::{BudgetChange, BudgetEvent},
    usage::Usage,
    wire::Dialect,
};

const NANOS: f64 = 1e9;

impl Observer for Metrics {
    fn on_event(&self, call: &ObservedCall, event: &Event<'_>) {
        let shared = &*self.shared;
        let (instruments, labels) = (&shared.instruments, &shared.labels);
        match event {
            Event::Came => instruments.active.add(1, &[operation(call)]),
            Event::Waits { .. } => {}
            Event::Waited {
                rule,
                span,
                has_room,
            } => {
                let labels = [
                    labels.label("tower_quota.limit", rule),
                    KeyValue::new("tower_quota.has_room", *has_room),
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
                let mut with = labels.of(tags);
                with.push(KeyValue::new("tower_quota.kind", kind));
                if let Some(shortage) = rejection.shortage() {
                    with.push(labels.label("tower_quota.limit", &shortage.rule));
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
        let of = self.labels.of(end.tags);
        let mut attempt = of.clone();
        if let AttemptOutcome::Answered { status, .. } = end.outcome {
            attempt.push(KeyValue::new(STATUS, i64::from(status)));
        }
        let error = end.outcome.error().map(|error| KeyValue::new(ERROR, error));
        attempt.extend(error.clone());
        instruments.attempts.add(1, &attempt);
        if let Some(usage) = end.usage {
            self.used(&of, usage);
        }
        if call.dialect() == Dialect::Generic || end.outcome == AttemptOutcome::NotSent {
            // No operation of a model.
            return;
        }
        let mut operated = of;
        operated.push(operation(call));
        let model = end.model.unwrap_or_default();
        operated.extend(self.labels.said(ANSWERED_BY, model));
        if let (Some(usage), true, None) = (end.usage, end.is_reported, &error) {
            for (kind, tokens) in [("input", usage.input), ("output", usage.output)] {
                let mut labels = operated.clone();
                labels.push(KeyValue::new(TOKEN_TYPE, kind));
                instruments.token_usage.record(tokens, &labels);
            }
        }
        operated.extend(error);
        let took = end.took.as_secs_f64();
        instruments.operation_duration.record(took, &operated);
    }

    fn used(&self, of: &[KeyValue], usage: &Usage) {
        for (kind, tokens) in [
            ("input", usage.input),
            ("cache_read", usage.cache_read),
            ("cache_write", usage.cache_write),
            ("output", usage.output),
            ("reasoning", usage.reasoning),
        ] {
            if tokens > 0 {
                let mut labels = of.to_vec();
                labels.push(KeyValue::new("tower_quota.kind", kind));
                self.instruments.tokens.add(tokens, &labels);
            }
        }
        if let Some(cost) = usage.cost {
            self.instruments.cost.add(dollars(cost.as_nanos()), of);
        }
    }

    fn over(&self, call: &ObservedCall, end: &CallEnd) {
        let instruments = &self.instruments;
        instruments.active.add(-1, &[operation(call)]);
        let outcome = KeyValue::new("tower_quota.outcome", end.outcome.name());
        let took = end.took.as_secs_f64();
        instruments
            .call_duration
            .record(took, &[operation(call), outcome.clone()]);
        let mut labels = self.labels.of(call.tags());
        labels.extend([operation(call), outcome]);
        if let CallOutcome::Refused { kind } = end.outcome {
            labels.push(KeyValue::new("tower_quota.kind", kind));
        }
        instruments.calls.add(1, &labels);
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
        let labels = [KeyValue::new("tower_quota.change", change)];
        self.instruments.budget_events.add(1, &labels);
    }

    pub(super) fn store_failed(&self, asked: &'static str) {
        let labels = [KeyValue::new("tower_quota.asked", asked)];
        self.instruments.store_errors.add(1, &labels);
    }
}

fn operation(call: &ObservedCall) -> KeyValue {
    KeyValue::new(OPERATION, operation_name(call.dialect()))
}

fn cause_of(cause: &'static str) -> KeyValue {
    KeyValue::new("tower_quota.cause", cause)
}

/// For eyes and graphs, not for bills.
#[expect(clippy::cast_precision_loss, reason = "metrics are floats")]
pub(super) fn dollars(nanos: u64) -> f64 {
    nanos as f64 / NANOS
}
