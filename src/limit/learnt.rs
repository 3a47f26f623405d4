//! What a count has learnt of its limit from answers: how much others use, and how much is refused.

use std::collections::VecDeque;

use super::{
    Rule, Tick,
    adapt::Adapt,
    even::Even,
    foreign::Foreign,
    hear::{Charged, before},
    set::Life,
    tick::micros,
    window::{Room, Window},
};

/// What one count has learnt. Most have learnt nothing and keep none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Learnt {
    pub(super) foreign: Option<Foreign>,
    pub(super) adapt: Option<Adapt>,
    /// Readings of a bucket that refills evenly.
    pub(super) even: Option<Even>,
    /// Charges of ours that were refused: we count them, whoever enforces the limit does not.
    pub(super) refused: VecDeque<(Tick, u64)>,
    /// When something was learnt last.
    pub(super) changed: Tick,
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
        self.learnt.as_ref().is_some_and(|learnt| learnt.acts())
    }

    /// What is kept free for others, after [`expire`](Window::expire).
    pub(crate) fn foreign(&self, rule: &Rule, now: Tick) -> u64 {
        let (Some(foreign), Life::Sliding { stay, .. }) = (self.learnt_foreign(), rule.life) else {
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
        let (Some(foreign), Life::Sliding { stay, .. }) = (self.learnt_foreign(), rule.life) else {
            return self.room_of(rule, ours, part, amount, Vec::new());
        };
        // Less is kept free once something is heard. Until then it helps that something of ours leaves.
        let growth = if ours == 0 {
            0
        } else {
            foreign.growth(need, now, stay)
        };
        let others = foreign.held(now, stay).saturating_add(growth);
        let used = ours.saturating_add(others);
        let room = self.room_of(rule, used, part, amount, foreign.leaves(now, stay));
        let waits = need > 0 && foreign.is_enough(part, amount, now, stay);
        if room == Room::Now && waits {
            // For the answer to what is on its way.
            return Room::WhenGivenBack;
        }
        room
    }

    /// A claim was granted, or has ended.
    pub(super) fn asked(&mut self, amount: u64) {
        if let Some(foreign) = self.learnt.as_mut().and_then(|l| l.foreign.as_mut()) {
            foreign.granted(amount);
        }
    }

    /// A part of a grant has ended: no answer to it is to be waited for.
    pub(crate) fn ended(&mut self, amount: u64) {
        if let Some(foreign) = self.learnt.as_mut().and_then(|l| l.foreign.as_mut()) {
            foreign.ended(amount);
        }
    }
}

impl Learnt {
    /// Whether there is anything to look at before there is room.
    pub(super) fn acts(&self) -> bool {
        self.foreign.is_some() || self.adapt.is_some()
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
        if let (Some(foreign), Life::Sliding { stay, .. }) = (&mut self.foreign, rule.life)
            && foreign.expire(now, stay)
        {
            self.foreign = None;
        }
        let age = now.as_micros().saturating_sub(self.changed.as_micros());
        if age >= micros(rule.period()) {
            self.even = None;
        }
        if age >= Adapt::kept(rule.quiet()) {
            self.adapt = None;
        }
        !self.acts() && self.even.is_none() && self.refused.is_empty()
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::limit::{Limit, Limits};

    const MINUTE: u64 = 60_000_000;

    fn rule() -> Rule {
        let limit = Limit::requests(100).every(Duration::from_secs(60));
        Limits::new([limit.adaptive(0.5)]).unwrap().rules()[0].clone()
    }

    fn at(micros: u64) -> Tick {
        Tick::from_micros(micros)
    }

    /// How long a window that nobody uses any more is kept for what it has learnt.
    fn kept(learnt: Learnt) -> u64 {
        let (rule, mut window) = (rule(), Window::new(100));
        window.learnt = Some(Box::new(learnt));
        let minutes = (0..100).find(|minute| {
            window.expire(&rule, at(minute * MINUTE));
            window.is_idle()
        });
        minutes.unwrap()
    }

    #[test]
    fn what_was_learnt_is_forgotten_when_it_says_nothing_any_more() {
        let nothing = || Learnt::default();
        assert_eq!(kept(nothing()), 0);
        let even = Some(Even::default());
        assert_eq!(kept(Learnt { even, ..nothing() }), 1);
        let refused = VecDeque::from([(at(1), 1)]);
        assert_eq!(
            kept(Learnt {
                refused,
                ..nothing()
            }),
            2
        );
        let foreign = Some(Foreign::default());
        assert_eq!(
            kept(Learnt {
                foreign,
                ..nothing()
            }),
            6
        );
        let adapt = Some(Adapt::first(100, 50, at(0)));
        assert_eq!(kept(Learnt { adapt, ..nothing() }), 40);
    }

    #[test]
    fn a_window_that_only_reads_a_bucket_stays_on_the_short_way() {
        let mut window = Window::new(2);
        let even = Some(Even::default());
        window.learnt = Some(Box::new(Learnt {
            even,
            ..Learnt::default()
        }));
        assert!(window.fits(2) && !window.has_learnt());
        let adapt = Some(Adapt::first(2, 1, at(0)));
        window.learnt = Some(Box::new(Learnt {
            adapt,
            ..Learnt::default()
        }));
        assert!(!window.fits(1), "it takes a closer look");
        assert_eq!(window.room(&rule(), 1, at(0)), Room::Now);
        assert_eq!((window.usable(), window.amount()), (1, 2));
    }
}
