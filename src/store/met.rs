//! What a claim meets that has no room.

use super::{
    Claim, Decision, Grant, MemoryStore, NotNow, Store as _, entry::Entry, gates::Gates,
    grants::Part, memory::State,
};
use crate::{
    limit::{Around, Happened, LimitKey, Room, Rule, Tick},
    tags::Tags,
};

/// What a claim met that had no room.
#[derive(Default)]
pub(super) struct Met {
    /// The time, once it was asked for.
    now: Option<Tick>,
    /// Limits that only watch.
    pub(super) over: Vec<u32>,
    /// Of the others the one that has room last, where it stands and why.
    latest: Option<(Rank, NotNow)>,
    /// The latest instant of all that refuse.
    not_before: Option<Tick>,
    /// Counts whose circuits have opened: limits, entries and windows.
    tripped: Vec<(u32, u32, u32)>,
}

/// A pause goes before what never has room, that before a budget that is spent, and that before all that has to be waited
/// for: who is refused because of it waits for nothing else. Of those of one kind, what has room last.
type Rank = (bool, bool, bool, Room);

impl Met {
    /// Whether there is room once what has left is let go; notes it where there is none.
    #[cold]
    pub(super) fn look_closer(
        &mut self,
        rule: &Rule,
        entry: &mut Entry,
        (limit, place, window, needed): (u32, u32, u32, u64),
        tags: &Tags,
        now: impl FnOnce() -> Tick,
    ) {
        let shared = entry.is_shared(&rule.limit);
        let count = &mut entry.windows[window as usize];
        let now = *self.now.get_or_insert_with(now);
        count.expire(rule, now);
        let mut room = count.room(rule, needed, now);
        if room == Room::Now {
            return;
        }
        if rule.limit.shadow {
            self.over.push(limit);
            return;
        }
        if count.after_refusing(rule, needed).is_some() {
            self.tripped.push((limit, place, window));
            room = Room::Never;
        }
        let at = if let Room::At(at) = room {
            Some(at)
        } else {
            None
        };
        self.not_before = self.not_before.max(count.not_before(rule, needed));
        let spent = count.is_spent(rule, needed);
        let rank = (rule.limit.paused, room == Room::Never, spent, room);
        if self.latest.as_ref().is_none_or(|(other, _)| rank > *other) {
            let refused = NotNow {
                key: LimitKey::of_entry(limit, &rule.limit, tags, shared),
                at,
                not_before: None,
                in_use: count.in_use_of_all(rule, now),
                reserved: count.reserved(),
                needed,
            };
            self.latest = Some((rank, refused));
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
                reserved: 0,
                needed: 0,
            };
            self.latest = Some(((false, false, false, Room::At(until)), refused));
        }
    }

    /// The refusal, where any limit refuses.
    pub(super) fn refusal(&mut self) -> Option<(Room, NotNow)> {
        let ((.., room), refused) = self.latest.take()?;
        // What never has room has it at no instant.
        let not_before = self.not_before.filter(|_| room != Room::Never);
        Some((
            room,
            NotNow {
                not_before,
                ..refused
            },
        ))
    }
}

impl MemoryStore {
    /// A claim for which something is to be made, swept or let go first, or which is refused.
    #[cold]
    pub(super) fn claim_closely(
        &self,
        State { counts, limits }: &mut State,
        claim: &Claim,
    ) -> Decision {
        // The clock is asked only where something has to expire first, and then inside the lock: dates are
        // booked in the order in which they are taken.
        let mut met = Met::default();
        let limits = &*limits;
        self.clock.set_calendars();
        counts.sweep_if_grown(limits, || self.now());
        if !counts.gates.is_empty() && claim.is_held_back() {
            met.look_at_gates(&mut counts.gates, &claim.tags, || self.now());
        }
        let (mut parts, around) = (Vec::new(), Around::of(&claim.tags));
        counts.each_entry(
            limits,
            &around,
            || self.now(),
            |number, tags, place, entry| {
                for (window, limit) in (0u32..).zip(&limits.levels()[number].places) {
                    let rule = &limits.rules()[*limit as usize];
                    let count = &entry.windows[window as usize];
                    let own = || LimitKey::of(*limit, &rule.limit, tags);
                    let Some(amount) = claim.amount(own, rule, count.amount()) else {
                        continue;
                    };
                    if !count.fits(amount) {
                        let at = (*limit, place, window, amount);
                        met.look_closer(rule, entry, at, tags, || self.now());
                    }
                    let at = (*limit, place, window);
                    parts.push(Part::new(at, rule.terms, &claim.demand, amount));
                }
            },
        );
        for (limit, place, window) in met.tripped.drain(..) {
            let (entry, tripped) = (counts.entries.at(place), vec![Happened::Tripped]);
            counts.events.note(limits, entry, (limit, window), tripped);
        }
        self.has_news(counts);
        match met.refusal() {
            Some((Room::Never, refused)) => Decision::Never(refused),
            Some((_, refused)) => Decision::NotNow(refused),
            None => {
                parts.iter().for_each(|part| counts.entries.open(part));
                let name = counts.grants.put(parts);
                met.over.iter().for_each(|limit| counts.note_over(*limit));
                Decision::Granted(Grant {
                    store: self.id(),
                    name,
                })
            }
        }
    }
}
