//! The short ways: a piece of work that is one call, and usage without a call.

use std::future::Future;

use super::{Call, Limiter};
use crate::{
    error::{Rejection, StoreError},
    tags::{self, Tags},
    usage::Usage,
};

impl Limiter {
    /// Waits for room, does `work`, and gives its slot back: the short way for work that is not HTTP.
    ///
    /// What the call reserved counts as used. If the work can tell what it really used, hold the [permit] yourself,
    /// which is a guard too:
    ///
    /// ```
    /// # use tower_quota::{Limiter, Usage, limit::{Limit, Limits}, limiter::Call};
    /// # async fn ask() -> (String, Usage) { ("hello".into(), Usage::new(1_180, 212)) }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let limiter = Limiter::new(Limits::new([Limit::concurrency(1)])?);
    /// let text = limiter.run(Call::new(), async { "hello".to_owned() }).await?;
    /// assert_eq!(text, "hello");
    ///
    /// let permit = limiter.acquire(Call::new().tokens(1_200, 400)).await?;
    /// let (text, usage) = permit.scope(ask()).await;
    /// permit.settle(usage);
    /// # assert_eq!(text, "hello");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Calls made inside `work` inherit the caller's tags, and take no slot of a concurrency limit of which this call
    /// holds one: see [`Delegation`](super::Delegation).
    ///
    /// # Errors
    /// As for [`acquire`](Self::acquire); `work` was never started then.
    ///
    /// # Cancel safety
    /// Dropping the future before `work` has started gives everything back. Dropping it later gives the slot back, and
    /// what the call reserved counts as used.
    ///
    /// [permit]: super::Permit
    pub async fn run<F: Future>(&self, call: Call, work: F) -> Result<F::Output, Rejection> {
        let permit = self.acquire(call).await?;
        let done = permit.scope(work).await;
        drop(permit);
        Ok(done)
    }

    /// Counts usage by work done elsewhere, without asking first: one request and these tokens, dated now, under every
    /// limit that the tags touch except those on concurrency.
    ///
    /// It is never refused. What exceeds a limit is debt, which is paid off before anything else is admitted. A limit
    /// whose provider reserves the larger of input and output cap counts the larger of input and output.
    ///
    /// ```
    /// # use std::time::Duration;
    /// use tower_quota::{Limiter, Tags, Usage, limit::{Limit, Limits}, limiter::Call};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let limits = Limits::new([Limit::tokens(1_000).every(Duration::from_secs(60))])?;
    /// let limiter = Limiter::new(limits);
    /// limiter.record(&Tags::new(), Usage::new(1_100, 100)).await?;
    ///
    /// let refused = limiter.try_acquire(Call::new().tokens(10, 0)).await.unwrap_err();
    /// assert_eq!(refused.shortage().unwrap().in_use, 1_200);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the store of counts cannot answer.
    ///
    /// # Cancel safety
    /// Once the future has been polled the usage counts, even if the future is dropped.
    pub async fn record(&self, tags: &Tags, usage: Usage) -> Result<(), StoreError> {
        let inherited = tags::inherited().map(|outer| Tags::clone(&outer).enclosing(tags));
        let tags = inherited.as_ref().unwrap_or(tags);
        let shared = &self.shared;
        shared.get(shared.store.record(tags, usage)).await?;
        shared.budgets_changed(tags);
        Ok(())
    }
}
