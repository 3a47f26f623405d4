//! What an answer tells of the limits that its attempt took from.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    limit::Tick,
    wire::{Observed, ObservedQuantity},
};

/// What an answer tells besides what its attempt used. It is plain data, because a store may keep it on another
/// machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Observation {
    /// The target (provider, API key and model) is to be left alone until this instant.
    ///
    /// Of several instants the latest holds. Tags that name none of the three name no target, and nothing is held back.
    Closed {
        /// The instant, in the store's time.
        until: Tick,
    },
    /// The target was [closed](Self::Closed) until this instant by mistake: the rest of the answer says otherwise.
    Reopened {
        /// The instant until which it was closed.
        until: Tick,
    },
    /// The provider's own counters.
    Counters {
        /// The counters, as the headers show them.
        shown: Vec<Observed>,
        /// Whether the attempt was refused, so that the counters do not include it.
        refused: bool,
    },
    /// A limit refused the attempt: one of this quantity and this period, if they are named.
    Limited {
        /// What the limit counts.
        quantity: Option<ObservedQuantity>,
        /// The period over which it counts.
        period: Option<Duration>,
    },
    /// No limit refused the attempt.
    Succeeded,
}
