//! The store in this process that does what all processes do, in the order in which the server has it: so each has the same
//! counts, and decides the same.

mod ahead;
mod carry_out;
mod decide;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::{
    entry::{Place, Process},
    line::Line,
    ring::Known,
};
use crate::{
    limit::{Limit, Limits, Tick},
    store::{
        BudgetEvent, BudgetStanding, Grant, MemoryStore, NotNow, Standing, Store as _,
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
    /// From when on those of them may leave that were granted ahead and have not left.
    starts: HashMap<(Process, u64), Tick>,
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
    /// Those that were there when a server had lost all, and have not told again what they know.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    owing: BTreeSet<Process>,
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
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    starts: Vec<(Process, u64, Tick)>,
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
    /// Nothing is decided until so many processes have told again what they know.
    Owing(usize),
}

/// What a claim would hear by what is known here.
pub(super) enum Foreseen {
    Refused(NotNow),
    /// It has room: how the counts stand.
    Open(Vec<Standing>),
}

impl Rest {
    fn begin_anew(&mut self, me: Process, epochs: &[String]) {
        self.epochs.extend_from_slice(epochs);
        let over = self.epochs.len().saturating_sub(ANCESTORS);
        self.epochs.drain(..over);
        let live = self.seen.iter().filter(|(_, seen)| seen.live);
        let others = live.map(|(process, _)| *process);
        self.owing = others.filter(|process| *process != me).collect();
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
            owing: BTreeSet::new(),
        };
        Replica {
            store,
            told,
            rest,
            open: HashMap::new(),
            starts: HashMap::new(),
        }
    }

    /// One that goes on from an image, and what was done last before that.
    pub(super) fn of_text(text: &str) -> Result<(Self, Vec<Known>), String> {
        let stored = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let Stored::<Image, Rest> {
            rest,
            open,
            starts,
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
        let starts = starts.into_iter();
        let starts = starts.map(|(process, number, at)| ((process, number), at));
        let replica = Replica {
            store,
            told,
            rest,
            open,
            starts: starts.collect(),
        };
        Ok((replica, tail))
    }

    /// An image of it, with what was done last.
    pub(super) fn text(&self, tail: Vec<Known>) -> Result<String, String> {
        self.text_of(self.rest.clone(), tail)
    }

    /// The same for a server that has lost all, which goes on from what `me` knows, in other histories from here on.
    pub(super) fn text_anew(
        &self,
        (me, epochs): (Process, &[String]),
        tail: Vec<Known>,
    ) -> Result<String, String> {
        let mut rest = self.rest.clone();
        rest.begin_anew(me, epochs);
        self.text_of(rest, tail)
    }

    fn text_of(&self, mut rest: Rest, tail: Vec<Known>) -> Result<String, String> {
        let wall = rest.at.wall;
        rest.seen
            .retain(|_, seen| seen.live || seen.wall.saturating_add(DEAD_FOR) > wall);
        let (names, grants): (Vec<_>, Vec<_>) = self.open.iter().unzip();
        let image = self.store.image((0u64..).zip(grants.iter().copied()));
        let starts = self.starts.iter();
        let starts = starts.map(|((process, number), at)| (*process, *number, *at));
        let stored = Stored {
            rest,
            open: names.into_iter().copied().collect(),
            starts: starts.collect(),
            image,
            tail,
        };
        serde_json::to_string(&stored).map_err(|error| error.to_string())
    }

    /// Whether that was granted and has not ended.
    pub(super) fn is_open(&self, process: Process, number: u64) -> bool {
        self.open.contains_key(&(process, number))
    }

    /// Takes out a grant, which is ended elsewhere.
    pub(super) fn take(&mut self, process: Process, number: u64) -> Option<Grant> {
        self.open.remove(&(process, number))
    }

    /// A server that has lost all goes on from what is known here, in other histories. Nothing is granted until the others
    /// that are alive have told again what they know: what one of them was granted last nobody else may have heard of.
    pub(super) fn begin_anew(&mut self, me: Process, epochs: &[String]) {
        self.rest.begin_anew(me, epochs);
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

    /// How many processes have still to tell again what they know.
    pub(super) fn owing(&self) -> usize {
        self.rest.owing.len()
    }

    /// Whether one of them has to.
    pub(super) fn owes(&self, process: Process) -> bool {
        self.rest.owing.contains(&process)
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

    /// What every process did last.
    pub(super) fn seen(&self) -> impl Iterator<Item = (Process, u64)> {
        let seen = self.rest.seen.iter();
        seen.map(|(process, seen)| (*process, seen.number))
    }

    /// The same, but of those that may be forgotten soon.
    pub(super) fn seen_of_late(&self) -> impl Iterator<Item = (Process, u64)> {
        let wall = self.rest.at.wall;
        let of_late = move |seen: &Seen| seen.live || seen.wall.saturating_add(DEAD_FOR / 2) > wall;
        let seen = self.rest.seen.iter();
        seen.filter(move |(_, seen)| of_late(seen))
            .map(|(process, seen)| (*process, seen.number))
    }

    /// Whether a process that did something then would be known still, if that was done here.
    pub(super) fn remembers(&self, at: At) -> bool {
        at.wall.saturating_add(DEAD_FOR) > self.rest.at.wall
    }

    /// What every process that is alive did last.
    pub(super) fn live(&self) -> impl Iterator<Item = (Process, u64)> {
        let live = self.rest.seen.iter().filter(|(_, seen)| seen.live);
        live.map(|(process, seen)| (*process, seen.number))
    }

    /// Which of those that are alive a process is, and how many there are.
    pub(super) fn place_of(&self, process: Process) -> (u64, u64) {
        let before = self.live().take_while(|(other, _)| *other != process);
        let all = self.live().count();
        (before.count() as u64, all as u64)
    }

    /// What it was opened with last.
    pub(super) fn given(&self) -> &[Limit] {
        &self.rest.given
    }

    /// Whether it was opened with these last.
    pub(super) fn was_given(&self, limits: &Limits) -> bool {
        limits.are_as_given(&self.rest.given)
    }
}
