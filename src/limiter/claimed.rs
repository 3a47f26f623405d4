//! Whom a driver has asked the store for and not heard of yet.
//!
//! Where a store answers later the next in turn are asked for meanwhile, in a **lane** for each count: the one in turn
//! alone at first, and with each that is granted one more at once; where the store [foresees](crate::store::Store::foresees)
//! what it will answer, as many as it does not refuse at once. When one is refused nobody else is asked for there
//! until all are answered, and then the one in turn alone again: so one that needs more than there is may be passed by
//! those that were on their way with it, once, and by nobody after that. Plain data: no clock, lock or task.

use std::collections::HashMap;

use crate::limit::LimitKey;

/// So many are asked for at once, on whichever counts.
const AT_ONCE: usize = 1_024;
/// So many lanes are remembered where nobody is asked for.
const LANES: usize = 1_024;

#[derive(Debug)]
pub(super) struct Claimed {
    /// So many are asked for at once on a count where nobody was granted yet.
    least: usize,
    /// By the waiters' places.
    waiters: HashMap<u64, One>,
    lanes: HashMap<LimitKey, Lane>,
}

#[derive(Debug)]
struct One {
    lane: LimitKey,
    /// Counts whose heads wait for its answer.
    behind: Vec<LimitKey>,
}

#[derive(Debug)]
struct Lane {
    asked: usize,
    /// So many may be asked for at once.
    most: usize,
    /// Nobody else until all are answered.
    closed: bool,
    /// Whether the count is to be looked at then.
    again: bool,
}

/// How the store answered one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Granted,
    /// There is no room on the count.
    Refused,
    /// It waits elsewhere now, or was rejected: the next may have room.
    Gone,
}

impl Claimed {
    /// Nobody is asked for. `foreseen`: whether the store refuses at once what there is no room for.
    pub(super) fn new(foreseen: bool) -> Self {
        Claimed {
            least: if foreseen { AT_ONCE } else { 1 },
            waiters: HashMap::new(),
            lanes: HashMap::new(),
        }
    }

    /// Whether the store refuses at once what there is no room for.
    pub(super) fn foreseen(&self) -> bool {
        self.least > 1
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// Whether nobody else is to be asked for.
    pub(super) fn is_full(&self) -> bool {
        self.waiters.len() >= AT_ONCE
    }

    /// On which count this one is asked for.
    pub(super) fn lane_of(&self, place: u64) -> Option<&LimitKey> {
        self.waiters.get(&place).map(|one| &one.lane)
    }

    /// Whether anybody is asked for on a count.
    pub(super) fn is_busy(&self, key: &LimitKey) -> bool {
        self.lanes.get(key).is_some_and(|lane| lane.asked > 0)
    }

    /// Whether one more may be asked for on a count.
    pub(super) fn is_open(&self, key: &LimitKey) -> bool {
        let open = |lane: &Lane| !lane.closed && lane.asked < lane.most;
        !self.is_full() && self.lanes.get(key).is_none_or(open)
    }

    /// One is asked for, and not answered at once.
    pub(super) fn ask(&mut self, place: u64, key: &LimitKey) {
        let one = One {
            lane: key.clone(),
            behind: Vec::new(),
        };
        self.waiters.insert(place, one);
        let fresh = || Lane {
            asked: 0,
            most: self.least,
            closed: false,
            again: false,
        };
        self.lanes.entry(key.clone()).or_insert_with(fresh).asked += 1;
    }

    /// A count is due. Where others are asked for there, so that nobody may be asked for now, it is when they are
    /// answered: what they are told may be older than whatever made it due.
    pub(super) fn due(&mut self, key: &LimitKey) {
        if let Some(lane) = self.lanes.get_mut(key).filter(|lane| lane.asked > 0) {
            lane.again = true;
        }
    }

    /// Has a count wait for the answer to another's claim.
    pub(super) fn put_off(&mut self, key: &LimitKey, place: u64) {
        if let Some(one) = self.waiters.get_mut(&place) {
            one.behind.push(key.clone());
        }
    }

    /// One was answered at once. `refused`: whether by its count.
    pub(super) fn answered(&mut self, key: &LimitKey, refused: bool) {
        let busy = |lane: &&mut Lane| lane.asked > 0;
        if let Some(lane) = self.lanes.get_mut(key).filter(busy).filter(|_| refused) {
            // Nobody was asked for in vain, so that as many may be asked for again.
            lane.close(true);
        }
    }

    /// One was answered that had been asked for. Returns the counts to look at now. `first`: whether it was first in
    /// turn when it was asked for.
    pub(super) fn heard(&mut self, place: u64, first: bool, outcome: Outcome) -> Vec<LimitKey> {
        let Some(One { lane: key, behind }) = self.waiters.remove(&place) else {
            return Vec::new();
        };
        let mut look = behind;
        let Some(lane) = self.lanes.get_mut(&key) else {
            return look;
        };
        lane.asked = lane.asked.saturating_sub(1);
        match outcome {
            Outcome::Granted if !lane.closed => lane.most = (lane.most + 1).min(AT_ONCE),
            Outcome::Refused => {
                lane.most = self.least;
                lane.close(!first);
            }
            Outcome::Granted | Outcome::Gone => (),
        }
        let all = lane.asked == 0;
        if !lane.closed || (all && lane.again) {
            look.push(key);
        }
        if all {
            (lane.closed, lane.again) = (false, false);
        }
        if self.lanes.len() > LANES {
            self.lanes.retain(|_, lane| lane.asked > 0);
        }
        look
    }

    /// Nobody waits on a count any more.
    pub(super) fn nobody(&mut self, key: &LimitKey) {
        if !self.is_busy(key) {
            self.lanes.remove(key);
        }
    }
}

impl Lane {
    /// Nobody else until all are answered. `again`: whether whoever is first then is to be asked for.
    fn close(&mut self, again: bool) {
        self.again |= again && !self.closed;
        self.closed = true;
    }
}
