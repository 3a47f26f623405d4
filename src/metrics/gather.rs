//! How limits and targets stand now.

use std::collections::HashSet;

use opentelemetry::KeyValue;

use super::{
    Metrics,
    gauges::{Gauge, Reading},
    names::{LIMIT, OTHERS, QUANTITY},
    observe::dollars,
};
use crate::{limit::Quantity, limiter::Limiter, store::CountStanding};

/// Counts that are asked for of each limit, for each value that a label may have.
const ASKED: usize = 2;

impl Metrics {
    /// Reads the state of limits, budgets and targets, for whoever reads the metrics next. [`render`](Self::render)
    /// does so by itself. If a store cannot answer, that is counted as an error, and its limits are left out.
    ///
    /// # Cancel safety
    /// If it is dropped, what was read last stays.
    pub async fn gather(&self) {
        let limiters = self.shared.limiters.lock().clone();
        let mut readings = Vec::new();
        let (mut waiting, mut unfinished) = (0, 0);
        let mut shown = HashSet::new();
        for limiter in &limiters {
            waiting += limiter.waiting();
            unfinished += limiter.unfinished();
            self.read_limits(limiter, &mut shown, &mut readings).await;
        }
        readings.push((Gauge::Waiting, figure(waiting as u64), Vec::new()));
        readings.push((Gauge::Unfinished, figure(unfinished as u64), Vec::new()));
        let shared = &self.shared;
        shared.targets.read(&shared.labels, &mut readings);
        shared.gauges.show(readings);
    }

    async fn read_limits(
        &self,
        limiter: &Limiter,
        shown: &mut HashSet<Vec<KeyValue>>,
        readings: &mut Vec<Reading>,
    ) {
        let labels = &self.shared.labels;
        let most = labels.most().saturating_mul(ASKED);
        let Ok(counts) = limiter.counts(most).await else {
            self.shared.store_failed("counts");
            return;
        };
        for count in &counts {
            let mut of = vec![
                labels.label(LIMIT, &count.rule),
                KeyValue::new(QUANTITY, count.quantity.name()),
            ];
            match &count.of {
                Some(values) => of.extend(labels.values(values)),
                None => of.push(KeyValue::new(OTHERS, true)),
            }
            // The fullest comes first: where several come together in one, it is that.
            if shown.insert(of.clone()) {
                readings.extend(read(count, &of));
            }
        }
    }
}

fn read(count: &CountStanding, of: &[KeyValue]) -> [Reading; 4] {
    let spent = count.in_use.saturating_sub(count.reserved);
    let figures = match count.quantity {
        Quantity::Cost => [
            (Gauge::BudgetSpent, dollars(spent)),
            (Gauge::BudgetReserved, dollars(count.reserved)),
            (Gauge::BudgetAmount, dollars(count.amount)),
            (Gauge::BudgetUtilization, count.share()),
        ],
        _ => [
            (Gauge::LimitUsed, figure(count.in_use)),
            (Gauge::LimitReserved, figure(count.reserved)),
            (Gauge::LimitAmount, figure(count.amount)),
            (Gauge::LimitUtilization, count.share()),
        ],
    };
    figures.map(|(gauge, figure)| (gauge, figure, of.to_vec()))
}

#[expect(clippy::cast_precision_loss, reason = "metrics are floats")]
fn figure(of: u64) -> f64 {
    of as f64
}
