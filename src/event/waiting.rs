//! A wait for room that is observed.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Event, ObservedCall};
use crate::limit::{LimitKey, Limits};

/// A wait that somebody observes. It ends when it is dropped: with room where that was [found](Self::has_room).
pub(crate) struct Waiting {
    call: Arc<ObservedCall>,
    rule: String,
    since: Instant,
    has_room: bool,
}

impl Waiting {
    /// A call waits from now on, for this.
    pub(crate) fn begin(call: Arc<ObservedCall>, limits: &Limits, key: &LimitKey) -> Self {
        let rule = limits.name_rule(key);
        call.tell(&Event::Waits {
            rule: &rule,
            limit: &limits.describe(key),
        });
        Waiting {
            call,
            rule,
            since: Instant::now(),
            has_room: false,
        }
    }

    /// It has room.
    pub(crate) fn has_room(mut self) {
        self.has_room = true;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.call.tell(&Event::Waited {
            rule: &self.rule,
            span: self.since.elapsed(),
            has_room: self.has_room,
        });
    }
}
