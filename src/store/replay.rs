//! What a memory store is asked by one that does again what it did.

use super::{
    Claim, Grant, MemoryStore, Store as _,
    grants::{Name, Part},
    memory::State,
};
#[cfg(feature = "sqlite")]
use crate::limit::Quantity;
use crate::limit::{Around, LimitKey, Rule, Window};
#[cfg(feature = "redis")]
use crate::{limit::Room, tags::Tags};

impl MemoryStore {
    /// Takes what was granted elsewhere, whether there is room or not.
    pub(super) fn take_anyway(&self, claim: &Claim) -> Grant {
        self.take_by(claim, |amount, _, _| amount)
    }

    /// Takes of each count what it has room for, up to what is asked. The grant; and how much money that is at most, where
    /// any count is of money.
    #[cfg(feature = "sqlite")]
    pub(super) fn take_what_is_left(&self, claim: &Claim) -> (Grant, Option<u64>) {
        let now = self.now();
        let mut cost = None;
        let grant = self.take_by(claim, |amount, rule, count| {
            count.expire(rule, now);
            let taken = amount.min(count.amount().saturating_sub(count.in_use()));
            if rule.limit.quantity == Quantity::Cost {
                cost = cost.max(Some(taken));
            }
            taken
        });
        (grant, cost)
    }

    /// Takes of each count what is made of what is asked.
    fn take_by(
        &self,
        claim: &Claim,
        mut make: impl FnMut(u64, &Rule, &mut Window) -> u64,
    ) -> Grant {
        self.clock.set_calendars();
        let State { counts, limits } = &mut *self.lock();
        let now = self.now();
        counts.sweep_if_grown(limits, || now);
        let mut parts = Vec::new();
        let (limits, around) = (&*limits, Around::of(&claim.tags));
        counts.each_entry(
            limits,
            &around,
            || now,
            |number, tags, place, entry| {
                for (window, limit) in (0u32..).zip(&limits.levels()[number].places) {
                    let rule = &limits.rules()[*limit as usize];
                    let count = &mut entry.windows[window as usize];
                    let own = || LimitKey::of(*limit, &rule.limit, tags);
                    if let Some(amount) = claim.amount(own, rule, count.amount()) {
                        let amount = make(amount, rule, count);
                        let at = (*limit, place, window);
                        parts.push(Part::new(at, rule.terms, &claim.demand, amount));
                    }
                }
            },
        );
        parts.iter().for_each(|part| counts.entries.open(part));
        let name = counts.grants.put(parts);
        Grant {
            store: self.id(),
            name,
        }
    }

    /// When each count that a claim needs has room for it; and when, if `beside` were taken of it as well. Takes nothing.
    #[cfg(feature = "redis")]
    pub(super) fn rooms_beside(
        &self,
        claim: &Claim,
        beside: impl Fn(&LimitKey) -> u64,
    ) -> Vec<(LimitKey, Room, Room)> {
        let state = &mut *self.lock();
        let now = self.now();
        let mut rooms = Vec::new();
        self.each_count(state, &claim.tags, now, |name, rule, count| {
            let need = claim.amount(|| name.own(), rule, count.amount());
            let Some(need) = need.filter(|need| *need > 0 && !rule.limit.shadow) else {
                return;
            };
            count.expire(rule, now);
            let key = name.key();
            let both = need.saturating_add(beside(&key));
            let (alone, both) = (count.room(rule, need, now), count.room(rule, both, now));
            rooms.push((key, alone, both));
        });
        rooms
    }

    /// Whether there is a count already wherever these tags touch one.
    #[cfg(feature = "redis")]
    pub(super) fn knows(&self, tags: &Tags) -> bool {
        let State { counts, limits } = &mut *self.lock();
        let (mut levels, around) = (limits.levels().iter().enumerate(), Around::of(tags));
        levels.all(|(number, level)| {
            let mut all = around.under(&level.limit);
            all.all(|tags| counts.find(number, &level.limit, tags).is_ok())
        })
    }

    /// Whether a grant is of this store.
    #[cfg(feature = "sqlite")]
    pub(super) fn is_of(&self, grant: &Grant) -> bool {
        grant.store == self.id()
    }

    /// Whether something has happened to budgets that nobody has asked for.
    #[cfg(feature = "sqlite")]
    pub(super) fn has_events(&self) -> bool {
        self.news.load(std::sync::atomic::Ordering::Acquire)
    }

    /// A grant of this store that has ended.
    pub(super) fn no_grant(&self) -> Grant {
        Grant {
            store: self.id(),
            name: Name::NONE,
        }
    }

    /// The number of a grant of this store that has not ended.
    #[cfg(feature = "sqlite")]
    pub(super) fn number_of(&self, grant: &Grant) -> Option<u64> {
        let is_open = self.is_of(grant) && self.lock().counts.grants.find(grant.name).is_some();
        is_open.then(|| grant.name.number())
    }
}
