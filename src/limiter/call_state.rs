//! Where a call is, as it is shown.

use std::{fmt, sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{error::Shortage, tags::Tags};

/// Where a call is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum CallState {
    /// It came, and neither waits nor is under way: it is looked at, or about to leave, or its answer is.
    Received,
    /// It waits for room.
    Waiting(Awaited),
    /// An attempt has left, and has not ended: its answer is awaited, or its body is.
    Sent {
        /// When it left.
        since: Instant,
        /// With these tags: where it went is among them.
        tags: Arc<Tags>,
        /// Which attempt of the call it is, from 1 on.
        attempt: u32,
        /// The output tokens that have streamed by now, estimated. By a layer alone; it looks four times a second.
        output: u64,
    },
    /// It waits to be repeated, or until a provider takes calls again, and holds nothing.
    BackingOff {
        /// Until then.
        until: Instant,
    },
    /// It is over: answered to the end, refused, or given up.
    Done,
}

/// What a call waits for.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Awaited {
    /// Since when.
    pub since: Instant,
    /// The limit on which it waits, as it stands now.
    pub shortage: Shortage,
    /// How many calls that go before it wait there, or have room kept there.
    pub ahead: usize,
    /// In how long it is expected to go, if those before it need what they say, and none comes that goes before it.
    /// `None` where it hangs on calls in flight, which end when they end.
    pub expected_in: Option<Duration>,
}

impl fmt::Display for Awaited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "waits for {}", self.shortage)?;
        match self.ahead {
            0 => Ok(()),
            1 => f.write_str("; 1 call goes before it"),
            ahead => write!(f, "; {ahead} calls go before it"),
        }
    }
}
