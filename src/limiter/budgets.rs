//! How every budget stands.

use super::Limiter;
use crate::{error::StoreError, store::BudgetStanding};

impl Limiter {
    /// How every limit on [cost](crate::limit::Limit::cost) stands, in the order of the limits: each value apart that
    /// something was counted for. Looks at every count; for dashboards, not for decisions.
    ///
    /// ```
    /// use tower_quota::{Limiter, Money, limit::{Limit, Limits}, limiter::Call};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let limiter = Limiter::new(Limits::new([Limit::cost(Money::from_dollars(5)).every_run()])?);
    /// let permit = limiter.acquire(Call::new().cost(Money::from_dollars(2))).await?;
    /// let budgets = limiter.budgets().await?;
    /// assert_eq!(budgets[0].reserved, Money::from_dollars(2));
    /// assert_eq!(budgets[0].left(), Money::from_dollars(3));
    /// # drop(permit);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the store cannot answer, or cannot say.
    ///
    /// # Cancel safety
    /// Nothing is taken, so nothing is lost.
    pub async fn budgets(&self) -> Result<Vec<BudgetStanding>, StoreError> {
        self.shared.get(self.shared.store.budgets()).await
    }
}
