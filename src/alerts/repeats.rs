//! What a webhook was told already. Time is an argument.

use std::time::Duration;

use hashbrown::HashMap;
use tokio::time::Instant;

use super::Kind;

/// So many subjects are remembered; callers may invent them.
const MOST: usize = 10_000;
/// Where there are more, it is looked so often whether any of them are old.
const LOOK: Duration = Duration::from_secs(60);

/// What was told, and when.
#[derive(Debug)]
pub(super) struct Repeats {
    again_after: Duration,
    told: HashMap<Kind, HashMap<Box<str>, Instant>>,
    number: usize,
    /// When room was looked for last.
    looked: Option<Instant>,
}

/// Whether something is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    Yes,
    /// It was told, or there is nothing that could be over.
    No,
    /// Nobody can say: too many subjects are remembered.
    Full,
}

impl Repeats {
    pub(super) fn new(again_after: Duration) -> Self {
        Repeats {
            again_after,
            told: HashMap::new(),
            number: 0,
            looked: None,
        }
    }

    pub(super) fn tell_again_after(&mut self, span: Duration) {
        self.again_after = span;
    }

    /// It begins, or goes on.
    pub(super) fn begins(&mut self, kind: Kind, subject: &str, now: Instant) -> News {
        let again_after = self.again_after;
        let is_old = |told: &Instant| now.saturating_duration_since(*told) >= again_after;
        let told = self.told.entry(kind).or_default();
        if let Some(told) = told.get_mut(subject) {
            if !is_old(told) {
                return News::No;
            }
            *told = now;
            return News::Yes;
        }
        // Not each time: it looks at all of them.
        let may_look = |looked: Instant| now.saturating_duration_since(looked) >= LOOK;
        if self.number >= MOST && self.looked.is_none_or(may_look) {
            self.looked = Some(now);
            let told = self.told.values_mut();
            told.for_each(|told| told.retain(|_, told| !is_old(told)));
            self.number = self.told.values().map(HashMap::len).sum();
        }
        if self.number >= MOST {
            return News::Full;
        }
        self.told
            .entry(kind)
            .or_default()
            .insert(subject.into(), now);
        self.number += 1;
        News::Yes
    }

    /// It is over.
    pub(super) fn ends(&mut self, kind: Kind, subject: &str) -> News {
        let told = self.told.get_mut(&kind);
        let known = told.is_some_and(|told| told.remove(subject).is_some());
        self.number -= usize::from(known);
        if known { News::Yes } else { News::No }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn it_is_told_once_until_it_is_over_or_a_while_has_passed() {
        let (mut repeats, start) = (Repeats::new(HOUR), Instant::now());
        let at = |secs| start + Duration::from_secs(secs);
        assert_eq!(repeats.ends(Kind::Breaker, "a"), News::No, "it never began");
        assert_eq!(repeats.begins(Kind::Breaker, "a", at(0)), News::Yes);
        assert_eq!(repeats.begins(Kind::Breaker, "a", at(3_599)), News::No);
        assert_eq!(repeats.begins(Kind::Breaker, "b", at(0)), News::Yes);
        assert_eq!(repeats.begins(Kind::Parked, "a", at(0)), News::Yes);
        assert_eq!(repeats.begins(Kind::Breaker, "a", at(3_600)), News::Yes);
        assert_eq!(repeats.begins(Kind::Breaker, "a", at(3_601)), News::No);
        assert_eq!(repeats.ends(Kind::Breaker, "a"), News::Yes);
        assert_eq!(repeats.ends(Kind::Breaker, "a"), News::No);
        assert_eq!(repeats.begins(Kind::Breaker, "a", at(3_602)), News::Yes);
    }

    #[test]
    fn subjects_that_are_invented_have_a_bound_and_old_ones_make_room() {
        let (mut repeats, start) = (Repeats::new(HOUR), Instant::now());
        for number in 0..MOST {
            let subject = number.to_string();
            assert_eq!(repeats.begins(Kind::Spent, &subject, start), News::Yes);
        }
        assert_eq!(repeats.begins(Kind::Spent, "more", start), News::Full);
        assert_eq!(repeats.begins(Kind::Spent, "0", start), News::No);
        assert_eq!(repeats.begins(Kind::Spent, "more", start + HOUR), News::Yes);
        assert_eq!(repeats.number, 1);
    }

    proptest! {
        /// By the plainest rule: the last telling of each, unless it is over since.
        #[test]
        fn it_tells_what_a_plain_log_would(steps in prop::collection::vec((0..3u8, 0..3u8, 0..2_000u64), 0..200)) {
            let (mut repeats, start, mut now) = (Repeats::new(HOUR), Instant::now(), 0);
            let mut log: Vec<(u8, u64)> = Vec::new();
            for (what, subject, passed) in steps {
                now += passed;
                let name = subject.to_string();
                let told = log.iter().find(|(of, _)| *of == subject).map(|(_, at)| *at);
                let (news, expected) = if what == 0 {
                    log.retain(|(of, _)| *of != subject);
                    (repeats.ends(Kind::Circuit, &name), told.is_some())
                } else {
                    let due = told.is_none_or(|told| now - told >= 3_600);
                    if due {
                        log.retain(|(of, _)| *of != subject);
                        log.push((subject, now));
                    }
                    (repeats.begins(Kind::Circuit, &name, start + Duration::from_secs(now)), due)
                };
                prop_assert_eq!(news == News::Yes, expected);
            }
        }
    }
}
