//! From a file to a store: the last image, what was done since, and an end for what was in flight.

use std::{collections::HashMap, path::Path, sync::Arc, thread::JoinHandle};

use rusqlite::{Connection, TransactionBehavior};

use super::{
    OpenError, SqliteOptions, Survives,
    ahead::Ahead,
    book::Book,
    file::{self, Opened},
    op::{Done, Op},
    replica::{Kept, Replica},
    row,
    shared::Shared,
    standing::{Standing, Stored},
    sync::Syncer,
    writer::Writer,
};
use crate::{
    store::audit::Note,
    store::{
        BudgetEvent, Settlement, Store as _,
        clock::{
            Clock,
            told::{At, Told},
        },
    },
};

pub(super) struct Recovered {
    pub(super) shared: Arc<Shared>,
    pub(super) thread: JoinHandle<Result<(), String>>,
    pub(super) lost: usize,
}

pub(super) fn recover(options: SqliteOptions) -> Result<Recovered, OpenError> {
    let SqliteOptions {
        path,
        limits,
        by,
        shown,
        most,
        absorb,
        image_after,
        survives,
        ahead,
    } = options;
    let Opened {
        mut conn,
        lock,
        path: real,
    } = file::open(&path, survives)?;
    let mut clock = Clock::alone();
    if let Some(shown) = shown {
        clock.show(move || shown());
    }
    let wall = clock.at().wall;
    let before = read(&conn, &path, most)?;
    let fresh = before.is_none();
    let mut before = before.unwrap_or_else(|| Replica::new(limits.clone(), most));
    let was = before.at().wall;
    let at = now(before.at(), wall);
    let (lost, mut untold) = end_all(&mut before, at);
    let (used, more) = before.use_ahead(at);
    untold.extend(more);

    let image = before.image();
    let held = before.limits();
    let now = limits.opened_with(before.given(), &held);
    let given = limits.iter().cloned().collect();
    let mut replica = Replica::of_image(given, (&held, now), most, (&image, HashMap::new(), at));
    // The clock may be years behind, until somebody tells the machine the time: that is no time that will have passed.
    replica.not_before(was);
    // Of a budget that is less now more may be spent than was told.
    untold.extend(replica.look_at_budgets());
    let told = Arc::new(Told::default());
    told.tell(at);
    let live = replica.copy(most, told.clone());
    let live = live.absorb_counters(absorb);

    let mut notes = Vec::new();
    if !fresh {
        let now = live.limits();
        notes.extend(Note::of_limits(&held, &now, &by, "opened with others"));
    }
    notes.extend(untold.iter().filter_map(|event| Note::of_event(event, &by)));
    let write = |conn: &mut Connection| {
        let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let attempts = row::lose(&tx, lost.iter())?;
        let mut book = Book::open(&tx, at)?;
        book.lose(&tx, at, &used)?;
        book.write(&tx)?;
        let crash = (attempts > 0).then(|| Note::of_crash(attempts));
        let mut notes = crash.iter().chain(&notes);
        notes.try_for_each(|note| note.write(&tx, at))?;
        Stored::of(&replica).write(&tx)?;
        tx.commit()?;
        book.committed();
        Ok((attempts, book))
    };
    let written = write(&mut conn).map_err(|error: rusqlite::Error| OpenError::Refused {
        path: path.clone(),
        reason: error.to_string(),
    });
    let (lost, book) = written?;

    let sync = match survives {
        Survives::Power => None,
        Survives::Kill => {
            let started = Syncer::start(&real);
            Some(started.map_err(|reason| OpenError::Unreachable {
                path: path.clone(),
                reason,
            })?)
        }
    };

    clock.set(at.tick);
    let shared = Arc::new(Shared::new(
        path.clone(),
        (live, told),
        clock,
        by,
        untold,
        Ahead::new(ahead),
    ));
    let writer = Writer::new(
        shared.clone(),
        (conn, lock, sync),
        Standing::new(replica, most, image_after),
        book,
    );
    let thread = std::thread::Builder::new()
        .name("tower-quota sqlite".into())
        .spawn(move || writer.run())
        .map_err(|reason| OpenError::Unreachable { path, reason })?;
    Ok(Recovered {
        shared,
        thread,
        lost,
    })
}

/// Ends what is open: nobody lives to say what became of it. What it was, and what has happened to budgets by that.
fn end_all(replica: &mut Replica, at: At) -> (Vec<Kept>, Vec<BudgetEvent>) {
    let open = replica.open().map(|(number, kept)| (number, *kept));
    let mut open: Vec<(u64, Kept)> = open.collect();
    // In the order in which they were claimed.
    open.sort_unstable_by_key(|(number, kept)| (kept.row, *number));
    let mut happened = Vec::new();
    for (number, _) in &open {
        happened.extend(replica.redo(at, &Op::Settle(*number, Settlement::Unknown)));
    }
    (open.into_iter().map(|(_, kept)| kept).collect(), happened)
}

/// What the file says, where it says anything.
fn read(conn: &Connection, path: &Path, most: Option<usize>) -> Result<Option<Replica>, OpenError> {
    let damaged = |reason: String| OpenError::Damaged {
        path: path.to_owned(),
        reason,
    };
    let failed = |error: rusqlite::Error| damaged(error.to_string());
    let unread =
        |what: &str, error: serde_json::Error| damaged(format!("{what} cannot be read: {error}"));
    let parts = texts(conn, "SELECT body FROM image ORDER BY part").map_err(failed)?;
    if parts.is_empty() {
        return Ok(None);
    }
    let stored = serde_json::from_str(&parts.concat());
    let Stored {
        at,
        given,
        kept,
        ahead,
        image,
    } = stored.map_err(|error| unread("its image", error))?;
    let limits = image.limits();
    let limits = limits.ok_or_else(|| damaged("its limits make no sense".into()))?;
    let both = (&limits.clone(), limits);
    let mut replica = Replica::of_image(given, both, most, (&image, kept, at)).with_ahead(ahead);
    let mut log = conn
        .prepare("SELECT ops FROM log ORDER BY seq")
        .map_err(failed)?;
    let mut rows = log.query([]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let text = row
            .get_ref(0)
            .and_then(|text| text.as_str().map_err(Into::into));
        let all = serde_json::from_str::<Vec<Done>>(text.map_err(failed)?);
        for Done { at, op } in &all.map_err(|error| unread("its log", error))? {
            // What happened by it was told then.
            drop(replica.redo(*at, op));
        }
    }
    Ok(Some(replica))
}

fn texts(conn: &Connection, query: &str) -> rusqlite::Result<Vec<String>> {
    let mut query = conn.prepare(query)?;
    let rows = query.query_map([], |row| row.get(0))?;
    rows.collect()
}

/// Now, in the time of a store that did something last `before`: by the clock on the wall. Where that went back, no time
/// has passed.
fn now(before: At, wall: i64) -> At {
    let passed = u64::try_from(wall.saturating_sub(before.wall)).unwrap_or_default();
    // A store that has done nothing was at no time before.
    let passed = if before == At::default() { 0 } else { passed };
    At {
        tick: before.tick.after_micros(passed),
        wall,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::Tick;

    #[test]
    fn time_passes_by_the_wall_and_never_back() {
        let before = At {
            tick: Tick::from_micros(50),
            wall: 1_000,
        };
        assert_eq!(now(before, 1_700).tick, Tick::from_micros(750));
        assert_eq!(
            now(before, 400),
            At {
                tick: Tick::from_micros(50),
                wall: 400
            }
        );
        assert_eq!(now(At::default(), 1_700).tick, Tick::default());
    }
}
