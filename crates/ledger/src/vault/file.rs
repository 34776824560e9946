//! A vault whose key is in a file of this machine.
//!
//! # Invariants
//!
//! * The file is made once: of two processes that make it at the same time one
//!   wins, and both use its key.
//! * Only its owner can read it; a file that others can read is refused.
//! * A missing file is never replaced by [`FileVault::load`]: a fresh key opens
//!   nothing.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use zeroize::{Zeroize as _, Zeroizing};

use super::{DataKey, Held, KEY_BYTES, Local, VaultError};
use crate::failpoint::{self, Point};

/// The content is this, the key in base64 and a line feed.
const HEAD: &str = "airside-vault-1 ";
/// Longest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 256;

/// A [`Vault`](super::Vault) with its key in a file.
#[derive(Debug)]
pub struct FileVault {
    file: PathBuf,
    key: Held,
}

impl FileVault {
    /// Returns the vault whose key is in `file`.
    ///
    /// # Errors
    ///
    /// When the file is missing, can be read by others or holds no key.
    pub fn load(file: &Path) -> Result<Self, VaultError> {
        let failed = |source| failed("read", file, source);
        let handle = File::open(file).map_err(failed)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = handle.metadata().map_err(failed)?.permissions().mode();
            if mode & 0o077 != 0 {
                let file = file.to_owned();
                return Err(VaultError::Exposed { file });
            }
        }
        let mut text = Zeroizing::new(String::new());
        let read = handle.take(MAX_FILE_BYTES).read_to_string(&mut text);
        let key = match read {
            Ok(_) => parse(&text),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => None,
            Err(error) => return Err(failed(error)),
        };
        let file = file.to_owned();
        match key {
            Some(key) => Ok(Self {
                file,
                key: Held::new(key),
            }),
            None => Err(VaultError::Foreign { file }),
        }
    }

    /// Returns the vault whose key is in `file`, and makes both if it is missing.
    ///
    /// # Errors
    ///
    /// As [`FileVault::load`], or when the file cannot be written.
    pub fn load_or_create(file: &Path) -> Result<Self, VaultError> {
        if !file.try_exists().unwrap_or(true) {
            create(file).map_err(|source| failed("make", file, source))?;
        }
        Self::load(file)
    }

    fn erase_file(&self) -> io::Result<()> {
        let size = match fs::metadata(&self.file) {
            Ok(found) => found.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        // Reaches the old blocks on file systems that write in place; others free them.
        let mut handle = File::options().write(true).open(&self.file)?;
        let zeros = vec![0; usize::try_from(size.min(MAX_FILE_BYTES)).unwrap_or(0)];
        handle.write_all(&zeros)?;
        handle.sync_all()?;
        fs::remove_file(&self.file)?;
        sync_folder_of(&self.file)
    }
}

impl Local for FileVault {
    fn held(&self) -> &Held {
        &self.key
    }

    fn erase(&self) -> Result<(), VaultError> {
        let erased = self.erase_file();
        erased.map_err(|source| failed("destroy", &self.file, source))
    }
}

fn parse(text: &str) -> Option<DataKey> {
    let text = text.strip_prefix(HEAD)?.trim_end();
    let decoded = Zeroizing::new(BASE64_STANDARD.decode(text).ok()?);
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    if decoded.len() != bytes.len() {
        return None;
    }
    bytes.copy_from_slice(&decoded);
    Some(DataKey::from_bytes(bytes))
}

/// Makes a file with a fresh key: whole and durable, or not at all. Another's file
/// that appears meanwhile is left as it is.
fn create(file: &Path) -> io::Result<()> {
    let fresh = file.with_extension(format!("new-{}", std::process::id()));
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut handle = options.open(&fresh)?;
    let mut text = BASE64_STANDARD.encode(DataKey::generate().expose());
    let written = writeln!(handle, "{HEAD}{text}").and_then(|()| handle.sync_all());
    text.zeroize();
    failpoint::reach(Point::VaultKeyWritten);
    // A link, unlike a renaming, does not replace what is there.
    let linked = written.and_then(|()| match fs::hard_link(&fresh, file) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    fs::remove_file(&fresh)?;
    linked?;
    sync_folder_of(file)
}

fn sync_folder_of(file: &Path) -> io::Result<()> {
    match file.parent() {
        Some(folder) if folder.as_os_str().is_empty() => File::open(".")?.sync_all(),
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

fn failed(doing: &'static str, file: &Path, source: io::Error) -> VaultError {
    VaultError::File {
        doing,
        file: file.to_owned(),
        source: Arc::new(source),
    }
}
