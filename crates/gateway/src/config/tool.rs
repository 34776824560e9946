//! What the operator says about tools, for policies.

use std::fmt;

use airside_base::ServerId;
use airside_policy::{ArgumentKind, Declared};
use schemars::JsonSchema;
use serde::Deserialize;

/// What policies are to know about a tool of an upstream server.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Tool {
    /// Name of the `[[upstream]]`.
    pub upstream: ServerId,
    /// Name of the tool, as its server says it. Without it, all tools, resources and
    /// prompts of the server; a table with a name adds to that.
    #[serde(default)]
    pub name: Option<String>,
    /// Labels that policies read as `resource.labels`: 1 to 64 of `a-z`, `0-9`, `-`,
    /// `_` and `.`. These mean something to Airside: `reads-untrusted`,
    /// `reads-private`, `external-sink`, `trusted`, `approval`, `operator-approval`.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub labels: Vec<Label>,
    /// How much harm it would do if what it works on leaked. `internal` unless given.
    #[serde(default)]
    pub sensitivity: Option<Sensitivity>,
    /// Arguments that policies may compare, each `[[tool.argument]]`.
    #[serde(default)]
    pub argument: Vec<Argument>,
}

/// An argument that policies read as `context.arguments.<name>`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Argument {
    /// Its name in policies, of `a-z`, `0-9` and `_`. Arguments of several tools may
    /// share a name if they share the type.
    pub name: String,
    /// Where it stands in the arguments of a call, as a JSON Pointer such as
    /// `/payment/total`.
    #[schemars(with = "String")]
    pub pointer: Pointer,
    /// What it is. A call whose value is something else is refused.
    #[serde(rename = "type")]
    pub kind: ArgumentType,
    /// For `decimal`: digits behind the point. 10.50 with 2 is 1050 in policies.
    #[serde(default)]
    #[schemars(range(max = 9))]
    pub digits: u8,
    /// Whether a text may stand in the ledger. Only for closed sets such as markets or
    /// currencies, never for what persons wrote. Numbers and flags always stand there.
    #[serde(default)]
    pub record: bool,
}

/// The type of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ArgumentType {
    /// A whole number.
    Integer,
    /// A number with a point, as number or text.
    Decimal,
    /// A text of at most 512 bytes.
    Text,
    /// True or false.
    Flag,
    /// A list of at most 64 texts.
    Texts,
}

impl Argument {
    /// Returns its kind in policies.
    #[must_use]
    pub const fn kind(&self) -> ArgumentKind {
        match self.kind {
            ArgumentType::Integer => ArgumentKind::Integer,
            ArgumentType::Decimal => ArgumentKind::Decimal {
                digits: self.digits,
            },
            ArgumentType::Text => ArgumentKind::Text,
            ArgumentType::Flag => ArgumentKind::Flag,
            ArgumentType::Texts => ArgumentKind::Texts,
        }
    }
}

impl Tool {
    /// Returns the arguments of `tools`, as policies can speak of them.
    #[must_use]
    pub fn declared(tools: &[Self]) -> Vec<Declared> {
        let arguments = tools.iter().flat_map(|tool| &tool.argument);
        let declared = arguments.map(|argument| Declared {
            name: argument.name.clone(),
            kind: argument.kind(),
        });
        declared.collect()
    }
}

/// How much harm a leak would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Sensitivity {
    /// None (0 in policies).
    Public,
    /// Little (1).
    Internal,
    /// Some, such as names and stays of guests (2).
    Confidential,
    /// Much, such as payments (3).
    Restricted,
}

/// A label of a tool.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Label(String);

impl Label {
    /// Returns its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text is not a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a label has 1 to 64 of a-z, 0-9, `-`, `_` and `.`")]
pub struct NotALabel;

impl TryFrom<String> for Label {
    type Error = NotALabel;

    fn try_from(text: String) -> Result<Self, NotALabel> {
        let accepted =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
        match (1..=64).contains(&text.len()) && text.bytes().all(accepted) {
            true => Ok(Self(text)),
            false => Err(NotALabel),
        }
    }
}

/// A place in the arguments of a call (RFC 6901).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Pointer(Box<[Box<str>]>);

impl Pointer {
    /// Returns the names that lead there.
    #[must_use]
    pub fn steps(&self) -> &[Box<str>] {
        &self.0
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.0.iter())
            .try_for_each(|step| write!(f, "/{}", step.replace('~', "~0").replace('/', "~1")))
    }
}

/// A text is not a JSON Pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a JSON Pointer has 1 to 16 steps, each after a `/`")]
pub struct NotAPointer;

impl TryFrom<String> for Pointer {
    type Error = NotAPointer;

    fn try_from(text: String) -> Result<Self, NotAPointer> {
        let rest = text.strip_prefix('/').ok_or(NotAPointer)?;
        let steps: Vec<Box<str>> = rest
            .split('/')
            .map(|step| step.replace("~1", "/").replace("~0", "~").into())
            .collect();
        match steps.len() <= 16 {
            true => Ok(Self(steps.into())),
            false => Err(NotAPointer),
        }
    }
}
