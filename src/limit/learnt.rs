//! What a count has learnt of its limit from answers: how much others use, and how much is refused.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{
    Life, Rule, Tick,
    adapt::Adapt,
    even::Even,
    foreign::Foreign,
    hear::{Charged, before},
    tick::micros,
    window::{Room, Window},
};

/// What one count has learnt. Most have learnt nothing and keep none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Learnt {
    pub(super) foreign: Option<Foreign>,
    pub(super) adapt: Option<Adapt>,
    /// Readings of a bucket that refills evenly.
    pub(super) even: Option<Even>,
    /// Charges of ours that were refused: we count them, whoever enforces the limit does not.
    pub(super) refused: VecDeque<(Tick, u64)>,
    /// When something was learnt last.
    pub(super) changed: Tick,
    /// Whether the circuit of a budget is open.
    pub(super) tripped: bool,
    /// Of how many of a budget's thresholds was warned, and when last.
    pub(super) warned: usize,
    pub(super) warned_at: Tick,
}

impl Window {
    /// A charge was refused because of this limit: less of it is used from now on.
    pub(crate) fn cut(&mut self, rule: &Rule, charged: &Charged, now: Tick) {
        let Some(floor) = rule.floor(self.amount()) else {
            return;
        };
        let whole = self.amount();
        let learnt = self.learnt.get_or_insert_default();
        learnt.changed = now;
        match &mut learnt.adapt {
            Some(adapt) => drop(adapt.refused(charged.sent, floor, now)),
            None => learnt.adapt = Some(Adapt::first(whole, floor, now)),
        }
    }

    /// A charge was accepted. Returns whether more may be used from now on.
    pub(crate) fn grow(&mut self, rule: &Rule, charged: &Charged, now: Tick) -> bool {
        let whole = self.amount();
        let Some(learnt) = &mut self.learnt else {
            return false;
        };
        let Some(adapt) = &mut learnt.adapt else {
            return false;
        };
        learnt.changed = now;
        let grown = adapt.succeeded(charged.sent, whole, rule.quiet(), now);
        if adapt.amount() >= whole {
            learnt.adapt = None;
        }
        grown
    }

    /// How much may be used for the time being.
    pub(crate) fn usable(&self) -> u64 {
        let adapt = self
            .learnt
            .as_ref()
            .and_then(|learnt| learnt.adapt.as_ref());
        adapt.map_or(self.amount(), |adapt| adapt.amount().min(self.amount()))
    }

    /// What counts at this moment of ours and of others', after [`expire`](Window::expire).
    pub(crate) fn in_use_of_all(&self, rule: &Rule, now: Tick) -> u64 {
        self.in_use().saturating_add(self.foreign(rule, now))
    }

    /// Whether anything was learnt that changes what may be used.
    pub(crate) fn has_learnt(&self) -> bool {
        let learnt = self.learnt.as_ref();
        learnt.is_some_and(|learnt| learnt.foreign.is_some() || learnt.adapt.is_some())
    }

    /// Whether others may have emptied a bucket that would be full again without them.
    pub(super) fn is_doubtful(&self) -> bool {
        let learnt = self.learnt.as_ref();
        learnt.is_some_and(|learnt| learnt.is_doubtful())
    }

    /// What is kept free for others, after [`expire`](Window::expire).
    pub(crate) fn foreign(&self, rule: &Rule, now: Tick) -> u64 {
        let (Some(foreign), &Life::Sliding { stay, .. }) = (self.learnt_foreign(), &rule.life)
        else {
            return 0;
        };
        foreign.held(now, stay)
    }

    pub(super) fn learnt_foreign(&self) -> Option<&Foreign> {
        self.learnt.as_ref()?.foreign.as_ref()
    }

    /// As [`room`](Window::room), for a count that has learnt something.
    pub(super) fn room_learnt(&self, rule: &Rule, need: u64, now: Tick) -> Room {
        let amount = self.usable();
        // What is larger than the amount that was learnt, but not than the limit, goes alone.
        let part = if need <= self.amount() {
            need.min(amount)
        } else {
            need
        };
        let ours = self.in_use();
        let (Some(foreign), &Life::Sliding { stay, .. }) = (self.learnt_foreign(), &rule.life)
        else {
            let room = self.room_of(rule, ours, part, amount, Vec::new());
            let waits = need > 0 && self.asks(rule, now);
            return if room == Room::Now && waits {
                Room::WhenGivenBack
            } else {
                room
            };
        };
        // Less is kept free once something is heard. Until then it helps that something of ours leaves.
        let growth = if ours == 0 {
            0
        } else {
            foreign.growth(need, now, stay)
        };
        let known = foreign.held(now, stay);
        let beside = |others| {
            let used = ours.saturating_add(others);
            self.room_of(rule, used, part, amount, foreign.leaves(now, stay))
        };
        let room = beside(known.saturating_add(growth));
        let waits = need > 0 && foreign.is_enough(part, amount, now, stay);
        if room == Room::Now && waits {
            // For the answer to what is on its way.
            return Room::WhenGivenBack;
        }
        if room != Room::WhenGivenBack || self.held > 0 {
            return room;
        }
        // Nothing is held, so nobody gives anything back. With our last charge the growth goes, and not before: where room
        // comes by itself, but later, it is waited for, as there may be more of it then.
        let last = self.last_leaves(stay);
        last.map_or(room, |last| beside(known).max(Room::At(last)))
    }

    /// Whether the answer to what is on its way is to be waited for, because nobody knows if others are there.
    fn asks(&self, rule: &Rule, now: Tick) -> bool {
        let even = self.learnt.as_ref().and_then(|learnt| learnt.even.as_ref());
        even.is_some_and(|even| even.asks(now, micros(rule.period())))
    }

    /// A claim was granted, or has ended.
    pub(super) fn asked(&mut self, amount: u64) {
        if let Some(learnt) = &mut self.learnt {
            learnt.foreign.iter_mut().for_each(|f| f.granted(amount));
            learnt.even.iter_mut().for_each(|even| even.granted(amount));
        }
    }

    /// A part of a grant has ended: no answer to it is to be waited for.
    pub(crate) fn ended(&mut self, amount: u64) {
        if let Some(learnt) = &mut self.learnt {
            learnt.foreign.iter_mut().for_each(|f| f.ended(amount));
            learnt.even.iter_mut().for_each(|even| even.ended(amount));
        }
    }
}

impl Learnt {
    /// Whether there is anything to look at before there is room.
    pub(super) fn acts(&self) -> bool {
        self.foreign.is_some() || self.adapt.is_some() || self.is_doubtful() || self.tripped
    }

    fn is_doubtful(&self) -> bool {
        self.even.as_ref().is_some_and(Even::is_doubtful)
    }

    /// Lets go what is too old. Returns whether nothing is left.
    pub(super) fn expire(&mut self, rule: &Rule, now: Tick) -> bool {
        let old = before(rule, now);
        while self
            .refused
            .front()
            .is_some_and(|(date, _)| Some(*date) <= old)
        {
            self.refused.pop_front();
        }
        if let (Some(foreign), &Life::Sliding { stay, .. }) = (&mut self.foreign, &rule.life)
            && foreign.expire(now, stay)
        {
            self.foreign = None;
        }
        let kept = self
            .changed
            .as_micros()
            .saturating_add(Adapt::kept(rule.quiet()));
        if kept <= now.as_micros() {
            (self.adapt, self.even) = (None, None);
        }
        !self.acts() && self.even.is_none() && self.refused.is_empty() && self.warned == 0
    }

    /// What was learnt under the old rule, as far as it says anything under another.
    pub(super) fn go_by(&mut self, old: &Rule, rule: &Rule, amount: u64) {
        if old.limit.adaptive != rule.limit.adaptive {
            match (rule.floor(amount), &mut self.adapt) {
                (Some(floor), Some(adapt)) => adapt.at_least(floor),
                _ => self.adapt = None,
            }
        }
        self.tripped &= rule.limit.circuit;
        self.warned = rule.limit.known_thresholds(&old.limit, self.warned);
    }

    pub(super) fn reconfigured(&mut self, whole: u64) {
        if let Some(adapt) = &mut self.adapt {
            adapt.reconfigured(whole);
        }
    }

    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.refused.capacity() * size_of::<(Tick, u64)>()
    }

    /// What was refused of what left after `from`, until `to`.
    pub(super) fn refused_in(&self, from: Option<Tick>, to: Tick) -> u64 {
        let within = |(date, _): &&(Tick, u64)| from < Some(*date) && *date <= to;
        let within = self.refused.iter().filter(within);
        within.fold(0, |sum, (_, amount)| sum.saturating_add(*amount))
    }
}
