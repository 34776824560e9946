//! The Unix socket in the data folder.
//!
//! # Invariants
//!
//! * Only the process that holds the ledger's lock binds, so a socket file that
//!   is already there belongs to a process that is gone and may be replaced.

use std::{
    fs, io,
    os::{
        fd::AsRawFd as _,
        unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    },
    path::{Path, PathBuf},
};

use tokio::net::{UnixListener, UnixStream};

/// File name of the socket in the data folder.
pub const NAME: &str = "control.sock";

/// Longest address of a Unix socket on Linux, without its final zero (unix(7)).
const MAX_PATH: usize = 107;

/// A bound control socket. Its file goes away with it.
#[derive(Debug)]
pub struct Socket {
    pub(crate) listener: UnixListener,
    pub(crate) file: Guard,
}

/// Removes the socket file when dropped.
#[derive(Debug)]
pub(crate) struct Guard(PathBuf);

impl Drop for Guard {
    fn drop(&mut self) {
        // Nothing to do about a failure: the next node replaces the file.
        let _ = fs::remove_file(&self.0);
    }
}

/// Binds the socket in `folder`, replacing one that a killed node left behind.
///
/// The caller holds the lock of the ledger in `folder`.
///
/// # Errors
///
/// When the folder cannot be written.
pub fn bind(folder: &Path) -> io::Result<Socket> {
    let path = folder.join(NAME);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let short = Short::of(folder)?;
    let listener = UnixListener::bind(short.path())?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    Ok(Socket {
        listener,
        file: Guard(path),
    })
}

/// Connects to the node that serves `folder`.
///
/// # Errors
///
/// [`io::ErrorKind::NotFound`] or [`io::ErrorKind::ConnectionRefused`] when none runs.
pub async fn connect(folder: &Path) -> io::Result<UnixStream> {
    let short = Short::of(folder)?;
    UnixStream::connect(short.path()).await
}

/// A name for the socket that is short enough for the kernel: deep folders are
/// reached through an open handle.
struct Short {
    path: PathBuf,
    _folder: Option<fs::File>,
}

impl Short {
    fn of(folder: &Path) -> io::Result<Self> {
        let path = folder.join(NAME);
        if path.as_os_str().as_bytes().len() <= MAX_PATH {
            return Ok(Self {
                path,
                _folder: None,
            });
        }
        let folder = fs::File::open(folder)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}/{NAME}", folder.as_raw_fd()));
        Ok(Self {
            path,
            _folder: Some(folder),
        })
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn deep_folders_have_a_socket_too() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("d".repeat(120));
        fs::create_dir(&deep).unwrap();
        let socket = bind(&deep).unwrap();
        connect(&deep).await.unwrap();
        let mode = fs::metadata(deep.join(NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        drop(socket);
        assert!(!deep.join(NAME).exists());
    }

    #[tokio::test]
    async fn stale_socket_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        // Binding without the guard leaves the file behind, as kill -9 does.
        drop(std::os::unix::net::UnixListener::bind(folder.path().join(NAME)).unwrap());
        let refused = connect(folder.path()).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        let _socket = bind(folder.path()).unwrap();
        connect(folder.path()).await.unwrap();
    }
}
