//! Why a call goes on to the next target.

use http::StatusCode;

use crate::{
    call::{Failing, Failure},
    error::{Rejection, Shortage, Unit},
    wire::{ErrorClass, ProviderError},
};

/// Why a call goes on to the next target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Trigger {
    /// There is no room here for this target within the time that a call waits for one target, or the call can never
    /// fit.
    NoRoom,
    /// The provider says that a limit is used up (429). If there is a [`RetryLayer`](crate::RetryLayer) inside: after
    /// it has done what it could within that time.
    RateLimited,
    /// The provider says that money or a quota is used up.
    QuotaUsedUp,
    /// The provider fails: 5xx, overload.
    ServerError,
    /// The inner service fails: no connection, a broken connection, a time-out.
    Connection,
    /// A budget does not have enough left for this target, also if the rest is only reserved, or the target has no price.
    OverBudget,
    /// The call is longer than the model takes, or larger than a limit of the provider: a larger model may take it.
    ContextLength,
    /// The provider refuses the content.
    ContentFilter,
    /// The provider refuses the key, or forbids the call: 401, 403.
    KeyRefused,
}

impl Trigger {
    /// Returns a short name for programs, such as `no_room` or `rate_limited`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Trigger::NoRoom => "no_room",
            Trigger::RateLimited => "rate_limited",
            Trigger::QuotaUsedUp => "quota_used_up",
            Trigger::ServerError => "server_error",
            Trigger::Connection => "connection",
            Trigger::OverBudget => "over_budget",
            Trigger::ContextLength => "context_length",
            Trigger::ContentFilter => "content_filter",
            Trigger::KeyRefused => "key_refused",
        }
    }
}

/// Some of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Triggers(u16);

/// Beside them: whether they also hold for an attempt that may have been billed.
const UNCERTAIN: u16 = 1 << 15;

impl Default for Triggers {
    /// All but refused content: what one provider refuses is not to be shopped around by default.
    fn default() -> Self {
        Triggers(u16::MAX).without(Trigger::ContentFilter)
    }
}

impl Triggers {
    pub(super) fn with(self, trigger: Trigger) -> Self {
        Triggers(self.0 | 1 << trigger as u16)
    }

    pub(super) fn without(self, trigger: Trigger) -> Self {
        Triggers(self.0 & !(1 << trigger as u16))
    }

    pub(super) fn contain(self, trigger: Trigger) -> bool {
        self.0 & (1 << trigger as u16) != 0
    }

    pub(super) fn with_uncertain(self, holds: bool) -> Self {
        match holds {
            true => Triggers(self.0 | UNCERTAIN),
            false => Triggers(self.0 & !UNCERTAIN),
        }
    }

    /// The same, where this is why an answer is an error.
    pub(super) fn contain_of(self, trigger: Trigger, error: &ProviderError) -> bool {
        let may = !error.broke_off || self.0 & UNCERTAIN != 0;
        may && self.contain(trigger)
    }

    /// For whoever asks [`goes_on`].
    pub(super) fn number(self) -> u16 {
        self.0
    }
}

/// Whether a call goes on to the next target after it failed so, for one of these reasons.
pub(super) fn goes_on(reasons: u16, failing: Failing) -> bool {
    let reasons = Triggers(reasons);
    match failing {
        Failing::Answered(status, error) => {
            let trigger = of_answer(status, &error);
            trigger.is_some_and(|trigger| reasons.contain_of(trigger, &error))
        }
        Failing::Broke(Failure::Permanent) => false,
        Failing::Broke(failure) => {
            let may = failure == Failure::BeforeDispatch || reasons.0 & UNCERTAIN != 0;
            may && reasons.contain(Trigger::Connection)
        }
    }
}

/// What an answer of a provider is, of these.
pub(super) fn of_answer(status: StatusCode, error: &ProviderError) -> Option<Trigger> {
    Some(match error.class {
        _ if error.broke_off => Trigger::Connection,
        ErrorClass::RateLimit | ErrorClass::Ramp => Trigger::RateLimited,
        ErrorClass::Quota => Trigger::QuotaUsedUp,
        ErrorClass::Overloaded | ErrorClass::Server => Trigger::ServerError,
        ErrorClass::ContextLength | ErrorClass::RequestTooLarge => Trigger::ContextLength,
        ErrorClass::ContentFilter => Trigger::ContentFilter,
        ErrorClass::KeyRefused => Trigger::KeyRefused,
        // What is forbidden here may not be elsewhere.
        _ if status == StatusCode::FORBIDDEN => Trigger::KeyRefused,
        _ => return None,
    })
}

/// What a refusal of our own is: only where another target may fare better.
pub(super) fn of_refusal(rejection: &Rejection) -> Option<Trigger> {
    match rejection {
        // What a call may cost depends on its target.
        Rejection::BudgetExceeded(_) | Rejection::UnknownPrice { .. } => Some(Trigger::OverBudget),
        Rejection::NeverFits(shortage) if is_money(shortage) => Some(Trigger::OverBudget),
        // So it may where the money is only reserved.
        _ if lacks_reserved_money(rejection) => Some(Trigger::OverBudget),
        Rejection::RateLimited(shortage)
        | Rejection::QueueFull { shortage, .. }
        | Rejection::DeadlineExceeded(shortage)
        | Rejection::NeverFits(shortage)
            if shortage.of_target =>
        {
            Some(Trigger::NoRoom)
        }
        Rejection::Paused {
            of_target: true, ..
        } => Some(Trigger::NoRoom),
        _ => None,
    }
}

/// Whether there would be enough money if others had not reserved it.
pub(super) fn lacks_reserved_money(rejection: &Rejection) -> bool {
    match rejection {
        Rejection::RateLimited(shortage) | Rejection::QueueFull { shortage, .. } => {
            is_money(shortage)
        }
        _ => false,
    }
}

fn is_money(shortage: &Shortage) -> bool {
    shortage.unit == Unit::NanoDollar
}
