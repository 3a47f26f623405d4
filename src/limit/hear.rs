//! From a provider's counters to what others use.

use super::{
    Life, Rule, Tick,
    even::{Even, Reading},
    foreign::Shown,
    tick::micros,
    window::Window,
};

/// How many refused charges are told apart. Further ones count as if they had been accepted.
const REFUSED: usize = 256;

/// What a provider's counters show of one limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counters {
    pub(crate) remaining: u64,
    /// What the limit is by our configuration, without headroom.
    pub(crate) published: u64,
    /// How much more may remain, because the counters are rounded.
    pub(crate) rounded: u64,
    /// How it comes back.
    pub(crate) refill: Refill,
}

/// How a limit comes back, by what a provider shows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refill {
    /// Evenly, so much in a period.
    Evenly(u64),
    Otherwise,
    /// There is no telling, unless it was known before.
    Unknown,
}

/// One charge, as it was when its attempt left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Charged {
    pub(crate) sent: Tick,
    pub(crate) amount: u64,
    /// What counted then, itself included.
    pub(crate) then: u64,
}

impl Window {
    /// What is used of ours by now, with what is held where that stays held until the end: as it is compared
    /// with a provider's counters later.
    #[inline]
    pub(crate) fn ours(&self, rule: &Rule, now: Tick) -> u64 {
        let held = if rule.terms.hold_all() { self.held } else { 0 };
        let all = self.dated.saturating_add(held);
        if self.learnt.is_none() {
            return all;
        }
        all.saturating_sub(self.over(rule, now))
    }

    /// What counts here and no more with whoever enforces the limit, which knows no margin.
    #[cold]
    fn over(&self, rule: &Rule, now: Tick) -> u64 {
        before(rule, now).map_or(0, |from| self.dated_by(from))
    }

    /// An answer showed these counters, to an attempt that was charged so. Returns whether they matter.
    pub(crate) fn hear(
        &mut self,
        rule: &Rule,
        charged: &Charged,
        shown: Counters,
        now: Tick,
    ) -> bool {
        let Life::Sliding { stay, .. } = rule.life else {
            return false;
        };
        self.expire(rule, now);
        let refused = self.learnt.as_ref().map_or(0, |learnt| {
            learnt.refused_in(before(rule, charged.sent), charged.sent)
        });
        let held = if rule.terms.hold_all() { self.held } else { 0 };
        let seen = Shown {
            sent: charged.sent,
            now,
            used: shown.published.saturating_sub(shown.remaining),
            ours: charged.then.saturating_sub(refused),
            since: self
                .dated
                .saturating_sub(self.dated_by(charged.sent))
                .saturating_add(held),
            rounded: shown.rounded,
        };
        let asked = self.is_doubtful();
        self.read_even(rule, charged, shown, now, stay);
        let known = self.learnt_foreign().is_some();
        if !known && seen.others().0 == 0 {
            // Those behind the one that went ahead may go on.
            return asked;
        }
        let amount = self.amount();
        let learnt = self.learnt.get_or_insert_default();
        learnt.changed = now;
        let foreign = learnt.foreign.get_or_insert_default();
        foreign.hear(&seen, stay);
        // Where the limit is adaptive refusals cut it.
        if shown.remaining < charged.amount && rule.limit.adaptive.is_none() {
            foreign.used_up(charged.sent, amount, now, stay);
        }
        true
    }

    /// An answer showed nothing of this limit: so whoever went ahead to ask has asked in vain, and nobody waits for
    /// the next one. Returns whether anybody may have.
    pub(crate) fn unheard(&mut self) -> bool {
        let asked = self.is_doubtful();
        if let Some(learnt) = self.learnt.as_mut().filter(|_| asked) {
            learnt.even = None;
        }
        asked
    }

    /// What others take from a bucket that refills.
    fn read_even(&mut self, rule: &Rule, charged: &Charged, shown: Counters, now: Tick, stay: u64) {
        let even = self.learnt.as_ref().and_then(|learnt| learnt.even.as_ref());
        let known = even.map(Even::limit);
        let limit = match (shown.refill, known) {
            (Refill::Evenly(limit), _) | (Refill::Unknown, Some(limit)) => limit,
            (Refill::Unknown, None) => return,
            (Refill::Otherwise, _) => {
                if let Some(learnt) = &mut self.learnt {
                    learnt.even = None;
                }
                return;
            }
        };
        let mut learnt = self.learnt.take().unwrap_or_default();
        let held = if rule.terms.hold_all() { self.held } else { 0 };
        let reading = Reading {
            sent: charged.sent,
            remaining: shown.remaining,
            limit,
        };
        let after = self.begun_after(rule, charged.sent);
        let ours = |from| {
            let since = self.dated.saturating_sub(self.dated_by(from));
            since.saturating_sub(after).saturating_add(held)
        };
        let period = micros(rule.period());
        let even = learnt.even.get_or_insert_default();
        even.look(reading, now, period, ours);
        // What might be something else says nothing so exact.
        let known = shown.refill != Refill::Unknown;
        let others = known.then(|| even.read(reading, period, ours)).flatten();
        if let Some(others) = others.filter(|others| *others > 0) {
            let foreign = learnt.foreign.get_or_insert_default();
            foreign.certain(others.min(shown.published), now, stay);
        }
        learnt.changed = now;
        self.learnt = Some(learnt);
    }

    /// A charge was refused: whoever enforces the limit does not count it.
    pub(crate) fn note_refused(&mut self, rule: &Rule, charged: &Charged, now: Tick) {
        self.expire(rule, now);
        let learnt = self.learnt.get_or_insert_default();
        learnt.changed = now;
        if learnt.refused.len() < REFUSED {
            learnt.refused.push_back((charged.sent, charged.amount));
        }
    }
}

/// One period before: what is not newer does not count with whoever enforces the limit, which knows no
/// margin. `None`: everything still counts.
pub(super) fn before(rule: &Rule, now: Tick) -> Option<Tick> {
    let from = now.as_micros().checked_sub(micros(rule.period()))?;
    Some(Tick::from_micros(from))
}
