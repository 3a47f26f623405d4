//! Targets that are left alone until a told instant.

use crate::{
    limit::{LimitKey, Tick},
    tags::Tags,
};

/// So many targets are closed at a time. Of more the one that opens first is forgotten: names of models come
/// from callers.
const MOST: usize = 1_024;

/// So many instants of one target are told apart. Of more the earliest is forgotten.
const EACH: usize = 8;

/// Targets that a provider told to wait.
#[derive(Debug, Default)]
pub(super) struct Gates {
    /// Few, so they are looked through.
    closed: Vec<Gate>,
}

#[derive(Debug)]
struct Gate {
    target: LimitKey,
    /// What was told, the latest last. The latest holds, unless it is taken back.
    told: Vec<Tick>,
}

impl Gate {
    fn until(&self) -> Tick {
        self.told.last().copied().unwrap_or_default()
    }
}

impl Gates {
    /// Whether none is closed, nor was when somebody looked last.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.closed.is_empty()
    }

    pub(super) fn close(&mut self, target: LimitKey, until: Tick, now: Tick) {
        self.expire(now);
        if until <= now {
            return;
        }
        if let Some(gate) = self.closed.iter_mut().find(|gate| gate.target == target) {
            let place = gate.told.partition_point(|told| *told < until);
            gate.told.insert(place, until);
            if gate.told.len() > EACH {
                gate.told.remove(0);
            }
            return;
        }
        if self.closed.len() >= MOST {
            let first = (0..self.closed.len()).min_by_key(|place| self.closed[*place].until());
            first.map(|place| self.closed.swap_remove(place));
        }
        let told = vec![until];
        self.closed.push(Gate { target, told });
    }

    /// Takes back what was told until then. Returns whether that opens the target, or opens it earlier.
    pub(super) fn reopen(&mut self, target: &LimitKey, until: Tick) -> bool {
        let Some(place) = self.closed.iter().position(|gate| gate.target == *target) else {
            return false;
        };
        let gate = &mut self.closed[place];
        let latest = gate.until() == until;
        if let Ok(told) = gate.told.binary_search(&until) {
            gate.told.remove(told);
        }
        if gate.told.is_empty() {
            self.closed.swap_remove(place);
        }
        latest
    }

    /// Until when the target of these tags is closed.
    pub(super) fn closed(&mut self, tags: &Tags, now: Tick) -> Option<(&LimitKey, Tick)> {
        self.expire(now);
        let gate = self
            .closed
            .iter()
            .find(|gate| gate.target.is_target(tags))?;
        Some((&gate.target, gate.until()))
    }

    /// All that are closed, and until when.
    pub(super) fn all(&mut self, now: Tick) -> impl Iterator<Item = (&LimitKey, Tick)> {
        self.expire(now);
        self.closed.iter().map(|gate| (&gate.target, gate.until()))
    }

    /// All that are closed, as they were told.
    #[cfg(any(feature = "redis", feature = "sqlite"))]
    pub(super) fn told(&self) -> impl Iterator<Item = (&LimitKey, &[Tick])> {
        let closed = self.closed.iter();
        closed.map(|gate| (&gate.target, gate.told.as_slice()))
    }

    fn expire(&mut self, now: Tick) {
        self.closed.retain(|gate| gate.until() > now);
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
        gates.close(
            LimitKey::cooldown(&model(name)).unwrap(),
            at(until),
            at(now),
        );
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
        assert!(gates.is_empty());
    }

    #[test]
    fn what_is_over_already_closes_nothing() {
        let mut gates = Gates::default();
        close(&mut gates, "a", 3, 3);
        assert!(gates.is_empty());
    }

    #[test]
    fn only_what_was_wrong_is_taken_back() {
        let mut gates = Gates::default();
        for until in [10, 5, 20, 10] {
            close(&mut gates, "a", until, 0);
        }
        let target = LimitKey::cooldown(&model("a")).unwrap();
        let until = |gates: &mut Gates| gates.closed(&model("a"), at(1)).map(|(_, at)| at);
        assert!(!gates.reopen(&target, at(5)), "others say longer");
        assert!(!gates.reopen(&target, at(7)), "nobody said so");
        assert!(gates.reopen(&target, at(20)));
        assert_eq!(until(&mut gates), Some(at(10)));
        gates.reopen(&target, at(10));
        assert_eq!(until(&mut gates), Some(at(10)), "two said so");
        assert!(gates.reopen(&target, at(10)));
        assert!(gates.is_empty());
        assert!(!gates.reopen(&target, at(10)));
    }

    #[test]
    fn few_instants_of_a_target_are_kept_and_the_latest_is_among_them() {
        let mut gates = Gates::default();
        for until in (1..1_000).rev() {
            close(&mut gates, "a", until, 0);
        }
        assert_eq!(gates.closed[0].told.len(), EACH);
        assert_eq!(gates.closed[0].until(), at(999));
    }

    #[test]
    fn names_that_callers_make_up_do_not_pile_up() {
        let mut gates = Gates::default();
        close(&mut gates, "long", 9_999, 0);
        for i in 0..5_000 {
            close(&mut gates, &format!("m{i}"), 10 + i, 0);
        }
        assert_eq!(gates.all(at(0)).count(), MOST);
        assert!(gates.closed(&model("long"), at(0)).is_some());
    }
}
