//! What operators make while the gateway runs: keys. It outlives the process in a file.

mod file;
pub(super) mod keys;

use std::{path::Path, sync::Arc};

use jiff::Timestamp;
use parking_lot::{Mutex, RwLock};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use file::StateFile;
pub use file::StateFileError;
use keys::{BadKey, Difference, Key, KeyBook, NewKey, NotTaken};

/// All of it, as it is written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    version: u32,
    #[serde(default)]
    keys: Vec<Key>,
}

/// The form of the file.
const VERSION: u32 = 1;

impl Default for Kept {
    fn default() -> Self {
        Kept {
            version: VERSION,
            keys: Vec::new(),
        }
    }
}

impl Kept {
    fn check(&self) -> Result<(), String> {
        if self.version != VERSION {
            return Err(format!(
                "it is of version {}, and this program reads {VERSION}",
                self.version
            ));
        }
        for (number, key) in self.keys.iter().enumerate() {
            key.check().map_err(|error| error.to_string())?;
            if self.keys[..number]
                .iter()
                .any(|other| other.name == key.name)
            {
                return Err(format!("the key `{}` is there twice", key.name));
            }
        }
        Ok(())
    }

    /// What others have made of it, who have left that.
    fn differs_from(&self, left: &Kept) -> Vec<Difference> {
        Difference::between(&self.keys, &left.keys, Timestamp::now())
    }

    fn key(&mut self, name: &str) -> Result<&mut Key, BadKey> {
        let mut keys = self.keys.iter_mut();
        let found = keys.find(|key| key.name == name);
        found.ok_or_else(|| BadKey::Unknown(name.to_owned()))
    }
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] StateFileError),
    /// The key is invalid, unknown or taken.
    #[error(transparent)]
    Key(#[from] BadKey),
    /// The system has no random bytes for a token.
    #[error(transparent)]
    NoChance(#[from] keys::NoChance),
}

impl From<keys::NotMade> for StateError {
    fn from(error: keys::NotMade) -> Self {
        match error {
            keys::NotMade::Bad(error) => error.into(),
            keys::NotMade::NoChance(error) => error.into(),
        }
    }
}

/// What was done, and what others had done to the file before, which is in force now too.
type Done<T> = Result<(T, Vec<Difference>), StateError>;

/// The keys that operators have made: those in the file, and those in force here.
///
/// A change that is made through this is in the file before it is in force. A change that others make to the file is in
/// force here from the next change through this on, or when it is [read again](Self::read_again).
#[derive(Clone, Debug)]
pub struct State(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: StateFile,
    /// Held from the reading of the file until what was read is in force: no older one comes after it.
    changing: Mutex<()>,
    kept: Mutex<Kept>,
    book: RwLock<Arc<KeyBook>>,
}

impl State {
    /// Opens the state in a file; it is empty if there is no file yet.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StateFileError> {
        let file = StateFile::at(path.as_ref());
        let kept = file.read(&Kept::default())?;
        let book = RwLock::new(Arc::new(KeyBook::of(&kept.keys)));
        Ok(State(Arc::new(Inner {
            file,
            changing: Mutex::default(),
            kept: Mutex::new(kept),
            book,
        })))
    }

    /// The file, by the name that it was opened by.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.file.path()
    }

    /// Whether the file can be read.
    pub(super) fn check_file(&self) -> Result<(), StateFileError> {
        self.0.file.read(&self.held()).map(drop)
    }

    /// Takes over what others have changed in the file.
    ///
    /// # Errors
    /// If it cannot be read, or is gone though there were keys in it. Then nothing changes here.
    pub fn read_again(&self) -> Result<(), StateFileError> {
        self.find_changes().map(drop)
    }

    /// The same, and says what they have changed.
    pub(super) fn find_changes(&self) -> Result<Vec<Difference>, StateFileError> {
        let _one_at_a_time = self.0.changing.lock();
        let held = self.held();
        let kept = self.0.file.read(&held)?;
        let found = held.differs_from(&kept);
        self.take(kept);
        Ok(found)
    }

    /// All keys.
    #[must_use]
    pub fn keys(&self) -> Vec<Key> {
        self.0.kept.lock().keys.clone()
    }

    /// Makes a key. Its token is shown once and stored nowhere.
    ///
    /// # Errors
    /// If it is invalid, its name is taken, or the file cannot be written. Nothing is changed then.
    pub fn make_key(&self, key: NewKey) -> Result<(Key, SecretString), StateError> {
        self.make(key).map(|(made, _)| made)
    }

    /// Disables a key, or enables it again. Returns the key as it is now, and whether it was disabled before.
    ///
    /// # Errors
    /// If there is no key of this name, or the file cannot be written. Nothing is changed then.
    pub fn disable_key(&self, name: &str, disabled: bool) -> Result<(Key, bool), StateError> {
        self.disable(name, disabled).map(|(set, _)| set)
    }

    /// Deletes a key.
    ///
    /// # Errors
    /// As [`disable_key`](Self::disable_key).
    pub fn delete_key(&self, name: &str) -> Result<Key, StateError> {
        self.delete(name).map(|(deleted, _)| deleted)
    }

    /// As [`make_key`](Self::make_key), and says what others had changed; so do the next two.
    pub(super) fn make(&self, key: NewKey) -> Done<(Key, SecretString)> {
        self.change(|kept| {
            let (key, token) = key.made(Timestamp::now())?;
            if kept.keys.iter().any(|other| other.name == key.name) {
                return Err(BadKey::Taken(key.name).into());
            }
            kept.keys.push(key.clone());
            Ok((key, token))
        })
    }

    pub(super) fn disable(&self, name: &str, disabled: bool) -> Done<(Key, bool)> {
        self.change(|kept| {
            let key = kept.key(name)?;
            let was = std::mem::replace(&mut key.disabled, disabled);
            Ok((key.clone(), was))
        })
    }

    pub(super) fn delete(&self, name: &str) -> Done<Key> {
        self.change(|kept| {
            let key = kept.key(name)?.clone();
            kept.keys.retain(|other| other.name != name);
            Ok(key)
        })
    }

    /// The key of a token.
    pub(super) fn key_of(&self, token: &str) -> Result<Arc<Key>, NotTaken> {
        let book = self.0.book.read().clone();
        book.find(token, Timestamp::now())
    }

    fn change<T>(&self, change: impl FnOnce(&mut Kept) -> Result<T, StateError>) -> Done<T> {
        let _one_at_a_time = self.0.changing.lock();
        let held = self.held();
        let (kept, done) = self.0.file.change(&held, |kept| {
            let found = held.differs_from(kept);
            Ok::<_, StateError>((change(kept)?, found))
        })?;
        self.take(kept);
        Ok(done)
    }

    /// What is in force.
    fn held(&self) -> Kept {
        self.0.kept.lock().clone()
    }

    fn take(&self, kept: Kept) {
        *self.0.book.write() = Arc::new(KeyBook::of(&kept.keys));
        *self.0.kept.lock() = kept;
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
