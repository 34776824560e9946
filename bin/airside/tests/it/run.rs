//! Runs the binary and reads what it printed.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use airside_testkit::harness::Node;
use tempfile::TempDir;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_airside");

/// What a command printed and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: Option<i32>,
}

impl Ran {
    fn of(output: Output) -> Self {
        Self {
            stdout: String::from_utf8(output.stdout).expect("results are UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("messages are UTF-8"),
            code: output.status.code(),
        }
    }

    /// Returns standard output as one JSON value.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Returns standard output, having seen that the command succeeded.
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout
    }
}

/// A folder of a test, with a data folder in it.
pub(crate) struct Place {
    root: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().expect("a temporary folder can be made");
        Self { root }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(crate) fn data(&self) -> String {
        self.path("data").display().to_string()
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.path("log")
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).expect("the folder can be written");
        path
    }

    /// Runs a command to its end, in this folder and without the user's settings.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, "")
    }

    /// Runs a command that reads `input`.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &str) -> Ran {
        let mut child = command(self.root.path(), arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut stdin = child.stdin.take().expect("standard input is piped");
        // A command that reads nothing may have ended.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        Ran::of(child.wait_with_output().expect("the binary ends"))
    }

    /// Runs a command that does not end by itself until it prints a line with
    /// `text`. Bounded by the limit that the test runner sets.
    pub(crate) fn until(&self, arguments: &[&str], text: &str) {
        let mut child = command(self.root.path(), arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts");
        let lines = BufReader::new(child.stdout.take().expect("standard output is piped"));
        let found = lines
            .lines()
            .map_while(Result::ok)
            .any(|line| line.contains(text));
        child.kill().expect("the command runs");
        child.wait().expect("the command ends");
        assert!(found, "{arguments:?} never printed {text:?}");
    }

    /// Starts `airside up` on the data folder and any port.
    pub(crate) fn up(&self) -> Node {
        let data = self.data();
        let arguments = ["up", "--data-dir", &data, "--port", "0"];
        Node::start(Path::new(BINARY), &arguments, &self.log()).expect("the node starts")
    }
}

/// The binary with `arguments`, without settings of the user.
pub(crate) fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(arguments).current_dir(folder);
    for variable in [
        "RUST_LOG",
        "AIRSIDE_DATA_DIR",
        "AIRSIDE_KEY_FILE",
        "AIRSIDE_LOG_FORMAT",
    ] {
        command.env_remove(variable);
    }
    command
}
