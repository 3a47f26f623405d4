//! Claims that say that they cost more than can be right. One that nobody settles counts as fully used, and a budget that it
//! spends is everybody's.

use super::{Claiming, open::Terms};
use crate::{
    limit::{Limit, Limits, Quantity},
    money::Money,
    tags::Tags,
    usage::Usage,
};

/// What is more than so many times what was to be expected is a mistake, of the unit say, or bad will.
pub(super) const TIMES: u64 = 10;

/// So little is none, whatever was to be expected.
pub(super) const LITTLE: Money = Money::from_dollars(1);

/// Why a cost is not believed; and what it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TooDear {
    #[error(
        "it says that it costs more than ten times what its tokens cost by the price of its model, which is taken for a mistake; \
         with this key it may cost {0} at most: `cost` is in dollars; say all the tokens that it may use, or claim with the key \
         of an admin"
    )]
    ForItsTokens(Money),
    #[error(
        "it says that it costs more than a tenth of the smallest budget that it counts under, which is taken for a mistake where \
         no tokens are said, or no price is known for them; with this key it may cost {0} at most: `cost` is in dollars; say \
         `provider`, `model`, `input` and `output`, claim part by part, or claim with the key of an admin"
    )]
    ForItsBudget(Money),
}

impl Claiming {
    /// Whether the cost that a claim says, if it says one, may be right.
    pub(super) fn believe(&self, terms: &Terms, tags: &Tags) -> Result<(), TooDear> {
        let Some(cost) = terms.cost else {
            return Ok(());
        };
        let usage = Usage::new(terms.input, terms.output);
        let priced = match usage.total() {
            0 => None,
            _ => self.cost(terms, &usage),
        };
        judge(cost, priced, smallest_budget(&self.limiter.limits(), tags))
    }
}

/// Of a claim whose tokens cost so much, where that is known. Without a budget it stops nobody.
fn judge(cost: Money, priced: Option<Money>, budget: Option<Money>) -> Result<(), TooDear> {
    let tenth = budget.map(|budget| Money::from_nanos(budget.as_nanos() / TIMES));
    let most = match (priced, tenth) {
        (Some(priced), _) => {
            let little = tenth.map_or(LITTLE, |tenth| tenth.min(LITTLE));
            Money::from_nanos(priced.as_nanos().saturating_mul(TIMES)).max(little)
        }
        (None, Some(tenth)) => tenth,
        (None, None) => return Ok(()),
    };
    match priced {
        _ if cost <= most => Ok(()),
        Some(_) => Err(TooDear::ForItsTokens(most)),
        None => Err(TooDear::ForItsBudget(most)),
    }
}

/// Of the budgets that refuse calls with these tags.
fn smallest_budget(limits: &Limits, tags: &Tags) -> Option<Money> {
    let refuses =
        |limit: &&Limit| limit.quantity == Quantity::Cost && !limit.shadow && limit.touches(tags);
    let amount = |limit: &Limit| {
        let value = limit.per.first();
        let value = value.map(|tag| tags.get(tag).unwrap_or_default());
        Money::from_nanos(limit.usable(limit.published_for(value)))
    };
    limits.iter().filter(refuses).map(amount).min()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::tags::Tag;

    const DAY: Duration = Duration::from_secs(86_400);

    fn money(text: &str) -> Money {
        text.parse().unwrap()
    }

    #[test]
    fn a_cost_is_held_against_what_its_tokens_cost_and_else_against_the_budget() {
        use TooDear::{ForItsBudget, ForItsTokens};
        for (cost, priced, budget, expected) in [
            ("5", Some("0.5"), Some("20"), None),
            (
                "5.01",
                Some("0.5"),
                Some("20"),
                Some(ForItsTokens(money("5"))),
            ),
            // What tokens cost may be more than a tenth of the budget.
            ("15", Some("2"), Some("20"), None),
            // A dollar is little, but of a dollar it is all.
            ("1", Some("0.0001"), Some("20"), None),
            (
                "1.01",
                Some("0.0001"),
                Some("20"),
                Some(ForItsTokens(money("1"))),
            ),
            (
                "1",
                Some("0.0001"),
                Some("1"),
                Some(ForItsTokens(money("0.1"))),
            ),
            ("1", Some("0"), None, None),
            ("2", Some("0"), None, Some(ForItsTokens(money("1")))),
            ("2", None, Some("20"), None),
            ("20", None, Some("20"), Some(ForItsBudget(money("2")))),
            (
                "2.000000001",
                None,
                Some("20"),
                Some(ForItsBudget(money("2"))),
            ),
            ("9000000", None, None, None),
            ("18446744073", Some("18446744073"), Some("20"), None),
        ] {
            let judged = judge(money(cost), priced.map(money), budget.map(money));
            assert_eq!(judged.err(), expected, "{cost} {priced:?} {budget:?}");
        }
    }

    #[test]
    fn the_smallest_budget_is_of_those_that_refuse_such_a_call() {
        let dollars = |dollars| Limit::cost(Money::from_dollars(dollars)).every(DAY);
        let of_five = Money::from_dollars(5).as_nanos();
        let limits = Limits::new([
            dollars(50),
            dollars(20).per(Tag::Agent).amount_for("a", of_five),
            dollars(1).per(Tag::Team).shadow(),
            dollars(2).when(Tag::Agent, "b"),
            Limit::requests(1).every(DAY),
        ]);
        let limits = limits.unwrap();
        for (agent, smallest) in [("a", 5), ("b", 2), ("c", 20)] {
            let tags = Tags::new().with(Tag::Agent, agent);
            let expected = Some(Money::from_dollars(smallest));
            assert_eq!(smallest_budget(&limits, &tags), expected, "{agent}");
        }
        let of_nobody = smallest_budget(&limits, &Tags::new());
        assert_eq!(of_nobody, Some(Money::from_dollars(20)));
        let none = Limits::new([dollars(1).shadow()]).unwrap();
        assert_eq!(smallest_budget(&none, &Tags::new()), None);
    }
}
