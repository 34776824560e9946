//! A real PostgreSQL for tests: Debian's server as a child process, one database
//! for each test.
//!
//! `AIRSIDE_TEST_POSTGRES` names a server that is already running, as the URL of
//! a role that may create databases and roles; without it a private one is
//! started on a free loopback port and stopped when the value is dropped.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

mod kept;

pub use self::kept::Kept;

/// The server's files within its folder.
const DATA: &str = "data";
/// The role that Airside runs as in tests.
pub const ROLE: &str = "airside_node";

/// A server.
pub struct Server {
    url: String,
    // Dropped in this order: the process first, then its files.
    _process: Option<Process>,
    _folder: Option<TempDir>,
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // The children of the server end with it. SIGKILL would leave them.
        let _ = Command::new("kill")
            .args(["-INT", &self.0.id().to_string()])
            .status();
        let _ = self.0.wait();
    }
}

impl Server {
    /// Returns the server that the environment names, or starts one.
    ///
    /// # Errors
    ///
    /// When none is named and Debian's `postgresql` is not installed or does not
    /// start.
    pub fn start() -> Result<Self> {
        match std::env::var("AIRSIDE_TEST_POSTGRES") {
            Ok(url) => Self {
                url,
                _process: None,
                _folder: None,
            }
            .with_role(),
            Err(_) => Self::private(),
        }
    }

    /// Starts a server of its own, also where the environment names one: it sees what
    /// this process has mounted, and may be damaged.
    ///
    /// # Errors
    ///
    /// When Debian's `postgresql` is not installed or does not start.
    pub fn private() -> Result<Self> {
        Self::start_private()?.with_role()
    }

    fn with_role(self) -> Result<Self> {
        let make_role = format!(
            "DO $$ BEGIN
                 PERFORM pg_advisory_xact_lock(1);
                 IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = '{ROLE}') THEN
                     CREATE ROLE {ROLE} LOGIN;
                 END IF;
             END $$"
        );
        self.run(&make_role)?;
        Ok(self)
    }

    fn start_private() -> Result<Self> {
        let folder = own_folder()?;
        make_data(&folder)?;
        Self::serve(folder, &[])
    }

    /// Serves the data in `folder`, with `settings` beside the usual ones.
    fn serve(folder: TempDir, settings: &[&str]) -> Result<Self> {
        let (programs, as_root) = (programs()?, is_root());
        let data = folder.path().join(DATA);
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let log = fs::File::create(folder.path().join("log"))?;
        let child = user_command(&programs.join("postgres"), as_root)
            .arg("-D")
            .arg(&data)
            .args(["-p", &port.to_string(), "-h", "127.0.0.1", "-k", ""])
            // No test pulls the plug, and a sync costs milliseconds on a busy disk.
            .args(["-c", "max_connections=200", "-c", "fsync=off"])
            .args(settings.iter().flat_map(|setting| ["-c", setting]))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start postgres")?;
        let mut process = Process(child);
        // `pg_isready` waits by itself; its limit bounds each try.
        for _ in 0..100 {
            let mut ready = Command::new(programs.join("pg_isready"));
            ready.args(["-q", "-h", "127.0.0.1", "-p", &port.to_string(), "-t", "5"]);
            if ready.status()?.success() {
                let url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
                return Ok(Self {
                    url,
                    _process: Some(process),
                    _folder: Some(folder),
                });
            }
            if let Some(status) = process.0.try_wait()? {
                let log = fs::read_to_string(folder.path().join("log"))?;
                bail!("postgres ended with {status}: {log}");
            }
            std::thread::park_timeout(std::time::Duration::from_millis(50));
        }
        bail!("postgres did not become ready");
    }

    /// Makes an empty database of its own for one test.
    ///
    /// # Errors
    ///
    /// When the server refuses.
    pub fn database(&self, name: &str) -> Result<Database> {
        ensure!(
            name.bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        );
        let name = format!("{name}_{}", std::process::id());
        self.run(&format!("DROP DATABASE IF EXISTS {name}"))?;
        self.run(&format!("CREATE DATABASE {name}"))?;
        Ok(self.addressed(&name))
    }

    fn addressed(&self, name: &str) -> Database {
        let base = self
            .url
            .rsplit_once('/')
            .map_or(&*self.url, |(base, _)| base);
        let (scheme, rest) = base.split_once("://").unwrap_or(("postgres", base));
        let address = rest.rsplit_once('@').map_or(rest, |(_, address)| address);
        Database {
            owner_url: format!("{base}/{name}"),
            url: format!("{scheme}://{ROLE}@{address}/{name}"),
        }
    }

    /// Returns the database with the name of `other`, which is on another server.
    #[must_use]
    pub fn named(&self, other: &Database) -> Database {
        self.addressed(other.name())
    }

    /// Removes a database again.
    ///
    /// # Errors
    ///
    /// When somebody uses it or the server refuses.
    pub fn drop_database(&self, database: &Database) -> Result<()> {
        self.run(&format!("DROP DATABASE {}", database.name()))
    }

    /// Gives a folder to the user that the server runs as.
    ///
    /// # Errors
    ///
    /// When this process may not.
    pub fn give(&self, folder: &Path) -> Result<()> {
        give(folder)
    }

    /// Runs one statement as the server's administrator.
    ///
    /// # Errors
    ///
    /// When the server refuses.
    pub fn run(&self, sql: &str) -> Result<()> {
        psql(&self.url, sql)
    }
}

/// One database.
pub struct Database {
    /// For the owner, who makes tables and may damage them.
    pub owner_url: String,
    /// For the role that Airside runs as.
    pub url: String,
}

impl Database {
    /// Returns its name.
    #[must_use]
    pub fn name(&self) -> &str {
        let (_, name) = self
            .url
            .rsplit_once('/')
            .expect("made by `Server::database`");
        name
    }

    /// Runs one statement as the owner.
    ///
    /// # Errors
    ///
    /// When the server refuses.
    pub fn run(&self, sql: &str) -> Result<()> {
        psql(&self.owner_url, sql)
    }

    /// Runs one statement as the role that Airside runs as.
    ///
    /// # Errors
    ///
    /// When the server refuses.
    pub fn run_as_node(&self, sql: &str) -> Result<()> {
        psql(&self.url, sql)
    }
}

/// A session of the owner that lasts until it is dropped, with what it has locked.
pub struct Session {
    process: Child,
}

impl Drop for Session {
    fn drop(&mut self) {
        // Both fail if it has ended, which is the aim.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Database {
    /// Runs `sql` as the owner in a session that stays.
    ///
    /// # Errors
    ///
    /// When the server refuses.
    pub fn session(&self, sql: &str) -> Result<Session> {
        let mut process = Command::new(programs()?.join("psql"))
            .args(["-X", "-q", "-v", "ON_ERROR_STOP=1"])
            .arg(&self.owner_url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (input, output) = (process.stdin.as_mut(), process.stdout.take());
        let input = input.context("standard input is piped")?;
        writeln!(input, "{sql};\n\\echo done")?;
        input.flush()?;
        let output = BufReader::new(output.context("standard output is piped")?);
        let done = output
            .lines()
            .map_while(Result::ok)
            .any(|line| line == "done");
        let session = Session { process };
        ensure!(done, "the session ended: {sql}");
        Ok(session)
    }
}

/// A folder that belongs to the user that the server runs as.
fn own_folder() -> Result<TempDir> {
    let folder = tempfile::Builder::new()
        .prefix("airside-postgres-")
        .tempdir()?;
    give(folder.path())?;
    Ok(folder)
}

fn make_data(folder: &TempDir) -> Result<()> {
    let options = ["--no-sync", "--no-instructions", "-A", "trust"];
    let server = ["-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8"];
    run(user_command(&programs()?.join("initdb"), is_root())
        .args(options)
        .args(server)
        .arg("-D")
        .arg(folder.path().join(DATA)))
}

/// Gives `folder` to the user that the server runs as.
fn give(folder: &Path) -> Result<()> {
    if !is_root() {
        return Ok(());
    }
    run(Command::new("chown").arg("postgres").arg(folder))
}

fn psql(url: &str, sql: &str) -> Result<()> {
    run(Command::new(programs()?.join("psql"))
        .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", sql, url])
        .stdin(Stdio::null()))
}

fn run(command: &mut Command) -> Result<()> {
    let output = command
        .output()
        .with_context(|| format!("cannot run {command:?}"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} failed: {text}");
    Ok(())
}

/// The newest of Debian's server versions that are installed.
fn programs() -> Result<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql")
        .context("PostgreSQL is not installed: apt-get install postgresql")?;
    let mut found: Vec<(u32, PathBuf)> = Vec::new();
    for version in versions {
        let path = version?.path();
        let number = path
            .file_name()
            .and_then(|name| name.to_str()?.parse().ok());
        if let Some(number) = number.filter(|_| path.join("bin/postgres").exists()) {
            found.push((number, path.join("bin")));
        }
    }
    let newest = found.into_iter().max();
    newest
        .map(|(_, path)| path)
        .context("no server in /usr/lib/postgresql")
}

/// The server refuses to run as root.
fn user_command(program: &Path, as_root: bool) -> Command {
    if !as_root {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args([
            "--reuid=postgres",
            "--regid=postgres",
            "--clear-groups",
            "--",
        ])
        .arg(program)
        .current_dir("/");
    command
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
