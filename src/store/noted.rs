//! The audit log of a store in memory.

use std::{collections::VecDeque, time::SystemTime};

use parking_lot::Mutex;

use super::{
    AuditEntry, BudgetEvent, MemoryStore, Note, Reason,
    audit::{ITSELF, PROGRAM},
};
use crate::limit::Limits;

/// So many entries are kept; further ones push out the oldest.
const KEPT: usize = 1_024;

/// What was noted, the newest last.
#[derive(Debug, Default)]
pub(super) struct Noted(Mutex<VecDeque<AuditEntry>>);

impl Noted {
    fn add(&self, notes: impl IntoIterator<Item = Note>, at: SystemTime) {
        let mut kept = self.0.lock();
        for note in notes {
            if kept.len() == KEPT {
                kept.pop_front();
            }
            kept.push_back(note.at(at));
        }
    }

    pub(super) fn all(&self) -> Vec<AuditEntry> {
        self.0.lock().iter().cloned().collect()
    }
}

impl MemoryStore {
    /// What has happened to budgets, by somebody's hand where there is a reason.
    pub(super) fn note_events(&self, events: &[BudgetEvent], reason: Option<&Reason>) {
        // Of one that does what another store did, that one notes it.
        if events.is_empty() || self.clock.is_told() {
            return;
        }
        let who = reason.map(|reason| reason.who(&PROGRAM.into()));
        let by = who.as_deref().unwrap_or(ITSELF);
        let notes = events.iter().filter_map(|event| Note::of_event(event, by));
        self.noted.add(notes, self.clock.shown());
    }

    pub(super) fn note_limits(&self, before: &Limits, after: &Limits, reason: &Reason) {
        if self.clock.is_told() {
            return;
        }
        let by = reason.who(&PROGRAM.into());
        let notes = Note::of_limits(before, after, &by, reason.why_or_changed());
        self.noted.add(notes, self.clock.shown());
    }

    pub(super) fn note_by_hand(&self, note: Note, reason: &Reason) {
        let note = note.because(reason, &PROGRAM.into());
        self.noted.add([note], self.clock.shown());
    }
}
