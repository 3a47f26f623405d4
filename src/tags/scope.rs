//! What the calls of a task inherit: tags, and what is handed down beside them.

use std::{any::Any, future::Future, sync::Arc};

use super::Tags;

tokio::task_local! {
    static INHERITED: Inherited;
}

/// What a call made here inherits. In one place, as every future in a scope is wrapped for each.
#[derive(Clone, Default)]
pub(crate) struct Inherited {
    pub(crate) tags: Option<Arc<Tags>>,
    /// Not for this room to know.
    pub(crate) beside: Option<Arc<dyn Any + Send + Sync>>,
}

/// Runs `future` with `tags` on every call made inside it.
///
/// [`Call::new`](crate::limiter::Call::new) and the layers take them over. Scopes add up: an inner scope adds to the
/// outer one and overrides it, and what a call says of itself overrides both.
///
/// An agent that is named inside the scope of another one works for it, and a run that begins inside another one is a part
/// of it: calls carry the inner names, and limits count them for the [outer agent](Tags::outer_agents) and the outer run
/// too. So a new name is no way round a window or a budget. To name another agent, put a scope inside the scope; where a
/// name is *replaced* in what [`Tags::current`] returned, nothing is left of the one before.
///
/// **Spawned tasks do not inherit.** Carry the tags over with `tokio::spawn(scope(Tags::current(), task))`, or use a
/// [`Delegation`](crate::limiter::Delegation), which also carries the slots of the calls around it.
///
/// ```
/// use tower_quota::{Tag, Tags, limiter::Call, scope};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let run = Tags::new().with(Tag::Run, "7").with(Tag::Agent, "planner");
/// scope(run, async {
///     scope(Tags::new().with(Tag::Agent, "scout"), async {
///         assert_eq!(Tags::current().to_string(), "agent=scout run=7");
///         let task = tokio::spawn(async { Tags::current() });
///         assert!(task.await.unwrap().is_empty());
///         let task = tokio::spawn(scope(Tags::current(), async { Tags::current() }));
///         assert_eq!(task.await.unwrap().get(&Tag::Run), Some("7"));
///     })
///     .await;
/// })
/// .await;
/// assert!(Tags::current().is_empty());
/// # }
/// ```
///
/// # Cancel safety
/// As cancel safe as `future`.
pub fn scope<F: Future>(tags: impl Into<Arc<Tags>>, future: F) -> impl Future<Output = F::Output> {
    let tags = tags.into();
    // Looked up when it is polled first: where it was made is not where it runs.
    async move {
        let tags = Some(inherit(tags));
        let beside = all_inherited().beside;
        enter(Inherited { tags, beside }, future).await
    }
}

impl Tags {
    /// Returns the tags that a call made here inherits: those of the scopes around it. Empty outside any scope, and in
    /// a task that was spawned inside one.
    #[must_use]
    pub fn current() -> Tags {
        inherited().map_or_else(Tags::new, |tags| Tags::clone(&tags))
    }
}

/// The tags that a call made here inherits, where it is inside a scope.
pub(crate) fn inherited() -> Option<Arc<Tags>> {
    INHERITED.try_with(|all| all.tags.clone()).ok().flatten()
}

/// All that a call made here inherits.
pub(crate) fn all_inherited() -> Inherited {
    INHERITED.try_with(Clone::clone).unwrap_or_default()
}

/// `tags`, and what they leave open from the scopes around.
pub(crate) fn inherit(tags: Arc<Tags>) -> Arc<Tags> {
    match inherited() {
        Some(outer) => Arc::new(Tags::clone(&outer).enclosing(&tags)),
        None => tags,
    }
}

/// Runs `future` with this to inherit, and nothing else.
pub(crate) fn enter<F: Future>(
    all: Inherited,
    future: F,
) -> impl Future<Output = F::Output> + use<F> {
    INHERITED.scope(all, future)
}

/// The same of what is done at once.
pub(crate) fn sync_enter<T>(all: Inherited, work: impl FnOnce() -> T) -> T {
    INHERITED.sync_scope(all, work)
}
