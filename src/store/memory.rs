//! The store in this process's memory.

use std::{
    collections::HashSet,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use parking_lot::{Mutex, MutexGuard, RwLock};

use super::{
    Answer, AuditEntry, BudgetEvent, BudgetStanding, Claim, Correction, CountStanding, Decision,
    Grant, Note, Observation, Reason, Remaining, Settlement, Standing, Store, clock::Clock,
    counts::Counts, noted::Noted,
};
use crate::{
    limit::{Around, Limit, LimitKey, Limits, Quantity, Room, Rule, Tick, Window},
    tags::Tags,
    usage::Usage,
};

/// Counts in this process's memory, behind one lock that is never held across an await.
///
/// Its time is `tokio::time`, so that tests can pause it. Idle counts are forgotten: the memory needed follows what is
/// in use, not what was ever seen. Grants that have ended leave about a hundred bytes each, which are reused, so that
/// part follows the largest number that was open at a time.
///
/// # Bounds
/// At most a million counts are kept, or as many as [`max_counts`](Self::max_counts) says. When that many are in use,
/// idle ones are removed first; they are looked for when a claim finds no count or no room, at most once a second. Runs
/// that have used nothing for a day, in this process or before it, are removed too: nothing tells that a run has ended,
/// and otherwise new runs would never find room. When all counts are busy, further values of a limit *share one count*,
/// which holds as much as one value may use: too strict for them, but never unlimited. Values with a count of their own
/// are not affected. Messages name the shared count as that of all others, and it ends when nothing counts there any
/// more.
///
/// # The audit log
/// The last 1 024 entries are kept, and are lost when the process ends.
pub struct MemoryStore {
    /// Those that stand with the counts, for whoever asks for no more.
    limits: RwLock<Limits>,
    /// Whether any of them dates something when an attempt ends.
    pub(super) dates_at_the_end: AtomicBool,
    /// Told by grants, so that those of another store do nothing here.
    id: u64,
    pub(super) clock: Clock,
    state: Aligned<Mutex<State>>,
    /// Whether the counters that providers show are absorbed.
    pub(super) absorb: bool,
    /// Whether anything has happened to budgets that nobody has asked for.
    pub(super) news: AtomicBool,
    /// What was done by hand.
    pub(super) noted: Noted,
}

/// All that goes together.
// In this order, so that what changes with each call stands together with the lock around it.
#[repr(C)]
pub(super) struct State {
    pub(super) counts: Counts,
    /// The limits that hold now.
    pub(super) limits: Limits,
}

/// From the beginning of a line of the cache on, so that the lock and what changes with each call are in one.
#[repr(align(64))]
struct Aligned<T>(T);

impl MemoryStore {
    /// Creates an empty store that counts under `limits`.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let limits = limits.for_a_store();
        let clock = Clock::new(Tick::default(), &limits);
        let counts = Counts::new(&limits);
        Self::of(limits, counts, clock)
    }

    pub(super) fn of(limits: Limits, counts: Counts, clock: Clock) -> Self {
        MemoryStore {
            limits: RwLock::new(limits.clone()),
            dates_at_the_end: AtomicBool::new(limits.dates_at_the_end()),
            id: fastrand::u64(..),
            clock,
            state: Aligned(Mutex::new(State { counts, limits })),
            absorb: true,
            news: AtomicBool::new(false),
            noted: Noted::default(),
        }
    }

    /// Limits this store to `most` counts, plus one for each set of tags that limits have.
    ///
    /// ```
    /// use tower_quota::{limit::Limits, store::MemoryStore};
    ///
    /// let store = MemoryStore::new(Limits::new([])?).max_counts(10_000);
    /// assert!(store.is_empty());
    /// # Ok::<(), tower_quota::limit::LimitError>(())
    /// ```
    #[must_use]
    pub fn max_counts(self, most: usize) -> Self {
        self.lock().counts.set_most(most);
        self
    }

    /// Sets another wall clock, by which calendars go, in place of the system's. It may be set forwards and back; it is
    /// asked when something is charged or looked at.
    #[must_use]
    pub fn wall_clock(mut self, shown: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock.show(shown);
        self.clock.set_calendars();
        self
    }

    /// Returns how many of the claims that were granted would have been refused by limits that
    /// [only watch](crate::limit::Limit::shadow), since this store was made, or since the limit was
    /// added or came to only watch: each limit in words, with that number.
    ///
    /// A call with several attempts makes several claims.
    ///
    /// ```
    /// use std::{sync::Arc, time::Duration};
    /// use tower_quota::{Limiter, limit::{Limit, Limits}, limiter::{Call, QueueOptions}, store::MemoryStore};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let limit = Limit::requests(1).every(Duration::from_secs(60)).shadow();
    /// let store = Arc::new(MemoryStore::new(Limits::new([limit])?));
    /// let limiter = Limiter::build(store.clone(), QueueOptions::new());
    /// for _ in 0..3 {
    ///     drop(limiter.acquire(Call::new()).await?);
    /// }
    /// assert_eq!(store.would_have_refused(), [("requests 1/min (shadow)".to_owned(), 2)]);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn would_have_refused(&self) -> Vec<(String, u64)> {
        let state = self.lock();
        let shadows = state.limits.live();
        let shadows = shadows.filter(|(_, rule)| rule.limit.shadow && !rule.is_share());
        shadows
            .map(|(place, rule)| (rule.limit.to_string(), state.counts.over(place)))
            .collect()
    }

    /// Returns roughly how many bytes the counts take. Looks at each of them.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.lock().counts.bytes()
    }

    /// Returns how many counts are kept: one for each tag value that limits are split by.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().counts.len()
    }

    /// Returns whether nothing is counted at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.0.lock()
    }

    /// The same where nobody else has it.
    #[inline]
    pub(super) fn try_lock(&self) -> Option<MutexGuard<'_, State>> {
        self.state.0.try_lock()
    }

    /// Shows every count that these tags touch, and its name. One that is new is made, as by a claim, and
    /// swept like it.
    pub(super) fn each_count(
        &self,
        State { counts, limits }: &mut State,
        tags: &Tags,
        now: Tick,
        mut show: impl FnMut(Named<'_>, &Rule, &mut Window),
    ) {
        self.clock.set_calendars_at(|| now);
        let (limits, around) = (&*limits, Around::of(tags));
        counts.each_entry(
            limits,
            &around,
            || now,
            |number, tags, _, entry| {
                let level = &limits.levels()[number];
                let shared = entry.is_shared(&level.limit);
                for (place, window) in level.places.iter().zip(&mut entry.windows) {
                    let rule = &limits.rules()[*place as usize];
                    let name = Named {
                        place: *place,
                        limit: &rule.limit,
                        tags,
                        shared,
                    };
                    show(name, rule, window);
                }
            },
        );
    }
}

/// What a count is called, made where somebody asks.
#[derive(Clone, Copy)]
pub(super) struct Named<'a> {
    place: u32,
    limit: &'a Limit,
    tags: &'a Tags,
    shared: bool,
}

impl Named<'_> {
    pub(super) fn key(&self) -> LimitKey {
        LimitKey::of_entry(self.place, self.limit, self.tags, self.shared)
    }

    /// The same by its own values, also where others share it.
    pub(super) fn own(&self) -> LimitKey {
        LimitKey::of(self.place, self.limit, self.tags)
    }
}

impl Store for MemoryStore {
    fn limits(&self) -> Limits {
        self.limits.read().clone()
    }

    fn refuse(&self, claim: &Claim) -> Answer<()> {
        if !self.limits.read().count_refused() {
            return Answer::Now(Ok(()));
        }
        let mut state = self.lock();
        let now = self.now();
        self.each_count(&mut state, &claim.tags, now, |_, rule, window| {
            // Calls are counted, not slots: none is held already.
            let most = window.amount();
            let need = claim.asked().amount(rule.terms, most);
            if let Some(need) = need.filter(|_| rule.limit.count_refused) {
                window.book(rule, need, now);
            }
        });
        Answer::Now(Ok(()))
    }

    fn reconfigure(&self, limits: &Limits, reason: &Reason) -> Answer<()> {
        let (mut state, new) = loop {
            let old = self.limits();
            // Nobody waits for the lock meanwhile.
            let new = old.changed_to(limits);
            let state = self.lock();
            if state.limits.version() == old.version() {
                break (state, new);
            }
        };
        self.tell_limits(&mut state, &new, reason);
        self.note_limits(&state.limits, &new, reason);
        self.clock.serve(&new);
        self.dates_at_the_end
            .store(new.dates_at_the_end(), Ordering::Relaxed);
        *self.limits.write() = new.clone();
        state.change(new, self.now());
        self.has_news(&mut state.counts);
        Answer::Now(Ok(()))
    }

    fn keys(&self, claim: &Claim) -> Vec<LimitKey> {
        let State { counts, limits } = &mut *self.lock();
        let mut keys = claim.keys(limits);
        let (now, around) = (self.now(), Around::of(&claim.tags));
        for (number, level) in limits.levels().iter().enumerate() {
            let of_level = |key: &LimitKey| level.places.contains(&key.place());
            if !keys.iter().any(of_level) {
                continue;
            }
            for tags in around.under(&level.limit) {
                if counts.shares(limits, number, tags, now) {
                    let own = |key: &LimitKey| key.is_of(&level.limit, tags);
                    let keys = keys.iter_mut().filter(|key| of_level(key) && own(key));
                    keys.for_each(|key| *key = key.to_shared());
                }
            }
        }
        if around.are_several() {
            // Several may share one.
            let mut seen = HashSet::new();
            keys.retain(|key| seen.insert(key.clone()));
        }
        // Also while it is open: who waits for something else goes apart from calls to other targets.
        if claim.is_held_back() {
            keys.extend(LimitKey::cooldown(&claim.tags));
        }
        keys
    }

    fn now(&self) -> Tick {
        self.clock.now()
    }

    fn claim(&self, claim: &Claim) -> Answer<Decision> {
        let state = &mut *self.lock();
        if let Some(name) = state.counts.take(&state.limits, claim) {
            return Answer::Now(Ok(Decision::Granted(Grant {
                store: self.id,
                name,
            })));
        }
        Answer::Now(Ok(self.claim_closely(state, claim)))
    }

    fn date(&self, grant: &mut Grant) {
        if grant.store == self.id {
            self.date_parts(grant.name);
        }
    }

    fn streamed(&self, grant: &mut Grant, output: u64) {
        if grant.store == self.id {
            self.date_output(grant.name, output);
        }
    }

    fn observe(&self, tags: &Tags, grant: &Grant, seen: &Observation) -> Answer<bool> {
        Answer::Now(Ok(self.learn(tags, grant, seen)))
    }

    fn settle(&self, grant: Grant, settlement: Settlement) -> Answer<()> {
        if grant.store == self.id {
            self.end(grant.name, Some(&settlement));
        }
        Answer::Now(Ok(()))
    }

    fn release(&self, grant: Grant) -> Answer<()> {
        if grant.store == self.id {
            self.end(grant.name, None);
        }
        Answer::Now(Ok(()))
    }

    fn peek(&self, claim: &Claim) -> Answer<Vec<Standing>> {
        let state = &mut *self.lock();
        let now = self.now();
        state.counts.sweep_if_grown(&state.limits, || now);
        let mut standings = Vec::new();
        self.each_count(state, &claim.tags, now, |name, rule, count| {
            if let Some(needed) = claim.amount(|| name.own(), rule, count.amount()) {
                count.expire(rule, now);
                standings.push(Standing {
                    key: name.key(),
                    in_use: count.in_use_of_all(rule, now),
                    reserved: count.reserved(),
                    needed,
                    room: count.room(rule, needed, now),
                    not_before: count.not_before(rule, needed),
                    shadow: rule.limit.shadow,
                });
            }
        });
        if let Some((target, until)) = state.counts.gates.closed(&claim.tags, now)
            && claim.is_held_back()
        {
            standings.push(Standing {
                key: target.clone(),
                in_use: 0,
                reserved: 0,
                needed: 0,
                room: Room::At(until),
                not_before: Some(until),
                shadow: false,
            });
        }
        // Pauses last: of several that never have room it is them that are named.
        let paused = |key: &LimitKey| {
            let rule = state.limits.rule_of(key);
            rule.is_some_and(|rule| rule.limit.paused)
        };
        standings.sort_by_key(|standing| (paused(&standing.key), standing.key.limit()));
        Answer::Now(Ok(standings))
    }

    fn remaining(&self, tags: &Arc<Tags>) -> Option<Remaining> {
        Some(self.what_remains(tags))
    }

    fn budgets(&self) -> Answer<Vec<BudgetStanding>> {
        Answer::Now(Ok(self.budget_standings()))
    }

    fn counts(&self, most: usize) -> Answer<Vec<CountStanding>> {
        Answer::Now(Ok(self.count_standings(most)))
    }

    fn record(&self, tags: &Tags, usage: Usage) -> Answer<()> {
        let state = &mut *self.lock();
        let now = self.now();
        state.counts.sweep_if_grown(&state.limits, || now);
        let (mut spent, limits) = (Vec::new(), state.limits.clone());
        self.each_count(state, tags, now, |name, rule, count| {
            let limit = &rule.limit;
            let amount = rule.recorded(&usage);
            if limit.quantity != Quantity::Concurrency && amount > 0 {
                if rule.terms.are_watched() {
                    count.expire(rule, now);
                }
                count.book(rule, amount, now);
                if rule.terms.are_watched() {
                    for happened in count.after_spending(rule, now) {
                        spent.push(BudgetEvent::of(
                            &limits,
                            &name.key(),
                            count,
                            happened.into(),
                        ));
                    }
                }
            }
        });
        self.tell(&mut state.counts, spent, &Reason::default());
        Answer::Now(Ok(()))
    }

    fn correct(&self, tags: &Tags, correction: Correction, reason: &Reason) -> Answer<()> {
        self.correct_budgets(tags, correction, reason);
        Answer::Now(Ok(()))
    }

    fn reset(&self, tags: &Tags, reason: &Reason) -> Answer<u64> {
        Answer::Now(Ok(self.reset_circuits(tags, reason)))
    }

    fn note(&self, note: Note, reason: &Reason) -> Answer<()> {
        self.note_by_hand(note, reason);
        Answer::Now(Ok(()))
    }

    fn audit(&self) -> Answer<Vec<AuditEntry>> {
        Answer::Now(Ok(self.noted.all()))
    }

    fn events(&self) -> Vec<BudgetEvent> {
        self.take_events()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("counts", &self.len())
            .finish_non_exhaustive()
    }
}
