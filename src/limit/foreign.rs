//! What others use of a limit, by the counters that a provider shows.
//!
//! The counters know of everybody's use, we know of ours; the rest is others'. Between two answers others go
//! on, so what they were seen to use lately is taken for what they use, and more the older the news is. What
//! nobody has said anything about for long is tried with one call before the rest follows.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::Tick;

/// The news is old after this part of the stay of a charge.
const OLD: u64 = 10;
/// This part of the amount may be on its way before something is heard.
const STEP: u64 = 8;
/// Over this part at least it is seen whether others use more and more.
const RISE: u64 = 20;
/// What others use goes up and down by what they use in this part.
const SWING: u64 = 30;
/// How finely the highest are kept.
const FINE: u64 = 16;
/// Others are expected back for so many stays of a charge.
const CAUTION: u64 = 5;

/// What others use of one limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Foreign {
    /// When the attempt left whose answer is the latest news.
    sent: Tick,
    /// When that was heard.
    heard: Tick,
    /// The most that others may have used by then.
    most: u64,
    /// What they have used for certain: the highest of late, falling, and when.
    peaks: VecDeque<(Tick, u64)>,
    /// When they were seen last.
    seen: Tick,
    /// From when on, and from how much, it is seen whether they use more and more.
    from: (Tick, u64),
    /// By how much more they used, and after which time.
    rise: (u64, u64),
    /// What was granted since something was heard, and has not ended.
    unanswered: u64,
    /// What they are expected to use since they had used up the limit, and since when.
    expected: (u64, Tick),
    /// When they were heard of first.
    known: Option<Tick>,
}

/// What one answer shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown {
    /// When its attempt left.
    pub(crate) sent: Tick,
    pub(crate) now: Tick,
    /// What everybody uses, of the amount that is configured.
    pub(crate) used: u64,
    /// What we had used when the attempt left, itself included.
    pub(crate) ours: u64,
    /// What we have used since. The counters may be from any moment in between.
    pub(crate) since: u64,
    /// By how much less may be used than is shown, because the counters are rounded.
    pub(crate) rounded: u64,
}

impl Shown {
    /// The least and the most that others use.
    pub(crate) fn others(&self) -> (u64, u64) {
        let most = self.used.saturating_sub(self.ours);
        let ours = self.since.saturating_add(self.rounded);
        (most.saturating_sub(ours), most)
    }
}

impl Foreign {
    /// Takes in what an answer shows. What is older than what was heard already changes nothing. `stay`: how
    /// long a charge counts.
    pub(crate) fn hear(&mut self, shown: &Shown, stay: u64) {
        if shown.sent < self.sent {
            return;
        }
        let (least, most) = shown.others();
        let span = shown
            .sent
            .as_micros()
            .saturating_sub(self.from.0.as_micros());
        if span >= stay / RISE {
            self.rise = (most.saturating_sub(self.from.1), span);
            self.from = (shown.sent, most);
        }
        (self.sent, self.heard, self.most) = (shown.sent, shown.now, most);
        self.known.get_or_insert(shown.now);
        self.unanswered = 0;
        if least > 0 {
            self.certain(least, shown.now, stay);
        }
    }

    /// An attempt that left at `sent` found a limit of `amount` used up, though room was left in it: others took
    /// that as well, and may have wanted more than there was. Half of what they do not use is left for them from now
    /// on. What left before anything was heard of them, or before that was found, says no more.
    pub(crate) fn used_up(&mut self, sent: Tick, amount: u64, now: Tick, stay: u64) {
        let known = self.known.is_some_and(|known| known < sent);
        if known && self.expected.1 < sent {
            let held = self.held(now, stay);
            let more = amount.saturating_sub(held) / 2;
            self.expected = (held.saturating_add(more), now);
        }
    }

    /// What they are expected to use, and until when.
    fn expects(&self, stay: u64) -> (Tick, u64) {
        let (amount, since) = self.expected;
        (left(since, stay.saturating_mul(CAUTION)), amount)
    }

    /// Others use so much for certain.
    pub(crate) fn certain(&mut self, amount: u64, now: Tick, stay: u64) {
        self.seen = now;
        while self.peaks.back().is_some_and(|(_, last)| *last <= amount) {
            self.peaks.pop_back();
        }
        // What is less than a recent one leaves before that does.
        let covered = |(date, _): &(Tick, u64)| left(*date, stay / FINE) > now;
        if !self.peaks.back().is_some_and(covered) {
            self.peaks.push_back((now, amount));
        }
    }

    /// Lets go what is too old. Returns whether nobody is expected any more.
    pub(crate) fn expire(&mut self, now: Tick, stay: u64) -> bool {
        let gone = |(date, _): &(Tick, u64)| left(*date, hold(stay)) <= now;
        while self.peaks.front().is_some_and(gone) {
            self.peaks.pop_front();
        }
        left(self.seen, stay.saturating_mul(CAUTION)) <= now
    }

    /// What is kept free for others.
    pub(crate) fn held(&self, now: Tick, stay: u64) -> u64 {
        let fresh = left(self.heard, stay) > now;
        let most = if fresh { self.most } else { 0 };
        let (until, expected) = self.expects(stay);
        let expected = if until > now { expected } else { 0 };
        let peak = self.peaks.front().map_or(0, |(_, peak)| *peak);
        peak.max(most).max(expected)
    }

    /// When how much of it is let go, if nothing is heard until then; the last first.
    pub(crate) fn leaves(&self, now: Tick, stay: u64) -> Vec<(Tick, u64)> {
        let peaks = self.peaks.iter();
        let peaks = peaks.map(|(date, amount)| (left(*date, hold(stay)), *amount));
        let latest = [(left(self.heard, stay), self.most), self.expects(stay)];
        let mut all: Vec<_> = peaks.chain(latest).filter(|(at, _)| *at > now).collect();
        all.sort_unstable();
        let mut later = 0;
        let mut steps = Vec::new();
        for (at, amount) in all.into_iter().rev() {
            if amount > later {
                steps.push((at, amount - later));
                later = amount;
            }
        }
        steps
    }

    /// What others may have taken since the news was made: one call as large as ours, what they use in a moment,
    /// and more where they used more and more.
    pub(crate) fn growth(&self, need: u64, now: Tick, stay: u64) -> u64 {
        let age = now.as_micros().saturating_sub(self.sent.as_micros());
        let held = self.held(now, stay);
        let (more, span) = self.rise;
        let swing = part(held, age.min(stay / SWING), stay);
        let rise = part(more, age.min(stay / OLD), span);
        need.min(held).saturating_add(swing).saturating_add(rise)
    }

    /// Whether enough is on its way for now that will bring news: anything where the last is old, else a part
    /// of the `amount`, so that a surprise costs no more.
    pub(crate) fn is_enough(&self, need: u64, amount: u64, now: Tick, stay: u64) -> bool {
        let old = left(self.heard, stay / OLD) <= now;
        let most = if old { 0 } else { amount / STEP };
        self.unanswered > 0 && self.unanswered.saturating_add(need) > most
    }

    pub(crate) fn granted(&mut self, amount: u64) {
        self.unanswered = self.unanswered.saturating_add(amount);
    }

    pub(crate) fn ended(&mut self, amount: u64) {
        self.unanswered = self.unanswered.saturating_sub(amount);
    }
}

/// `amount` times `span` by `whole`, rounded up.
fn part(amount: u64, span: u64, whole: u64) -> u64 {
    let part = u128::from(amount) * u128::from(span);
    u64::try_from(part.div_ceil(u128::from(whole.max(1)))).unwrap_or(u64::MAX)
}

/// How long a peak is held: so that what leaves no more than a little later need not be kept.
fn hold(stay: u64) -> u64 {
    stay.saturating_add(stay / FINE)
}

fn left(date: Tick, stay: u64) -> Tick {
    date.after_micros(stay)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAY: u64 = 60_000_000;

    fn at(seconds: u64) -> Tick {
        Tick::from_micros(seconds * 1_000_000)
    }

    fn shown(sent: u64, used: u64, ours: u64, since: u64) -> Shown {
        Shown {
            sent: at(sent),
            now: at(sent + 1),
            used,
            ours,
            since,
            rounded: 0,
        }
    }

    #[test]
    fn the_rest_is_others_and_never_less_than_nothing() {
        assert_eq!(shown(0, 70, 30, 0).others(), (40, 40));
        assert_eq!(shown(0, 70, 30, 15).others(), (25, 40));
        assert_eq!(shown(0, 70, 80, 0).others(), (0, 0));
        let rounded = Shown {
            rounded: 10,
            ..shown(0, 70, 30, 15)
        };
        assert_eq!(rounded.others(), (15, 40));
        assert_eq!(shown(0, 70, u64::MAX, u64::MAX).others(), (0, 0));
    }

    #[test]
    fn each_answer_replaces_the_one_before_and_the_highest_of_late_is_held() {
        let mut foreign = Foreign::default();
        foreign.hear(&shown(0, 40, 0, 0), STAY);
        foreign.hear(&shown(10, 20, 0, 0), STAY);
        foreign.hear(&shown(20, 30, 0, 0), STAY);
        assert_eq!(foreign.held(at(21), STAY), 40, "not 90");
        let [last, first] = foreign.leaves(at(21), STAY)[..] else {
            panic!("two steps: {foreign:?}");
        };
        assert_eq!((first.1, last.1), (10, 30));
        let tick = Tick::from_micros(first.0.as_micros() - 1);
        assert!(first.0 > at(61), "one stay after it was seen: {first:?}");
        foreign.expire(tick, STAY);
        assert_eq!(foreign.held(tick, STAY), 40);
        foreign.expire(first.0, STAY);
        assert_eq!(foreign.held(first.0, STAY), 30);
        foreign.expire(last.0, STAY);
        assert_eq!(foreign.held(last.0, STAY), 0);
    }

    #[test]
    fn an_answer_to_an_older_attempt_undoes_nothing() {
        let mut foreign = Foreign::default();
        foreign.hear(&shown(10, 40, 0, 40), STAY);
        assert_eq!(foreign.held(at(11), STAY), 40);
        foreign.hear(&shown(9, 0, 0, 0), STAY);
        assert_eq!(foreign.held(at(11), STAY), 40);
        foreign.hear(&shown(11, 0, 0, 0), STAY);
        assert_eq!(foreign.held(at(12), STAY), 0, "a newer one does");
    }

    #[test]
    fn room_is_kept_for_a_call_and_a_swing_and_for_more_where_it_was_more_and_more() {
        let mut foreign = Foreign::default();
        foreign.hear(&shown(0, 30, 0, 0), STAY);
        assert_eq!(foreign.growth(1, at(0), STAY), 1);
        assert_eq!(foreign.growth(1, at(1), STAY), 2);
        assert_eq!(
            foreign.growth(500, at(1), STAY),
            31,
            "no more than they use"
        );
        foreign.hear(&shown(3, 30, 0, 0), STAY);
        assert_eq!(
            foreign.growth(1, at(9), STAY),
            2 + 60,
            "what is new may go on"
        );
        foreign.hear(&shown(6, 30, 0, 0), STAY);
        assert_eq!(foreign.growth(1, at(9), STAY), 2, "it stays what it is");
        foreign.hear(&shown(9, 36, 0, 0), STAY);
        assert_eq!(foreign.growth(1, at(11), STAY), 1 + 2 + 4);
        assert_eq!(foreign.growth(1, at(60), STAY), 1 + 2 + 12);
        foreign.hear(&shown(12, 20, 0, 0), STAY);
        assert_eq!(foreign.growth(1, at(13), STAY), 2, "it falls");
    }

    #[test]
    fn little_is_sent_before_news_comes_and_one_call_where_it_is_old() {
        let mut foreign = Foreign::default();
        foreign.hear(&shown(0, 30, 0, 0), STAY);
        let enough = |foreign: &Foreign, now| foreign.is_enough(1, 100, at(now), STAY);
        foreign.granted(11);
        assert!(!enough(&foreign, 6), "an eighth");
        foreign.granted(1);
        assert!(enough(&foreign, 6));
        foreign.ended(11);
        assert!(!enough(&foreign, 6));
        assert!(enough(&foreign, 7), "six seconds after it was heard");
        foreign.ended(1);
        assert!(!enough(&foreign, 7), "one goes");
        foreign.granted(500);
        foreign.hear(&shown(7, 30, 0, 0), STAY);
        assert!(!enough(&foreign, 8));
        assert!(
            !foreign.is_enough(50, 100, at(8), STAY),
            "a large one alone"
        );
    }

    #[test]
    fn who_uses_up_what_was_left_is_left_half_of_the_rest_for_a_while() {
        let mut foreign = Foreign::default();
        foreign.hear(&shown(0, 30, 0, 0), STAY);
        foreign.used_up(at(0), 100, at(1), STAY);
        assert_eq!(
            foreign.held(at(1), STAY),
            30,
            "it left before they were known"
        );
        foreign.hear(&shown(3, 32, 0, 0), STAY);
        foreign.used_up(at(3), 100, at(4), STAY);
        assert_eq!(foreign.held(at(4), STAY), 32 + 34);
        foreign.used_up(at(3), 100, at(5), STAY);
        foreign.used_up(at(4), 100, at(5), STAY);
        assert_eq!(foreign.held(at(5), STAY), 66, "these left before that");
        foreign.used_up(at(5), 100, at(6), STAY);
        assert_eq!(foreign.held(at(6), STAY), 66 + 17);
        let leaves = foreign.leaves(at(6), STAY);
        assert_eq!(leaves[0], (at(306), 83), "{leaves:?}");
        assert_eq!(foreign.held(at(305), STAY), 83);
        foreign.expire(at(306), STAY);
        assert_eq!(foreign.held(at(306), STAY), 0);
    }

    #[test]
    fn nobody_is_expected_for_ever() {
        let mut foreign = Foreign::default();
        foreign.hear(&shown(0, 30, 0, 0), STAY);
        assert!(!foreign.expire(at(300), STAY));
        assert!(foreign.expire(at(301), STAY));
    }

    #[test]
    fn few_are_kept_however_many_are_heard() {
        let mut foreign = Foreign::default();
        for i in 0..10_000u64 {
            let now = Tick::from_micros(i * 6_000);
            foreign.certain(20_000 - i, now, STAY);
            foreign.expire(now, STAY);
        }
        assert!(foreign.peaks.len() <= 17, "{}", foreign.peaks.len());
        let now = Tick::from_micros(9_999 * 6_000);
        assert!(foreign.held(now, STAY) >= 20_000 - 1);
    }
}
