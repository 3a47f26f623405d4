//! The file that the state is kept in.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use super::Kept;

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateFileError {
    /// The system refuses it.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It is there no more, and there were keys in it.
    #[error(
        "{} is gone, and the keys that were in it stay in force: put it back, or, to begin without them, restart", path.display()
    )]
    Gone {
        /// The file.
        path: PathBuf,
    },
    /// It is not a valid state file, or it is one of another version.
    #[error("{}: {reason}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// A file of JSON that only its owner reads, changed as a whole: whoever reads it sees what was before or what is after.
/// Who changes it holds the lock of a file beside it, so that a command and a gateway that runs do not undo each
/// other's changes.
#[derive(Clone, Debug)]
pub(super) struct StateFile {
    path: PathBuf,
}

impl StateFile {
    pub(super) fn at(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        // Its links are followed each time: those of a secret that is mounted lead elsewhere when that is renewed.
        let path = std::path::absolute(&path).unwrap_or(path);
        StateFile { path }
    }

    /// Where it is now. A file has one name, whatever links lead there: what is beside it is beside that one.
    fn found(&self) -> Self {
        let path = self.path.canonicalize();
        StateFile {
            path: path.unwrap_or_else(|_| self.path.clone()),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What is in it; nothing, where there is none yet. `held` was in it before: a file that is gone takes no key with it.
    pub(super) fn read(&self, held: &Kept) -> Result<Kept, StateFileError> {
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(self.io(error)),
            Err(_) if held.keys.is_empty() => return Ok(Kept::default()),
            Err(_) => {
                let path = self.path.clone();
                return Err(StateFileError::Gone { path });
            }
        };
        let kept: Kept = serde_json::from_slice(&text).map_err(|error| self.content(&error))?;
        kept.check().map_err(|reason| self.content(&reason))?;
        Ok(kept)
    }

    /// Changes what is in it, while nobody else does. What `change` refuses changes nothing.
    pub(super) fn change<T, E: From<StateFileError>>(
        &self,
        held: &Kept,
        change: impl FnOnce(&mut Kept) -> Result<T, E>,
    ) -> Result<(Kept, T), E> {
        let file = self.found();
        // Nothing is put beside a file that is gone.
        file.read(held)?;
        let _lock = file.lock()?;
        let mut kept = file.read(held)?;
        let done = change(&mut kept)?;
        file.write(&kept)?;
        Ok((kept, done))
    }

    /// Held until it is dropped.
    fn lock(&self) -> Result<File, StateFileError> {
        let path = self.beside("lock");
        let open = || {
            let file = match private(OpenOptions::new().create_new(true).write(true)).open(&path) {
                Ok(made) => {
                    self.keep_owner(&made);
                    made
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    no_link(&path)?;
                    OpenOptions::new().write(true).open(&path)?
                }
                Err(error) => return Err(error),
            };
            file.lock()?;
            Ok(file)
        };
        open().map_err(|source| StateFileError::Io {
            path: path.clone(),
            source,
        })
    }

    fn write(&self, kept: &Kept) -> Result<(), StateFileError> {
        let mut text = serde_json::to_vec_pretty(kept).map_err(|error| self.content(&error))?;
        text.push(b'\n');
        let new = self.beside("new");
        let written = || {
            // What a command that was stopped left there, or what somebody put there that leads elsewhere.
            match fs::remove_file(&new) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = private(OpenOptions::new().create_new(true).write(true)).open(&new)?;
            self.keep_owner(&file);
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&new, &self.path)?;
            sync_folder(&self.path)
        };
        written().map_err(|error| self.io(error))
    }

    /// A file that was made just now: none that was there is given away. Made by somebody else, root say, it stays the file of whom it was, else of whom its folder is: a gateway has to read
    /// what a command made. Nobody but root can give files away, and for others there is nothing to give.
    fn keep_owner(&self, file: &File) {
        #[cfg(unix)]
        {
            use std::os::unix::fs::{MetadataExt as _, fchown};

            let before = fs::metadata(&self.path).or_else(|_| fs::metadata(folder(&self.path)));
            if let Ok(before) = before {
                let _ = fchown(file, Some(before.uid()), Some(before.gid()));
            }
        }
        #[cfg(not(unix))]
        let _ = file;
    }

    fn beside(&self, ending: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".");
        name.push(ending);
        name.into()
    }

    fn io(&self, source: io::Error) -> StateFileError {
        StateFileError::Io {
            path: self.path.clone(),
            source,
        }
    }

    fn content(&self, reason: &impl ToString) -> StateFileError {
        StateFileError::Content {
            path: self.path.clone(),
            reason: reason.to_string(),
        }
    }
}

/// What stands beside the state is a file of its own: whoever owns the folder could have the owner of another one changed.
fn no_link(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path)?.file_type().is_file() {
        true => Ok(()),
        false => Err(io::Error::other("is no file of its own; delete it")),
    }
}

/// Nobody else reads a file that is made with this.
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// A name that was changed is on the disk when its folder is.
fn sync_folder(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(folder(path))?.sync_all()?;
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

#[cfg(unix)]
fn folder(path: &Path) -> &Path {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}
