//! The audit log, which all processes write: each notes what was done by hand, whoever did it, and each thing is there once.

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::oneshot;

use super::{
    entry::Entry,
    link::{Ask, Failure, part},
    shared::Shared,
    trip::unread,
    worker::Worker,
};
use crate::store::{Answer, AuditEntry, Note, later::told};

/// So many wait for a server that is away.
const MOST: usize = 10_000;

/// A note with its place: that of the entry, and which it is of those.
pub(super) type Noted = (String, AuditEntry);

impl Shared {
    /// All of it, after all that was done before.
    pub(super) fn read_notes(self: &Arc<Self>) -> Answer<Vec<AuditEntry>> {
        let answer = {
            let state = &mut *self.lock();
            if let Some(error) = self.unable(state) {
                return Answer::Now(Err(error));
            }
            let (reader, answer) = oneshot::channel();
            state.readers.push(reader);
            state.urgent = true;
            answer
        };
        self.work.notify_one();
        let shared = self.clone();
        Answer::Later(Box::pin(
            async move { told(answer, || shared.gone()).await },
        ))
    }
}

impl Worker {
    /// Takes up what is to be said of an entry.
    pub(super) fn note(&mut self, entry: &Entry, notes: Vec<Note>) {
        let notes = notes.into_iter().enumerate();
        let placed = notes.map(|(number, note)| {
            (
                format!("{}-{number}", entry.place),
                note.at(entry.at.shown()),
            )
        });
        self.notes.extend(placed);
        let over = self.notes.len().saturating_sub(MOST);
        self.notes.drain(..over);
    }

    /// Writes what was taken up, and answers who wants to read. What cannot be written now is written later: that keeps
    /// nobody from counting.
    pub(super) async fn keep_notes(&mut self) {
        let written = self.write_notes().await;
        if self.shared.lock().readers.is_empty() {
            return;
        }
        let all = match written {
            Ok(()) => self.read_notes().await,
            Err(failure) => Err(failure),
        };
        let all = all.map_err(|failure| self.shared.error(&failure.reason));
        let readers = std::mem::take(&mut self.shared.lock().readers);
        for reader in readers {
            drop(reader.send(all.clone()));
        }
    }

    async fn write_notes(&mut self) -> Result<(), Failure> {
        if self.notes.is_empty() {
            return Ok(());
        }
        let mut args = Vec::new();
        for (place, note) in &self.notes {
            args.push(place.clone().into_bytes());
            args.push(serde_json::to_vec(note).map_err(unread)?);
        }
        self.link.ask(Ask::Note, &args).await?;
        self.notes.clear();
        Ok(())
    }

    async fn read_notes(&mut self) -> Result<Vec<AuditEntry>, Failure> {
        let parts = self.link.ask(Ask::Notes, &[]).await?;
        let mut all = BTreeMap::new();
        for place in (0..parts.len()).step_by(2) {
            let at: String = part(&parts, place).map_err(unread)?;
            let text: String = part(&parts, place + 1).map_err(unread)?;
            let note: AuditEntry = serde_json::from_str(&text).map_err(unread)?;
            let numbers = at
                .split('-')
                .map(|part| part.parse::<u64>().unwrap_or_default());
            all.insert(numbers.collect::<Vec<_>>(), note);
        }
        Ok(all.into_values().collect())
    }
}
