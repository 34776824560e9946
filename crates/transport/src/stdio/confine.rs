//! Takes the network away from a child process.
//!
//! # Invariants
//!
//! * The process starts in a network namespace of its own, which has nothing but an
//!   interface that is down: it reaches no address, not even one of this machine. What it
//!   starts is in there, too.
//! * Where the kernel does not allow that, it is not started.

use std::{path::Path, process::Command};

/// Where the program that does it may be (util-linux).
const PLACES: [&str; 3] = ["/usr/bin/unshare", "/bin/unshare", "/usr/local/bin/unshare"];
/// A user namespace is what allows it to somebody who is not root.
const FLAGS: [&str; 4] = ["--user", "--map-current-user", "--net", "--"];

/// Why a process cannot be kept from the network.
#[derive(Debug, thiserror::Error)]
pub enum ConfineError {
    /// There is no `unshare`.
    #[error("`unshare` of util-linux is not installed")]
    Missing,
    /// It could not be started.
    #[error("`unshare` cannot be started")]
    Start(#[from] std::io::Error),
    /// The kernel refuses.
    #[error("the kernel does not allow a network namespace: {said}")]
    Refused {
        /// What was said on standard error.
        said: String,
    },
}

/// Returns the command that runs `program` without a network, after it was tried.
///
/// # Errors
///
/// When this machine cannot take the network from a process.
pub fn without_network(
    program: &str,
    arguments: &[String],
) -> Result<(String, Vec<String>), ConfineError> {
    let unshare = PLACES.into_iter().find(|place| Path::new(place).exists());
    let unshare = unshare.ok_or(ConfineError::Missing)?;
    let tried = Command::new(unshare).args(FLAGS).arg("true").output()?;
    if !tried.status.success() {
        let said = String::from_utf8_lossy(&tried.stderr);
        let said = said.trim().chars().take(200).collect();
        return Err(ConfineError::Refused { said });
    }
    let mut all: Vec<String> = FLAGS.iter().map(ToString::to_string).collect();
    all.push(program.to_owned());
    all.extend_from_slice(arguments);
    Ok((unshare.to_owned(), all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn process_without_a_network_sees_no_interface_that_is_up() {
        let script = "cat /proc/net/route /proc/net/ipv6_route; echo done";
        let command = without_network("sh", &["-c".to_owned(), script.to_owned()]);
        match command {
            Ok((program, arguments)) => {
                let output = Command::new(program).args(arguments).output().unwrap();
                let said = String::from_utf8(output.stdout).unwrap();
                let routes = said.lines().filter(|line| !line.starts_with("Iface"));
                let routes: Vec<_> = routes.filter(|line| !line.ends_with(" lo")).collect();
                assert_eq!(routes, ["done"], "{said}");
            }
            // A container may refuse; then it is said so.
            Err(error) => assert!(matches!(error, ConfineError::Refused { .. }), "{error}"),
        }
    }
}
