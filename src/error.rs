//! Why a call was refused here, before or instead of being sent.

use std::{fmt, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::money::Money;

pub(crate) mod help;
pub(crate) mod serialized;

use help::kind;

/// A refusal by this crate, not by a provider. In HTTP it travels as a response, with the `Rejection` in the response's
/// extensions.
///
/// ```
/// # use std::time::Duration;
/// use tower_quota::{Limiter, Usage, limit::{Limit, Limits}, limiter::Call};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let minute = Duration::from_secs(60);
/// let limiter = Limiter::new(Limits::new([Limit::tokens(90_000).every(minute)])?);
/// limiter.acquire(Call::new().tokens(88_200, 0)).await?.settle(Usage::new(88_200, 0));
///
/// let rejection = limiter.try_acquire(Call::new().tokens(2_500, 0)).await.unwrap_err();
/// assert_eq!(rejection.kind(), "rate_limited");
/// assert_eq!(rejection.shortage().unwrap().needed, 2_500);
/// assert_eq!(
///     rejection.to_string(),
///     "rate limited here: tokens 90000/min: 88200 in use, this call needs 2500 (would be 90700); room in 60.5 s"
/// );
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// There is no room now, and the call was not to wait, or not for as long as its provider told.
    #[error("rate limited here: {0}")]
    RateLimited(Shortage),
    /// There is no room now, and too many calls wait already.
    #[error("rate limited here, and {waiting} calls wait already: {shortage}")]
    #[non_exhaustive]
    QueueFull {
        /// How many calls wait.
        waiting: usize,
        /// What is short.
        shortage: Shortage,
    },
    /// There will be room, but only after the call's deadline; or the inner service was not ready by then.
    #[error("no room before the call's deadline: {0}")]
    DeadlineExceeded(Shortage),
    /// The call is larger than the limit can ever hold.
    #[error("this call never fits: {0}")]
    NeverFits(Shortage),
    /// The run has used up what it may use.
    #[error("this run is used up: {0}")]
    RunUsedUp(Shortage),
    /// The money is spent: the most that the call may cost does not fit what is left of a budget.
    #[error("budget exceeded: {0}")]
    BudgetExceeded(Shortage),
    /// The budget was exceeded and is a [circuit](crate::limit::Limit::circuit): it stops calls until somebody resets
    /// it.
    #[error("stopped until it is reset: {0}")]
    CircuitOpen(Shortage),
    /// Calls with these tags are [paused](crate::limit::Limit::paused) until somebody ends the pause.
    #[error("{whose} is paused")]
    Paused {
        /// The tags, such as `agent=scout`.
        whose: String,
        /// Whether any of the tags says where the call goes (its provider, model or API key): another target may not be
        /// paused.
        of_target: bool,
    },
    /// Nobody knows what the model costs, and a budget that counts nothing is no budget.
    #[error("{}", unpriced(model, provider.as_deref()))]
    #[non_exhaustive]
    UnknownPrice {
        /// The model.
        model: String,
        /// The provider, if it is known.
        provider: Option<String>,
    },
    /// The request's body is of unknown length and grew beyond what is read into memory.
    #[error(
        "the request body is longer than the {cap} bytes that are read into memory; raise `body_cap`"
    )]
    BodyTooLarge {
        /// How many bytes are read.
        cap: usize,
    },
    /// The request cannot be understood, so nobody can say what it needs.
    #[error("the request cannot be counted: {message}")]
    #[non_exhaustive]
    BadRequest {
        /// What is wrong with it.
        message: String,
    },
    /// Every target of the call's route was passed over: none can serve for now. In HTTP it is a 429 if all of them were
    /// told to wait, and otherwise a 503.
    #[error("no target can serve `{model}` now: {reasons}{when}", when = room_at(*.retry_after))]
    #[non_exhaustive]
    NoTarget {
        /// The model that was asked for.
        model: String,
        /// Why, target by target.
        reasons: String,
        /// Whether all of them were told to wait.
        waits: bool,
        /// In how long the first of them may be tried again, if that can be said.
        retry_after: Option<Duration>,
    },
    /// There is no route for the call, and it may go nowhere else; see
    /// [`FailoverLayer::routed_only`](crate::FailoverLayer::routed_only).
    #[error(
        "no route for {what}; the models served here are {models}",
        what = model.as_ref().map_or_else(|| "a call without a model".to_owned(), |model| format!("the model `{model}`"))
    )]
    #[non_exhaustive]
    NoRoute {
        /// The model that was asked for, if the call names one.
        model: Option<String>,
        /// The models that have a route.
        models: String,
    },
    /// The store of counts cannot answer, and admitting calls without it would be no limit.
    #[error(transparent)]
    StoreUnavailable(#[from] StoreError),
}

/// What is short: the limit, what counts under it now, what the call needs, and when there will be room.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shortage {
    /// The limit in words, such as `tokens 90000/min for model=gpt-4o`.
    pub limit: String,
    /// The unit of the amounts.
    pub unit: Unit,
    /// What counts under the limit now.
    pub in_use: u64,
    /// The part of `in_use` that is reserved for calls that have not ended; the rest is settled.
    pub reserved: u64,
    /// What the call needs of the limit. 0 for a cooldown, and if the limit was not tried because calls that came
    /// before wait for it.
    pub needed: u64,
    /// How long until there can be room, if that can be said. Room that others have to give back has no date.
    pub retry_after: Option<Duration>,
    /// How much of the limit may be used. `None` if a provider refused without saying how much.
    pub amount: Option<u64>,
    /// The period of the limit. `None` for what is not counted over time: calls in flight, runs.
    pub period: Option<Duration>,
    /// Whether the limit looks at where the call goes (its provider, model or API key): another target may have room.
    pub of_target: bool,
    /// The limit as it was given, whoever calls, such as `tokens 90000/min per agent`; for a told wait, `cooldown`. It
    /// is behind one pointer so that a refusal stays small.
    pub rule: Arc<String>,
}

/// The unit of an amount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Unit {
    /// Requests, tokens, or calls in flight.
    #[default]
    Number,
    /// Billionths of a US dollar.
    NanoDollar,
}

impl Shortage {
    /// Returns whether what is short is money that is spent: what others have reserved would not be enough.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        let settled = self.in_use.saturating_sub(self.reserved);
        let over = |amount| settled.saturating_add(self.needed) > amount;
        self.unit == Unit::NanoDollar && self.amount.is_some_and(over)
    }
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shortage {
            limit,
            unit,
            in_use,
            reserved,
            needed,
            retry_after,
            ..
        } = self;
        if let (0, Some(wait)) = (*needed, retry_after) {
            write!(f, "{limit}; ")?;
            return room_in(f, *wait);
        }
        if *needed == 0 {
            return write!(f, "{limit}: calls that came before wait for it");
        }
        counted(f, limit, *unit, (*in_use, *reserved), *needed)?;
        match retry_after {
            Some(wait) => {
                f.write_str("; ")?;
                room_in(f, *wait)
            }
            None => Ok(()),
        }
    }
}

/// The words for what counts under a limit: the same in a refusal and in an explanation.
pub(crate) fn counted(
    f: &mut fmt::Formatter<'_>,
    limit: &str,
    unit: Unit,
    (in_use, reserved): (u64, u64),
    needed: u64,
) -> fmt::Result {
    let then = in_use.saturating_add(needed);
    if unit == Unit::NanoDollar {
        let money = Money::from_nanos;
        return write!(
            f,
            "{limit}: {} settled, {} reserved, this call needs up to {} (would be {})",
            money(in_use.saturating_sub(reserved)),
            money(reserved),
            money(needed),
            money(then)
        );
    }
    write!(
        f,
        "{limit}: {in_use} in use, this call needs {needed} (would be {then})"
    )
}

/// The words for a wait.
pub(crate) fn room_in(f: &mut fmt::Formatter<'_>, wait: Duration) -> fmt::Result {
    write!(f, "room in {} s", tenths(wait))
}

/// The same after what lacks, where it can be said.
fn room_at(wait: Option<Duration>) -> String {
    wait.map_or_else(String::new, |wait| {
        format!("; worth another try in {} s", tenths(wait))
    })
}

/// The words for a call of which nobody knows what it costs.
fn unpriced(model: &str, provider: Option<&str>) -> String {
    if model.is_empty() {
        return "the call names no model, so that nobody knows what it costs; name one".to_owned();
    }
    let by = provider.map(|name| format!(" of `{name}`"));
    format!(
        "no price is known for the model `{model}`{}; set one, read a price file that has it, or say \
         `unknown_price: allow`",
        by.unwrap_or_default()
    )
}

/// Seconds with one decimal, rounded up: a wait that is read and obeyed must not come out short.
fn tenths(wait: Duration) -> String {
    let tenths = wait.as_nanos().div_ceil(100_000_000);
    format!("{}.{}", tenths / 10, tenths % 10)
}

impl Rejection {
    /// Returns a short name for programs, such as `rate_limited` or `never_fits`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Rejection::RateLimited(_) => kind!("rate_limited"),
            Rejection::QueueFull { .. } => kind!("queue_full"),
            Rejection::DeadlineExceeded(_) => kind!("deadline_exceeded"),
            Rejection::NeverFits(_) => kind!("never_fits"),
            Rejection::RunUsedUp(_) => kind!("run_used_up"),
            Rejection::BudgetExceeded(_) => kind!("budget_exceeded"),
            Rejection::CircuitOpen(_) => kind!("circuit_open"),
            Rejection::Paused { .. } => kind!("paused"),
            Rejection::UnknownPrice { .. } => kind!("unknown_price"),
            Rejection::BodyTooLarge { .. } => kind!("body_too_large"),
            Rejection::BadRequest { .. } => kind!("bad_request"),
            Rejection::NoTarget { .. } => kind!("no_target"),
            Rejection::NoRoute { .. } => kind!("no_route"),
            Rejection::StoreUnavailable(_) => kind!("store_unavailable"),
        }
    }

    /// Returns the address of the guide's entry on this kind of refusal: what it means, and what to do.
    ///
    /// It is the address for the latest version, and the same for all refusals of a kind. In HTTP it is sent along as
    /// `Link: <…>; rel="help"`.
    ///
    /// ```
    /// let rejection = tower_quota::Rejection::BodyTooLarge { cap: 1_024 };
    /// assert_eq!(
    ///     rejection.help(),
    ///     "https://docs.rs/tower-quota/latest/tower_quota/guide/troubleshooting/index.html#body_too_large"
    /// );
    /// ```
    #[must_use]
    pub fn help(&self) -> String {
        help::entry_of(self.kind()).unwrap_or_default()
    }

    /// Returns the HTTP status that says the same.
    #[must_use]
    pub fn status(&self) -> http::StatusCode {
        match self {
            Rejection::NeverFits(_) | Rejection::BodyTooLarge { .. } => {
                http::StatusCode::PAYLOAD_TOO_LARGE
            }
            Rejection::BadRequest { .. } => http::StatusCode::BAD_REQUEST,
            Rejection::BudgetExceeded(_)
            | Rejection::CircuitOpen(_)
            | Rejection::UnknownPrice { .. } => http::StatusCode::PAYMENT_REQUIRED,
            Rejection::Paused { .. } => http::StatusCode::FORBIDDEN,
            Rejection::NoRoute { .. } => http::StatusCode::NOT_FOUND,
            Rejection::NoTarget { waits: false, .. } => http::StatusCode::SERVICE_UNAVAILABLE,
            Rejection::StoreUnavailable(_) => http::StatusCode::SERVICE_UNAVAILABLE,
            _ => http::StatusCode::TOO_MANY_REQUESTS,
        }
    }

    /// Returns what is short, if it is room.
    #[must_use]
    pub fn shortage(&self) -> Option<&Shortage> {
        match self {
            Rejection::RateLimited(shortage)
            | Rejection::QueueFull { shortage, .. }
            | Rejection::DeadlineExceeded(shortage)
            | Rejection::NeverFits(shortage)
            | Rejection::RunUsedUp(shortage)
            | Rejection::BudgetExceeded(shortage)
            | Rejection::CircuitOpen(shortage) => Some(shortage),
            _ => None,
        }
    }

    /// Returns how long until another try is worthwhile, if that can be said.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Rejection::NoTarget { retry_after, .. } => *retry_after,
            _ => self.shortage()?.retry_after,
        }
    }

    /// Returns whether an automatic retry makes sense.
    ///
    /// Over HTTP, `x-should-retry: false` is sent where it does not. Calls that are not retried automatically can still
    /// pass later: see [`retry_after`](Self::retry_after).
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Rejection::RateLimited(_)
            | Rejection::QueueFull { .. }
            | Rejection::NoTarget { .. }
            | Rejection::StoreUnavailable(_) => true,
            Rejection::DeadlineExceeded(_)
            | Rejection::NeverFits(_)
            | Rejection::RunUsedUp(_)
            | Rejection::BudgetExceeded(_)
            | Rejection::CircuitOpen(_)
            | Rejection::Paused { .. }
            | Rejection::UnknownPrice { .. }
            | Rejection::BodyTooLarge { .. }
            | Rejection::BadRequest { .. }
            | Rejection::NoRoute { .. } => false,
        }
    }
}

/// The error of a store of counts that could not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store of counts cannot answer: {message}")]
pub struct StoreError {
    message: String,
}

impl StoreError {
    /// Creates an error with the store's own words.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        StoreError {
            message: message.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn told_waits_are_rounded_up() {
        let text = |millis| tenths(Duration::from_millis(millis));
        assert_eq!(
            [text(3_200), text(3_201), text(1), text(0)],
            ["3.2", "3.3", "0.1", "0.0"]
        );
    }

    #[test]
    fn that_no_target_can_serve_is_a_rate_limit_only_where_it_is_a_matter_of_waiting() {
        for (waits, status) in [(true, 429), (false, 503)] {
            let rejection = Rejection::NoTarget {
                model: "m".to_owned(),
                reasons: "east/m (a) was told to wait".to_owned(),
                waits,
                retry_after: None,
            };
            assert_eq!(rejection.status(), status);
        }
    }
}
