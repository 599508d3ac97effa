//! The data directory: the machines' root disks, and the object store that outlives them.
//!
//! Path: [`DataDir::open`] at the start; [`crate::FlyLocal`] keeps it until the end.
//! Invariants: two local Flys never share one, because their machines have the same ids; one that nobody named is
//! deleted at the end if its port was any free one, since nobody would find it again.
//! Never: looks into the store.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use ulid::Ulid;

/// Where data lies when nobody says, by port.
const FOLDER: &str = "target/fly-local";

/// The open and locked directory.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    is_temporary: bool,
    /// Held as long as the folder is ours.
    _lock: File,
}

impl DataDir {
    /// Opens `named`, or the folder that belongs to `port`.
    pub(crate) fn open(named: Option<&Path>, port: u16) -> anyhow::Result<Self> {
        let is_temporary = named.is_none() && port == 0;
        let path = match named {
            Some(named) => named.to_owned(),
            None if is_temporary => std::env::temp_dir().join(format!("fly-local-{}", Ulid::new())),
            None => Path::new(FOLDER).join(port.to_string()),
        };
        let cannot = || format!("The folder of data {} cannot be used; name another with --data-dir.", path.display());
        std::fs::create_dir_all(path.join("store")).with_context(cannot)?;
        std::fs::create_dir_all(path.join("machines")).with_context(cannot)?;
        // Machines run elsewhere, so every path they hear must be whole.
        let path = path.canonicalize().with_context(cannot)?;
        let lock = File::create(path.join("lock")).with_context(cannot)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, is_temporary, _lock: lock }),
            Err(TryLockError::WouldBlock) => bail!(
                "The folder of data {} is in use by another fly-local; name another with --data-dir.",
                path.display()
            ),
            Err(TryLockError::Error(error)) => Err(error).with_context(cannot),
        }
    }

    /// Folder of the machines' root disks.
    pub(crate) fn disks(&self) -> PathBuf {
        self.path.join("machines")
    }

    /// The object store's URL.
    pub(crate) fn store_url(&self) -> String {
        format!("file://{}", self.path.join("store").display())
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        if self.is_temporary {
            // Whatever is left is in the system's folder for temporary files.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_belongs_to_one_and_a_temporary_one_goes() {
        let first = DataDir::open(None, 0).unwrap();
        let path = first.path.clone();
        let error = DataDir::open(Some(&path), 1).unwrap_err().to_string();
        assert!(error.contains("is in use by another fly-local"), "{error}");
        assert!(first.disks().is_dir());
        drop(first);
        assert!(!path.exists());
    }
}
