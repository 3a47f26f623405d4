//! One call that is observed.

use std::{fmt, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::{CallEnd, CallOutcome, Event, Observer};
use crate::{tags::Tags, wire::Dialect};

/// A call that is observed.
pub struct ObservedCall {
    id: u64,
    dialect: Dialect,
    tags: Arc<Tags>,
    streams: bool,
    came: Instant,
    observers: Arc<[Arc<dyn Observer>]>,
    sums: Mutex<Sums>,
    #[cfg(feature = "tracing")]
    span: std::sync::OnceLock<::tracing::Span>,
}

/// What is known of it by now.
#[derive(Debug)]
struct Sums {
    outcome: CallOutcome,
    attempts: u32,
    waited: Duration,
    /// When anything was known of it last.
    last: Instant,
}

impl ObservedCall {
    pub(super) fn begin(
        id: u64,
        observers: Arc<[Arc<dyn Observer>]>,
        dialect: Dialect,
        tags: Arc<Tags>,
        streams: bool,
    ) -> Arc<Self> {
        let came = Instant::now();
        let call = Arc::new(ObservedCall {
            id,
            dialect,
            tags,
            streams,
            came,
            observers,
            sums: Mutex::new(Sums {
                outcome: CallOutcome::GivenUp,
                attempts: 0,
                waited: Duration::ZERO,
                last: came,
            }),
            #[cfg(feature = "tracing")]
            span: std::sync::OnceLock::new(),
        });
        call.tell(&Event::Came);
        call
    }

    /// Returns the call's number: that of its [`Progress`](crate::limiter::Progress), if it has one.
    ///
    /// No other call of this process has the same number, unless a foreign layer has made several requests of one.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Returns the API in which the call asks.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Returns the tags that the call came with: who calls, and what it asks for. Where an attempt goes is in that
    /// attempt's events.
    #[must_use]
    pub fn tags(&self) -> &Tags {
        &self.tags
    }

    /// The same, shared.
    pub(crate) fn shared_tags(&self) -> &Arc<Tags> {
        &self.tags
    }

    /// Returns when the call came.
    #[must_use]
    pub fn came(&self) -> Instant {
        self.came
    }

    /// Returns whether the call asks for its answer as a stream.
    #[must_use]
    pub fn streams(&self) -> bool {
        self.streams
    }

    pub(crate) fn tell(&self, event: &Event<'_>) {
        match event {
            Event::Ended(_) => self.sums(|sums| sums.attempts += 1),
            Event::Waited { span, .. } => self.sums(|sums| sums.waited += *span),
            _ => {}
        }
        self.show(event);
    }

    /// What is handed on for it.
    pub(crate) fn hands_on(&self, outcome: CallOutcome) {
        self.sums(|sums| sums.outcome = outcome);
    }

    #[cfg(feature = "tracing")]
    pub(crate) fn span(&self) -> &std::sync::OnceLock<::tracing::Span> {
        &self.span
    }

    fn sums(&self, change: impl FnOnce(&mut Sums)) {
        let mut sums = self.sums.lock();
        sums.last = Instant::now();
        change(&mut sums);
    }

    fn show(&self, event: &Event<'_>) {
        for observer in &*self.observers {
            observer.on_event(self, event);
        }
    }
}

/// Whoever has it last is done with the call: its layers, its attempts and the body of its answer.
impl Drop for ObservedCall {
    fn drop(&mut self) {
        let sums = self.sums.get_mut();
        let end = CallEnd {
            outcome: sums.outcome,
            attempts: sums.attempts,
            // Who keeps a body that was read keeps no call.
            took: match sums.outcome {
                CallOutcome::GivenUp => self.came.elapsed(),
                _ => sums.last.saturating_duration_since(self.came),
            },
            waited: sums.waited,
        };
        self.show(&Event::Over(&end));
    }
}

impl fmt::Debug for ObservedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObservedCall")
            .field("id", &self.id)
            .field("dialect", &self.dialect)
            .field("tags", &self.tags)
            .finish_non_exhaustive()
    }
}
