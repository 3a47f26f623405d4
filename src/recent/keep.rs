//! What is kept, and what is thrown away for it.

use std::{collections::VecDeque, fmt, sync::Arc};

use hashbrown::{HashMap, hash_map::Entry};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{AttemptStory, Moment, Refusal, Story, What, bounds, refusal::has};
use crate::{
    clock::time_of_day,
    error::Rejection,
    event::{Event, ObservedCall, Observer},
    retry::TargetName,
    tags::Tags,
    wire::Dialect,
};

const REFUSALS: usize = 200;
const CALLS: usize = 1_000;
/// Of one call. So many of the first stay; of those behind them the older go.
const EVENTS: usize = 100;
const FIRST: usize = 50;
/// Calls on several threads seldom meet at one lock.
const SHARDS: usize = 16;

/// The last refusals, and what became of calls; see the [module](super).
///
/// Cheap to clone: all clones share everything.
#[derive(Clone)]
#[must_use]
pub struct Recent(Arc<Shared>);

struct Shared {
    /// By their numbers.
    open: [Mutex<HashMap<u64, Box<Kept>>>; SHARDS],
    /// The newest last.
    over: Mutex<VecDeque<Box<Kept>>>,
    refusals: Mutex<VecDeque<Arc<Refusal>>>,
    calls_kept: usize,
    refusals_kept: usize,
}

#[derive(Clone)]
struct Kept {
    call: u64,
    came: Instant,
    dialect: Dialect,
    streams: bool,
    tags: Arc<Tags>,
    /// How many requests of it are on their way: one, but for foreign layers.
    under_way: u32,
    events: Vec<Moment>,
    left_out: u32,
}

impl Recent {
    /// Creates one that keeps the last 200 refusals and 1 000 calls.
    pub fn new() -> Self {
        Self::keeping(REFUSALS, CALLS)
    }

    /// Creates one that keeps this many refusals, and this many calls that are over.
    pub fn keeping(refusals: usize, calls: usize) -> Self {
        Recent(Arc::new(Shared {
            open: Default::default(),
            over: Mutex::default(),
            refusals: Mutex::default(),
            calls_kept: calls,
            refusals_kept: refusals,
        }))
    }

    /// Returns the last refusals of calls that have all of these tags, oldest first. With no tags, of all calls.
    #[must_use]
    pub fn refusals(&self, of: &Tags) -> Vec<Arc<Refusal>> {
        let all: Vec<Arc<Refusal>> = self.0.refusals.lock().iter().cloned().collect();
        let wanted = all.into_iter().filter(|refusal| has(&refusal.tags, of));
        wanted.collect()
    }

    /// Returns what became of the call with this number, if it is open, or over and not yet forgotten. Its tags tell
    /// who may see it.
    #[must_use]
    pub fn call(&self, id: u64) -> Option<Story> {
        let open = self.shard(id).lock().get(&id).cloned();
        let kept = open.or_else(|| {
            let over = self.0.over.lock();
            over.iter().rev().find(|kept| kept.call == id).cloned()
        });
        kept.map(|kept| kept.story())
    }

    fn shard(&self, id: u64) -> &Mutex<HashMap<u64, Box<Kept>>> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "it is less than the number of shards"
        )]
        let shard = (id % SHARDS as u64) as usize;
        &self.0.open[shard]
    }

    fn came(&self, call: &ObservedCall) {
        let mut open = self.shard(call.id()).lock();
        let kept = open.entry(call.id()).or_insert_with(|| {
            Box::new(Kept {
                call: call.id(),
                came: call.came(),
                dialect: call.dialect(),
                streams: call.streams(),
                tags: bounds::tags(call.shared_tags()),
                under_way: 0,
                events: Vec::with_capacity(4),
                left_out: 0,
            })
        });
        kept.under_way += 1;
        kept.push(What::Came);
    }

    fn push(&self, call: &ObservedCall, what: What) {
        let mut open = self.shard(call.id()).lock();
        if let Some(kept) = open.get_mut(&call.id()) {
            kept.push(what);
        }
    }

    fn refused(&self, call: &ObservedCall, rejection: &Rejection, target: &Tags) {
        let tags = bounds::tags(call.shared_tags());
        let refusal = Arc::new(Refusal::now(call.id(), rejection, tags, target));
        self.push(call, What::Refused(refusal.clone()));
        let forgotten = keep(&self.0.refusals, refusal, self.0.refusals_kept);
        // Not under the lock.
        drop(forgotten);
    }

    fn over(&self, call: &ObservedCall, what: What) {
        let mut open = self.shard(call.id()).lock();
        let Entry::Occupied(mut entry) = open.entry(call.id()) else {
            return;
        };
        let kept = entry.get_mut();
        kept.push(what);
        kept.under_way -= 1;
        if kept.under_way > 0 {
            return;
        }
        let kept = entry.remove();
        // Under the lock: whoever looks for it finds it here or there.
        let forgotten = keep(&self.0.over, kept, self.0.calls_kept);
        drop(open);
        drop(forgotten);
    }
}

/// The last of those that are kept, and the one that is no more.
fn keep<T>(kept: &Mutex<VecDeque<T>>, new: T, most: usize) -> Option<T> {
    let mut kept = kept.lock();
    kept.push_back(new);
    if kept.len() > most {
        kept.pop_front()
    } else {
        None
    }
}

impl Kept {
    fn push(&mut self, what: What) {
        if self.events.len() >= EVENTS {
            self.events.remove(FIRST);
            self.left_out += 1;
        }
        let after = self.came.elapsed();
        self.events.push(Moment { after, what });
    }

    fn story(&self) -> Story {
        let now = time_of_day();
        Story {
            call: self.call,
            came: now.checked_sub(self.came.elapsed()).unwrap_or(now),
            is_over: self.under_way == 0,
            dialect: self.dialect.name(),
            streams: self.streams,
            tags: self.tags.clone(),
            events: self.events.clone(),
            left_out: self.left_out,
        }
    }
}

impl Observer for Recent {
    fn on_event(&self, call: &ObservedCall, event: &Event<'_>) {
        let what = match event {
            Event::Came => return self.came(call),
            Event::Over(end) => return self.over(call, What::over(end)),
            Event::Refused { tags, rejection } => return self.refused(call, rejection, tags),
            Event::Waits { limit, .. } => What::Waits {
                limit: (*limit).into(),
            },
            Event::Waited {
                rule,
                span,
                has_room,
            } => What::Waited {
                rule: (*rule).into(),
                span: *span,
                has_room: *has_room,
            },
            Event::Began { after, .. } => What::Began { span: *after },
            Event::Ended(end) => What::Attempt(AttemptStory::of(end)),
            Event::Repeats { cause, wait } => What::Repeats { cause, span: *wait },
            Event::MovesOn { from, cause } => What::MovesOn {
                from: TargetName::of(from),
                cause,
            },
            Event::Cools { tags, span } => What::Cools {
                target: TargetName::of(tags),
                span: *span,
            },
        };
        self.push(call, what);
    }
}

impl Default for Recent {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Recent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recent").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_events_those_in_the_middle_go() {
        let mut kept = Kept {
            call: 1,
            came: Instant::now(),
            dialect: Dialect::Generic,
            streams: false,
            tags: Arc::default(),
            under_way: 1,
            events: Vec::new(),
            left_out: 0,
        };
        for limit in named(0..1_000) {
            kept.push(What::Waits { limit });
        }
        let story = kept.story();
        assert_eq!((story.events.len(), story.left_out), (EVENTS, 900));
        let left = named((0..50).chain(950..1_000));
        let shown = story.events.into_iter().map(|moment| moment.what);
        assert!(shown.eq(left.map(|limit| What::Waits { limit })));
    }

    fn named(numbers: impl Iterator<Item = u32>) -> impl Iterator<Item = Box<str>> {
        numbers.map(|number| number.to_string().into())
    }
}
