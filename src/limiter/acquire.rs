//! From a call to its permit.

use super::{Call, Limiter, Permit, Refused};
use crate::error::Rejection;

impl Limiter {
    /// Waits for room and takes it. The permit is dated at the moment this returns.
    ///
    /// # Errors
    /// A [`Rejection`] if waiting makes no sense: the call never fits, its wait cannot end in time, the queue is full,
    /// its run is used up, a circuit is open, it is paused, or the store cannot answer.
    ///
    /// # Cancel safety
    /// Dropping the future at any moment gives everything back.
    pub async fn acquire(&self, call: Call) -> Result<Permit, Rejection> {
        let progress = call.shown();
        let (claim, turn) = self.parts(call);
        let mut permit = match self.try_claim(&claim, turn).get().await {
            Ok(permit) => permit,
            Err(Refused::Rejected(rejection)) => return Err(rejection),
            Err(Refused::NotNow(refused)) => {
                let permit = self.wait(&claim, turn, refused, progress.as_deref());
                permit.await?
            }
        };
        permit.sent();
        if let Some(progress) = &progress {
            progress.sent(permit.tags(), permit.flight());
        }
        Ok(permit)
    }

    /// Takes room if there is any now, without waiting and without overtaking a call that waits.
    ///
    /// # Errors
    /// [`Rejection::RateLimited`] if there is no room now, [`Rejection::BudgetExceeded`] if the money is spent, and
    /// otherwise as for [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    /// Dropping the future at any moment gives everything back.
    pub async fn try_acquire(&self, call: Call) -> Result<Permit, Rejection> {
        let progress = call.shown();
        let (claim, turn) = self.parts(call);
        match self.try_claim(&claim, turn).get().await {
            Ok(mut permit) => {
                permit.sent();
                if let Some(progress) = &progress {
                    progress.sent(permit.tags(), permit.flight());
                }
                Ok(permit)
            }
            Err(Refused::Rejected(rejection)) => Err(rejection),
            Err(Refused::NotNow(refused)) => Err(self.turn_away(&claim, refused).await),
        }
    }
}
