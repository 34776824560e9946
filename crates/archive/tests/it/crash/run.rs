//! One run: where it takes place, its processes, its judge.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    os::unix::{fs::PermissionsExt as _, process::ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use airside_base::Redacted;
use airside_ledger::{keys::postgres::PostgresKeys, stores::postgres::Postgres};
use airside_testkit::postgres::{Database, ROLE, Server};
use tempfile::TempDir;

use super::{
    judge::{Judge, Outcome, Told},
    node::Home,
    plan::{Backend, End, Fault, Plan},
};

/// Largest file of a node whose file system cannot be made small, in blocks of 512
/// bytes.
const MAX_FILE: u32 = 2048;
/// A file system that fills up within a run, and the same with room again.
const SMALL: &str = "size=2m";
const LARGE: &str = "remount,size=256m";

/// What a worker has for all its runs.
pub(crate) struct Ground {
    folder: TempDir,
    may_mount: bool,
    database: OnceLock<(Server, Database)>,
    /// A server that sees what this worker mounts.
    own: OnceLock<(Server, Database)>,
}

impl Ground {
    pub(crate) fn new(may_mount: bool) -> Self {
        // What a process has written outlives it in memory as on a disk: runs need none.
        let memory = Path::new("/dev/shm");
        let mut builder = tempfile::Builder::new();
        builder.prefix("airside-crash-");
        let folder = builder.tempdir_in(memory).or_else(|_| builder.tempdir());
        let folder = folder.unwrap();
        // The database server is another user.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Self {
            folder,
            may_mount,
            database: OnceLock::new(),
            own: OnceLock::new(),
        }
    }

    fn database(&self, full: bool) -> &(Server, Database) {
        let (cell, name) = match full {
            true => (&self.own, "crash_full"),
            false => (&self.database, "crash"),
        };
        cell.get_or_init(|| {
            let server = if full {
                Server::private()
            } else {
                Server::start()
            };
            let server = server.unwrap();
            let database = server.database(name).unwrap();
            (server, database)
        })
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if let Some((server, database)) = self.database.get() {
            // A server that others started keeps nothing of this.
            let _ = server.drop_database(database);
        }
    }
}

fn must(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status().unwrap();
    assert!(status.success(), "{program} {arguments:?}: {status}");
}

/// A small file system; gone when dropped.
struct Mount(PathBuf);

impl Mount {
    fn small(at: PathBuf) -> Self {
        fs::create_dir_all(&at).unwrap();
        must(
            "mount",
            &["-t", "tmpfs", "-o", SMALL, "none", at.to_str().unwrap()],
        );
        Self(at)
    }

    fn grow(&self) {
        must("mount", &["-o", LARGE, self.0.to_str().unwrap()]);
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Where one run takes place.
struct Place<'a> {
    home: Home,
    mount: Option<Mount>,
    full: Option<&'a (Server, Database)>,
}

impl<'a> Place<'a> {
    async fn new(ground: &'a Ground, plan: Plan) -> Self {
        let folder = ground.folder.path().join(plan.seed.to_string());
        fs::create_dir_all(&folder).unwrap();
        let full = plan.fault == Fault::Full && ground.may_mount;
        let mut place = Self {
            home: Home {
                folder: folder.clone(),
                database: None,
            },
            mount: None,
            full: None,
        };
        for part in [place.home.objects(), place.home.late()] {
            fs::create_dir(part).unwrap();
        }
        match plan.backend {
            Backend::Sqlite if full => place.mount = Some(Mount::small(place.home.node(0))),
            Backend::Sqlite => {}
            Backend::Postgres => {
                let held = ground.database(full);
                let (server, database) = held;
                if full {
                    let mount = Mount::small(folder.join("tables"));
                    let tables = mount.0.join("space");
                    fs::create_dir(&tables).unwrap();
                    let path = tables.to_str().unwrap().to_owned();
                    server.give(&tables).unwrap();
                    server
                        .run(&format!("CREATE TABLESPACE small LOCATION '{path}'"))
                        .unwrap();
                    let name = database.name();
                    let here = format!("ALTER DATABASE {name} SET default_tablespace = small");
                    server.run(&here).unwrap();
                    (place.mount, place.full) = (Some(mount), Some(held));
                }
                let owner = Redacted::new(database.owner_url.clone());
                Postgres::initialize(&owner, ROLE).await.unwrap();
                PostgresKeys::initialize(&owner, ROLE).await.unwrap();
                place.home.database = Some(database.url.clone());
            }
        }
        place
    }

    /// Removes everything; also when a judge has panicked there is nothing to keep.
    fn clear(self, ground: &Ground) {
        if self.home.database.is_some() {
            let (server, database) = ground.database(self.full.is_some());
            let schemas = "DROP SCHEMA airside, airside_keys CASCADE";
            database.run(schemas).unwrap();
            if self.full.is_some() {
                let name = database.name();
                server
                    .run(&format!("ALTER DATABASE {name} RESET default_tablespace"))
                    .unwrap();
                server.run("DROP TABLESPACE small").unwrap();
            }
        }
        drop(self.mount);
        fs::remove_dir_all(&self.home.folder).unwrap();
    }
}

/// Runs `plan` and returns what it came to.
pub(crate) fn run(ground: &Ground, plan: Plan) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let place = runtime.block_on(Place::new(ground, plan));
    let home = &place.home;
    let lived: Vec<_> = std::thread::scope(|scope| {
        let nodes: Vec<_> = (0..plan.writers())
            .map(|writer| scope.spawn(move || live(ground, plan, writer, home)))
            .collect();
        nodes.into_iter().map(|node| node.join().unwrap()).collect()
    });
    let mut told = Told::default();
    let mut outcome = Outcome {
        seed: plan.seed,
        ..Outcome::default()
    };
    for (heard, killed, wrong) in lived {
        outcome.killed += usize::from(killed);
        outcome.ended += usize::from(!killed);
        outcome.wrong.extend(wrong);
        told.join(heard);
    }
    if let Some(mount) = &place.mount {
        mount.grow();
    }
    let judge = Judge {
        plan,
        home: &place.home,
        told: &told,
        outcome,
    };
    let outcome = runtime.block_on(judge.judge());
    drop(runtime);
    place.clear(ground);
    outcome
}

/// The command of one node.
fn node(ground: &Ground, plan: Plan, writer: u64, home: &Home) -> Command {
    let mut command = super::again("node");
    let limited = plan.fault == Fault::Full && !ground.may_mount;
    if limited && plan.backend == Backend::Sqlite {
        let mut shell = Command::new("sh");
        // Writing past the limit is an error then, and not the end of the process.
        let script = format!("trap '' XFSZ; ulimit -f {MAX_FILE}; exec \"$0\" \"$@\"");
        shell
            .arg("-c")
            .arg(script)
            .arg(command.get_program())
            .args(command.get_args());
        for (name, value) in command.get_envs() {
            shell.env(name, value.unwrap_or_default());
        }
        shell.stdin(Stdio::null()).stdout(Stdio::piped());
        command = shell;
    }
    command
        .env("AIRSIDE_CRASH_SEED", plan.seed.to_string())
        .env("AIRSIDE_CRASH_WRITER", writer.to_string())
        .env("AIRSIDE_CRASH_FOLDER", &home.folder)
        .stderr(File::create(errors_of(home, writer)).unwrap());
    if limited && plan.backend == Backend::Postgres {
        command.env("AIRSIDE_CRASH_SAY_FULL", "1");
    }
    if let Some(database) = &home.database {
        command.env("AIRSIDE_CRASH_DATABASE", database);
    }
    command
}

fn errors_of(home: &Home, writer: u64) -> PathBuf {
    home.folder.join(format!("errors-{writer}"))
}

/// Lets one node live to its end; returns what it told, whether it was killed, and
/// what was wrong with its end.
fn live(ground: &Ground, plan: Plan, writer: u64, home: &Home) -> (Told, bool, Option<String>) {
    let mut child = node(ground, plan, writer, home).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let (mut told, mut heard, mut line) = (Told::default(), 0, String::new());
    while output.read_line(&mut line).unwrap() > 0 {
        // The last line may be cut: what was not printed whole was not told.
        if line.ends_with('\n') {
            told.hear(line.trim_end());
        }
        line.clear();
        heard += 1;
        if matches!(plan.end, End::After { lines } if lines == heard) {
            child.kill().unwrap();
        }
    }
    let status = child.wait().unwrap();
    let killed = status.signal() == Some(9);
    let wrong = (!killed && !status.success()).then(|| {
        let errors = fs::read_to_string(errors_of(home, writer)).unwrap_or_default();
        format!("node {writer} ended with {status}: {}", errors.trim())
    });
    (told, killed, wrong)
}
