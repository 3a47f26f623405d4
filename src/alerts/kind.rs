//! Kinds of alerts.

use serde::Serialize;

/// What an alert is about; see the [module](super).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// A share of a budget is spent.
    Threshold,
    /// A budget stops calls until it is reset.
    Circuit,
    /// Calls are refused because a budget is spent.
    Spent,
    /// A target fails.
    Breaker,
    /// A key or an account is not used for a while.
    Parked,
    /// A budget will be spent before its period ends.
    Forecast,
    /// Nothing has happened: somebody [tests](super::Alerts::test) the webhooks, which all get it, whatever kinds they
    /// are for.
    Test,
}

impl Kind {
    /// All kinds but `Test`: those for which something has to happen.
    pub const ALL: [Kind; 6] = [
        Kind::Threshold,
        Kind::Circuit,
        Kind::Spent,
        Kind::Breaker,
        Kind::Parked,
        Kind::Forecast,
    ];

    /// The kind in a word: `threshold`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Threshold => "threshold",
            Kind::Circuit => "circuit",
            Kind::Spent => "spent",
            Kind::Breaker => "breaker",
            Kind::Parked => "parked",
            Kind::Forecast => "forecast",
            Kind::Test => "test",
        }
    }
}

/// Several kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kinds(u8);

impl Kinds {
    pub(super) const NONE: Kinds = Kinds(0);

    pub(super) fn of(kinds: impl IntoIterator<Item = Kind>) -> Self {
        kinds
            .into_iter()
            .fold(Kinds::NONE, |all, kind| Kinds(all.0 | bit(kind)))
    }

    pub(super) fn has(self, kind: Kind) -> bool {
        self.0 & bit(kind) != 0
    }

    pub(super) fn and(self, others: Kinds) -> Self {
        Kinds(self.0 | others.0)
    }

    pub(super) fn bits(self) -> u8 {
        self.0
    }

    pub(super) fn from_bits(bits: u8) -> Self {
        Kinds(bits)
    }
}

fn bit(kind: Kind) -> u8 {
    1 << kind as u8
}
