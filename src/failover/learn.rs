//! What an answer says of its target, for all calls.

use std::time::Duration;

use http::StatusCode;

use super::{
    health::{Parks, Trial},
    trigger::Trigger,
};
use crate::wire::{ErrorClass, ProviderError};

/// For how long a key is parked that was refused: somebody may be putting it right.
pub(super) const KEY_REFUSED: Duration = Duration::from_secs(60);

/// What an answer says of its target, and of the account, which is ours, and parked for so long where nobody names a
/// time.
pub(super) fn learn(
    status: StatusCode,
    failed: Option<Trigger>,
    error: &ProviderError,
    park_for: Option<Duration>,
    trial: &mut Trial,
) {
    match failed {
        Some(Trigger::ServerError) if is_about_the_call(status, error) => trial.succeeded(),
        Some(Trigger::ServerError | Trigger::Connection) => trial.failed(),
        _ => trial.succeeded(),
    }
    let Some(park_for) = park_for else {
        return;
    };
    match (failed, error.wait) {
        (Some(Trigger::RateLimited | Trigger::ServerError), Some(wait)) => trial.cools(wait),
        (Some(Trigger::QuotaUsedUp), wait) => {
            // A quota that is stated is one of a limit on the model; money is the account's.
            let is_of_model = error.quantity.is_some() || error.window.is_some();
            let what = if is_of_model {
                Parks::Target
            } else {
                Parks::Account
            };
            // Who says zero, or a time that is over, names none.
            let named = wait.filter(|wait| !wait.is_zero());
            trial.parks(what, named.unwrap_or(park_for));
        }
        // What is forbidden to one call is no news of the key.
        (Some(Trigger::KeyRefused), _) if error.class != ErrorClass::KeyRefused => {}
        // A 403 may be about the model.
        (Some(Trigger::KeyRefused), _) if status == StatusCode::UNAUTHORIZED => {
            trial.parks(Parks::Account, KEY_REFUSED);
        }
        (Some(Trigger::KeyRefused), _) => trial.parks(Parks::Target, KEY_REFUSED),
        _ => {}
    }
}

/// Whether it is the call that asks for what is not there: its target may serve all others.
fn is_about_the_call(status: StatusCode, error: &ProviderError) -> bool {
    let is_missing = matches!(
        status,
        StatusCode::NOT_IMPLEMENTED | StatusCode::HTTP_VERSION_NOT_SUPPORTED
    );
    is_missing && !error.retryable
}
