//! Rule files, as people write them.

use std::collections::BTreeMap;

use airside_base::Severity;
use ast_grep_config::SerializableRule;
use serde::Deserialize;

use crate::{finding::Certainty, source::Language};

/// One rule.
///
/// Unknown keys are errors: a rule with an operator that is not understood would find
/// something else than its author meant.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct File {
    pub(super) id: String,
    pub(super) languages: Vec<Language>,
    /// The sort of weakness, such as `command-injection`.
    pub(super) class: String,
    #[serde(default)]
    pub(super) cwe: Option<String>,
    pub(super) severity: Severity,
    pub(super) message: String,
    /// What to do instead.
    #[serde(default)]
    pub(super) help: Option<String>,
    /// Where values from outside must not arrive.
    #[serde(default)]
    pub(super) flow: Option<Flow>,
    /// What two parts of a server have to have in common.
    #[serde(default)]
    pub(super) same: Option<Same>,
    /// A pattern of the syntax, as ast-grep has it.
    #[serde(default)]
    pub(super) rule: Option<SerializableRule>,
    #[serde(default)]
    pub(super) constraints: Option<std::collections::HashMap<String, SerializableRule>>,
    #[serde(default)]
    pub(super) utils: Option<std::collections::HashMap<String, SerializableRule>>,
    /// How sure a match of the pattern is.
    #[serde(default)]
    pub(super) certainty: Option<Certainty>,
    /// Words of which a file must hold one to be looked at with the pattern.
    #[serde(default)]
    pub(super) words: Vec<String>,
    /// Words of which none may be in the file.
    #[serde(default)]
    pub(super) without: Vec<String>,
    /// Whether files of tests count as well.
    #[serde(default)]
    pub(super) in_tests: bool,
    /// Programs in which it must be found.
    pub(super) invalid: Vec<String>,
    /// Programs in which it must not.
    pub(super) valid: Vec<String>,
}

/// What two parts of a server have to have in common.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Same {
    /// What the handler that lists tools asks before it shows one, the handler that calls
    /// tools asks before it runs one.
    ToolGuards,
}

/// Where values from outside must not arrive.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Flow {
    /// Where the values come from.
    #[serde(default)]
    pub(super) from: From,
    pub(super) sinks: Vec<Sink>,
    /// Calls whose result is clean of this class.
    #[serde(default)]
    pub(super) cleaners: Vec<String>,
    /// A class that a value must have been checked for on its way: what comes after the check
    /// is looked for.
    #[serde(default)]
    pub(super) checked: Option<String>,
    /// How sure it is if the value is an argument of a public function that nobody calls.
    #[serde(default)]
    pub(super) public: Option<Certainty>,
    /// How sure it is if the value is not known at all.
    #[serde(default)]
    pub(super) unknown: Option<Certainty>,
}

/// Where values come from that must not arrive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum From {
    /// Clients choose them.
    #[default]
    Clients,
    /// Servers that clients choose answered with them.
    Answers,
}

/// A call that a value must not arrive at.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Sink {
    /// Dotted paths; `**.name` is a method of anything.
    pub(super) call: Vec<String>,
    /// Places or names of the arguments; all of them unless given. `1+` is from there on,
    /// `0.0` what a list begins with, `0.command` a member.
    #[serde(default)]
    pub(super) arguments: Vec<String>,
    /// Arguments that must be these constants: `shell: "true"`, `0: "sh|bash"`.
    #[serde(default)]
    pub(super) when: BTreeMap<String, String>,
    /// Arguments that must not be these constants.
    #[serde(default)]
    pub(super) unless: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) shape: Shape,
}

/// How a value must stand in an argument.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Shape {
    /// Anyhow.
    #[default]
    Any,
    /// As a part of a longer text.
    Part,
    /// As all of the text.
    Whole,
    /// At the beginning.
    First,
    /// In the host of an address, or before it.
    Host,
    /// In the text of a statement of a database, behind a word of one.
    Statement,
    /// Without a mark in front that it is data.
    Unmarked,
    /// At the beginning of what the system opens: an address whose protocol or host was
    /// checked does no harm there.
    Opened,
    /// In a text that begins as a command line does: with the name of a program.
    Command,
    /// As a part of a page, behind a tag.
    Markup,
    /// In the path of an address whose host is known.
    Behind,
}

impl Shape {
    /// Returns the one with this number.
    pub(crate) fn of(number: u8) -> Option<Self> {
        const ALL: [Shape; 11] = [
            Shape::Any,
            Shape::Part,
            Shape::Whole,
            Shape::First,
            Shape::Host,
            Shape::Statement,
            Shape::Unmarked,
            Shape::Opened,
            Shape::Command,
            Shape::Markup,
            Shape::Behind,
        ];
        ALL.into_iter().find(|one| *one as u8 == number)
    }
}
