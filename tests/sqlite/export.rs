//! Attempts that go out to somebody who takes their time.
#![cfg(all(feature = "sqlite", feature = "sim"))]

use std::{
    io::{self, Write},
    time::Duration,
};

use rusqlite::Connection;
use tower_quota::{Tag, Tags, Usage, store::Store as _};

use crate::{
    folder::Folder,
    ledger::{at, clocked_from},
};

/// More than are read at a time, twice.
const ATTEMPTS: usize = 2_500;

/// Counts lines, and looks once in the middle whether the log of the file can begin anew.
struct Slow {
    beside: Connection,
    lines: usize,
    looked: bool,
}

impl Write for Slow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lines += bytes.iter().filter(|byte| **byte == b'\n').count();
        if self.lines > ATTEMPTS - 300 && !self.looked {
            self.looked = true;
            let begin = "PRAGMA wal_checkpoint(RESTART)";
            let busy: i64 = self
                .beside
                .query_row(begin, [], |row| row.get(0))
                .map_err(io::Error::other)?;
            assert_eq!(busy, 0, "somebody reads");
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn nothing_is_held_while_what_was_read_goes_out() {
    let folder = Folder::new();
    let path = folder.file("ledger.db");
    let (store, _) = clocked_from(&path, 0);
    for _ in 0..ATTEMPTS {
        drop(store.record(&Tags::new(), Usage::new(1, 1)));
    }
    store.flush().await.unwrap();
    let ledger = store.ledger().unwrap();
    let slow = || {
        let beside = Connection::open(&path).unwrap();
        beside.busy_timeout(Duration::ZERO).unwrap();
        Slow {
            beside,
            lines: 0,
            looked: false,
        }
    };
    let mut csv = slow();
    ledger.attempts_to_csv(at(0), at(9), &mut csv).unwrap();
    assert_eq!((csv.lines, csv.looked), (ATTEMPTS + 1, true));
    // So that there is something in the log again.
    store
        .record(&Tags::new(), Usage::new(1, 1))
        .get()
        .await
        .unwrap();
    let mut json = slow();
    ledger.attempts_to_json(at(0), at(9), &mut json).unwrap();
    assert_eq!((json.lines, json.looked), (ATTEMPTS + 1, true));
}

#[tokio::test]
async fn each_attempt_goes_out_once_and_none_from_beyond_the_bounds() {
    let folder = Folder::new();
    let path = folder.file("ledger.db");
    let (store, millis) = clocked_from(&path, 0);
    for number in 0..ATTEMPTS {
        let tags = Tags::new().with(Tag::Run, number.to_string());
        drop(store.record(&tags, Usage::new(1, 1)));
        if number % 2 == 1 {
            // Several of one millisecond.
            millis.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }
    store.flush().await.unwrap();
    let ledger = store.ledger().unwrap();
    let runs = |from: u64, until: u64| -> Vec<usize> {
        let instant = |millis| at(0) + Duration::from_millis(millis);
        let mut text = Vec::new();
        ledger
            .attempts_to_json(instant(from), instant(until), &mut text)
            .unwrap();
        let lines = text.split(|byte| *byte == b'\n');
        let lines = lines.filter(|line| !line.is_empty());
        let run = |line: &[u8]| {
            let attempt: serde_json::Value = serde_json::from_slice(line).unwrap();
            attempt["run"].as_str().unwrap().parse().unwrap()
        };
        lines.map(run).collect()
    };
    assert_eq!(runs(0, 60_000), Vec::from_iter(0..ATTEMPTS));
    // From one that is not the first of a page, and as many as two pages have.
    assert_eq!(runs(7, 1_007), Vec::from_iter(14..2_014));
    assert!(runs(7, 7).is_empty());
}
