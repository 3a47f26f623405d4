//! How a file is opened.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use super::{OpenError, SqliteStore};
use crate::limit::Limits;

pub(super) type Shown = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// How a file is opened to count in it.
///
/// ```
/// use tower_quota::{limit::{Limit, Limits}, store::sqlite::SqliteOptions};
///
/// # let folder = std::env::temp_dir().join(format!("quota-options-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # let path = folder.join("counts.db");
/// let limits = Limits::new([Limit::concurrency(8)])?;
/// let store = SqliteOptions::new(&path, limits).by("billing-bot").open()?;
/// assert_eq!(store.lost(), 0);
/// # drop(store);
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct SqliteOptions {
    pub(super) path: PathBuf,
    pub(super) limits: Limits,
    pub(super) by: Arc<str>,
    pub(super) shown: Option<Shown>,
    pub(super) most: Option<usize>,
    pub(super) absorb: bool,
    pub(super) image_after: usize,
    pub(super) survives: Survives,
    pub(super) ahead: u32,
}

/// What a grant survives once it was answered, and so how long the answer takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Survives {
    /// The machine losing its power: the grant is on the disk. The answer takes as long as the disk does: some
    /// milliseconds, or some tens of microseconds on a disk that protects against power loss.
    #[default]
    Power,
    /// The end of the process, however it ends: the grant is with the operating system, which takes less than a tenth
    /// of a millisecond, and is brought to the disk in the background, twenty times a second.
    ///
    /// If the machine loses its power, what was granted and settled in the last tenth of a second may be forgotten, and
    /// nothing else is harmed.
    Kill,
}

/// How much is done between two images, where nothing is said.
const IMAGE_AFTER: usize = 20_000;

impl SqliteOptions {
    /// Creates options from a file and the limits to count under, whichever limits it was counted under when it was
    /// last in use. For limits that were changed at run time see
    /// [the module](crate::store::sqlite#limits-that-have-changed).
    pub fn new(path: impl AsRef<Path>, limits: Limits) -> Self {
        SqliteOptions {
            path: path.as_ref().to_owned(),
            limits,
            by: "this program".into(),
            shown: None,
            most: None,
            absorb: true,
            image_after: IMAGE_AFTER,
            survives: Survives::default(),
            ahead: 0,
        }
    }

    /// Sets who changes budgets and limits, for the audit log, if neither a [reason](crate::store::Reason) names
    /// anybody nor the [`scope`](crate::scope) in which it is done has a `user`. "this program" by default.
    pub fn by(mut self, name: impl Into<Arc<str>>) -> Self {
        self.by = name.into();
        self
    }

    /// Sets another wall clock, by which calendars and the ledger go, in place of the system's.
    pub fn wall_clock(mut self, shown: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.shown = Some(Arc::new(shown));
        self
    }

    /// Sets how many counts are kept at most; see [`MemoryStore::max_counts`](crate::store::MemoryStore::max_counts).
    pub fn max_counts(mut self, most: usize) -> Self {
        self.most = Some(most);
        self
    }

    /// Sets whether the counters that providers show are taken in; see
    /// [`MemoryStore::absorb_counters`](crate::store::MemoryStore::absorb_counters).
    pub fn absorb_counters(mut self, absorb: bool) -> Self {
        self.absorb = absorb;
        self
    }

    /// Sets after how many claims, sends and ends all counts are written at once, and what was done before is
    /// discarded; 20 000 by default, and never fewer than there are counts.
    ///
    /// With a larger number the file takes longer to open after a crash: some 200 000 are repeated in a second. While
    /// all counts are written, nothing else is: a million counts take two seconds. With up to ten thousand counts,
    /// nothing can be claimed for some milliseconds of that time either.
    pub fn image_after(mut self, done: usize) -> Self {
        self.image_after = done.max(1);
        self
    }

    /// Sets what grants survive once they were answered; [`Survives::Power`] by default.
    pub fn survives(mut self, what: Survives) -> Self {
        self.survives = what;
        self
    }

    /// Lets claims be answered before they are written, by writing down room for this many claims like them ahead. With
    /// zero, the default, each claim waits.
    ///
    /// For each set of tags under which something is claimed again within ten seconds there is a block with room for
    /// this many times what the largest such claim needs. A claim that finds room in it is answered at once, and is
    /// written together with all others of the last fiftieth of a second; then its room is free for another claim. A
    /// claim that finds none waits. With 16, some 800 claims a second of the same tags wait for nothing.
    ///
    /// # After a crash
    /// Nobody knows how much of a block was used, so all of it counts as used, as far as its limits have room: no limit
    /// is exceeded by it, and none counts less than what was granted. In the ledger it is one row, `lost`, for each set
    /// of tags, with everything that the block had room for; for calls without a cap on their output, that is this many
    /// times the longest answer of their model. A budget that is used up by it stays so until its period turns, and one
    /// with a circuit until it is reset. The attempts that were granted in a block in the last fiftieth of a second
    /// have no rows of their own. A block that nobody has used for twenty seconds is removed, and so are all of them
    /// when the store is closed.
    pub fn ahead(mut self, claims: u32) -> Self {
        self.ahead = claims;
        self
    }

    /// Opens the file, creating it if there is none, and continues from where it ended.
    ///
    /// This reads, writes, and blocks on the disk: it is for the start of a program, not for a task among others. A
    /// thousand counts take milliseconds, a million some seconds.
    ///
    /// # Errors
    /// If the file cannot be opened, or is not what it should be.
    pub fn open(self) -> Result<SqliteStore, OpenError> {
        SqliteStore::start(self)
    }
}

impl std::fmt::Debug for SqliteOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteOptions")
            .field("path", &self.path)
            .field("by", &self.by)
            .finish_non_exhaustive()
    }
}
