//! Starts the built binary as its users do, and stops it in every way there is.
//!
//! # Invariants
//!
//! * A [`Node`] that exists has said that it is ready.
//! * No process outlives its `Node`.

use std::{
    fs::File,
    io::{self, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use url::Url;

/// Why there is no node.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The process could not be started or read.
    #[error("cannot run `{}`", binary.display())]
    System {
        /// The binary.
        binary: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The process ended, or closed its output, before it was ready.
    #[error("the node did not become ready; it printed:\n{output}\n{log}")]
    NotReady {
        /// Standard output.
        output: String,
        /// Standard error.
        log: String,
    },
}

/// A running node: the binary with `up` or `serve`, or another server.
#[derive(Debug)]
pub struct Node {
    child: Child,
    url: Url,
    // Kept open: a node that prints must not meet a broken pipe.
    _output: BufReader<ChildStdout>,
}

impl Node {
    /// Runs `airside` with `arguments` and waits until it is ready.
    ///
    /// Standard error goes to `log`.
    ///
    /// # Errors
    ///
    /// When the process cannot be started, or ends before it is ready.
    pub fn start(binary: &Path, arguments: &[&str], log: &Path) -> Result<Self, Error> {
        Self::start_until("ready: ", binary, arguments, log)
    }

    /// Runs any server and waits for a line of `prefix` and a URL.
    ///
    /// # Errors
    ///
    /// As [`Node::start`].
    pub fn start_until(
        prefix: &str,
        binary: &Path,
        arguments: &[&str],
        log: &Path,
    ) -> Result<Self, Error> {
        let system = |source| Error::System {
            binary: binary.to_owned(),
            source,
        };
        let errors = File::create(log).map_err(system)?;
        let mut child = Command::new(binary)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .map_err(system)?;
        let output = child.stdout.take().expect("the output was asked for");
        let mut output = BufReader::new(output);
        match ready(&mut output, prefix).map_err(system)? {
            Ok(url) => Ok(Self {
                child,
                url,
                _output: output,
            }),
            Err(output) => {
                // It may have closed its output and live on.
                let _ = child.kill();
                let _ = child.wait();
                let log = std::fs::read_to_string(log).unwrap_or_default();
                Err(Error::NotReady { output, log })
            }
        }
    }

    /// Returns where the node serves MCP.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Returns the process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends the process without giving it a chance to do anything (SIGKILL).
    ///
    /// # Errors
    ///
    /// When it had ended before.
    pub fn kill(mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    /// Waits until the process has ended.
    ///
    /// # Errors
    ///
    /// When the system cannot tell.
    pub fn wait(mut self) -> io::Result<ExitStatus> {
        self.child.wait()
    }

    /// Asks the process to end (SIGTERM) and waits until it has.
    ///
    /// # Errors
    ///
    /// When it had ended before.
    pub fn terminate(mut self) -> io::Result<ExitStatus> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        self.child.wait()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Both fail if the process has been waited for, which is the aim.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads up to the line that says where the node is, or to the end.
fn ready(output: &mut impl io::BufRead, prefix: &str) -> io::Result<Result<Url, String>> {
    let mut seen = String::new();
    loop {
        let start = seen.len();
        if output.read_line(&mut seen)? == 0 {
            return Ok(Err(seen));
        }
        let url = seen[start..].trim_end().strip_prefix(prefix);
        if let Some(url) = url.and_then(|url| url.parse().ok()) {
            return Ok(Ok(url));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(script: &str) -> Result<Node, Error> {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        Node::start(Path::new("/bin/sh"), &["-c", script], &log)
    }

    const READY: &str = "echo hello; echo ready: http://127.0.0.1:7400/mcp;";

    #[test]
    fn node_is_ready_where_it_says() {
        let node = start(&format!("{READY} exec tail --pid=$PPID -f /dev/null")).unwrap();
        assert_eq!(node.url().as_str(), "http://127.0.0.1:7400/mcp");
        node.kill().unwrap();
    }

    #[test]
    fn node_that_ends_early_tells_what_it_printed() {
        let error = start("echo hello; echo trouble >&2").unwrap_err();
        let text = error.to_string();
        assert!(text.contains("hello") && text.contains("trouble"), "{text}");
    }

    #[test]
    fn node_is_asked_to_end() {
        let script = format!(
            "tail --pid=$PPID -f /dev/null & child=$!; trap 'kill $child; exit 7' TERM; {READY} wait"
        );
        let node = start(&script).unwrap();
        assert_eq!(node.terminate().unwrap().code(), Some(7));
    }
}
