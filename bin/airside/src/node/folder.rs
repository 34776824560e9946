//! The data folder.
//!
//! # Invariants
//!
//! * A node works in a folder that only its owner may enter: the control socket
//!   in it needs no other credential.
//! * A folder with content of others is never changed.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::Path,
};

use airside_base::{Fault, Kind};
use airside_ledger::{note::Signer, seal::load_signer};

use crate::failure::{Exit, Failure};

/// File of the ledger in the data folder.
pub(crate) const LEDGER: &str = "ledger.db";

/// File of the private key that the ledger is sealed with.
const SEAL_KEY: &str = "seal.key";

/// Makes `folder` if it is not there, and sees to it that it is private.
pub(crate) fn prepare(folder: &Path) -> Result<(), Failure> {
    match private(folder) {
        Ok(true) => Ok(()),
        Ok(false) => {
            let fault = Fault::new(
                Kind::Forbidden,
                "CLI-004",
                format!("other users may enter the data folder {}", folder.display()),
            );
            let hint = format!(
                "chmod 700 {}, or name another with --data-dir",
                folder.display()
            );
            Err(Failure::new(Exit::Failed, fault.with_hint(hint)))
        }
        Err(error) => Err(unusable(folder, &error)),
    }
}

/// Returns the key that this node seals the ledger with.
pub(crate) fn seal_key(folder: &Path) -> Result<Signer, Failure> {
    load_signer(&folder.join(SEAL_KEY)).map_err(|error| unusable(folder, &error))
}

/// The data folder cannot be used.
pub(crate) fn unusable(folder: &Path, error: &dyn std::fmt::Display) -> Failure {
    let fault = Fault::new(
        Kind::Unavailable,
        "CLI-014",
        format!(
            "the data folder {} cannot be used: {error}",
            folder.display()
        ),
    );
    let hint = "name a folder that this user may write with --data-dir";
    Failure::new(Exit::Failed, fault.with_hint(hint))
}

/// Returns whether `folder` exists, made now if need be, and is private.
fn private(folder: &Path) -> io::Result<bool> {
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder);
    made?;
    let mode = fs::metadata(folder)?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(true);
    }
    if fs::read_dir(folder)?.next().is_some() {
        return Ok(false);
    }
    // Empty, so it was made for us, by a script with the usual mask.
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(folder: &Path) -> u32 {
        fs::metadata(folder).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn new_and_empty_folders_become_private() {
        let root = tempfile::tempdir().unwrap();
        let new = root.path().join("a/b");
        assert!(private(&new).unwrap());
        assert_eq!(mode(&new), 0o700);
        let empty = root.path().join("empty");
        fs::create_dir(&empty).unwrap();
        fs::set_permissions(&empty, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(private(&empty).unwrap());
        assert_eq!(mode(&empty), 0o700);
    }

    #[test]
    fn open_folder_with_content_is_refused_and_left_alone() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("file"), "x").unwrap();
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        assert!(!private(root.path()).unwrap());
        assert_eq!(mode(root.path()), 0o755);
    }
}
