//! More money for a call that is on its way.

use std::sync::Arc;

use super::{Limiter, Permit, Refused};
use crate::{
    error::Rejection,
    limit::{Demand, NewTarget, Quantities},
    store::Claim,
    tags::Tags,
};

impl Limiter {
    /// Has the budgets of these tags hold so much more, if all of them have it. Nobody is asked who waits: it goes to
    /// what is being spent already.
    ///
    /// # Errors
    /// Where one has not, or the store cannot answer.
    pub(crate) async fn top_up(
        &self,
        tags: &Arc<Tags>,
        money: u64,
        attempt: u32,
    ) -> Result<Permit, Rejection> {
        let claim = Claim {
            tags: tags.clone(),
            demand: Demand {
                requests: 0,
                cost: money,
                ..Demand::default()
            },
            quantities: Quantities::BUDGET,
            repeat: false,
            new_target: NewTarget::default(),
            held: Vec::new(),
            attempt,
        };
        match self.shared.ask(&claim).await {
            Ok(mut permit) => {
                permit.sent();
                Ok(permit)
            }
            // Reserved or settled, in time or never: there is no more for it now.
            Err(Refused::NotNow(refused)) => {
                Err(Rejection::BudgetExceeded(self.shared.shortage(&refused)))
            }
            Err(Refused::Rejected(rejection)) => Err(match rejection.shortage() {
                Some(shortage) => Rejection::BudgetExceeded(shortage.clone()),
                None => rejection,
            }),
        }
    }
}
