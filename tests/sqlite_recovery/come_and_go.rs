//! Limits that come, go and change between crashes. What holds after one is what the file is opened with, each as it was
//! changed to; counts of what holds are there, and no others.

use std::{path::Path, sync::Arc};

use proptest::prelude::*;
use tower_quota::{
    limit::{Charge, Limit, Limits},
    store::{BudgetChange, Reason, SqliteStore},
};

use crate::{
    folder::Folder,
    property::cases,
    world::{Both, KINDS, World, kinds, open, paused, wall},
};

/// The limit on slots.
pub(crate) const SLOTS: usize = 5;
/// Those with a charge, the one with thresholds.
const CHARGED: [usize; 3] = [1, 2, 3];
const WARNS: usize = 6;

/// Of each kind the limit that holds, where one does.
#[derive(Clone)]
pub(crate) struct Kinds {
    now: [Option<Limit>; KINDS],
    /// Those that the file was opened with.
    given: [bool; KINDS],
    pub(crate) came: usize,
    pub(crate) went: usize,
}

impl Kinds {
    /// With what a file is opened that is new.
    fn first() -> Self {
        Kinds {
            now: kinds(12).map(Some),
            given: [true; KINDS],
            came: 0,
            went: 0,
        }
    }

    pub(crate) fn hold(&self, kind: usize) -> bool {
        self.now[kind].is_some()
    }

    fn limits(&self) -> Limits {
        Limits::new(self.now.iter().flatten().cloned()).unwrap()
    }

    /// Some come, some go, some are others from now on.
    pub(crate) fn change(&mut self, random: &mut fastrand::Rng) -> Limits {
        let mut new = kinds(random.u64(8..16));
        for charged in CHARGED {
            let charges = [Charge::anthropic, Charge::azure, Charge::openai];
            if let Some(charge) = charges.get(random.usize(..4)) {
                new[charged] = new[charged].clone().charge(charge());
            }
        }
        for (place, limit) in new.into_iter().enumerate() {
            let now = &mut self.now[place];
            match random.u8(..4) {
                0 if now.take().is_some() => self.went += 1,
                0 | 1 => {
                    let before = now.replace(limit);
                    self.came += usize::from(before.is_none());
                }
                _ => {}
            }
        }
        self.limits()
    }

    /// What the file is opened with next.
    fn reopened(&mut self, random: &mut fastrand::Rng) -> Limits {
        let all = kinds(12);
        let mut given = [false; KINDS];
        for (place, limit) in all.iter().enumerate() {
            given[place] = place == WARNS || random.u8(..5) > 0;
            let changed = self.now[place].take();
            let held = changed.filter(|_| self.given[place]);
            self.now[place] = given[place].then(|| held.unwrap_or_else(|| limit.clone()));
        }
        self.given = given;
        let given = all.into_iter().zip(given).filter(|(_, given)| *given);
        Limits::new(given.map(|(limit, _)| limit)).unwrap()
    }
}

/// Places are those of one process: what was said, without them and the order that goes by them.
fn placeless(said: &[String]) -> Vec<String> {
    let line = |line: &String| {
        if let Some(refused) = line.strip_prefix("not now: ") {
            let wait = refused.splitn(3, ' ').nth(2);
            return format!("not now: {}", wait.unwrap_or_default());
        }
        if line.starts_with("never: ") {
            return "never".to_owned();
        }
        if !line.starts_with(|first: char| first.is_ascii_digit()) {
            return line.clone();
        }
        let counts = line.split("; ");
        let counts = counts.map(|count| count.trim_start_matches(|c: char| c.is_ascii_digit()));
        let mut counts: Vec<&str> = counts.collect();
        counts.sort_unstable();
        counts.join("; ")
    };
    let mut said: Vec<String> = said.iter().map(line).collect();
    let told = |line: &String| line.starts_with("cost ");
    said.chunk_by_mut(|one, other| told(one) && told(other))
        .for_each(<[String]>::sort);
    said
}

fn compare(both: &Both, of: &str) {
    let (memory, file) = (placeless(&both.memory.said), placeless(&both.file.said));
    for (number, (memory, file)) in memory.iter().zip(&file).enumerate() {
        assert_eq!(memory, file, "{of}, line {number}");
    }
    assert_eq!(memory.len(), file.len(), "{of}");
}

async fn decides_the_same(seed: u64, crashes: usize, steps: usize) -> (Kinds, Vec<String>) {
    let (folder, wall) = (Folder::new(), wall());
    let opened = |path: &Path, limits| Arc::new(open(path, limits, wall.clone()));
    let first = Kinds::first();
    let mut path = folder.file("0.db");
    let mut file: Arc<SqliteStore> = opened(&path, first.limits());
    let mut both = Both {
        memory: World::memory(first.limits(), wall.clone()),
        file: World::sharing(file.clone()),
        random: fastrand::Rng::with_seed(seed),
        overflows: true,
        kinds: Some(first),
    };
    for crash in 0..=crashes {
        for _ in 0..steps {
            both.step().await;
        }
        both.look().await;
        compare(&both, &format!("seed {seed}, before crash {crash}"));
        file.flush().await.unwrap();
        path = folder.copy(&path, &format!("{}.db", crash + 1));
        both.memory.lose_all().await;
        let mut told = both.memory.store.events();
        let all = both.kinds.as_mut().unwrap();
        let given = all.reopened(&mut both.random);
        let changed = both
            .memory
            .store
            .reconfigure(&all.limits(), &Reason::default());
        changed.get().await.unwrap();
        // That budgets came and went is told by who has them come and go; what is passed by that is told.
        let passed = both.memory.store.events().into_iter().filter(|event| {
            let change = &event.change;
            matches!(change, BudgetChange::Passed { .. } | BudgetChange::Tripped)
        });
        told.extend(passed);
        file = opened(&path, given);
        assert_eq!(file.lost(), std::mem::take(&mut both.file.open).len());
        both.file.store = file.clone();
        both.look().await;
        let said = &mut both.memory.said;
        said.extend(told.iter().map(ToString::to_string));
        compare(&both, &format!("seed {seed}, after crash {crash}"));
        let words =
            |limits: Limits| -> Vec<String> { limits.iter().map(ToString::to_string).collect() };
        let held = words(both.kinds.as_ref().unwrap().limits());
        assert_eq!(words(both.file.store.limits()), held, "seed {seed}");
    }
    (both.kinds.unwrap(), both.memory.said)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_goes_on_as_if_it_had_never_stopped_whatever_comes_and_goes(seed in any::<u64>(), steps in 1usize..120) {
        paused(decides_the_same(seed, 2, steps));
    }
}

#[test]
fn a_trace_shows_something() {
    let (kinds, said) = paused(decides_the_same(3, 4, 150));
    assert!(
        kinds.came > 20 && kinds.went > 20,
        "{}, {}",
        kinds.came,
        kinds.went
    );
    let said = said.join("\n");
    for part in ["granted", "not now", "never", "% of it is spent"] {
        assert!(said.contains(part), "no {part} in\n{said}");
    }
}
