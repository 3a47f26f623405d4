//! The store in this process that does what all processes do, in the order in which the server has it: so each has the same
//! counts, and decides the same.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::{
    entry::{Entry, Op, Place, Process},
    line::{Line, Who},
    ring::Known,
};
use crate::{
    limit::{Limit, Limits, Room, Tick},
    store::{
        BudgetEvent, BudgetStanding, Claim, Decision, Grant, MemoryStore, NotNow, Settlement,
        Standing, Store as _,
        asked::Asked,
        audit::Note,
        clock::{
            Clock,
            told::{At, Told},
        },
        image::Image,
    },
};

/// What is known of a process that has been dead for so long is forgotten, in microseconds.
const DEAD_FOR: i64 = 86_400_000_000;
/// So many histories that went before are known.
const ANCESTORS: usize = 64;

#[derive(Debug)]
pub(super) struct Replica {
    store: MemoryStore,
    told: Arc<Told>,
    rest: Rest,
    /// By the process that claimed it, and the number of the claim.
    open: HashMap<(Process, u64), Grant>,
}

/// What is to be known besides the counts.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Rest {
    at: At,
    /// The entry that was done last.
    last: Place,
    /// The histories that this one goes on from, itself the last.
    epochs: Vec<String>,
    /// What it was opened with last.
    given: Vec<Limit>,
    most: Option<usize>,
    seen: BTreeMap<Process, Seen>,
    line: Line,
}

/// What is known of a process.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Seen {
    /// What it did last.
    number: u64,
    wall: i64,
    live: bool,
}

/// A replica as it is kept.
#[derive(Serialize, Deserialize)]
struct Stored<I, R> {
    rest: R,
    open: Vec<(Process, u64)>,
    image: I,
    /// What was done last.
    #[serde(default = "Vec::new")]
    tail: Vec<Known>,
}

/// What follows from an entry.
#[derive(Debug)]
pub(super) struct Applied {
    pub(super) outcome: Outcome,
    pub(super) events: Vec<BudgetEvent>,
    /// What the audit log says of it: the same in each replica.
    pub(super) notes: Vec<Note>,
    /// Whether there may be room now where there was none, or an instant is known where none was.
    pub(super) frees: bool,
}

/// The answer to whoever did it.
#[derive(Debug)]
pub(super) enum Outcome {
    Done,
    Granted,
    /// Under this number, in place of the one that it was claimed under.
    GrantedAlone(u64),
    NotNow(NotNow),
    Never(NotNow),
    Room(bool),
    Count(u64),
    Standings(Vec<Standing>),
    Budgets(Vec<BudgetStanding>),
}

/// What a claim would hear by what is known here.
pub(super) enum Foreseen {
    Refused(NotNow),
    /// It has room: how the counts stand.
    Open(Vec<Standing>),
}

impl Rest {
    fn go_on_in(&mut self, epochs: &[String]) {
        self.epochs.extend_from_slice(epochs);
        let over = self.epochs.len().saturating_sub(ANCESTORS);
        self.epochs.drain(..over);
    }
}

impl Replica {
    /// One that has done nothing yet.
    pub(super) fn new(limits: Limits, most: Option<usize>, epoch: &str, at: At) -> Self {
        let told = Arc::new(Told::default());
        told.tell(at);
        let given = limits.iter().cloned().collect();
        let mut store = MemoryStore::new(limits);
        store.clock = Clock::telling(told.clone(), &store.limits());
        let store = match most {
            Some(most) => store.max_counts(most),
            None => store,
        };
        let rest = Rest {
            at,
            last: Place::default(),
            epochs: vec![epoch.to_owned()],
            given,
            most,
            seen: BTreeMap::new(),
            line: Line::default(),
        };
        Replica {
            store,
            told,
            rest,
            open: HashMap::new(),
        }
    }

    /// One that goes on from an image, and what was done last before that.
    pub(super) fn of_text(text: &str) -> Result<(Self, Vec<Known>), String> {
        let stored = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let Stored::<Image, Rest> {
            rest,
            open,
            image,
            tail,
        } = stored;
        let limits = image.limits().ok_or("its limits make no sense")?;
        let told = Arc::new(Told::default());
        told.tell(rest.at);
        let own = limits.clone();
        let (store, grants) =
            MemoryStore::of_image((&limits, own), rest.most, &image, told.clone());
        let grants = grants.into_iter();
        let open = grants.filter_map(|(number, grant)| {
            let name = open.get(usize::try_from(number).ok()?)?;
            Some((*name, grant))
        });
        let open = open.collect();
        let replica = Replica {
            store,
            told,
            rest,
            open,
        };
        Ok((replica, tail))
    }

    /// An image of it, with what was done last: as it goes on in this history, or in others from here on.
    pub(super) fn text(&self, epochs: &[String], tail: Vec<Known>) -> Result<String, String> {
        let mut rest = self.rest.clone();
        rest.go_on_in(epochs);
        let wall = rest.at.wall;
        rest.seen
            .retain(|_, seen| seen.live || seen.wall.saturating_add(DEAD_FOR) > wall);
        let (names, grants): (Vec<_>, Vec<_>) = self.open.iter().unzip();
        let image = self.store.image((0u64..).zip(grants.iter().copied()));
        let stored = Stored {
            rest,
            open: names.into_iter().copied().collect(),
            image,
            tail,
        };
        serde_json::to_string(&stored).map_err(|error| error.to_string())
    }

    /// What follows from the next entry.
    pub(super) fn apply(&mut self, entry: &Entry) -> Applied {
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
            Op::Claim(asked) => (self.decide(entry, asked, None), false),
            Op::Wait {
                asked,
                number,
                priority,
            } => {
                let who = Who {
                    process: entry.process,
                    number: *number,
                };
                (self.decide(entry, asked, Some((who, *priority))), false)
            }
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
                if let Some(grant) = self.open.remove(&name(number)) {
                    drop(store.settle(grant, *settlement));
                }
                done(true)
            }
            Op::Release(number) => {
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
                drop(store.correct(tags, *correction, reason));
                done(true)
            }
            Op::Reset { tags, reason, .. } => {
                let count = store.reset(tags, reason).at_once().unwrap_or_default();
                (Outcome::Count(count), true)
            }
            Op::Reconfigure { limits: new, by } => {
                let before = limits();
                self.reconfigure(new);
                let after = self.store.limits();
                notes.extend(Note::of_limits(&before, &after, by, "changed at run time"));
                done(true)
            }
        }
    }

    /// Takes what is asked for, where there is room and nobody is kept from going who stands before.
    fn decide(&mut self, entry: &Entry, asked: &Asked, waits: Option<(Who, i32)>) -> Outcome {
        let claim = asked.to(&self.store.limits());
        let (store, now) = (&self.store, self.rest.at.tick);
        let by = (entry.process, waits.map(|(who, _)| who));
        let harm = self.rest.line.harmed(store, &claim, by, now);
        let decision = match harm {
            None => store.claim(&claim).at_once(),
            // What it would hear of itself goes before.
            Some(harm) => {
                store
                    .peek(&claim)
                    .at_once()
                    .map(|standings| match Standing::refusal(&standings) {
                        Some((Room::Never, refused)) => Decision::Never(refused),
                        Some((_, refused)) => Decision::NotNow(refused),
                        None => Decision::NotNow(harm.refusal(standings)),
                    })
            }
        };
        let refused = match decision {
            Ok(Decision::Granted(grant)) => {
                if let Some((who, _)) = waits {
                    self.rest.line.leave(who);
                }
                self.open.insert((entry.process, entry.number), grant);
                return Outcome::Granted;
            }
            Ok(Decision::NotNow(refused)) => refused,
            Ok(Decision::Never(refused)) => {
                if let Some((who, _)) = waits {
                    self.rest.line.leave(who);
                }
                return Outcome::Never(refused);
            }
            // The memory answers always.
            Err(_) => return Outcome::Done,
        };
        if let Some((who, priority)) = waits {
            self.rest.line.join(who, priority, asked, now);
        }
        Outcome::NotNow(refused)
    }

    /// What a claim of one that waits would hear, if nothing was done since that is not known here; `None`: nobody can say
    /// without asking. Changes nothing.
    pub(super) fn foresee(
        &self,
        claim: &Claim,
        (who, first): (Who, bool),
        now: Tick,
    ) -> Option<Foreseen> {
        if !self.store.knows(&claim.tags) || (first && !self.rest.line.stands(who)) {
            return None;
        }
        let standings = self.store.peek(claim).at_once().ok()?;
        let refused = match Standing::refusal(&standings) {
            Some((Room::At(at), refused)) if at > now => Some(refused),
            Some((Room::WhenGivenBack, refused)) => Some(refused),
            Some(_) => return None,
            None => {
                let by = (who.process, first.then_some(who));
                let now = self.rest.at.tick;
                let harm = self.rest.line.harmed(&self.store, claim, by, now);
                match harm {
                    Some(harm) => return Some(Foreseen::Refused(harm.refusal(standings))),
                    None => None,
                }
            }
        };
        Some(match refused {
            Some(refused) => Foreseen::Refused(refused),
            None => Foreseen::Open(standings),
        })
    }

    /// Ends what a process has under way: nobody lives to say what became of it. How much that was.
    fn bury(&mut self, process: Process) -> usize {
        if let Some(seen) = self.rest.seen.get_mut(&process) {
            seen.live = false;
        }
        self.rest.line.bury(process);
        let open = self.open.keys().filter(|(owner, _)| *owner == process);
        let mut open: Vec<_> = open.copied().collect();
        // Each replica in the same order.
        open.sort_unstable();
        for name in &open {
            if let Some(grant) = self.open.remove(name) {
                drop(self.store.settle(grant, Settlement::Unknown));
            }
        }
        open.len()
    }

    fn open_with(&mut self, given: &[Limit]) {
        if let Ok(limits) = Limits::new(given.iter().cloned()) {
            let now = limits.opened_with(&self.rest.given, &self.store.limits());
            drop(self.store.reconfigure(&now));
            self.rest.given = given.to_vec();
        }
    }

    fn reconfigure(&mut self, limits: &[Limit]) {
        if let Ok(limits) = Limits::new(limits.iter().cloned()) {
            drop(self.store.reconfigure(&limits));
        }
    }

    /// Whether that was granted and has not ended.
    pub(super) fn is_open(&self, process: Process, number: u64) -> bool {
        self.open.contains_key(&(process, number))
    }

    /// Takes out a grant, which is ended elsewhere.
    pub(super) fn take(&mut self, process: Process, number: u64) -> Option<Grant> {
        self.open.remove(&(process, number))
    }

    /// It goes on in other histories from here on, of which the last is its own.
    pub(super) fn go_on_in(&mut self, epochs: &[String]) {
        self.rest.go_on_in(epochs);
    }

    /// Time has passed by the server's clock: nothing will be done before that.
    pub(super) fn tell(&mut self, at: At) {
        self.rest.at = At {
            tick: at.tick.max(self.rest.at.tick),
            wall: at.wall,
        };
        self.told.tell(self.rest.at);
        // What is done next goes by the day that it is then, whoever has looked at anything meanwhile.
        self.store.clock.set_calendars();
    }

    pub(super) fn at(&self) -> At {
        self.rest.at
    }

    pub(super) fn last(&self) -> Place {
        self.rest.last
    }

    pub(super) fn store(&self) -> &MemoryStore {
        &self.store
    }

    /// The history that this is.
    pub(super) fn epoch(&self) -> &str {
        self.rest.epochs.last().map_or("", String::as_str)
    }

    /// Whether both go on from one history.
    pub(super) fn is_kin_of(&self, other: &Replica) -> bool {
        let epochs = &other.rest.epochs;
        self.rest.epochs.iter().any(|epoch| epochs.contains(epoch))
    }

    /// What a process did last.
    pub(super) fn number_of(&self, process: Process) -> u64 {
        self.rest.seen.get(&process).map_or(0, |seen| seen.number)
    }

    /// What every process did last, but those that may be forgotten soon.
    pub(super) fn seen_of_late(&self) -> impl Iterator<Item = (Process, u64)> {
        let wall = self.rest.at.wall;
        let of_late = move |seen: &Seen| seen.live || seen.wall.saturating_add(DEAD_FOR / 2) > wall;
        let seen = self.rest.seen.iter();
        seen.filter(move |(_, seen)| of_late(seen))
            .map(|(process, seen)| (*process, seen.number))
    }

    /// What every process that is alive did last.
    pub(super) fn live(&self) -> impl Iterator<Item = (Process, u64)> {
        let live = self.rest.seen.iter().filter(|(_, seen)| seen.live);
        live.map(|(process, seen)| (*process, seen.number))
    }

    /// Whether it was opened with these last.
    pub(super) fn was_given(&self, limits: &Limits) -> bool {
        limits.are_as_given(&self.rest.given)
    }
}

/// So many microseconds earlier, by both clocks.
fn before(At { tick, wall }: At, age: u64) -> At {
    At {
        tick: Tick::from_micros(tick.as_micros().saturating_sub(age)),
        wall: wall.saturating_sub(i64::try_from(age).unwrap_or(i64::MAX)),
    }
}
