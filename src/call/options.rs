//! What a caller, or a layer of somebody else's, can say about a call.

use std::time::Duration;

/// How urgent a call is, and how long it may wait. Put it into the request's extensions.
///
/// ```
/// use std::time::Duration;
/// use tower_quota::CallOptions;
///
/// let mut request = http::Request::new(());
/// request.extensions_mut().insert(CallOptions::new().priority(3).max_wait(Duration::from_secs(20)));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct CallOptions {
    pub(crate) priority: i32,
    pub(crate) max_wait: Option<Duration>,
    /// How many input tokens it stands for, whatever its body says.
    #[cfg(feature = "simulate")]
    pub(crate) input: Option<u64>,
}

impl CallOptions {
    /// Creates the default options: priority 0, and no bound on waiting.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how urgent the call is: each step up counts as having arrived one *aging* span earlier.
    pub fn priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }

    /// Sets how long the call may wait for room, and for the inner service to be ready, over all its attempts. A wait
    /// that cannot end in time is refused at once. Calls that run are not cut off.
    pub fn max_wait(mut self, wait: Duration) -> Self {
        self.max_wait = Some(wait);
        self
    }

    /// Its body stands for one with so many input tokens: a million of them take no room and no time to read.
    #[cfg(feature = "simulate")]
    pub(crate) fn stands_for(mut self, input: u64) -> Self {
        self.input = Some(input);
        self
    }
}

/// Says of a response that no attempt was sent for it.
///
/// A cache between this crate's layers and the client puts it into the extensions of an answer of its own; what was
/// claimed is then given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotSent;
