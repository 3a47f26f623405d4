//! What is done to a store, as data: doing it again at the same instants makes the same store.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::ahead::Part;
use crate::store::audit::Note;
use crate::{
    error::StoreError,
    limit::Limit,
    store::{Correction, Observation, Settlement, asked::Asked, clock::told::At},
    tags::Tags,
    usage::Usage,
};

/// Something that was done. Grants are called by a number that no other open one has.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Op {
    /// A claim was granted; its attempt has this row in the ledger.
    Claim {
        grant: u64,
        row: i64,
        asked: Asked,
    },
    /// A claim was refused, and that has opened a circuit.
    Refused(Asked),
    Date(u64),
    Streamed(u64, u64),
    Settle(u64, Settlement),
    Release(u64),
    /// Of a grant that has ended: 0.
    Observe {
        grant: u64,
        tags: Arc<Tags>,
        seen: Observation,
    },
    Refuse(Asked),
    Record(Arc<Tags>, Usage),
    Correct {
        tags: Box<Tags>,
        correction: Correction,
        reason: String,
    },
    Reset {
        tags: Box<Tags>,
        reason: String,
    },
    Reconfigure(Vec<Limit>),
    /// The same, by a configuration that gives these.
    Reload {
        limits: Vec<Limit>,
        given: Vec<Limit>,
    },
    /// So much is counted as used after a crash, until the block of this number is gone.
    Ahead(u64, Asked),
    /// That block is gone.
    Behind(u64),
    /// Something beside the store, by hand: the audit log alone has it.
    Noted,
}

/// The same with its instant, as it is kept.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Done {
    pub(super) at: At,
    pub(super) op: Op,
}

/// The same on its way to the file.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) done: Done,
    /// What the audit log says of it.
    pub(super) notes: Vec<Note>,
    pub(super) part: Option<Part>,
    /// Who waits until it is there.
    pub(super) waits: Option<oneshot::Sender<Result<(), StoreError>>>,
}
