//! Who is told.

use std::{fmt, sync::Arc};

use super::{Event, ObservedCall};
use crate::{
    limiter::{Progress, next_id},
    tags::Tags,
    wire::Dialect,
};

/// Is told what happens to calls; see the [module](super). A closure is an observer.
pub trait Observer: Send + Sync + 'static {
    /// Called when something happens to this call. Must neither block nor panic.
    fn on_event(&self, call: &ObservedCall, event: &Event<'_>);
}

impl<F: Fn(&ObservedCall, &Event<'_>) + Send + Sync + 'static> Observer for F {
    fn on_event(&self, call: &ObservedCall, event: &Event<'_>) {
        self(call, event);
    }
}

/// Those who observe the calls of a layer, if anybody does.
#[derive(Clone, Default)]
pub(crate) struct Observers(Option<Arc<[Arc<dyn Observer>]>>);

impl Observers {
    pub(crate) fn with(&self, observer: impl Observer) -> Self {
        let known = self.0.iter().flat_map(|known| known.iter().cloned());
        let new: Arc<dyn Observer> = Arc::new(observer);
        Observers(Some(known.chain([new]).collect()))
    }

    /// Whether anybody observes.
    pub(crate) fn are_there(&self) -> bool {
        self.0.is_some()
    }

    /// These, and where there are none those.
    pub(crate) fn or(self, others: Observers) -> Self {
        Observers(self.0.or(others.0))
    }

    /// A call came. `None` where nobody is to know.
    pub(crate) fn begin(
        &self,
        dialect: Dialect,
        tags: &Arc<Tags>,
        streams: bool,
        progress: Option<&Progress>,
    ) -> Option<Arc<ObservedCall>> {
        let observers = self.0.as_ref()?;
        Some(ObservedCall::begin(
            progress.map_or_else(next_id, Progress::id),
            observers.clone(),
            dialect,
            tags.clone(),
            streams,
        ))
    }
}

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.0.as_ref().map_or(0, |all| all.len());
        f.debug_tuple("Observers").field(&number).finish()
    }
}
