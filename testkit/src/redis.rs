//! A real server that speaks the protocol of Redis, for tests: Debian's
//! `redis-server` as a child process on a free loopback port, without files.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

/// A server.
pub struct Server {
    port: u16,
    process: Option<Child>,
    folder: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Server {
    /// Starts a server.
    ///
    /// # Errors
    ///
    /// When Debian's `redis-server` is not installed or does not start.
    pub fn start() -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut server = Self {
            port,
            process: None,
            folder: tempfile::tempdir()?,
        };
        server.start_again()?;
        Ok(server)
    }

    /// Starts it once more at the same address, with nothing in memory.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub fn start_again(&mut self) -> Result<()> {
        self.kill();
        let child = Command::new("redis-server")
            .args(["--port", &self.port.to_string()])
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .arg("--dir")
            .arg(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start redis-server: install the package of this name")?;
        self.process = Some(child);
        for _ in 0..400 {
            if self.answers() {
                return Ok(());
            }
            std::thread::park_timeout(Duration::from_millis(25));
        }
        bail!("redis-server did not become ready")
    }

    /// Ends it at once, as the loss of its machine would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.process.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Returns its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    fn answers(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else {
            return false;
        };
        let limit = Some(Duration::from_secs(5));
        let mut answer = [0; 7];
        stream.set_read_timeout(limit).is_ok()
            && stream.write_all(b"PING\r\n").is_ok()
            && stream.read_exact(&mut answer).is_ok()
            && &answer == b"+PONG\r\n"
    }
}
