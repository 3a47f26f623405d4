//! What is read just before it is shown.

use std::sync::Arc;

use opentelemetry::{KeyValue, metrics::Meter};
use parking_lot::Mutex;

/// Which gauge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gauge {
    Waiting,
    Unfinished,
    CooldownRemaining,
    BreakerOpen,
    Parked,
    LimitUsed,
    LimitReserved,
    LimitAmount,
    LimitUtilization,
    BudgetSpent,
    BudgetReserved,
    BudgetAmount,
    BudgetUtilization,
}

const ALL: [(Gauge, &str, &str, &str); 13] = [
    (
        Gauge::Waiting,
        "tower_quota.waiting",
        "{call}",
        "Calls that wait for room.",
    ),
    (
        Gauge::Unfinished,
        "tower_quota.store.unfinished",
        "{settlement}",
        "What is to be told to the store and has no runtime to do it.",
    ),
    (
        Gauge::CooldownRemaining,
        "tower_quota.cooldown.remaining",
        "s",
        "How long a target is left alone, as its provider told.",
    ),
    (
        Gauge::BreakerOpen,
        "tower_quota.breaker.open",
        "",
        "1 for a target that failed too often.",
    ),
    (
        Gauge::Parked,
        "tower_quota.parked",
        "",
        "1 for a target that is out of money or quota, or refuses its key.",
    ),
    (
        Gauge::LimitUsed,
        "tower_quota.limit.used",
        "",
        "What counts under a limit.",
    ),
    (
        Gauge::LimitReserved,
        "tower_quota.limit.reserved",
        "",
        "The part of it that is held for calls that have not ended.",
    ),
    (
        Gauge::LimitAmount,
        "tower_quota.limit.amount",
        "",
        "How much may be used.",
    ),
    (
        Gauge::LimitUtilization,
        "tower_quota.limit.utilization",
        "",
        "How full a limit is: 1 where no more may be used.",
    ),
    (
        Gauge::BudgetSpent,
        "tower_quota.budget.spent.usd",
        "{USD}",
        "What is spent of a budget, in US dollars.",
    ),
    (
        Gauge::BudgetReserved,
        "tower_quota.budget.reserved.usd",
        "{USD}",
        "What is held of it for calls that have not ended, in US dollars.",
    ),
    (
        Gauge::BudgetAmount,
        "tower_quota.budget.amount.usd",
        "{USD}",
        "How much may be spent, in US dollars.",
    ),
    (
        Gauge::BudgetUtilization,
        "tower_quota.budget.utilization",
        "",
        "How much of a budget is spent or held: 1 for all of it.",
    ),
];

/// A figure of a gauge, and whose.
pub(super) type Reading = (Gauge, f64, Vec<KeyValue>);

/// The gauges, and what they show.
#[derive(Debug)]
pub(super) struct Gauges(Arc<Mutex<Vec<Reading>>>);

impl Gauges {
    pub(super) fn new(meter: &Meter) -> Self {
        let shown: Arc<Mutex<Vec<Reading>>> = Arc::default();
        for (gauge, name, unit, words) in ALL {
            let shown = shown.clone();
            let observable = meter.f64_observable_gauge(name).with_unit(unit);
            observable
                .with_description(words)
                .with_callback(move |observer| {
                    for (_, value, labels) in shown.lock().iter().filter(|(of, ..)| *of == gauge) {
                        observer.observe(*value, labels);
                    }
                })
                .build();
        }
        Gauges(shown)
    }

    /// Shows these from now on, and nothing else.
    pub(super) fn show(&self, readings: Vec<Reading>) {
        let before = std::mem::replace(&mut *self.0.lock(), readings);
        drop(before);
    }
}
