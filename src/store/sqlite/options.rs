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

/// What a grant that was answered survives, and so how long the answer takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Survives {
    /// That the machine loses its power: it is on the disk. As long as the disk takes for that: some milliseconds, or
    /// some tens of microseconds on one that keeps its power.
    #[default]
    Power,
    /// That the process ends, however it does: it is with the operating system, which takes less than a tenth of a
    /// millisecond, and is brought to the disk by itself, twenty times a second. So where the machine loses its power,
    /// what was granted and settled in the last tenth of a second may be forgotten, and nothing else is harmed.
    Kill,
}

/// How much is done between two images, where nothing is said.
const IMAGE_AFTER: usize = 20_000;

impl SqliteOptions {
    /// The file and the limits to count under, whichever it was counted under when it ended; of those that were changed at
    /// run time see [there](crate::store::sqlite#limits-that-have-changed).
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

    /// Who changes budgets and limits, for the audit log, where neither a [reason](crate::store::Reason) names anybody nor
    /// the [`scope`](crate::scope) that it is done in a `user`. "this program" by default.
    pub fn by(mut self, name: impl Into<Arc<str>>) -> Self {
        self.by = name.into();
        self
    }

    /// Another clock on the wall, which calendars and the ledger go by: the system's, where nothing is said.
    pub fn wall_clock(mut self, shown: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.shown = Some(Arc::new(shown));
        self
    }

    /// At most so many counts; see [`MemoryStore::max_counts`](crate::store::MemoryStore::max_counts).
    pub fn max_counts(mut self, most: usize) -> Self {
        self.most = Some(most);
        self
    }

    /// Whether the counters that providers show are taken in; see
    /// [`MemoryStore::absorb_counters`](crate::store::MemoryStore::absorb_counters).
    pub fn absorb_counters(mut self, absorb: bool) -> Self {
        self.absorb = absorb;
        self
    }

    /// After so many claims, sends and ends, 20 000 where nothing is said, and no fewer than there are counts, all counts
    /// are written at once, and what was done before is forgotten. Less often, and the file takes longer to open after a
    /// crash: some 200 000 are done again in a second. While it is written nothing else is: a million counts take two
    /// seconds. Up to ten thousand counts nothing is claimed for some milliseconds of that, either.
    pub fn image_after(mut self, done: usize) -> Self {
        self.image_after = done.max(1);
        self
    }

    /// What grants survive that were answered: [`Survives::Power`] where nothing is said.
    pub fn survives(mut self, what: Survives) -> Self {
        self.survives = what;
        self
    }

    /// Claims need not wait until they are written, where room for so many claims like them is written down ahead. Zero,
    /// where nothing is said: each waits.
    ///
    /// For each set of tags under which something is claimed again within ten seconds there is a block of so much room, that
    /// is, so many times what the largest such claim needs. A claim that finds room in it is answered at once, and is
    /// written with all others of the last fiftieth of a second; then the room is free for another one. A claim that finds
    /// none waits. With 16, some 800 claims a second of the same tags wait for nothing.
    ///
    /// # After a crash
    /// Nobody knows how much of a block was used, so all of it counts as used, as far as its limits have room: no limit is
    /// passed by it, and none knows less than what was granted. In the ledger it is one row of each set of tags, `lost`,
    /// with all that the block had room for, which of calls without a cap on their output is so many times the longest answer of
    /// their model; a budget that is used up by it holds until its period turns, and one with a circuit until it is reset; the attempts that were granted in it in the last fiftieth of a second have no
    /// rows of their own. A block that nobody has used for twenty seconds is gone, and all of them are when the store is
    /// closed.
    pub fn ahead(mut self, claims: u32) -> Self {
        self.ahead = claims;
        self
    }

    /// Opens the file, making it where there is none, and goes on where it ended. It reads, writes, and waits for the
    /// disk: for a start of a program, not for a task among others. A thousand counts take milliseconds, a million some
    /// seconds.
    ///
    /// # Errors
    /// Where the file cannot be had, or is not what it should be.
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
