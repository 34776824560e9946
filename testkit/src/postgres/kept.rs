//! A server whose log is kept, so that PostgreSQL itself can bring it back.

use std::{fs, process::Command};

use anyhow::{Result, ensure};
use tempfile::TempDir;

use super::{DATA, Server, is_root, make_data, own_folder, programs, run, user_command};

/// A server with archiving of its log and, in time, a base backup.
pub struct Kept {
    server: Option<Server>,
    /// Log and backup.
    folder: TempDir,
}

impl Kept {
    /// Starts a private server that copies its log away.
    ///
    /// # Errors
    ///
    /// As [`Server::start`].
    pub fn start() -> Result<Self> {
        let (data, folder) = (own_folder()?, own_folder()?);
        make_data(&data)?;
        let archive = format!(
            "archive_command=test ! -f {0}/%f && cp %p {0}/%f",
            folder.path().display()
        );
        let settings = ["wal_level=replica", "archive_mode=on", &archive];
        let server = Server::serve(data, &settings)?.with_role()?;
        Ok(Self {
            server: Some(server),
            folder,
        })
    }

    /// Returns the server.
    ///
    /// # Panics
    ///
    /// After [`Kept::stop`].
    #[must_use]
    pub fn server(&self) -> &Server {
        self.server.as_ref().expect("it has not been stopped")
    }

    /// Takes a base backup (`pg_basebackup`).
    ///
    /// # Errors
    ///
    /// When that fails.
    pub fn back_up(&self) -> Result<()> {
        run(user_command(&programs()?.join("pg_basebackup"), is_root())
            .args(["--checkpoint=fast", "--no-sync", "-X", "none", "-D"])
            .arg(self.folder.path().join("base"))
            .arg("-d")
            .arg(&self.server().url))
    }

    /// Stops the server, which copies the rest of its log away.
    pub fn stop(&mut self) {
        drop(self.server.take());
    }

    /// Starts a server from the base backup and the log up to `target`, a setting such
    /// as `recovery_target_time=…`.
    ///
    /// # Errors
    ///
    /// When there is no backup, or the log does not reach that far.
    pub fn recover(&self, target: &str) -> Result<Server> {
        let folder = own_folder()?;
        let data = folder.path().join(DATA);
        let base = self.folder.path().join("base");
        ensure!(base.exists(), "there is no base backup");
        run(Command::new("cp").arg("-a").arg(&base).arg(&data))?;
        fs::write(data.join("recovery.signal"), "")?;
        let restore = format!("restore_command=cp {}/%f %p", self.folder.path().display());
        // Nobody is let in before the target is reached.
        let settings = [
            &restore,
            target,
            "recovery_target_action=promote",
            "hot_standby=off",
        ];
        Server::serve(folder, &settings)
    }
}
