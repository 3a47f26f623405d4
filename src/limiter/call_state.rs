//! Where a call is, as it is shown.

use std::{fmt, sync::Arc, time::Duration};

use serde::{Serialize, Serializer};
use tokio::time::Instant;

use crate::{
    error::{
        Shortage,
        serialized::{millis, millis_if},
    },
    tags::Tags,
};

/// Where a call is.
///
/// In JSON: `"received"`, `{"waiting": {…}}`, `{"sent": {"since_ms": 1200, "tags": {…}, "attempt": 1, "output": 40}}`,
/// `{"backing_off": {"until_ms": 800}}` or `"done"`. An instant is told by its distance from the moment at which this is
/// serialized, in milliseconds: how long ago it was, or in how long it will be.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
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
        #[serde(rename = "since_ms", serialize_with = "ago")]
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
        #[serde(rename = "until_ms", serialize_with = "from_now")]
        until: Instant,
    },
    /// It is over: answered to the end, refused, or given up.
    Done,
}

/// What a call waits for. In JSON, spans are in milliseconds: `since_ms`, which is how long ago the wait began, and
/// `expected_in_ms`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Awaited {
    /// When the wait began.
    #[serde(rename = "since_ms", serialize_with = "ago")]
    pub since: Instant,
    /// The limit on which the call waits, as it stands now.
    pub shortage: Shortage,
    /// How many calls that go before it wait for that limit, or have room kept there.
    pub ahead: usize,
    /// In how long it is expected to go, if the calls ahead need what they claim and no further call goes before it.
    ///
    /// `None` if that depends on calls in flight, whose end nobody knows.
    #[serde(rename = "expected_in_ms", serialize_with = "millis_if")]
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

/// How long ago it was, in milliseconds.
fn ago<S: Serializer>(at: &Instant, serializer: S) -> Result<S::Ok, S::Error> {
    millis(&at.elapsed(), serializer)
}

/// In how long it will be, in milliseconds.
fn from_now<S: Serializer>(at: &Instant, serializer: S) -> Result<S::Ok, S::Error> {
    let wait = at.saturating_duration_since(Instant::now());
    millis(&wait, serializer)
}

#[cfg(test)]
mod tests {
    use serde_json::{json, to_value};

    use super::*;
    use crate::{error::Unit, tags::Tag};

    fn shortage() -> Shortage {
        Shortage {
            limit: "concurrency 4".into(),
            unit: Unit::Number,
            in_use: 4,
            reserved: 4,
            needed: 1,
            retry_after: None,
            amount: Some(4),
            period: None,
            of_target: false,
            rule: "concurrency 4".to_owned().into(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn instants_are_told_by_how_far_they_are_away() {
        let since = Instant::now();
        tokio::time::advance(Duration::from_millis(1_200)).await;
        let sent = CallState::Sent {
            since,
            tags: Arc::new(Tags::new().with(Tag::Agent, "scout")),
            attempt: 2,
            output: 40,
        };
        let expected = json!({"sent": {
            "since_ms": 1_200, "tags": {"agent": "scout"}, "attempt": 2, "output": 40,
        }});
        assert_eq!(to_value(sent).unwrap(), expected);

        let until = Instant::now() + Duration::from_millis(800);
        let backing_off = CallState::BackingOff { until };
        let expected = json!({"backing_off": {"until_ms": 800}});
        assert_eq!(to_value(&backing_off).unwrap(), expected);
        tokio::time::advance(Duration::from_secs(1)).await;
        let expected = json!({"backing_off": {"until_ms": 0}});
        assert_eq!(to_value(backing_off).unwrap(), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_says_for_what_and_how_long() {
        let awaited = |expected_in| Awaited {
            since: Instant::now(),
            shortage: shortage(),
            ahead: 3,
            expected_in,
        };
        let waiting = CallState::Waiting(awaited(Some(Duration::from_secs(5))));
        let expected = json!({"waiting": {
            "since_ms": 0, "shortage": to_value(shortage()).unwrap(), "ahead": 3, "expected_in_ms": 5_000,
        }});
        assert_eq!(to_value(waiting).unwrap(), expected);
        let nobody_knows = to_value(awaited(None)).unwrap();
        assert!(nobody_knows["expected_in_ms"].is_null());
        assert_eq!(to_value(CallState::Received).unwrap(), "received");
        assert_eq!(to_value(CallState::Done).unwrap(), "done");
    }
}
