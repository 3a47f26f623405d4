//! Who is told.

use std::{any::Any, fmt, sync::Arc};

use super::{Event, ObservedCall};
use crate::{
    limiter::{Progress, next_id},
    tags::Tags,
    wire::Dialect,
};

/// Is told what happens to calls; see the [module](super). A closure is an observer, and so is an observer in an `Arc`.
///
/// An `Arc<dyn Observer>` that is given to several of the layers in a [`RateLimitLayer`](crate::RateLimitLayer) is one
/// observer, and told once.
///
/// ```
/// use std::sync::Arc;
/// use tower_quota::{Limiter, RateLimitLayer, RetryLayer, event::{Event, ObservedCall, Observer}, limit::Limits};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let chosen: Arc<dyn Observer> = Arc::new(|call: &ObservedCall, event: &Event<'_>| println!("{call:?}: {event:?}"));
/// let retry = RetryLayer::new().observe(chosen.clone());
/// let layer = RateLimitLayer::new(Limiter::new(Limits::new([])?)).retry(retry).observe(chosen);
/// # let _ = layer;
/// # Ok(())
/// # }
/// ```
pub trait Observer: Send + Sync + 'static {
    /// Called when something happens to this call. Must neither block nor panic.
    fn on_event(&self, call: &ObservedCall, event: &Event<'_>);
}

impl<F: Fn(&ObservedCall, &Event<'_>) + Send + Sync + 'static> Observer for F {
    fn on_event(&self, call: &ObservedCall, event: &Event<'_>) {
        self(call, event);
    }
}

impl<O: Observer + ?Sized> Observer for Arc<O> {
    fn on_event(&self, call: &ObservedCall, event: &Event<'_>) {
        (**self).on_event(call, event);
    }
}

/// Those who observe the calls of a layer, if anybody does: each once.
#[derive(Clone, Default)]
pub(crate) struct Observers(Option<Arc<[Arc<dyn Observer>]>>);

impl Observers {
    pub(crate) fn with(&self, observer: impl Observer) -> Self {
        self.and(&Observers(Some([shared(observer)].into())))
    }

    /// Whether anybody observes.
    pub(crate) fn are_there(&self) -> bool {
        self.0.is_some()
    }

    /// These and those.
    pub(crate) fn and(&self, others: &Observers) -> Self {
        let ours = self.0.as_deref().unwrap_or_default();
        let theirs = others.0.as_deref().unwrap_or_default().iter();
        let new = theirs.filter(|other| !ours.iter().any(|one| Arc::ptr_eq(one, other)));
        let mut new = new.cloned().peekable();
        if new.peek().is_none() {
            return self.clone();
        }
        Observers(Some(ours.iter().cloned().chain(new).collect()))
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

/// One that is shared already stays the same: whoever is given to several layers is told once.
fn shared<O: Observer>(observer: O) -> Arc<dyn Observer> {
    let mut observer = Some(observer);
    let is_shared = (&mut observer as &mut dyn Any).downcast_mut::<Option<Arc<dyn Observer>>>();
    match is_shared.and_then(Option::take) {
        Some(shared) => shared,
        None => Arc::new(observer.expect("nobody has taken it")),
    }
}

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.0.as_ref().map_or(0, |all| all.len());
        f.debug_tuple("Observers").field(&number).finish()
    }
}
