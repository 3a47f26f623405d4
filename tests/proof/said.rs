//! What is seen of a trace, and what a store says in it.

use std::time::Duration;

use tower_quota::{
    limit::{LimitKey, Tick},
    store::{Answer, Decision, Standing},
};

/// A decision without the names that differ between stores.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Said {
    Granted,
    NotNow {
        key: LimitKey,
        waits: [Option<Duration>; 2],
        figures: [u64; 2],
    },
    Never(LimitKey, u64, u64),
}

/// What happened, counted: a proof that saw none of a thing proves nothing of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) admissions: usize,
    pub(crate) refusals: usize,
    pub(crate) never: usize,
    pub(crate) exact: usize,
    pub(crate) debts: usize,
    pub(crate) streamed: usize,
    pub(crate) told: usize,
    pub(crate) held_back: usize,
}

impl std::ops::AddAssign for Seen {
    fn add_assign(&mut self, other: Self) {
        self.admissions += other.admissions;
        self.refusals += other.refusals;
        self.never += other.never;
        self.exact += other.exact;
        self.debts += other.debts;
        self.streamed += other.streamed;
        self.told += other.told;
        self.held_back += other.held_back;
    }
}

impl Said {
    pub(crate) fn of(decision: &Decision, now: Tick) -> Self {
        let wait = |at: Option<Tick>| at.map(|at| at.since(now));
        match decision {
            Decision::Granted(_) => Said::Granted,
            Decision::NotNow(no) => Said::NotNow {
                key: no.key.clone(),
                waits: [wait(no.at), wait(no.not_before)],
                figures: [no.in_use, no.needed],
            },
            Decision::Never(no) => Said::Never(no.key.clone(), no.in_use, no.needed),
        }
    }
}

/// A refusal took nothing anywhere; a grant took everywhere what it needs.
pub(crate) fn all_or_nothing(before: &[Standing], after: &[Standing], granted: bool) {
    for (before, after) in before.iter().zip(after) {
        let taken = if granted { before.needed } else { 0 };
        assert_eq!(after.in_use, before.in_use + taken, "{before:?} {after:?}");
    }
}

/// The memory answers at once.
pub(crate) fn now<T>(answer: Answer<T>) -> T {
    match answer {
        Answer::Now(answer) => answer.unwrap(),
        Answer::Later(_) => panic!("the memory answers at once"),
    }
}
