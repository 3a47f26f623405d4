//! What a claim meets that has no room.

use super::{NotNow, counts::Entry, gates::Gates};
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
        let now = *self.now.get_or_insert_with(now);
        count.expire(rule, now);
        let room = count.room(rule, needed, now);
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
        self.not_before = self.not_before.max(count.not_before(rule, needed));
        if self.latest.as_ref().is_none_or(|(other, _)| room > *other) {
            let refused = NotNow {
                key: LimitKey::of_entry(limit, &rule.limit, tags, shared),
                at,
                not_before: None,
                in_use: count.in_use_of_all(rule, now),
                needed,
            };
            self.latest = Some((room, refused));
        }
    }

    /// Whether the target is to be left alone; notes it where it is.
    #[cold]
    pub(super) fn look_at_gates(
        &mut self,
        gates: &mut Gates,
        tags: &Tags,
        now: impl FnOnce() -> Tick,
    ) {
        let now = *self.now.get_or_insert_with(now);
        if let Some((target, until)) = gates.closed(tags, now) {
            self.not_before = self.not_before.max(Some(until));
            let refused = NotNow {
                key: target.clone(),
                at: Some(until),
                not_before: None,
                in_use: 0,
                needed: 0,
            };
            self.latest = Some((Room::At(until), refused));
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
