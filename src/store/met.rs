//! What a claim meets that has no room.

use super::{NotNow, counts::Entry};
use crate::{
    limit::{LimitKey, Room, Rule, Tick},
    tags::Tags,
};

/// What a claim met that had no room.
#[derive(Default)]
pub(super) struct Met {
    /// The time, once it was asked for.
    now: Option<Tick>,
    /// Limits that only watch.
    pub(super) over: Vec<u32>,
    /// Of the others the one that has room last.
    latest: Option<(Room, NotNow)>,
    /// The latest instant of all that refuse.
    not_before: Option<Tick>,
}

impl Met {
    /// Whether there is room once what has left is let go; notes it where there is none.
    #[cold]
    pub(super) fn look_closer(
        &mut self,
        rule: &Rule,
        entry: &mut Entry,
        (limit, window, needed): (u32, u32, u64),
        tags: &Tags,
        now: impl FnOnce() -> Tick,
    ) {
        let shared = entry.is_shared(&rule.limit);
        let count = &mut entry.windows[window as usize];
        count.expire(rule, *self.now.get_or_insert_with(now));
        let room = count.room(rule, needed);
        if room == Room::Now {
            return;
        }
        if rule.limit.shadow {
            self.over.push(limit);
            return;
        }
        let at = if let Room::At(at) = room {
            Some(at)
        } else {
            None
        };
        self.not_before = self.not_before.max(at);
        if self.latest.as_ref().is_none_or(|(other, _)| room > *other) {
            let refused = NotNow {
                key: LimitKey::of_entry(limit, &rule.limit, tags, shared),
                at,
                not_before: None,
                in_use: count.in_use(),
                needed,
            };
            self.latest = Some((room, refused));
        }
    }

    /// The refusal, where any limit refuses.
    pub(super) fn refusal(&mut self) -> Option<(Room, NotNow)> {
        let (room, refused) = self.latest.take()?;
        let not_before = self.not_before;
        Some((
            room,
            NotNow {
                not_before,
                ..refused
            },
        ))
    }
}
