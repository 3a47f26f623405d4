//! The paved way: one layer that is all of them, outermost first retry, then budget, then admission.

use std::sync::Arc;

use tower_layer::Layer;

use crate::{
    admission::{Admission, AdmissionLayer},
    budget::{Budget, BudgetLayer},
    limiter::Limiter,
    pricing::PriceTable,
    retry::{Retry, RetryLayer},
    statistics::Statistics,
};

/// All layers in the order that serves most: retry around budget around admission.
///
/// It has no logic of its own; what it does, [`RetryLayer`], [`BudgetLayer`] and [`AdmissionLayer`] do. How requests are
/// read (`as_it_came`, `body_cap`, `cap_output`) may be said at any of them.
#[derive(Clone, Debug)]
#[must_use]
pub struct RateLimitLayer {
    retry: RetryLayer,
    budget: BudgetLayer,
    admission: AdmissionLayer,
    statistics: Option<Statistics>,
}

impl RateLimitLayer {
    /// Admission under `limiter`, its budgets by the built-in prices, and retries as [`RetryLayer::new`] has them.
    pub fn new(limiter: Limiter) -> Self {
        Self::of(RetryLayer::new(), AdmissionLayer::new(limiter))
    }

    /// Layers with settings of their own.
    pub fn of(retry: RetryLayer, admission: AdmissionLayer) -> Self {
        let prices = Arc::new(PriceTable::built_in());
        let budget = BudgetLayer::new(admission.limiter().clone(), prices);
        RateLimitLayer {
            retry,
            budget,
            admission,
            statistics: None,
        }
    }

    /// With other budgets than those of the admission's limiter, or other prices.
    pub fn budget(mut self, budget: BudgetLayer) -> Self {
        self.budget = budget;
        self
    }

    /// As [`BudgetLayer::statistics`]; what admission refuses is recorded as well.
    pub fn statistics(mut self, statistics: Statistics) -> Self {
        self.statistics = Some(statistics);
        self
    }

    /// Switched off: everything passes as it is, unread and uncounted.
    pub fn off(self) -> Self {
        RateLimitLayer {
            retry: self.retry.off(),
            budget: self.budget.off(),
            admission: self.admission.off(),
            statistics: None,
        }
    }
}

impl<S> Layer<S> for RateLimitLayer {
    type Service = Retry<Budget<Admission<S>>>;

    fn layer(&self, inner: S) -> Self::Service {
        let inside = self.budget.inspect().over(self.admission.inspect());
        let retry = self.retry.clone().inspects_for(inside);
        let budget = match &self.statistics {
            Some(statistics) => self.budget.clone().statistics(statistics.clone()),
            None => self.budget.clone(),
        };
        retry.layer(budget.layer(self.admission.layer(inner)))
    }
}
