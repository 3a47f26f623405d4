//! More money for a stream that has come to more than was reserved for it.

use std::sync::Arc;

use super::{Ended, Gate, attempt::Attempt, gate::Held};
use crate::{error::Rejection, limit::Demand, money::Money, tags::Tags};

/// What is held besides is this part of what was held before, where there is so much: so it is asked for seldom.
const STEP: u64 = 4;

/// A budget, and what it holds for an attempt.
struct Budget {
    gate: Arc<Gate>,
    tags: Arc<Tags>,
    money: u64,
}

impl Attempt {
    /// Whether there are budgets that may refuse it more money.
    pub(super) fn has_budgets(&self) -> bool {
        !self.budgets().is_empty()
    }

    /// Has every budget hold what it has come to by now, out of turn: it is being spent already. Says up to how many
    /// output tokens that does.
    ///
    /// # Errors
    /// Where a budget has no more, or nobody can say.
    pub(super) async fn cover(&self, ended: Ended) -> Result<u64, Rejection> {
        let mut covered = u64::MAX;
        for Budget { gate, tags, money } in self.budgets() {
            let Some(pricing) = &gate.pricing else {
                continue;
            };
            let Some(cost) = pricing.cost(&tags, &ended) else {
                continue;
            };
            let lacks = cost.as_nanos().saturating_sub(money);
            let more = match lacks {
                0 => 0,
                _ => self.hold_more(&gate, &tags, lacks, money / STEP).await?,
            };
            let rest = money.saturating_add(more).saturating_sub(cost.as_nanos());
            covered = covered.min(pricing.output_within(&tags, &ended, Money::from_nanos(rest)));
        }
        Ok(covered)
    }

    /// Has a budget hold so much more, and if it can some to spare. Says how much.
    async fn hold_more(
        &self,
        gate: &Arc<Gate>,
        tags: &Arc<Tags>,
        lacks: u64,
        spare: u64,
    ) -> Result<u64, Rejection> {
        let top_up = |money| gate.limiter.top_up(tags, money, self.id);
        let mut answer = top_up(lacks.saturating_add(spare)).await;
        for spare in [spare / 4, spare / 16, 0] {
            if let Err(Rejection::BudgetExceeded(_)) = &answer {
                answer = top_up(lacks.saturating_add(spare)).await;
            }
        }
        let permit = answer?;
        let money = permit.money();
        self.add_more(Held::new(gate.clone(), Demand::default(), permit));
        Ok(money)
    }

    fn budgets(&self) -> Vec<Budget> {
        let mut budgets = Vec::new();
        self.each_budget(|gate, permit, money| {
            budgets.push(Budget {
                gate: gate.clone(),
                tags: permit.tags().clone(),
                money,
            });
        });
        budgets
    }
}
