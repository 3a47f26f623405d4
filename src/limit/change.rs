//! Other amounts for the same limits.

use super::{Identity, Limit, Limits};

/// Why limits cannot take the place of others while these count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LimitsDiffer {
    /// A limit is missing among the new ones.
    #[error(
        "a limit is missing: {limit}; amounts can change at run time, which limits there are cannot"
    )]
    Missing {
        /// The limit, in words.
        limit: String,
    },
    /// A limit is new.
    #[error(
        "a limit is new: {limit}; amounts can change at run time, which limits there are cannot"
    )]
    New {
        /// The limit, in words.
        limit: String,
    },
    /// More than amounts differ.
    #[error("{limit} differs in more than its amounts: {field} cannot change at run time")]
    Field {
        /// The limit, in words.
        limit: String,
        /// The first field that differs.
        field: &'static str,
    },
}

impl Limits {
    /// These limits with the amounts, the headroom, the shares and the amounts for values of `new`, matched by quantity,
    /// period, `when` and `per`, in whatever order.
    pub(crate) fn with_amounts_of(&self, new: &Limits) -> Result<Limits, LimitsDiffer> {
        let same = |a: &Limit, b: &Limit| Identity::of(a).same(&Identity::of(b));
        if let Some(limit) = new
            .iter()
            .find(|limit| !self.iter().any(|old| same(limit, old)))
        {
            let limit = limit.to_string();
            return Err(LimitsDiffer::New { limit });
        }
        let mut limits = Vec::new();
        for old in self.iter() {
            let limit = old.to_string();
            let Some(new) = new.iter().find(|new| same(old, new)) else {
                return Err(LimitsDiffer::Missing { limit });
            };
            if let Some(field) = differs(old, new) {
                return Err(LimitsDiffer::Field { limit, field });
            }
            limits.push(Limit {
                amount: new.amount,
                amounts: new.amounts.clone(),
                headroom: new.headroom,
                shares: old.shares_as_in(new),
                ..old.clone()
            });
        }
        Ok(Limits::on_wall(limits, self.wall().clone())
            .expect("both were checked, and only amounts are mixed"))
    }
}

fn differs(old: &Limit, new: &Limit) -> Option<&'static str> {
    let fields = [
        ("`charge`", old.charge == new.charge),
        ("`count`", old.count == new.count),
        ("`margin`", old.margin == new.margin),
        ("`count_refused`", old.count_refused == new.count_refused),
        ("`slice`", old.slice == new.slice),
        ("whom `shares` are for", old.has_shares_of(new)),
        ("`adaptive`", old.adaptive == new.adaptive),
    ];
    let mut different = fields.into_iter().filter(|(_, same)| !same);
    different.next().map(|(field, _)| field)
}
