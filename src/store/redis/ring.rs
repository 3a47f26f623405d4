//! What was done of late, so that a server which has lost some of it can be told again.

use std::collections::VecDeque;

use super::{
    entry::{Entry, Op, Process},
    shared::Shared,
    trip::Batch,
};

/// So many entries are kept.
const KEPT: usize = 20_000;

#[derive(Default)]
pub(super) struct Ring {
    entries: VecDeque<Kept>,
    /// From a history that the server has lost: what is not in the one that it has is to be told again.
    lost: VecDeque<Kept>,
}

struct Kept {
    entry: Entry,
    granted: bool,
}

impl Ring {
    pub(super) fn push(&mut self, entry: Entry, granted: bool) {
        if self.entries.len() == KEPT {
            self.entries.pop_front();
        }
        self.entries.push_back(Kept { entry, granted });
    }

    /// Whether all is kept that was done after this.
    pub(super) fn reaches_back_to(&self, pos: u64) -> bool {
        let first = self.entries.front().map(|kept| kept.entry.place.pos);
        first.is_some_and(|first| first <= pos + 1)
    }

    /// The server goes on from an earlier state.
    pub(super) fn lose(&mut self) {
        self.lost.append(&mut self.entries);
    }

    /// What is to be told again of one process next, in the order in which it was done.
    pub(super) fn missing(&mut self, shared: &Shared) -> Option<Batch> {
        let state = shared.lock();
        let known = |process: Process| state.replica.number_of(process);
        self.lost
            .retain(|kept| kept.entry.number > known(kept.entry.process));
        let process = self.lost.front()?.entry.process;
        let mut of_process = self
            .lost
            .iter()
            .filter(|kept| kept.entry.process == process);
        let first = of_process.next()?;
        let mut ops = vec![first.again()];
        let number = first.entry.number;
        for (next, kept) in (number + 1..).zip(of_process) {
            if kept.entry.number != next || ops.len() == 256 {
                break;
            }
            ops.push(kept.again());
        }
        drop(state);
        Some(Batch {
            process,
            first: number,
            at: shared.given_last(),
            ops,
        })
    }
}

impl Kept {
    /// What it comes to when it is told again: what was granted was granted.
    fn again(&self) -> Op {
        match &self.entry.op {
            Op::Claim(asked) | Op::Wait { asked, .. } if self.granted => Op::Take(asked.clone()),
            Op::Claim(_) | Op::Wait { .. } | Op::Peek(_) | Op::Budgets => Op::Nothing,
            Op::Join { by, .. } => Op::Join {
                limits: None,
                by: by.clone(),
            },
            op => op.clone(),
        }
    }
}
