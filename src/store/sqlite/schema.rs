//! What is in the file, and how one of an earlier version becomes one of this.
//!
//! A file says which schema it has (`user_version`) and the lowest that a program has to know to keep it (`min_reader`).
//! A step that only adds leaves that number as it is: then an older version goes on with the file, so that an upgrade
//! can be taken back. The forms of `log` and `image` are part of the schema.

use rusqlite::{Connection, Transaction};

/// Says that a file is ours: "twqt".
pub(super) const APPLICATION: i64 = 0x7477_7174;

/// Each makes of a file of the schema before it one of its own.
pub(super) const STEPS: [&str; 6] = [
    // What is counted: an image, and what was done since.
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
     CREATE TABLE log (seq INTEGER PRIMARY KEY, ops TEXT NOT NULL);
     CREATE TABLE image (part INTEGER PRIMARY KEY, body TEXT NOT NULL);
     INSERT INTO meta VALUES ('min_reader', 1);",
    // The ledger. Money is in billionths of a dollar, instants in milliseconds since 1970. An attempt's id is its instant
    // times 2^20 and a number, so that ids go by time.
    "CREATE TABLE tag_set (id INTEGER PRIMARY KEY, tags TEXT NOT NULL UNIQUE);
     CREATE TABLE run (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
     CREATE TABLE attempt (
         id INTEGER PRIMARY KEY, tags INTEGER NOT NULL, run INTEGER, status INTEGER NOT NULL, usage INTEGER,
         took INTEGER, input INTEGER NOT NULL, cache_read INTEGER NOT NULL, cache_write INTEGER NOT NULL,
         output INTEGER NOT NULL, reasoning INTEGER NOT NULL, cost INTEGER
     );
     CREATE TABLE hour (
         hour INTEGER NOT NULL, tags INTEGER NOT NULL, attempts INTEGER NOT NULL, estimated INTEGER NOT NULL,
         unknown INTEGER NOT NULL, unpriced INTEGER NOT NULL, input INTEGER NOT NULL, cache_read INTEGER NOT NULL,
         cache_write INTEGER NOT NULL, output INTEGER NOT NULL, reasoning INTEGER NOT NULL, cost INTEGER NOT NULL,
         PRIMARY KEY (hour, tags)
     ) WITHOUT ROWID;
     CREATE VIEW attempts AS SELECT
         a.id, strftime('%Y-%m-%dT%H:%M:%fZ', (a.id >> 20) / 1000.0, 'unixepoch') AS at, a.took AS took_ms,
         CASE a.status WHEN 0 THEN 'open' WHEN 1 THEN 'settled' WHEN 2 THEN 'lost' WHEN 3 THEN 'recorded' END AS status,
         t.tags ->> '$.provider' AS provider, t.tags ->> '$.model' AS model, t.tags ->> '$.api_key' AS api_key,
         t.tags ->> '$.agent' AS agent, t.tags ->> '$.user' AS user, t.tags ->> '$.team' AS team, r.name AS run,
         a.input AS input_tokens, a.cache_read AS cache_read_tokens, a.cache_write AS cache_write_tokens,
         a.output AS output_tokens, a.reasoning AS reasoning_tokens, a.cost AS cost_nanos, a.cost / 1e9 AS cost_dollars,
         CASE a.usage WHEN 0 THEN 'unknown' WHEN 1 THEN 'reported' WHEN 2 THEN 'estimated' END AS usage, t.tags AS tags
     FROM attempt a JOIN tag_set t ON t.id = a.tags LEFT JOIN run r ON r.id = a.run;
     CREATE VIEW hours AS SELECT
         strftime('%Y-%m-%dT%H:00:00Z', h.hour * 3600, 'unixepoch') AS hour,
         t.tags ->> '$.provider' AS provider, t.tags ->> '$.model' AS model, t.tags ->> '$.api_key' AS api_key,
         t.tags ->> '$.agent' AS agent, t.tags ->> '$.user' AS user, t.tags ->> '$.team' AS team,
         h.attempts, h.estimated, h.unknown, h.unpriced, h.input AS input_tokens, h.cache_read AS cache_read_tokens,
         h.cache_write AS cache_write_tokens, h.output AS output_tokens, h.reasoning AS reasoning_tokens,
         h.cost AS cost_nanos, h.cost / 1e9 AS cost_dollars, t.tags AS tags
     FROM hour h JOIN tag_set t ON t.id = h.tags;
     UPDATE meta SET value = 2 WHERE key = 'min_reader';",
    // What was done by hand. Nothing of it changes or goes.
    "CREATE TABLE audit (
         id INTEGER PRIMARY KEY, at TEXT NOT NULL, what TEXT NOT NULL, subject TEXT NOT NULL, old TEXT, new TEXT,
         by TEXT NOT NULL, why TEXT NOT NULL
     );
     CREATE TRIGGER audit_stays BEFORE DELETE ON audit
         BEGIN SELECT RAISE(ABORT, 'what is in the audit log stays there'); END;
     CREATE TRIGGER audit_is_as_it_is BEFORE UPDATE ON audit
         BEGIN SELECT RAISE(ABORT, 'what is in the audit log stays as it is'); END;
     CREATE TRIGGER audit_goes_on BEFORE INSERT ON audit
         WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id)
         BEGIN SELECT RAISE(ABORT, 'what is in the audit log stays as it is'); END;
     UPDATE meta SET value = 3 WHERE key = 'min_reader';",
    // The log leaves out what is as it is by default.
    "UPDATE meta SET value = 4 WHERE key = 'min_reader';",
    // Blocks of room that is written down ahead.
    "UPDATE meta SET value = 5 WHERE key = 'min_reader';",
    // Limits by a configuration that was read again.
    "UPDATE meta SET value = 6 WHERE key = 'min_reader';",
];

/// The schema that this version knows.
pub(super) const SCHEMA: i64 = STEPS.len() as i64;

/// What is said of the schema of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Versions {
    pub(super) schema: i64,
    pub(super) min_reader: i64,
}

pub(super) fn versions(conn: &Connection) -> rusqlite::Result<Versions> {
    let schema: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let min_reader = match schema {
        0 => 0,
        _ => conn.query_row(
            "SELECT value FROM meta WHERE key = 'min_reader'",
            [],
            |row| row.get(0),
        )?,
    };
    Ok(Versions { schema, min_reader })
}

/// Takes the steps that a file lacks, all or none.
pub(super) fn migrate(tx: &Transaction<'_>, from: i64, to: i64) -> rusqlite::Result<()> {
    for (step, number) in STEPS
        .iter()
        .zip(1..)
        .filter(|(_, number)| (from + 1..=to).contains(number))
    {
        tx.execute_batch(step)?;
        tx.pragma_update(None, "user_version", number)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::{
        limit::{Demand, Limit, Limits},
        store::{Claim, Decision, SqliteStore, Store as _},
        tags::Tags,
    };

    fn folder(name: &str) -> PathBuf {
        let name = format!("tower-quota-schema-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn limits() -> Limits {
        let day = std::time::Duration::from_secs(86_400);
        Limits::new([Limit::requests(2).every(day), Limit::concurrency(1)]).unwrap()
    }

    fn claim() -> Claim {
        Claim::new(Tags::new(), Demand::default())
    }

    /// A file as the program of an earlier schema would have left it, with one call in flight.
    async fn file_of(schema: i64, path: &Path) {
        let now = path.with_extension("now");
        let store = SqliteStore::open(&now, limits()).unwrap();
        let Ok(Decision::Granted(grant)) = store.claim(&claim()).get().await else {
            panic!("there is room");
        };
        drop((grant, store));
        let mut conn = Connection::open(path).unwrap();
        let tx = conn.transaction().unwrap();
        tx.pragma_update(None, "application_id", APPLICATION)
            .unwrap();
        migrate(&tx, 0, schema).unwrap();
        tx.commit().unwrap();
        conn.execute("ATTACH ? AS now", [now.to_str().unwrap()])
            .unwrap();
        conn.execute_batch(
            "INSERT INTO log SELECT * FROM now.log; INSERT INTO image SELECT * FROM now.image;",
        )
        .unwrap();
        if schema > 1 {
            conn.execute_batch(
                "INSERT INTO tag_set SELECT * FROM now.tag_set; INSERT INTO attempt SELECT * FROM now.attempt;",
            )
            .unwrap();
        }
    }

    #[tokio::test]
    async fn a_file_of_each_earlier_schema_becomes_one_of_this_and_loses_nothing() {
        let folder = folder("earlier");
        for schema in 1..SCHEMA {
            let path = folder.join(format!("{schema}.db"));
            file_of(schema, &path).await;
            let store = SqliteStore::open(&path, limits()).unwrap();
            assert_eq!(store.lost(), 1, "schema {schema}");
            let conn = Connection::open(&path).unwrap();
            let expected = Versions {
                schema: SCHEMA,
                min_reader: 6,
            };
            assert_eq!(versions(&conn).unwrap(), expected, "schema {schema}");
            let one = store.claim(&claim()).get().await.unwrap();
            assert!(
                matches!(one, Decision::Granted(_)),
                "the slot is free, one request is used"
            );
            let two = store.claim(&claim()).get().await.unwrap();
            assert!(matches!(two, Decision::NotNow(_)), "schema {schema}");
        }
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_step_that_fails_leaves_the_file_as_it_was() {
        let mut conn = Connection::open_in_memory().unwrap();
        let tx = conn.transaction().unwrap();
        migrate(&tx, 0, 1).unwrap();
        tx.commit().unwrap();
        conn.execute_batch("CREATE TABLE audit (other)").unwrap();
        let tx = conn.transaction().unwrap();
        migrate(&tx, 1, SCHEMA).unwrap_err();
        drop(tx);
        assert_eq!(
            versions(&conn).unwrap(),
            Versions {
                schema: 1,
                min_reader: 1
            }
        );
        assert!(conn.prepare("SELECT * FROM attempt").is_err());
    }
}
