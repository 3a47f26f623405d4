//! What was done by hand, for whoever asks later.

use super::Limiter;
use crate::{
    error::StoreError,
    store::{AuditEntry, Note, Reason},
};

impl Limiter {
    /// Returns the audit log, oldest entries first: what was done by hand to budgets, limits and amounts spent, and
    /// what a program has [noted](Self::note).
    ///
    /// It also has what stopped by itself, and what was lost in flight when a process ended. A store in a file or on a
    /// server keeps the whole log for good; one in memory keeps the last 1 024 entries until the process ends. Several
    /// limiters on one store share one log.
    ///
    /// ```
    /// use tower_quota::{Limiter, limit::{Limit, Limits}, store::{Note, Reason}};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let limiter = Limiter::new(Limits::new([Limit::concurrency(4)])?);
    /// let more = Limits::new([Limit::concurrency(8)])?;
    /// limiter.reconfigure_because(&more, Reason::new("more workers").by("ada")).await?;
    /// let note = Note::new("key", "ci-bot").was("enabled").now("disabled");
    /// limiter.note(note, Reason::new("it leaked").by("grace")).await?;
    ///
    /// let audit = limiter.audit().await?;
    /// assert_eq!((&*audit[0].what, &*audit[0].by, &*audit[0].why), ("limit", "ada", "more workers"));
    /// assert_eq!((audit[0].old.as_deref(), audit[0].new.as_deref()), (Some("concurrency 4"), Some("concurrency 8")));
    /// assert_eq!((&*audit[1].what, &*audit[1].subject, &*audit[1].by), ("key", "ci-bot", "grace"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the store cannot answer, or keeps no audit log.
    ///
    /// # Cancel safety
    /// Nothing is taken, so nothing is lost.
    pub async fn audit(&self) -> Result<Vec<AuditEntry>, StoreError> {
        self.shared.get(self.shared.store.audit()).await
    }

    /// Notes in the [audit log](Self::audit) what was done by hand to something other than the limits: a key, a user, a
    /// setting.
    ///
    /// It changes nothing else. Secrets do not belong there.
    ///
    /// # Errors
    /// If the store cannot write the note, or keeps no audit log.
    ///
    /// # Cancel safety
    /// Once the future has been polled the note is made, even if the future is dropped.
    pub async fn note(&self, note: Note, reason: impl Into<Reason>) -> Result<(), StoreError> {
        let answer = self.shared.store.note(note, &reason.into());
        self.shared.get(answer).await
    }
}
