use std::{sync::Arc, time::Duration};

use tower_layer::Layer;

use super::{Budget, PricedGate, prices::Prices};
use crate::{
    admission::AdmissionLayer,
    call::{Gate, Inspect, Pricing},
    event::{Observer, Observers},
    limit::Quantities,
    limiter::Limiter,
    pricing::PriceTable,
    statistics::Statistics,
};

/// How long a call waits for money that others have reserved.
const PATIENCE: Duration = Duration::from_secs(30);
/// What a call may come to that names no cap, where the model's price does not say how much it gives: as much as
/// the largest models do.
const OUTPUT_WITHOUT_CAP: u64 = 128_000;

/// Makes [`Budget`] services. All of them share the limiter, in which budgets are limits on
/// [cost](crate::limit::Limit::cost).
#[derive(Clone, Debug)]
#[must_use]
pub struct BudgetLayer {
    gate: Gate,
    prices: Prices,
    inspect: Inspect,
}

impl BudgetLayer {
    /// Budgets of `limiter`, counted by these prices.
    pub fn new(limiter: Limiter, prices: Arc<PriceTable>) -> Self {
        BudgetLayer {
            gate: Gate::new(limiter, Quantities::BUDGET, true).patient(PATIENCE),
            prices: Prices::new(Pricing::new(prices, OUTPUT_WITHOUT_CAP)),
            inspect: Inspect::default(),
        }
    }

    /// How long a call waits for money that others have reserved and may not need; thirty seconds by default, zero
    /// for not at all. For money that is spent nobody waits.
    pub fn patience(mut self, span: Duration) -> Self {
        self.gate = self.gate.patient(span);
        self
    }

    /// Models without a price pass, and count nothing. By default they are refused: a budget that counts nothing
    /// is none.
    pub fn allow_unknown_prices(mut self) -> Self {
        self.prices = self.prices.with(|pricing| pricing.unknown_passes = true);
        self
    }

    /// How many output tokens are reserved for each choice of a call that names no cap, where the price of its model
    /// does not say how many that gives; 128 000 by default.
    pub fn output_without_cap(mut self, tokens: u64) -> Self {
        self.prices = self
            .prices
            .with(|pricing| pricing.output_without_cap = tokens);
        self
    }

    /// Puts a cap of so many output tokens into each request that names none, where its dialect has one, and reserves
    /// that for it. By default such a call is reserved at the most that its model gives, and leaves as it came.
    ///
    /// A provider that passes over the cap may give more: that is charged, and stops the next calls. One that takes no
    /// cap larger than the model's own refuses the call, so set it no larger than that of the smallest model in use.
    /// Requests that are signed together with their body (AWS), and all where [`as_it_came`](Self::as_it_came) is said,
    /// get none. Where this is not the first of our layers that a request comes to, say it there: by
    /// [`RateLimitLayer`](crate::RateLimitLayer), or by this one standing outside.
    pub fn cap_output(mut self, tokens: u64) -> Self {
        self.inspect.cap_output = Some(tokens);
        self
    }

    /// Other prices for the calls that come from now on to any service of this layer, and of its clones. Calls that have
    /// come keep those that they were reserved by until they end.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use tower_quota::{BudgetLayer, Limiter, limit::Limits, pricing::PriceTable};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let limiter = Limiter::new(Limits::new([])?);
    /// let layer = BudgetLayer::new(limiter, Arc::new(PriceTable::built_in()));
    /// let running = layer.clone();
    /// let others = Arc::new(PriceTable::new());
    /// layer.set_prices(others.clone());
    /// assert_eq!(running.prices(), others);
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_prices(&self, prices: Arc<PriceTable>) {
        self.prices.set(prices);
    }

    /// The prices of the calls that come now.
    #[must_use]
    pub fn prices(&self) -> Arc<PriceTable> {
        self.prices.now().table.clone()
    }

    /// The gate of its services.
    pub(crate) fn gate(&self) -> PricedGate {
        PricedGate::new(self.gate.clone(), self.prices.clone(), self.inspect())
    }

    /// This layer, with that one directly inside.
    pub(crate) fn around(mut self, inside: &AdmissionLayer) -> Self {
        self.gate = self.gate.around(&inside.gate(), &inside.inspect());
        self
    }

    pub(crate) fn inspect(&self) -> Inspect {
        self.inspect.clone()
    }

    /// Records there what every attempt used and what was refused, also where the limiter has no budgets. Attempts
    /// that layers outside of this one refuse do not come to it, and are not recorded. Budgets that the limiter has now
    /// can be [forecast](Statistics::forecast); for the tags of [later](Limiter::reconfigure) ones say
    /// [`by`](Statistics::by).
    pub fn statistics(mut self, statistics: Statistics) -> Self {
        statistics.watch(&self.gate.limiter.limits());
        self.gate = self.gate.recording(statistics);
        self
    }

    /// Everything passes as it is.
    pub(crate) fn off(mut self) -> Self {
        self.inspect.off = true;
        self
    }

    /// As [`AdmissionLayer::as_it_came`](crate::AdmissionLayer::as_it_came), where this is the first of our layers that
    /// a request comes to: it is the one that looks into it.
    pub fn as_it_came(mut self) -> Self {
        self.inspect.as_is = true;
        self
    }

    /// For others as well, who may be told by a layer outside: they hear what attempts cost.
    pub(crate) fn observed_by(mut self, observers: &Observers) -> Self {
        self.inspect.observers = observers.clone().or(self.inspect.observers);
        self
    }

    /// As [`AdmissionLayer::observe`](crate::AdmissionLayer::observe). What attempts cost is told also where the limiter has
    /// no budgets.
    pub fn observe(mut self, observer: impl Observer) -> Self {
        self.inspect.observers = self.inspect.observers.with(observer);
        self
    }

    /// As [`AdmissionLayer::body_cap`](crate::AdmissionLayer::body_cap). What a body costs that passes unread, nobody
    /// knows: it is refused where its model is to have a price.
    pub fn body_cap(mut self, bytes: usize) -> Self {
        self.inspect.body_cap = Some(bytes);
        self
    }
}

impl<S> Layer<S> for BudgetLayer {
    type Service = Budget<S>;

    fn layer(&self, inner: S) -> Budget<S> {
        Budget::new(inner, self.gate())
    }
}
