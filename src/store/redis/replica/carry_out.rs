//! What follows from each thing that a process does.

use super::{Applied, Outcome, Replica, Seen};
use crate::{
    limit::{Limit, Limits, Tick},
    store::{
        Note, Reason, Settlement, Store as _,
        audit::changed,
        clock::told::At,
        redis::{
            entry::{Entry, Op, Process},
            line::Who,
        },
    },
};

impl Replica {
    /// What follows from the next entry.
    pub(in crate::store::redis) fn apply(&mut self, entry: &Entry) -> Applied {
        let before = self.rest.at.tick;
        self.rest.last = entry.place;
        self.tell(At {
            tick: entry.at.tick.max(before),
            wall: entry.at.wall,
        });
        let nothing = Applied {
            outcome: Outcome::Done,
            events: Vec::new(),
            notes: Vec::new(),
            frees: false,
        };
        if entry.number > 0 {
            let seen = self.rest.seen.entry(entry.process).or_default();
            if entry.number <= seen.number {
                return nothing;
            }
            *seen = Seen {
                number: entry.number,
                wall: entry.at.wall,
                live: true,
            };
        }
        let mut notes = Vec::new();
        let (outcome, frees) = self.carry_out(entry, &mut notes);
        let events = self.store.take_events();
        let of_events = events.iter();
        notes.extend(of_events.filter_map(|event| Note::of_event(event, entry.op.by())));
        Applied {
            outcome,
            events,
            notes,
            frees,
        }
    }

    fn carry_out(&mut self, entry: &Entry, notes: &mut Vec<Note>) -> (Outcome, bool) {
        let (store, limits) = (&self.store, || self.store.limits());
        let name = |number: &u64| (entry.process, *number);
        let done = |frees| (Outcome::Done, frees);
        match &entry.op {
            Op::Nothing => done(false),
            Op::Told => {
                self.rest.owing.remove(&entry.process);
                done(true)
            }
            Op::Join { limits: None, .. } => done(false),
            Op::Join {
                limits: Some(given),
                by,
            } => {
                let before = limits();
                self.open_with(given);
                let after = self.store.limits();
                notes.extend(Note::of_limits(&before, &after, by, "opened with others"));
                done(true)
            }
            Op::Leave => {
                self.bury(entry.process);
                done(true)
            }
            Op::Bury(process) => {
                let lost = self.bury(*process);
                notes.extend((lost > 0).then(|| Note::of_crash(lost)));
                done(true)
            }
            Op::Claim(asked) => (self.decide(entry, asked, None, 0), false),
            Op::Lease { asked, lease } => (self.decide(entry, asked, None, *lease), false),
            Op::Wait {
                asked,
                number,
                priority,
                lease,
            } => {
                let who = Who {
                    process: entry.process,
                    number: *number,
                };
                let waits = Some((who, *priority));
                (self.decide(entry, asked, waits, *lease), false)
            }
            Op::Along { asked, with } => match self.open.contains_key(&name(with)) {
                true => (self.decide(entry, asked, None, 0), false),
                false => done(false),
            },
            Op::Forgo(number) => {
                self.rest.line.leave(Who {
                    process: entry.process,
                    number: *number,
                });
                done(true)
            }
            Op::Take(asked) => {
                let grant = store.take_anyway(&asked.to(&limits()));
                self.open.insert((entry.process, entry.number), grant);
                (Outcome::Granted, false)
            }
            Op::Date(number, age) => {
                self.starts.remove(&name(number));
                if let Some(grant) = self.open.get_mut(&name(number)) {
                    self.told.tell(before(self.rest.at, *age));
                    store.date(grant);
                    self.told.tell(self.rest.at);
                    store.clock.set_calendars();
                }
                done(true)
            }
            Op::Streamed(number, output) => {
                if let Some(grant) = self.open.get_mut(&name(number)) {
                    store.streamed(grant, *output);
                }
                done(true)
            }
            Op::Settle(number, settlement) => {
                self.starts.remove(&name(number));
                if let Some(grant) = self.open.remove(&name(number)) {
                    drop(store.settle(grant, *settlement));
                }
                done(true)
            }
            Op::Release(number) => {
                self.starts.remove(&name(number));
                if let Some(grant) = self.open.remove(&name(number)) {
                    drop(store.release(grant));
                }
                done(true)
            }
            Op::Observe { grant, tags, seen } => {
                let open = self.open.get(&name(grant));
                let grant = open.map_or_else(|| store.no_grant(), Clone::clone);
                let room = store
                    .observe(tags, &grant, seen)
                    .at_once()
                    .unwrap_or_default();
                (Outcome::Room(room), room)
            }
            Op::Refuse(asked) => {
                drop(store.refuse(&asked.to(&limits())));
                done(false)
            }
            Op::Peek(asked) => {
                let standings = store.peek(&asked.to(&limits())).at_once();
                (Outcome::Standings(standings.unwrap_or_default()), false)
            }
            Op::Budgets => {
                let standings = store.budgets().at_once().unwrap_or_default();
                (Outcome::Budgets(standings), false)
            }
            Op::Record(tags, usage) => {
                drop(store.record(tags, *usage));
                done(false)
            }
            Op::Correct {
                tags,
                correction,
                reason,
                ..
            } => {
                drop(store.correct(tags, *correction, &reason.as_str().into()));
                done(true)
            }
            Op::Reset { tags, reason, .. } => {
                let count = store
                    .reset(tags, &reason.as_str().into())
                    .at_once()
                    .unwrap_or_default();
                (Outcome::Count(count), true)
            }
            Op::Reconfigure {
                limits: new,
                by,
                why,
            } => {
                let before = limits();
                self.reconfigure(new);
                let after = self.store.limits();
                notes.extend(Note::of_limits(&before, &after, by, changed(why)));
                done(true)
            }
            Op::Note(note) => {
                notes.push(note.clone());
                done(false)
            }
        }
    }

    /// Ends what a process has under way: nobody lives to say what became of it. How much that was.
    fn bury(&mut self, process: Process) -> usize {
        if let Some(seen) = self.rest.seen.get_mut(&process) {
            seen.live = false;
        }
        self.rest.owing.remove(&process);
        self.rest.line.bury(process);
        let open = self.open.keys().filter(|(owner, _)| *owner == process);
        let mut open: Vec<_> = open.copied().collect();
        // Each replica in the same order.
        open.sort_unstable();
        for name in &open {
            self.starts.remove(name);
            if let Some(grant) = self.open.remove(name) {
                drop(self.store.settle(grant, Settlement::Unknown));
            }
        }
        open.len()
    }

    fn open_with(&mut self, given: &[Limit]) {
        if let Ok(limits) = Limits::taken_before(given.iter().cloned()) {
            let now = limits.opened_with(&self.rest.given, &self.store.limits());
            drop(self.store.reconfigure(&now, &Reason::default()));
            self.rest.given = given.to_vec();
        }
    }

    fn reconfigure(&mut self, limits: &[Limit]) {
        if let Ok(limits) = Limits::taken_before(limits.iter().cloned()) {
            drop(self.store.reconfigure(&limits, &Reason::default()));
        }
    }
}

/// So many microseconds earlier, by both clocks.
fn before(At { tick, wall }: At, age: u64) -> At {
    At {
        tick: Tick::from_micros(tick.as_micros().saturating_sub(age)),
        wall: wall.saturating_sub(i64::try_from(age).unwrap_or(i64::MAX)),
    }
}
