//! The prices that calls are counted by, which may be others from some moment on.

use std::sync::Arc;

use parking_lot::RwLock;

use crate::{call::Pricing, pricing::PriceTable};

/// How calls are priced that come now. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Prices(Arc<RwLock<Arc<Pricing>>>);

impl Prices {
    pub(super) fn new(pricing: Pricing) -> Self {
        Prices(Arc::new(RwLock::new(Arc::new(pricing))))
    }

    /// For a call that comes now: it keeps this until its end, so that it is charged by what was reserved by.
    pub(super) fn now(&self) -> Arc<Pricing> {
        self.0.read().clone()
    }

    /// Others from now on, for all that share this. What was learnt of how long tokens are stays.
    pub(super) fn set(&self, table: Arc<PriceTable>) {
        let mut now = self.0.write();
        let mut pricing = Pricing::clone(&now);
        pricing.table = table;
        *now = Arc::new(pricing);
    }

    /// The same, set otherwise, and shared with nobody yet.
    pub(super) fn with(&self, set: impl FnOnce(&mut Pricing)) -> Self {
        let mut pricing = Pricing::clone(&self.now());
        set(&mut pricing);
        Self::new(pricing)
    }
}
