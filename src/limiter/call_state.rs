//! Where a call is, as it is shown.

use std::{fmt, sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{error::Shortage, tags::Tags};

/// Where a call is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum CallState {
    /// It has arrived and is neither waiting nor under way: it is being looked at, or it or its answer is about to
    /// leave.
    Received,
    /// It waits for room.
    Waiting(Awaited),
    /// An attempt has left and has not ended: its response, or the rest of the response body, is still awaited.
    Sent {
        /// When the attempt left.
        since: Instant,
        /// The tags it left with; where it went is among them.
        tags: Arc<Tags>,
        /// Which attempt of the call this is, counted from 1.
        attempt: u32,
        /// The output tokens that have streamed so far, estimated. Known only behind a layer, which looks four times a
        /// second.
        output: u64,
    },
    /// It waits to be repeated, or until a provider takes calls again. Meanwhile it holds nothing.
    BackingOff {
        /// When this wait ends.
        until: Instant,
    },
    /// It is over: answered to the end, refused, or given up.
    Done,
}

/// What a call waits for.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Awaited {
    /// When the wait began.
    pub since: Instant,
    /// The limit on which the call waits, as it stands now.
    pub shortage: Shortage,
    /// How many calls that go before it wait for that limit, or have room kept there.
    pub ahead: usize,
    /// In how long it is expected to go, if the calls ahead need what they claim and no further call goes before it.
    ///
    /// `None` if that depends on calls in flight, whose end nobody knows.
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
