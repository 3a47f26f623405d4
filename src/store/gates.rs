//! Targets that are left alone until a told instant.

use crate::{
    limit::{LimitKey, Tick},
    tags::Tags,
};

/// So many targets are closed at a time. Of more the one that opens first is forgotten: names of models come
/// from callers.
const MOST: usize = 1_024;

/// Targets that a provider told to wait.
#[derive(Debug, Default)]
pub(super) struct Gates {
    /// Few, so they are looked through.
    closed: Vec<(LimitKey, Tick)>,
    /// Whether any was ever closed.
    used: bool,
}

impl Gates {
    /// Whether none is closed, nor was when somebody looked last.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.closed.is_empty()
    }

    /// Whether calls may wait for one.
    pub(super) fn used(&self) -> bool {
        self.used
    }

    pub(super) fn close(&mut self, target: LimitKey, until: Tick, now: Tick) {
        self.expire(now);
        if until <= now {
            return;
        }
        self.used = true;
        if let Some((_, old)) = self.closed.iter_mut().find(|(known, _)| *known == target) {
            *old = until.max(*old);
            return;
        }
        if self.closed.len() >= MOST {
            let first = (0..self.closed.len()).min_by_key(|place| self.closed[*place].1);
            first.map(|place| self.closed.swap_remove(place));
        }
        self.closed.push((target, until));
    }

    /// Opens a target that was closed until then, and not for longer by another. Returns whether it was.
    pub(super) fn reopen(&mut self, target: &LimitKey, until: Tick) -> bool {
        let before = self.closed.len();
        self.closed.retain(|(known, at)| known != target || *at != until);
        self.closed.len() < before
    }

    /// Until when the target of these tags is closed.
    pub(super) fn closed(&mut self, tags: &Tags, now: Tick) -> Option<(&LimitKey, Tick)> {
        self.expire(now);
        let found = self.closed.iter().find(|(target, _)| target.is_target(tags));
        found.map(|(target, until)| (target, *until))
    }

    /// All that are closed.
    pub(super) fn all(&mut self, now: Tick) -> &[(LimitKey, Tick)] {
        self.expire(now);
        &self.closed
    }

    fn expire(&mut self, now: Tick) {
        self.closed.retain(|(_, until)| *until > now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tags::Tag;

    fn at(seconds: u64) -> Tick {
        Tick::from_micros(seconds * 1_000_000)
    }

    fn model(name: &str) -> Tags {
        Tags::new().with(Tag::Model, name)
    }

    fn close(gates: &mut Gates, name: &str, until: u64, now: u64) {
        gates.close(LimitKey::cooldown(&model(name)), at(until), at(now));
    }

    #[test]
    fn a_target_is_closed_until_the_latest_instant_and_opens_by_itself() {
        let mut gates = Gates::default();
        close(&mut gates, "a", 10, 0);
        close(&mut gates, "a", 5, 0);
        assert_eq!(gates.closed(&model("b"), at(0)), None);
        let until = |gates: &mut Gates, now| gates.closed(&model("a"), now).map(|(_, at)| at);
        assert_eq!(until(&mut gates, at(6)), Some(at(10)));
        let tick = Tick::from_micros(9_999_999);
        assert_eq!(until(&mut gates, tick), Some(at(10)));
        assert_eq!(until(&mut gates, at(10)), None);
        assert!(gates.is_empty() && gates.used());
    }

    #[test]
    fn what_is_over_already_closes_nothing() {
        let mut gates = Gates::default();
        close(&mut gates, "a", 3, 3);
        assert!(gates.is_empty() && !gates.used());
    }

    #[test]
    fn only_the_closing_that_was_wrong_is_taken_back() {
        let mut gates = Gates::default();
        close(&mut gates, "a", 5, 0);
        close(&mut gates, "a", 10, 0);
        let target = LimitKey::cooldown(&model("a"));
        assert!(!gates.reopen(&target, at(5)), "another closed it for longer");
        assert!(gates.reopen(&target, at(10)));
        assert!(gates.is_empty());
    }

    #[test]
    fn names_that_callers_make_up_do_not_pile_up() {
        let mut gates = Gates::default();
        close(&mut gates, "long", 9_999, 0);
        for i in 0..5_000 {
            close(&mut gates, &format!("m{i}"), 10 + i, 0);
        }
        assert_eq!(gates.all(at(0)).len(), MOST);
        assert!(gates.closed(&model("long"), at(0)).is_some());
    }
}
