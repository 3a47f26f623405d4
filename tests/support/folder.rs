//! Folders that go with the test.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

/// A folder of its own.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        loop {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let name = format!("tower-quota-{}-{number}", std::process::id());
            let path = std::env::temp_dir().join(name);
            // A test program may have this file twice, and so two numbers.
            match std::fs::create_dir(&path) {
                Ok(()) => return Folder(path),
                Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists),
            }
        }
    }

    /// A file in it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The file as it is, with what SQLite keeps beside it: as a process that is killed leaves it.
    #[allow(dead_code, reason = "not every test kills")]
    pub(crate) fn copy(&self, from: &Path, name: &str) -> PathBuf {
        let to = self.file(name);
        for beside in ["", "-wal"] {
            let with = |path: &Path| PathBuf::from(format!("{}{beside}", path.display()));
            if with(from).exists() {
                std::fs::copy(with(from), with(&to)).unwrap();
            }
        }
        to
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}
