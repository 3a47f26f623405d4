//! The file: who may read it, who may have it, what is refused and how that is said, and a disk that takes nothing.
#![cfg(feature = "sqlite")]

use crate::folder;

use std::{path::Path, time::Duration};

use folder::Folder;
use rusqlite::Connection;
use tower_quota::{
    Limiter, Tags, Usage,
    limit::{Demand, Limit, Limits},
    limiter::Call,
    store::{
        Claim, Correction, Decision, Reason, Settlement, SqliteStore, Store as _,
        sqlite::{Ledger, LedgerError, OpenError, SqliteOptions, Survives},
    },
};

fn limits() -> Limits {
    let day = Duration::from_secs(86_400);
    Limits::new([Limit::requests(3).every(day), Limit::concurrency(1)]).unwrap()
}

fn claim() -> Claim {
    Claim::new(Tags::new(), Demand::default())
}

fn refused(path: &Path) -> OpenError {
    SqliteStore::open(path, limits()).unwrap_err()
}

fn sql(path: &Path, sql: &str) {
    Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn every_file_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new();
    let path = folder.file("counts.db");
    let limiter = Limiter::with_store(SqliteStore::open(&path, limits()).unwrap());
    drop(limiter.acquire(Call::new()).await.unwrap());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path.parent().unwrap()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{entry:?}");
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(
        names,
        [
            "counts.db",
            "counts.db-lock",
            "counts.db-shm",
            "counts.db-wal"
        ]
    );
}

#[tokio::test]
async fn one_store_at_a_time_has_the_file_and_others_may_read() {
    let folder = Folder::new();
    let path = folder.file("counts.db");
    let store = SqliteStore::open(&path, limits()).unwrap();
    let error = refused(&path);
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    let text = format!(
        "{} is in use by another store, in this process or another; stop that one, or give each a file of its own",
        path.display()
    );
    assert_eq!(error.to_string(), text);
    store
        .record(&Tags::new(), Usage::new(1, 1))
        .get()
        .await
        .unwrap();
    let ledger = Ledger::open(&path).unwrap();
    assert_eq!(
        ledger.report(&Default::default()).unwrap().totals.attempts,
        1
    );
    drop(store);
    drop(SqliteStore::open(&path, limits()).unwrap());
}

/// A file has one name to those who count in it, whatever links lead there.
#[cfg(unix)]
#[tokio::test]
async fn a_link_leads_to_the_same_file() {
    use std::os::unix::fs::symlink;

    let folder = Folder::new();
    let (path, link) = (folder.file("counts.db"), folder.file("link.db"));
    // To what is not there yet.
    symlink(&path, &link).unwrap();
    let kill = || SqliteOptions::new(&link, limits()).survives(Survives::Kill);
    let store = kill().open().unwrap();
    let Ok(Decision::Granted(grant)) = store.claim(&claim()).get().await else {
        panic!("there is room");
    };
    for name in [&path, &link] {
        assert!(matches!(refused(name), OpenError::InUse { .. }));
    }
    drop((grant, store));
    drop(SqliteStore::open(&path, limits()).unwrap());
    let opened = kill().open().unwrap();
    assert!(matches!(refused(&path), OpenError::InUse { .. }));
    drop(opened);
}

const READS: &str = "TOWER_QUOTA_TEST_READS";

/// SQLite's locks of a process go when anybody in it closes the file. Whoever reads it elsewhere would take itself for the last
/// one then, and take away the log that we write to.
#[cfg(unix)]
#[tokio::test]
async fn a_reader_elsewhere_that_goes_leaves_the_log_to_whoever_writes() {
    if let Some(path) = std::env::var_os(READS) {
        return sql(path.as_ref(), "SELECT count(*) FROM attempts");
    }
    let folder = Folder::new();
    let path = folder.file("counts.db");
    drop(SqliteStore::open(&path, limits()).unwrap());
    let ledger = Ledger::open(&path).unwrap();
    let store = SqliteStore::open(&path, limits()).unwrap();
    let recorded = store.record(&Tags::new(), Usage::new(1, 1));
    recorded.get().await.unwrap();
    let own = "files::a_reader_elsewhere_that_goes_leaves_the_log_to_whoever_writes";
    let mut reader = std::process::Command::new(std::env::current_exe().unwrap());
    let read = reader.args(["--exact", own]).env(READS, &path).output();
    let read = read.unwrap();
    let said = String::from_utf8_lossy(&read.stdout);
    assert!(said.contains("1 passed"), "{said}");
    assert!(folder.file("counts.db-wal").exists());
    drop((store, ledger));
}

#[test]
fn what_cannot_be_reached_is_said_with_its_name() {
    let folder = Folder::new();
    let path = folder.file("nowhere/counts.db");
    let error = refused(&path);
    assert!(matches!(error, OpenError::Unreachable { .. }), "{error}");
    assert!(
        error
            .to_string()
            .starts_with(&format!("{} cannot be opened", path.display())),
        "{error}"
    );
    let error = Ledger::open(&path).unwrap_err();
    assert!(
        matches!(error, LedgerError::Open(OpenError::Unreachable { .. })),
        "{error}"
    );
    assert!(!path.exists(), "who reads makes no file");
    let directory = folder.file("directory");
    std::fs::create_dir(&directory).unwrap();
    assert!(matches!(refused(&directory), OpenError::Unreachable { .. }));
}

#[test]
fn another_programs_file_is_left_alone() {
    let folder = Folder::new();
    let (text, other) = (folder.file("text"), folder.file("other.db"));
    std::fs::write(&text, "no database at all. ".repeat(500)).unwrap();
    sql(
        &other,
        "CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1);",
    );
    for path in [&text, &other] {
        let before = std::fs::read(path).unwrap();
        let error = refused(path);
        assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
        assert!(
            error.to_string().ends_with("nothing of it was changed"),
            "{error}"
        );
        assert_eq!(std::fs::read(path).unwrap(), before);
        assert!(matches!(
            Ledger::open(path).unwrap_err(),
            LedgerError::Open(OpenError::Foreign { .. })
        ));
    }
}

#[tokio::test]
async fn a_newer_file_is_kept_where_that_only_added_something_and_refused_elsewhere() {
    let folder = Folder::new();
    let path = folder.file("counts.db");
    let store = SqliteStore::open(&path, limits()).unwrap();
    store
        .record(&Tags::new(), Usage::new(1, 1))
        .get()
        .await
        .unwrap();
    drop(store);
    // As a later version would have it.
    sql(
        &path,
        "PRAGMA user_version = 7; ALTER TABLE attempt ADD COLUMN more; ALTER TABLE hour ADD COLUMN more;
         ALTER TABLE audit ADD COLUMN more; ALTER TABLE log ADD COLUMN more; CREATE TABLE further (a);",
    );
    let store = SqliteStore::open(&path, limits()).unwrap();
    store
        .record(&Tags::new(), Usage::new(1, 1))
        .get()
        .await
        .unwrap();
    let correction = Correction::More(tower_quota::Money::ZERO);
    store
        .correct(&Tags::new(), correction, &"nothing".into())
        .get()
        .await
        .unwrap();
    assert_eq!(
        store
            .ledger()
            .unwrap()
            .report(&Default::default())
            .unwrap()
            .totals
            .attempts,
        2
    );
    drop(store);
    let conn = Connection::open(&path).unwrap();
    let schema: i64 = conn
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(schema, 7, "it stays the newer one's");
    drop(conn);
    sql(&path, "UPDATE meta SET value = 7 WHERE key = 'min_reader'");
    let before = std::fs::read(&path).unwrap();
    let error = refused(&path);
    let text = format!(
        "{} is of schema 7 and wants a program that knows schema 7; this one knows 6: use the newer version, or a backup from before it",
        path.display()
    );
    assert_eq!(error.to_string(), text);
    assert!(matches!(
        Ledger::open(&path).unwrap_err(),
        LedgerError::Open(OpenError::Newer { .. })
    ));
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn what_does_not_go_together_is_said_and_not_guessed() {
    let folder = Folder::new();
    for (name, damage) in [
        ("image", "UPDATE image SET body = '{'"),
        ("log", "INSERT INTO log (ops) VALUES ('[{\"at\": 1}]')"),
        ("versions", "DROP TABLE meta"),
    ] {
        let path = folder.file(name);
        drop(SqliteStore::open(&path, limits()).unwrap());
        sql(&path, damage);
        let error = refused(&path);
        assert!(
            matches!(error, OpenError::Damaged { .. }),
            "{name}: {error}"
        );
        assert!(
            error.to_string().contains("restore it from a backup"),
            "{error}"
        );
        // Nothing is held by it.
        assert!(matches!(refused(&path), OpenError::Damaged { .. }));
    }
    let path = folder.file("pages");
    drop(SqliteStore::open(&path, limits()).unwrap());
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4_096..].fill(0x5a);
    std::fs::write(&path, bytes).unwrap();
    let error = refused(&path);
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
}

/// Nothing can be written, as on a full disk.
const FULL: &str =
    "CREATE TRIGGER full BEFORE INSERT ON log BEGIN SELECT RAISE(ABORT, 'the disk is full'); END";

/// It is tried again when somebody asks.
async fn until_written(store: &SqliteStore) {
    while store.flush().await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn where_nothing_can_be_written_nothing_is_granted_and_nothing_is_lost() {
    let folder = Folder::new();
    let path = folder.file("counts.db");
    let store = SqliteStore::open(&path, limits()).unwrap();
    let Decision::Granted(grant) = store.claim(&claim()).get().await.unwrap() else {
        panic!("there is room");
    };
    sql(&path, FULL);
    let used = Settlement::Usage(Usage::new(5, 7));
    let error = store
        .settle(grant, used)
        .get()
        .await
        .unwrap_err()
        .to_string();
    let expected = format!(
        "the store of counts cannot answer: {} cannot be written: the disk is full; ",
        path.display()
    );
    assert!(error.starts_with(&expected), "{error}");
    // It is settled here, and refused all the same: what cannot be written is not granted.
    for _ in 0..3 {
        let error = store.claim(&claim()).get().await.unwrap_err();
        assert!(
            error.to_string().contains("free some room on its disk"),
            "{error}"
        );
    }
    let record = store.record(&Tags::new(), Usage::new(1, 1)).get().await;
    let correction = Correction::More(tower_quota::Money::ZERO);
    let correct = store
        .correct(&Tags::new(), correction, &"".into())
        .get()
        .await;
    let reconfigured = store.reconfigure(&limits(), &Reason::default()).get().await;
    let reset = store.reset(&Tags::new(), &"".into()).get().await;
    assert!(record.is_err() && correct.is_err() && reconfigured.is_err() && reset.is_err());

    sql(&path, "DROP TRIGGER full");
    until_written(&store).await;
    let Decision::Granted(grant) = store.claim(&claim()).get().await.unwrap() else {
        panic!("two of three are left, and the slot is free");
    };
    store.release(grant).get().await.unwrap();
    let totals = store
        .ledger()
        .unwrap()
        .report(&Default::default())
        .unwrap()
        .totals;
    assert_eq!(
        (totals.attempts, totals.input, totals.output),
        (1, 5, 7),
        "the settlement was kept"
    );
}

#[tokio::test]
async fn that_nothing_can_be_written_is_said_without_a_claim() {
    let folder = Folder::new();
    let path = folder.file("counts.db");
    let store = SqliteStore::open(&path, limits()).unwrap();
    assert!(store.health().get().await.is_ok());
    sql(&path, FULL);
    assert!(store.claim(&claim()).get().await.is_err());
    let error = store.health().get().await.unwrap_err().to_string();
    assert!(
        error.contains("cannot be written: the disk is full"),
        "{error}"
    );
    // What is counted is known all the same.
    assert!(store.peek(&claim()).get().await.is_ok());
    sql(&path, "DROP TRIGGER full");
    until_written(&store).await;
    assert!(store.health().get().await.is_ok());
}

#[tokio::test]
async fn what_was_granted_and_could_not_be_written_is_given_back() {
    let folder = Folder::new();
    let path = folder.file("counts.db");
    let store = SqliteStore::open(&path, limits()).unwrap();
    sql(&path, FULL);
    // Decided before anybody knew.
    let answer = store.claim(&claim());
    store
        .release(match answer.get().await {
            Err(_) => {
                sql(&path, "DROP TRIGGER full");
                until_written(&store).await;
                let Decision::Granted(grant) = store.claim(&claim()).get().await.unwrap() else {
                    panic!("the slot was given back");
                };
                grant
            }
            Ok(decision) => panic!("nothing could be written: {decision:?}"),
        })
        .get()
        .await
        .unwrap();
    drop(store);
    let store = SqliteStore::open(&path, limits()).unwrap();
    assert_eq!(store.lost(), 0, "and so in the file");
    assert_eq!(
        store
            .ledger()
            .unwrap()
            .report(&Default::default())
            .unwrap()
            .totals
            .attempts,
        0
    );
}

#[tokio::test]
async fn a_claim_that_nobody_waits_for_is_given_back() {
    let folder = Folder::new();
    let store = SqliteStore::open(folder.file("counts.db"), limits()).unwrap();
    for _ in 0..10 {
        drop(store.claim(&claim()));
    }
    for _ in 0..3 {
        let Decision::Granted(mut grant) = store.claim(&claim()).get().await.unwrap() else {
            panic!("nothing is used");
        };
        store.date(&mut grant);
        store
            .settle(grant, Settlement::Unknown)
            .get()
            .await
            .unwrap();
    }
    assert!(matches!(
        store.claim(&claim()).get().await.unwrap(),
        Decision::NotNow(_)
    ));
}

#[tokio::test]
async fn a_store_that_is_closed_says_so() {
    let folder = Folder::new();
    let path = folder.file("counts.db");
    let store = SqliteStore::open(&path, limits()).unwrap();
    let Decision::Granted(grant) = store.claim(&claim()).get().await.unwrap() else {
        panic!("there is room");
    };
    store.close().unwrap();
    store.close().unwrap();
    let closed = "was closed; open it again";
    let claimed = store.claim(&claim()).get().await.unwrap_err().to_string();
    let settled = store
        .settle(grant, Settlement::Unknown)
        .get()
        .await
        .unwrap_err()
        .to_string();
    let flushed = store.flush().await.unwrap_err().to_string();
    assert!(
        claimed.contains(closed) && flushed.contains("closed") && settled.contains("closed"),
        "{claimed} {settled}"
    );
    // The next has it, and the call that was in flight.
    assert_eq!(SqliteStore::open(&path, limits()).unwrap().lost(), 1);
}
