//! The data folder.
//!
//! # Invariants
//!
//! * A node works in a folder that only its owner may enter: the control socket
//!   in it needs no other credential.
//! * A folder with content of others is never changed.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use airside_base::{Fault, Kind};
use airside_identity::{Digest, mint};
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
    let file = folder.join(SEAL_KEY);
    load_signer(&file).map_err(|error| {
        let file = file.display();
        let fault = Fault::new(
            Kind::Unavailable,
            "CLI-014",
            format!("the key file {file} cannot be used: {error}"),
        );
        let hint = "bring it back from a copy, or move it away: then a new key is made, and only \
                    proofs from now on are checked with it";
        Failure::new(Exit::Failed, fault.with_hint(hint))
    })
}

/// File of the key that commands of this user show to their node.
const CALLER_KEY: &str = "caller.key";

/// Returns the digest of the key in `folder` that commands of this user show, made now
/// if there is none. Whoever reads the file may book in this user's name.
pub(crate) fn caller_key(folder: &Path) -> Result<Digest, Failure> {
    let file = folder.join(CALLER_KEY);
    let read = match fs::read_to_string(&file) {
        Ok(text) => Ok(Digest::of(text.trim().as_bytes())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let minted = mint();
            write_private(&file, minted.secret.expose()).map(|()| minted.sha256)
        }
        Err(error) => Err(error),
    };
    read.map_err(|error| unusable(folder, &error))
}

/// Returns the file of the key that commands of this user show, if the node in `folder`
/// has one.
pub(crate) fn find_caller_key(folder: &Path) -> Option<PathBuf> {
    let file = folder.join(CALLER_KEY);
    file.exists().then_some(file)
}

/// Removes the key of [`caller_key`], so that no command shows it to a node that does
/// not know it.
pub(crate) fn drop_caller_key(folder: &Path) -> Result<(), Failure> {
    match fs::remove_file(folder.join(CALLER_KEY)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unusable(folder, &error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes a file for this user alone, whole or not at all.
fn write_private(file: &Path, text: &str) -> io::Result<()> {
    let fresh = file.with_extension("new");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut handle = options.open(&fresh)?;
    handle.write_all(text.as_bytes())?;
    handle.sync_all()?;
    fs::rename(&fresh, file)
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
