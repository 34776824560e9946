//! How a command ends.
//!
//! # Invariants
//!
//! * Every failure has a code that `airside explain` knows, and ends with a hint.
//! * Exit codes never change their meaning; `docs/exit-codes.md` lists them and a
//!   test compares.

use std::{fmt, io};

use airside_api::client;
use airside_base::{Fault, Kind};
use serde_json::json;

use crate::text::printable;

/// Exit code of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Everything that was asked for is done.
    Done = 0,
    /// It failed for a reason that has no code of its own.
    Failed = 1,
    /// The command line or a tool argument is wrong.
    Usage = 2,
    /// The configuration is refused.
    Config = 3,
    /// No node or endpoint answers.
    NoNode = 4,
    /// The tool, the server or a policy answered with an error.
    Refused = 5,
    /// The ledger does not hold together.
    Broken = 6,
    /// The data folder or the port is in use.
    InUse = 7,
    /// Something is not as it was before.
    Differs = 8,
    /// A limit was reached before the result was known.
    Inconclusive = 9,
    /// Nothing was shown about what was tested.
    Invalid = 10,
}

/// Why a command failed, and its exit code.
pub(crate) struct Failure {
    exit: Exit,
    kind: FailureKind,
}

enum FailureKind {
    Fault(Box<Fault>, Option<String>),
    Rendered(Box<dyn Rendered>),
    BrokenPipe,
}

/// A failure that renders itself, such as a list of problems in a file.
pub(crate) trait Rendered: Send {
    /// As text for people, with hints.
    fn text(&self) -> String;
    /// As a JSON value for programs.
    fn json(&self) -> serde_json::Value;
}

impl Rendered for airside_config::Problems {
    fn text(&self) -> String {
        self.text()
    }

    fn json(&self) -> serde_json::Value {
        self.json()
    }
}

impl Failure {
    pub(crate) fn new(exit: Exit, fault: Fault) -> Self {
        Self {
            exit,
            kind: FailureKind::Fault(Box::new(fault), None),
        }
    }

    /// Adds lines between the message and the hint.
    pub(crate) fn with_detail(mut self, lines: impl fmt::Display) -> Self {
        if let FailureKind::Fault(_, detail) = &mut self.kind {
            let former = detail
                .take()
                .map(|former| former + "\n")
                .unwrap_or_default();
            *detail = Some(format!("{former}{lines}"));
        }
        self
    }

    pub(crate) fn rendered(exit: Exit, what: impl Rendered + 'static) -> Self {
        Self {
            exit,
            kind: FailureKind::Rendered(Box::new(what)),
        }
    }

    /// The reader of standard output has gone: the usual end of `airside … | head`.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self.kind, FailureKind::BrokenPipe)
    }

    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// Returns the text for standard error.
    pub(crate) fn text(&self) -> String {
        match &self.kind {
            FailureKind::Fault(fault, detail) => {
                let code = fault.code();
                let mut text = format!("error[{code}]: {}\n", printable(fault.public()));
                if let Some(detail) = detail {
                    text.push_str(detail.trim_end());
                    text.push('\n');
                }
                let general = format!("airside explain {code}");
                let hint = fault.hint().unwrap_or(&general);
                text.push_str(&format!("hint: {}\n", printable(hint)));
                text
            }
            FailureKind::Rendered(what) => what.text(),
            FailureKind::BrokenPipe => String::new(),
        }
    }

    /// Returns one JSON object for standard error.
    pub(crate) fn json(&self) -> serde_json::Value {
        match &self.kind {
            FailureKind::Fault(fault, detail) => json!({"error": {
                "code": fault.code(),
                "message": fault.public(),
                "detail": detail,
                "hint": fault.hint(),
            }}),
            FailureKind::Rendered(what) => what.json(),
            FailureKind::BrokenPipe => serde_json::Value::Null,
        }
    }
}

impl From<io::Error> for Failure {
    /// Takes an error of writing results.
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self {
                exit: Exit::Done,
                kind: FailureKind::BrokenPipe,
            };
        }
        let fault = Fault::new(
            Kind::Unavailable,
            "CLI-016",
            format!("the result cannot be written: {error}"),
        );
        Self::new(
            Exit::Failed,
            fault.with_hint("check where standard output goes"),
        )
    }
}

impl From<client::Error> for Failure {
    fn from(error: client::Error) -> Self {
        let hint = "start one with `airside up`, or name its folder with --data-dir";
        let (exit, kind, code, hint) = match &error {
            client::Error::NotRunning { .. } => {
                (Exit::NoNode, Kind::Unavailable, "CLI-001", hint.to_owned())
            }
            client::Error::Refused(problem) => {
                let general = || format!("airside explain {}", problem.code);
                let hint = problem.hint.clone().unwrap_or_else(general);
                (Exit::Refused, Kind::Forbidden, "CLI-002", hint)
            }
            client::Error::Unreadable(_) => (
                Exit::Failed,
                Kind::Unavailable,
                "CLI-003",
                "the node may have stopped, or runs another version; see its log".to_owned(),
            ),
        };
        Self::new(
            exit,
            Fault::new(kind, code, error.to_string()).with_hint(hint),
        )
    }
}
