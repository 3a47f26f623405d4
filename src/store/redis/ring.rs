//! What was done of late, so that a server which has lost some of it can be told again.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::{
    entry::{Entry, Op, Process},
    replica::Replica,
    shared::Shared,
    trip::Batch,
};
use crate::store::clock::told::At;

/// So many entries are kept.
pub(super) const KEPT: usize = 20_000;
/// So many are told in one round trip.
const TOLD: usize = 256;
/// So many go along with an image.
pub(super) const TAIL: usize = 1_000;

/// Every entry that is known, once, by its process and number: also those that the server has still, as it may lose them
/// later.
#[derive(Default)]
pub(super) struct Ring {
    of: HashMap<Process, BTreeMap<u64, Kept>>,
    /// As they came to be known.
    order: VecDeque<(Process, u64)>,
    came: u64,
    /// What every process had done last by what was known here, before this went on from what was found.
    knew: HashMap<Process, u64>,
    /// Whether something may have to be told again.
    telling: bool,
}

struct Kept {
    known: Known,
    came: u64,
}

/// An entry, and whether it was granted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Known {
    entry: Entry,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    granted: bool,
}

impl Ring {
    /// What the history says that holds now; where it said something else before, that is no more.
    pub(super) fn push(&mut self, entry: Entry, granted: bool) {
        self.hold(Known { entry, granted });
    }

    /// What the history has. Where that was known before, and was pushed out since, nothing later goes for it.
    fn hold(&mut self, known: Known) {
        let (process, number) = (known.entry.process, known.entry.number);
        let knew = self.knew.get(&process).is_some_and(|knew| number <= *knew);
        if knew && self.order.len() >= KEPT && !self.has(process, number) {
            return;
        }
        self.keep(known);
    }

    fn has(&self, process: Process, number: u64) -> bool {
        let of_process = self.of.get(&process);
        of_process.is_some_and(|kept| kept.contains_key(&number))
    }

    fn keep(&mut self, known: Known) {
        let (process, number) = (known.entry.process, known.entry.number);
        if number == 0 {
            // Done by the server, which finds it again by itself.
            return;
        }
        let of_process = self.of.entry(process).or_default();
        let came = of_process.get(&number).map(|kept| kept.came);
        let kept = Kept {
            known,
            came: came.unwrap_or(self.came),
        };
        of_process.insert(number, kept);
        if came.is_some() {
            return;
        }
        self.came += 1;
        self.order.push_back((process, number));
        // What may have to be told again is kept until it was.
        if !self.telling {
            self.forget();
        }
    }

    /// Of more than are kept the oldest go.
    fn forget(&mut self) {
        while self.order.len() > KEPT
            && let Some((process, number)) = self.order.pop_front()
        {
            let Some(of_process) = self.of.get_mut(&process) else {
                continue;
            };
            of_process.remove(&number);
            if of_process.is_empty() {
                self.of.remove(&process);
            }
        }
    }

    /// The last so many, for an image: whoever goes on from that knows more than its counts then.
    pub(super) fn tail(&self, most: usize) -> Vec<Known> {
        let first = self.order.len().saturating_sub(most);
        let last = self.order.range(first..);
        let known = last.filter_map(|(process, number)| self.of.get(process)?.get(number));
        known.map(|kept| kept.known.clone()).collect()
    }

    /// What came with an image that is gone on from.
    pub(super) fn learn(&mut self, tail: Vec<Known>, found: &Replica) {
        for known in tail {
            let (process, number) = (known.entry.process, known.entry.number);
            if number <= found.number_of(process) {
                self.hold(known);
            } else if !self.has(process, number) {
                self.keep(known);
            }
        }
    }

    /// So much is known here, before it may go on from something else.
    pub(super) fn knew(&mut self, ours: &Replica) {
        self.knew = ours.seen().collect();
    }

    /// Whether all is kept that is known in `ours` and not there, where a process has done so much last.
    pub(super) fn bridges(&self, there: impl Fn(Process) -> u64, ours: &Replica) -> bool {
        ours.seen_of_late().all(|(process, last)| {
            let known = there(process);
            let kept = |kept: &BTreeMap<u64, Kept>| kept.range(known + 1..=last).count() as u64;
            last <= known || self.of.get(&process).map_or(0, kept) == last - known
        })
    }

    /// What is gone on from has these processes no more, as they have left for too long: what they did is counted there, and
    /// is not told again.
    pub(super) fn forget_who_left(&mut self, there: &Replica) {
        self.of.retain(|process, kept| {
            let last = kept.last_key_value().map(|(_, kept)| kept.known.entry.at);
            there.number_of(*process) > 0 || last.is_none_or(|last| there.remembers(last))
        });
        let of = &self.of;
        self.order.retain(|(process, _)| of.contains_key(process));
    }

    /// What was done in a history that begins anew with `ours`, each with whether it was granted: what is not known in that is
    /// told again, also for those who have left. Where that history is a later one of `ours` there may be some in it whom ours
    /// has forgotten.
    pub(super) fn save(&mut self, done: Vec<(Entry, bool)>, ours: &Replica, is_kin: bool) {
        self.lose();
        let last: HashMap<Process, At> = done.iter().map(|(e, _)| (e.process, e.at)).collect();
        for (entry, granted) in done {
            let number = ours.number_of(entry.process);
            let is_known = number > 0 || !is_kin || ours.remembers(last[&entry.process]);
            if is_known && entry.number > number {
                self.keep(Known { entry, granted });
            }
        }
    }

    /// The server goes on from an earlier state, or another.
    pub(super) fn lose(&mut self) {
        self.telling = true;
    }

    /// What is to be told again of one process next, in the order in which it was done.
    pub(super) fn missing(&mut self, shared: &Shared) -> Option<Batch> {
        if !self.telling {
            return None;
        }
        let state = shared.lock();
        let missing = self.of.iter().filter_map(|(process, kept)| {
            // Only what follows at once: who has done what lies between tells it, and before what it has done since.
            let next = state.replica.number_of(*process) + 1;
            let came = kept.get(&next)?.came;
            Some((came, *process, kept.range(next..)))
        });
        let Some((_, process, missing)) = missing.min_by_key(|(came, ..)| *came) else {
            drop(state);
            self.telling = false;
            self.forget();
            return None;
        };
        let now = shared
            .given()
            .map_or_else(|| state.at(), |_| state.replica.at());
        let mut first = None;
        let mut ops = Vec::new();
        for (number, kept) in missing.take(TOLD) {
            let first = *first.get_or_insert(*number);
            if *number != first + ops.len() as u64 {
                break;
            }
            ops.push(kept.known.again(now));
        }
        drop(state);
        Some(Batch {
            process,
            first: first?,
            at: shared.given_last(),
            ops,
        })
    }
}

impl Known {
    /// What it comes to when it is told again: what was granted was granted, and left when it left.
    fn again(&self, now: At) -> Op {
        match &self.entry.op {
            Op::Date(number, age) => {
                // In another history ticks began at another time.
                let since = now.wall.saturating_sub(self.entry.at.wall);
                let since = u64::try_from(since).unwrap_or(0);
                Op::Date(*number, age.saturating_add(since))
            }
            op => match op.claims() {
                Some(asked) if self.granted => Op::Take(asked.clone()),
                Some(_) => Op::Nothing,
                // Whether all was told again is said anew.
                None if matches!(op, Op::Peek(_) | Op::Budgets | Op::Told) => Op::Nothing,
                None => op.clone(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        limit::{Limits, Tick},
        store::redis::entry::Place,
    };

    fn nothing(process: Process, number: u64) -> Entry {
        Entry {
            place: Place {
                pos: number,
                tag: 1,
            },
            at: At::default(),
            process,
            number,
            op: Op::Nothing,
        }
    }

    fn at(tick: u64, wall: i64) -> At {
        At {
            tick: Tick::from_micros(tick),
            wall,
        }
    }

    /// The image is older than what is kept, and only the last of the log behind it is lost.
    #[test]
    fn what_was_pushed_out_before_pushes_out_nothing_later_when_it_comes_again() {
        let process = Process::new();
        let limits = Limits::new([]).unwrap();
        let mut ours = Replica::new(limits, None, "one", At::default());
        let mut ring = Ring::default();
        let last = KEPT as u64 + 5_000;
        for number in 1..=last {
            let entry = nothing(process, number);
            ours.apply(&entry);
            ring.push(entry, false);
        }
        ring.knew(&ours);
        for number in 1..last {
            ring.push(nothing(process, number), false);
        }
        assert!(ring.bridges(|_| last - 1, &ours));
        assert!(!ring.bridges(|_| 0, &ours));
        // What is new here pushes out what is old.
        ring.push(nothing(process, last + 1), false);
        assert!(ring.has(process, last + 1) && !ring.has(process, 5_001));
    }

    #[test]
    fn what_is_to_be_told_again_stays_until_it_was_whatever_others_do_meanwhile() {
        let (one, other) = (Process::new(), Process::new());
        let mut ring = Ring::default();
        let all = KEPT as u64;
        (1..=all).for_each(|number| ring.push(nothing(one, number), false));
        ring.lose();
        (1..=6_000).for_each(|number| ring.push(nothing(other, number), false));
        assert!(ring.has(one, 1) && ring.has(other, 6_000));
        ring.telling = false;
        ring.forget();
        assert!(!ring.has(one, 6_000) && ring.has(one, 6_001) && ring.has(other, 1));
    }

    #[test]
    fn what_left_in_a_history_with_other_ticks_left_as_long_ago_as_the_clock_on_the_wall_says() {
        let mut entry = nothing(Process::new(), 1);
        (entry.op, entry.at) = (Op::Date(7, 5), at(3, 1_000));
        let known = Known {
            entry,
            granted: false,
        };
        let hour = 3_600_000_000;
        assert_eq!(known.again(at(hour, 1_250)), Op::Date(7, 255));
        // One that takes over may be behind.
        assert_eq!(known.again(at(hour, 900)), Op::Date(7, 5));
    }

    /// Who has left for more than a day is in no image any more, and what it did is counted.
    #[test]
    fn of_a_history_that_is_replaced_that_is_told_again_which_is_not_counted() {
        let [known, left, forgotten] = [(); 3].map(|()| Process::new());
        let limits = Limits::new([]).unwrap();
        let day = 86_400_000_000;
        let mut ours = Replica::new(limits, None, "one", at(0, 0));
        let (mut last, mut old, mut new) =
            (nothing(known, 1), nothing(forgotten, 1), nothing(left, 1));
        (last.at, old.at, new.at) = (at(9, 2 * day), at(5, day), at(1, day + 1));
        ours.apply(&last);
        let mut ring = Ring::default();
        let further = Entry {
            number: 2,
            ..last.clone()
        };
        // By what each has done last: the first of one that is known is as old as that of one that is not.
        let (mut first, mut second) = (nothing(left, 1), nothing(left, 2));
        (first.at, second.at) = (old.at, new.at);
        let done = [old, first, second, last, further].map(|entry| (entry, false));
        ring.save(done.clone().into(), &ours, true);
        assert!(ring.telling && ring.order == [(left, 1), (left, 2), (known, 2)]);
        // What is no kin has counted nothing of this.
        let mut ring = Ring::default();
        ring.save(done.into(), &ours, false);
        let all = [(forgotten, 1), (left, 1), (left, 2), (known, 2)];
        assert_eq!(ring.order, all);
    }

    /// An idle process takes over an image that names them no more: it has their entries still.
    #[test]
    fn who_has_left_for_more_than_a_day_is_not_told_again() {
        let [idle, left] = [(); 2].map(|()| Process::new());
        let (limits, day) = (Limits::new([]).unwrap(), 86_400_000_000);
        let mut image = Replica::new(limits, None, "one", at(0, 0));
        let mut of_idle = nothing(idle, 1);
        of_idle.at = at(0, day + 5);
        image.apply(&of_idle);
        for (last, is_told) in [(5, false), (day, true)] {
            let mut ring = Ring::default();
            for (number, wall) in [(1, 0), (2, last)] {
                let mut entry = nothing(left, number);
                entry.at = at(0, wall);
                ring.push(entry, false);
            }
            ring.push(of_idle.clone(), false);
            ring.forget_who_left(&image);
            assert_eq!(ring.has(left, 1) && ring.has(left, 2), is_told, "{last}");
            assert_eq!(ring.order.len(), if is_told { 3 } else { 1 });
            assert!(ring.has(idle, 1));
        }
    }
}
