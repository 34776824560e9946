//! Passwords and keys, read from where only their owner reads them.

use std::{fs, io::Read as _, os::unix::fs::MetadataExt as _, path::Path};

use airside_base::Redacted;

use super::client::AccessError;

/// Longest secret.
const MAX: u64 = 4 * 1024;

/// Reads a secret from a private file. White space around it does not count.
///
/// # Errors
///
/// When it cannot be read, is empty, or may be read by others.
pub fn from_file(file: &Path) -> Result<Redacted<String>, AccessError> {
    let unread = |source| AccessError::File {
        file: file.to_owned(),
        source,
    };
    let opened = fs::File::open(file).map_err(unread)?;
    if opened.metadata().map_err(unread)?.mode() & 0o077 != 0 {
        let file = file.to_owned();
        return Err(AccessError::Exposed { file });
    }
    let mut text = String::new();
    opened.take(MAX).read_to_string(&mut text).map_err(unread)?;
    match text.trim() {
        "" => Err(unread(std::io::ErrorKind::UnexpectedEof.into())),
        secret => Ok(Redacted::new(secret.to_owned())),
    }
}

/// Reads a secret from an environment variable.
///
/// # Errors
///
/// When it is not set or empty.
pub fn from_environment(name: &str) -> Result<Redacted<String>, AccessError> {
    let secret = std::env::var(name).ok().filter(|secret| !secret.is_empty());
    let missing = || AccessError::Environment {
        name: name.to_owned(),
    };
    secret.map(Redacted::new).ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn only_private_files_hold_secrets() {
        let folder = std::env::temp_dir().join(format!("airside-secret-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("password");
        fs::write(&file, " a secret\n").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(from_file(&file).unwrap().expose(), "a secret");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        let exposed = from_file(&file).unwrap_err();
        assert!(matches!(exposed, AccessError::Exposed { .. }));
        assert_eq!(exposed.fault().code(), "TRV-401");
        let missing = from_file(&folder.join("nothing")).unwrap_err();
        assert!(matches!(missing, AccessError::File { .. }));
        fs::remove_dir_all(&folder).unwrap();
        let unset = from_environment("AIRSIDE_TEST_NOT_SET").unwrap_err();
        assert_eq!(unset.fault().code(), "TRV-401");
    }
}
