//! What happens to targets, for whoever watches.

use std::{fmt, sync::Arc, time::Duration};

use serde::Serialize;

use crate::{call::TargetName, error::serialized::millis};

/// Something that happened to a target.
///
/// In JSON: `{"breaker_opened": {"target": {"provider": "openai", "model": "gpt-4o", "api_key": "main"}, "span_ms": 30000}}`,
/// and in the same form `breaker_closed`, `parked` and `unparked`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FailoverEvent {
    /// It failed so often that it is passed over for a while, and then tried by one call.
    #[non_exhaustive]
    BreakerOpened {
        /// The target.
        target: TargetName,
        /// For how long it is passed over.
        #[serde(rename = "span_ms", serialize_with = "millis")]
        span: Duration,
    },
    /// It serves again.
    #[non_exhaustive]
    BreakerClosed {
        /// The target.
        target: TargetName,
    },
    /// Its money or quota is used up, or its key is refused: no call goes there for a while.
    #[non_exhaustive]
    Parked {
        /// The target. If this is about the key's account, all targets that share the key are parked with it.
        target: TargetName,
        /// For how long it is parked.
        #[serde(rename = "span_ms", serialize_with = "millis")]
        span: Duration,
    },
    /// What parked it was [taken back](crate::FailoverLayer::unpark) by hand: calls go there again. Nothing is told
    /// where the time of a parked target is over by itself.
    #[non_exhaustive]
    Unparked {
        /// The target. Each one that is parked no more is told, those that were parked with it too.
        target: TargetName,
    },
}

impl FailoverEvent {
    /// Returns the target that it happened to.
    #[must_use]
    pub fn target(&self) -> &TargetName {
        match self {
            FailoverEvent::BreakerOpened { target, .. }
            | FailoverEvent::BreakerClosed { target }
            | FailoverEvent::Parked { target, .. }
            | FailoverEvent::Unparked { target } => target,
        }
    }
}

impl fmt::Display for FailoverEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FailoverEvent::BreakerOpened { target, span } => {
                write!(
                    f,
                    "{target} fails; passed over for {} s",
                    span.as_secs_f64()
                )
            }
            FailoverEvent::BreakerClosed { target } => write!(f, "{target} serves again"),
            FailoverEvent::Parked { target, span } => write!(
                f,
                "{target} is out of money or quota, or its key is refused; parked for {} s",
                span.as_secs_f64()
            ),
            FailoverEvent::Unparked { target } => {
                write!(f, "{target} is parked no more; that was taken back by hand")
            }
        }
    }
}

type Tell = dyn Fn(&FailoverEvent) + Send + Sync;

/// Who hears of events.
#[derive(Clone, Default)]
pub(super) struct Listener(Vec<Arc<Tell>>);

impl Listener {
    pub(super) fn with(
        mut self,
        listener: impl Fn(&FailoverEvent) + Send + Sync + 'static,
    ) -> Self {
        self.0.push(Arc::new(listener));
        self
    }

    pub(super) fn tell(&self, event: Option<&FailoverEvent>) {
        if let Some(event) = event {
            self.0.iter().for_each(|listener| listener(event));
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Listener").field(&self.0.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{json, to_value};

    use super::*;

    fn target() -> TargetName {
        TargetName {
            provider: Some("openai".into()),
            model: Some("gpt-4o".into()),
            api_key: None,
        }
    }

    #[test]
    fn an_event_is_data_by_its_name() {
        let named = json!({"provider": "openai", "model": "gpt-4o", "api_key": null});
        let span = Duration::from_secs(30);
        for (event, expected) in [
            (
                FailoverEvent::BreakerOpened {
                    target: target(),
                    span,
                },
                json!({"breaker_opened": {"target": named, "span_ms": 30_000}}),
            ),
            (
                FailoverEvent::BreakerClosed { target: target() },
                json!({"breaker_closed": {"target": named}}),
            ),
            (
                FailoverEvent::Parked {
                    target: target(),
                    span,
                },
                json!({"parked": {"target": named, "span_ms": 30_000}}),
            ),
            (
                FailoverEvent::Unparked { target: target() },
                json!({"unparked": {"target": named}}),
            ),
        ] {
            assert_eq!(to_value(event).unwrap(), expected);
        }
    }
}
