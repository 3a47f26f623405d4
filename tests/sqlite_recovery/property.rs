//! Whatever is done before a crash and after it, both decide the same.

use std::sync::Arc;

use proptest::prelude::*;
use tower_quota::store::SqliteStore;

use crate::{
    folder::Folder,
    world::{Both, World, limits, open, paused, wall},
};

async fn decides_the_same(seed: u64, crashes: usize, steps: usize) {
    let (folder, wall) = (Folder::new(), wall());
    let mut path = folder.file("0.db");
    let mut file: Arc<SqliteStore> = Arc::new(open(&path, limits(12), wall.clone()));
    let mut both = Both {
        memory: World::memory(limits(12), wall.clone()),
        file: World::sharing(file.clone()),
        random: fastrand::Rng::with_seed(seed),
        overflows: true,
        kinds: None,
    };
    for crash in 0..=crashes {
        for _ in 0..steps {
            both.step().await;
        }
        both.look().await;
        both.compare(&format!("seed {seed}, before crash {crash}"));
        // What left is written a little after it did.
        file.flush().await.unwrap();
        let left = folder.copy(&path, &format!("{}.db", crash + 1));
        path = left;
        let was_open = both.memory.open.len();
        both.memory.lose_all().await;
        both.file.open.clear();
        file = Arc::new(open(&path, limits(12), wall.clone()));
        assert_eq!(file.lost(), was_open);
        both.file.store = file.clone();
        both.look().await;
        both.compare(&format!("seed {seed}, after crash {crash}"));
    }
}

/// `RECOVERY_CASES` says how many.
pub(crate) fn cases() -> u32 {
    let told = std::env::var("RECOVERY_CASES");
    told.map_or(25, |cases| cases.parse().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_goes_on_as_if_it_had_never_stopped(seed in any::<u64>(), steps in 1usize..120) {
        paused(decides_the_same(seed, 2, steps));
    }
}

#[test]
fn a_trace_shows_something() {
    paused(async {
        let (folder, wall) = (Folder::new(), wall());
        let file = open(&folder.file("a.db"), limits(12), wall.clone());
        let mut both = Both {
            memory: World::memory(limits(12), wall.clone()),
            file: World::of(file),
            random: fastrand::Rng::with_seed(7),
            overflows: true,
            kinds: None,
        };
        for _ in 0..400 {
            both.step().await;
        }
        both.look().await;
        both.compare("400 steps");
        let said = both.memory.said.join("\n");
        for part in [
            "granted",
            "not now",
            "never: 7",
            "30 % of it is spent",
            "it stops until it is reset",
        ] {
            assert!(said.contains(part), "no {part} in\n{said}");
        }
    });
}
