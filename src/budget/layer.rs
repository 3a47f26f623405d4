use std::{sync::Arc, time::Duration};

use tower_layer::Layer;

use super::{Budget, PricedGate, prices::Prices};
#[cfg(feature = "gateway")]
use crate::call::Places;
use crate::{
    admission::AdmissionLayer,
    call::{Gate, Inspect, OutputCap, Pricing},
    event::Observer,
    limit::Quantities,
    limiter::Limiter,
    pricing::PriceTable,
    statistics::{Recorders, Statistics},
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
    /// Where its calls are recorded, and those of its clones.
    recorders: Recorders,
    cap_output: Option<u64>,
    inspect: Inspect,
}

impl BudgetLayer {
    /// Creates a layer for the budgets of `limiter`, with these prices.
    pub fn new(limiter: Limiter, prices: Arc<PriceTable>) -> Self {
        BudgetLayer {
            gate: Gate::new(limiter, Quantities::BUDGET, true).patient(PATIENCE),
            prices: Prices::new(Pricing::new(prices, OUTPUT_WITHOUT_CAP)),
            recorders: Recorders::default(),
            cap_output: None,
            inspect: Inspect::default(),
        }
    }

    /// Sets how long a call waits for money that others have reserved and may not need; thirty seconds by default. With
    /// zero it does not wait. For money that is spent a call waits only if it comes back within this time.
    pub fn patience(mut self, span: Duration) -> Self {
        self.gate = self.gate.patient(span);
        self
    }

    /// Lets calls for models without a price pass, without counting anything. By default they are refused, because a
    /// budget that counts nothing is no budget.
    pub fn allow_unknown_prices(mut self) -> Self {
        self.prices = self.prices.with(|pricing| pricing.unknown_passes = true);
        self
    }

    /// Sets how many output tokens are reserved for each choice of a call that names no cap, if the price of its model
    /// does not say how many that model gives; 128 000 by default.
    pub fn output_without_cap(mut self, tokens: u64) -> Self {
        self.prices = self
            .prices
            .with(|pricing| pricing.output_without_cap = tokens);
        self
    }

    /// Puts this cap on output tokens into each request that names none, if its dialect has one, and reserves
    /// accordingly. For a model that gives less, by its [price](crate::pricing::Price::max_output), the cap is what the
    /// model gives, because providers refuse larger ones.
    ///
    /// By default the most that the model gives is reserved for such a call, and it leaves unchanged. A provider that
    /// ignores the cap may give more: that is charged, and stops the next calls. If the price of a model does not say how
    /// much it gives, set no larger cap than the model takes. No cap is put into requests that are signed together with
    /// their body (AWS), nor into any request with [`as_it_came`](Self::as_it_came). If this is not the first of this
    /// crate's layers that a request comes to, set the cap on the first: on [`RateLimitLayer`](crate::RateLimitLayer),
    /// or on a layer of this type further out.
    ///
    /// 0 is taken for 1.
    pub fn cap_output(mut self, tokens: u64) -> Self {
        self.cap_output = Some(tokens.max(1));
        self
    }

    /// Replaces the prices for the calls that come from now on to any service of this layer or of its clones. Calls
    /// that came before keep the prices that they were reserved by until they end.
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

    /// Returns the prices of the calls that come now.
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
        let cap = |tokens| {
            let prices = self.prices.clone();
            OutputCap::new(tokens, move |provider, model| {
                let now = prices.now();
                now.table.find(provider, model)?.price.max_output
            })
        };
        let mut inspect = self.inspect.clone();
        if !inspect.off {
            inspect.cap_output = self.cap_output.map(cap).or(inspect.cap_output);
            inspect.reads_all = true;
        }
        inspect
    }

    /// Reads requests as layers further in are told to, where nothing is said here, and tells those too who are told
    /// there: they hear what attempts cost.
    pub(crate) fn inspects_for(mut self, inside: Inspect) -> Self {
        self.inspect = self.inspect.over(inside);
        self
    }

    /// Records in `statistics` what every attempt used and what was refused, even if the limiter has no budgets. Where
    /// it was told to record before, it goes on to.
    ///
    /// Attempts that layers outside of this one refuse do not come to it, and are not recorded. Budgets that the
    /// limiter has now can be [forecast](Statistics::forecast), and those that come when a stack reads its configuration
    /// again; for budgets that are added otherwise [later](Limiter::reconfigure), name their tags with
    /// [`by`](Statistics::by).
    pub fn statistics(mut self, statistics: Statistics) -> Self {
        self.recorders.add(&statistics);
        self.watch_budgets();
        self.gate = self.gate.recording(statistics);
        self
    }

    /// Where it records.
    #[cfg(feature = "gateway")]
    pub(crate) fn places(&self) -> &Places {
        self.gate.places()
    }

    /// Has everything that records its calls, or those of its clones, know the budgets that there are now.
    pub(crate) fn watch_budgets(&self) {
        self.recorders.watch(&self.gate.limiter.limits());
    }

    /// Switches the layer off, as [`AdmissionLayer::off`](crate::AdmissionLayer::off) does: every call passes untouched,
    /// and nothing is reserved, charged, refused or recorded.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use tower::ServiceBuilder;
    /// use tower_quota::{BudgetLayer, Limiter, limit::Limits, pricing::PriceTable};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let client = tower::service_fn(|_: http::Request<http_body_util::Full<bytes::Bytes>>| async {
    /// #     Ok::<_, std::convert::Infallible>(http::Response::new(http_body_util::Full::<bytes::Bytes>::default()))
    /// # });
    /// # let has_budgets = false;
    /// let budget = BudgetLayer::new(Limiter::new(Limits::new([])?), Arc::new(PriceTable::built_in()));
    /// let budget = if has_budgets { budget } else { budget.off() };
    /// let client = ServiceBuilder::new().layer(budget).service(client);
    /// # fn is_service<S: tower_service::Service<http::Request<http_body_util::Full<bytes::Bytes>>>>(_: S) {}
    /// # is_service(client);
    /// # Ok(())
    /// # }
    /// ```
    pub fn off(mut self) -> Self {
        self.inspect.off = true;
        self
    }

    /// Leaves requests unchanged, as [`AdmissionLayer::as_it_came`](crate::AdmissionLayer::as_it_came) does. This has
    /// an effect if this is the first of this crate's layers that a request comes to, because that one looks into it.
    pub fn as_it_came(mut self) -> Self {
        self.inspect.as_is = true;
        self
    }

    /// Adds an observer, as [`AdmissionLayer::observe`](crate::AdmissionLayer::observe) does. It is told what attempts
    /// cost, even if the limiter has no budgets.
    pub fn observe(mut self, observer: impl Observer) -> Self {
        self.inspect.observers = self.inspect.observers.with(observer);
        self
    }

    /// Sets how many bytes of a request body are read, as [`AdmissionLayer::body_cap`](crate::AdmissionLayer::body_cap)
    /// does. What a body that passes unread costs, nobody knows: it is refused if its model must have a price.
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
