//! What processes do, in the one order that all of them see.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    limit::{Limit, Tick},
    store::{
        Correction, Note, Observation, Settlement, asked::Asked, audit::ITSELF, clock::told::At,
    },
    tags::Tags,
    usage::Usage,
};

/// A process, or a store in it: drawn at random when it joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(super) struct Process(u64);

impl Process {
    pub(super) fn new() -> Self {
        Process(fastrand::u64(..))
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Process {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = u64::from_str_radix(text, 16);
        number
            .map(Process)
            .map_err(|_| format!("{text:?} is no process"))
    }
}

impl From<Process> for String {
    fn from(process: Process) -> Self {
        process.to_string()
    }
}

impl TryFrom<String> for Process {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// Where an entry stands, and a number by which it is told from another that stood there in a history that was lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) pos: u64,
    pub(super) tag: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.pos, self.tag)
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('-');
        let place = parts.and_then(|(pos, tag)| {
            Some(Place {
                pos: pos.parse().ok()?,
                tag: tag.parse().ok()?,
            })
        });
        place.ok_or_else(|| format!("{text:?} is no place in the log"))
    }
}

/// Something that a process does. Grants are called by the number of what claimed them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Op {
    /// A process is there. The limits that it was opened with, where they are others than those that hold, or nobody has done
    /// anything yet.
    Join {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limits: Option<Vec<Limit>>,
        by: Arc<str>,
    },
    /// It is there no more, and has left nothing under way.
    Leave,
    /// Another is there no more, whatever it had under way.
    Bury(Process),
    Claim(Asked),
    /// Of one that is first in its queue, under a number of its process.
    Wait {
        asked: Asked,
        number: u64,
        #[serde(default, skip_serializing_if = "is_zero")]
        priority: i32,
        /// May be granted so much ahead, in microseconds.
        #[serde(default, skip_serializing_if = "is_zero")]
        lease: u64,
    },
    /// Of one that is next behind those: so much ahead.
    Lease {
        asked: Asked,
        lease: u64,
    },
    /// What its attempt needs besides, where this was granted.
    Along {
        asked: Asked,
        with: u64,
    },
    /// It waits no more.
    Forgo(u64),
    /// Was granted while there was nobody to ask, or in a history that was lost: it counts, whether there is room or not.
    Take(Asked),
    /// So long before, in microseconds.
    Date(u64, u64),
    Streamed(u64, u64),
    Settle(u64, Settlement),
    Release(u64),
    Observe {
        grant: u64,
        tags: Arc<Tags>,
        seen: Observation,
    },
    Refuse(Asked),
    Peek(Asked),
    Budgets,
    Record(Arc<Tags>, Usage),
    Correct {
        tags: Tags,
        correction: Correction,
        reason: String,
        by: Arc<str>,
    },
    Reset {
        tags: Tags,
        reason: String,
        by: Arc<str>,
    },
    Reconfigure {
        limits: Vec<Limit>,
        by: Arc<str>,
        /// Nothing, where nobody says.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        why: String,
    },
    /// Something beside the store, by hand: the audit log alone has it.
    Note(Note),
    /// A server that had lost all was told again what this process knows.
    Told,
    /// In the place of what was not to be, so that what follows has its number.
    Nothing,
}

impl Op {
    /// What it claims, where that is decided in its turn.
    pub(super) fn claims(&self) -> Option<&Asked> {
        match self {
            Op::Claim(asked)
            | Op::Wait { asked, .. }
            | Op::Lease { asked, .. }
            | Op::Along { asked, .. } => Some(asked),
            _ => None,
        }
    }

    /// Who did it, where somebody did it by hand.
    pub(super) fn by(&self) -> &str {
        match self {
            Op::Join { by, .. }
            | Op::Correct { by, .. }
            | Op::Reset { by, .. }
            | Op::Reconfigure { by, .. } => by,
            _ => ITSELF,
        }
    }
}

fn is_zero<N: Default + PartialEq>(number: &N) -> bool {
    *number == N::default()
}

/// An [`Op`] in its place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) place: Place,
    pub(super) at: At,
    pub(super) process: Process,
    /// Which thing that its process does; 0: a server did it for it.
    pub(super) number: u64,
    pub(super) op: Op,
}

impl Entry {
    /// From the text that stands in the log.
    pub(super) fn read(place: Place, text: &str) -> Result<Self, String> {
        let mut parts = text.splitn(5, ' ');
        let mut part = || parts.next().ok_or("it is cut short");
        let number = |text: &str| text.parse::<u64>().map_err(|error| error.to_string());
        let tick = number(part()?)?;
        let wall = part()?.parse().map_err(|_| "it has no date")?;
        let process = part()?.parse()?;
        let which = number(part()?)?;
        let op = serde_json::from_str(part()?).map_err(|error| error.to_string())?;
        Ok(Entry {
            place,
            at: At {
                tick: Tick::from_micros(tick),
                wall,
            },
            process,
            number: which,
            op,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_what_the_script_writes() {
        let process = Process::new();
        let op = Op::Settle(7, Settlement::Usage(Usage::new(3, 4)));
        let body = serde_json::to_string(&op).unwrap();
        let place: Place = "12-99".parse().unwrap();
        let entry = Entry::read(place, &format!("5 1700 {process} 8 {body}")).unwrap();
        let at = At {
            tick: Tick::from_micros(5),
            wall: 1_700,
        };
        let expected = Entry {
            place: Place { pos: 12, tag: 99 },
            at,
            process,
            number: 8,
            op,
        };
        assert_eq!(entry, expected);
    }

    #[test]
    fn what_a_script_says_of_the_dead_is_read_too() {
        let process = Process::new();
        let op: Op = serde_json::from_str(&format!(r#"{{"bury":"{process}"}}"#)).unwrap();
        assert_eq!(op, Op::Bury(process));
    }

    #[test]
    fn what_is_no_entry_is_said() {
        for text in ["", "1 2", "1 2 zz 3 \"leave\"", "1 2 0a 3 {\"fly\":1}"] {
            assert!(Entry::read(Place::default(), text).is_err(), "{text}");
        }
    }
}
