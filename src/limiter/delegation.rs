//! What calls hand down to the calls made inside them: who calls, and the slots that are held already.

use std::{
    any::Any,
    fmt,
    future::Future,
    sync::{Arc, Weak},
};

use super::{Limiter, Shared};
use crate::{
    limit::{Around, Limit, LimitKey, Limits, Quantity},
    tags::{self, Inherited, Tags},
};

/// What a call inherits from the calls in which it is made: their tags, and the concurrency slots that they hold, which
/// it does not take again.
///
/// Limits on agents count a call for its own agent and for [each that it works for](Tags::outer_agents).
///
/// Without the slots, as many calls as there are slots, each waiting for a call made inside it, would wait forever. Windows
/// and limits per run count every call regardless.
///
/// It applies automatically to whatever is awaited inside [`Limiter::run`](super::Limiter::run), inside
/// [`Permit::scope`](super::Permit::scope), and inside a service behind these layers. A **spawned task does not
/// inherit**: carry the delegation over as shown below, or put it into the extensions of the task's requests. In
/// headers only [tags](Tags::from_headers) travel, because a header proves nothing.
///
/// ```
/// use tower_quota::{Limiter, limit::{Limit, Limits}, limiter::{Call, Delegation}};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let limiter = Limiter::new(Limits::new([Limit::concurrency(1)])?);
/// let sub_agent = { let limiter = limiter.clone(); async move { limiter.run(Call::new(), async { 42 }).await } };
///
/// let answer = limiter
///     .run(Call::new(), async { tokio::spawn(Delegation::current().scope(sub_agent)).await })
///     .await???;
/// assert_eq!(answer, 42);
/// # Ok(())
/// # }
/// ```
///
/// # Fan-out
/// One slot excuses all the calls made inside the call that holds it, also those that run at the same time. If a call
/// that holds one of eight slots makes fifty calls at once, all fifty go, whatever the limit is for: a provider's limit
/// on concurrent requests as well. To bound them, set that limit on a [tag](crate::limit::Limit::when) that only the
/// inner calls have, such as their provider or model, so that the outer call holds no slot of it and each inner call
/// takes its own. Or bound the fan-out itself, for example with a semaphore.
///
/// # Limitations
/// A slot counts as held until the call that holds it ends. A call inside it whose claim was made before then carries
/// on without a slot of its own. Calls that hold a slot of one count and need one of *another*, while other calls do
/// the reverse, can still wait for each other: give calls that delegate a [`max_wait`](super::Call::max_wait), or put
/// both under one limit.
#[derive(Clone, Default)]
pub struct Delegation {
    tags: Option<Arc<Tags>>,
    slots: Option<Arc<Slots>>,
}

/// The slots that one call holds, and those of the calls around it.
struct Slots {
    limiter: Weak<Shared>,
    claimed: Claimed,
    /// Gone when the call has ended.
    alive: Weak<()>,
    outer: Option<Arc<Slots>>,
}

/// A claim that counts against slots, if there are any for its tags: which ones is found when a call inside asks.
pub(super) struct Claimed {
    pub(super) tags: Arc<Tags>,
    /// The slots that it found held, and did not take.
    pub(super) held: Vec<LimitKey>,
    /// The [version](crate::limit::Limits::version) of the limits that it was made under.
    pub(super) version: u32,
}

impl Delegation {
    /// Returns what a call made here inherits: nothing, outside any call and any [`scope`](crate::scope).
    #[must_use]
    pub fn current() -> Self {
        let Inherited { tags, beside } = tags::all_inherited();
        let slots = beside.and_then(|beside| beside.downcast().ok());
        Delegation { tags, slots }
    }

    /// Whether there is nothing to inherit.
    pub(crate) fn is_empty(&self) -> bool {
        self.tags.is_none() && self.slots.is_none()
    }

    /// Whether it is the very same.
    pub(crate) fn is(&self, other: &Self) -> bool {
        fn same<T>(one: &Option<Arc<T>>, other: &Option<Arc<T>>) -> bool {
            one.as_ref().map(Arc::as_ptr) == other.as_ref().map(Arc::as_ptr)
        }
        same(&self.tags, &other.tags) && same(&self.slots, &other.slots)
    }

    /// Has the calls made inside `future` inherit this delegation, and nothing else.
    ///
    /// # Cancel safety
    /// As cancel safe as `future`.
    pub fn scope<F: Future>(self, future: F) -> impl Future<Output = F::Output> + use<F> {
        tags::enter(self.inherited(), future)
    }

    /// The same of what is done at once.
    pub(crate) fn sync_scope<T>(&self, work: impl FnOnce() -> T) -> T {
        tags::sync_enter(self.clone().inherited(), work)
    }

    /// As tasks have it.
    fn inherited(self) -> Inherited {
        let Delegation { tags, slots } = self;
        let beside = slots.map(|slots| slots as Arc<dyn Any + Send + Sync>);
        Inherited { tags, beside }
    }

    pub(crate) fn tags(&self) -> Option<&Arc<Tags>> {
        self.tags.as_ref()
    }

    /// This, with what a call says of its caller laid over.
    pub(crate) fn with_caller(mut self, tags: &Tags) -> Self {
        let callers = tags.callers();
        if !callers.is_empty() {
            let outer = self.tags.take().unwrap_or_default();
            self.tags = Some(Arc::new(Tags::clone(&outer).enclosing(&callers)));
        }
        self
    }

    pub(super) fn with_slots(
        mut self,
        shared: &Arc<Shared>,
        claimed: Claimed,
        alive: Weak<()>,
    ) -> Self {
        self.slots = Some(Arc::new(Slots {
            limiter: Arc::downgrade(shared),
            claimed,
            alive,
            outer: self.slots.take(),
        }));
        self
    }

    /// The counts of a limiter in which a call that is still going on holds a slot.
    pub(super) fn held(&self, shared: &Arc<Shared>) -> Vec<LimitKey> {
        let all = std::iter::successors(self.slots.as_deref(), |slots| slots.outer.as_deref());
        all.filter(|slots| std::ptr::eq(slots.limiter.as_ptr(), Arc::as_ptr(shared)))
            .filter(|slots| slots.alive.strong_count() > 0)
            .flat_map(|slots| shared.slots(&slots.claimed))
            .collect()
    }
}

impl Limiter {
    /// The counts of which a call need not take a slot again.
    pub(crate) fn held(&self, delegation: &Delegation) -> Vec<LimitKey> {
        delegation.held(&self.shared)
    }
}

impl Shared {
    /// The slots that a claim holds.
    fn slots(&self, claimed: &Claimed) -> Vec<LimitKey> {
        let limits = self.store.limits();
        let around = Around::of(&claimed.tags);
        let keys = claimed.of(&limits).flat_map(|(place, limit)| {
            let all = around.under(limit);
            all.map(move |tags| LimitKey::of(place, limit, tags))
        });
        keys.filter(|key| !claimed.held.contains(key)).collect()
    }

    /// Whether it holds any.
    pub(super) fn has_slots(&self, claimed: &Claimed) -> bool {
        match claimed.held.is_empty() {
            true => {
                let (limits, around) = (self.store.limits(), Around::of(&claimed.tags));
                claimed.of(&limits).any(|(_, limit)| around.touch(limit))
            }
            false => !self.slots(claimed).is_empty(),
        }
    }
}

impl Claimed {
    /// The limits on slots that were there, with their places.
    fn of<'l>(&'l self, limits: &'l Limits) -> impl Iterator<Item = (u32, &'l Limit)> {
        limits
            .live()
            .filter(|(_, rule)| rule.limit.quantity == Quantity::Concurrency)
            .filter(|(_, rule)| rule.since <= self.version)
            .map(|(place, rule)| (place, &rule.limit))
    }
}

impl fmt::Debug for Delegation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = std::iter::successors(self.slots.as_deref(), |slots| slots.outer.as_deref());
        f.debug_struct("Delegation")
            .field("tags", &self.tags)
            .field("calls", &all.count())
            .finish()
    }
}
