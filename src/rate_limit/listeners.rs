//! Who hears of targets, whichever failover layer is set, and whenever.

use std::{fmt, sync::Arc};

use crate::failover::{FailoverEvent, FailoverLayer};

type Listener = Arc<dyn Fn(&FailoverEvent) + Send + Sync>;

#[derive(Clone, Default)]
pub(super) struct Listeners(Vec<Listener>);

impl Listeners {
    pub(super) fn of(listener: impl Fn(&FailoverEvent) + Send + Sync + 'static) -> Self {
        Listeners(vec![Arc::new(listener)])
    }

    pub(super) fn add(&mut self, others: Listeners) {
        self.0.extend(others.0);
    }

    /// Has the layer tell all of them. Where there is any, it is another layer then.
    pub(super) fn listen_to(&self, failover: FailoverLayer) -> FailoverLayer {
        let all = self.0.iter().cloned();
        all.fold(failover, |failover, listener| {
            failover.on_event(move |event| listener(event))
        })
    }
}

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Listeners").field(&self.0.len()).finish()
    }
}
