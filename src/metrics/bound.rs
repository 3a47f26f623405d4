//! Instruments whose labels are known: nearly all calls have those of one that came before.

use std::sync::OnceLock;

use opentelemetry::{
    KeyValue,
    metrics::{BoundCounter, BoundHistogram, BoundUpDownCounter},
};

use super::{
    instruments::Instruments,
    names::{ERROR, KIND, OPERATION, STATUS, TOKEN_TYPE},
    observe::dollars,
    series::Series,
};
use crate::usage::Usage;

/// By what their labels are made of.
#[derive(Debug, Default)]
pub(super) struct Bound {
    pub(super) attempts: Series<AttemptKind, BoundAttempt>,
    pub(super) calls: Series<CallKind, BoundCall>,
    pub(super) active: Series<&'static str, BoundUpDownCounter<i64>>,
}

/// What an attempt came to, beside where it went and who has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct AttemptKind {
    /// `None`: it is no operation of a model.
    pub(super) operation: Option<&'static str>,
    pub(super) status: Option<u16>,
    pub(super) error: Option<&'static str>,
}

/// What a call came to, beside who made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct CallKind {
    pub(super) operation: &'static str,
    pub(super) outcome: &'static str,
    pub(super) refused: Option<&'static str>,
}

/// The instruments of attempts that end alike. Those that not every one has are bound by the first one that has them: what
/// is bound is shown.
#[derive(Debug)]
pub(super) struct BoundAttempt {
    of: Vec<KeyValue>,
    operated: Vec<KeyValue>,
    attempts: BoundCounter<u64>,
    took: Option<BoundHistogram<f64>>,
    tokens: [OnceLock<BoundCounter<u64>>; 5],
    reported: [OnceLock<BoundHistogram<u64>>; 2],
    cost: OnceLock<BoundCounter<f64>>,
}

#[derive(Debug)]
pub(super) struct BoundCall {
    pub(super) calls: BoundCounter<u64>,
    pub(super) took: BoundHistogram<f64>,
}

impl BoundAttempt {
    /// `of`: where it went and who called. `answered_by`: the model that has answered.
    pub(super) fn new(
        instruments: &Instruments,
        kind: &AttemptKind,
        of: Vec<KeyValue>,
        answered_by: Option<KeyValue>,
    ) -> Self {
        let error = kind.error.map(|error| KeyValue::new(ERROR, error));
        let mut attempt = of.clone();
        attempt.extend(
            kind.status
                .map(|status| KeyValue::new(STATUS, i64::from(status))),
        );
        attempt.extend(error.clone());
        let mut operated = of.clone();
        operated.extend(kind.operation.map(|of| KeyValue::new(OPERATION, of)));
        operated.extend(answered_by);
        let mut timed = operated.clone();
        timed.extend(error);
        let took = &instruments.operation_duration;
        BoundAttempt {
            attempts: instruments.attempts.bind(&attempt),
            took: kind.operation.map(|_| took.bind(&timed)),
            of,
            operated,
            tokens: Default::default(),
            reported: Default::default(),
            cost: OnceLock::new(),
        }
    }

    pub(super) fn ended(&self, took: f64) {
        self.attempts.add(1);
        if let Some(histogram) = &self.took {
            histogram.record(took);
        }
    }

    pub(super) fn used(&self, instruments: &Instruments, usage: &Usage) {
        let all = [
            ("input", usage.input),
            ("cache_read", usage.cache_read),
            ("cache_write", usage.cache_write),
            ("output", usage.output),
            ("reasoning", usage.reasoning),
        ];
        for ((kind, tokens), bound) in all.into_iter().zip(&self.tokens) {
            if tokens > 0 {
                let bind = || instruments.tokens.bind(&with(&self.of, KIND, kind));
                bound.get_or_init(bind).add(tokens);
            }
        }
        if let Some(cost) = usage.cost {
            let bound = self.cost.get_or_init(|| instruments.cost.bind(&self.of));
            bound.add(dollars(cost.as_nanos()));
        }
    }

    /// The provider says that it used so much.
    pub(super) fn reported(&self, instruments: &Instruments, usage: &Usage) {
        let all = [("input", usage.input), ("output", usage.output)];
        for ((kind, tokens), bound) in all.into_iter().zip(&self.reported) {
            let bind = || {
                let labels = with(&self.operated, TOKEN_TYPE, kind);
                instruments.token_usage.bind(&labels)
            };
            bound.get_or_init(bind).record(tokens);
        }
    }
}

fn with(labels: &[KeyValue], name: &'static str, value: &'static str) -> Vec<KeyValue> {
    let mut labels = labels.to_vec();
    labels.push(KeyValue::new(name, value));
    labels
}
