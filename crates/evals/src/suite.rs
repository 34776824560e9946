//! Suites: cases with what is expected of them, read from files.
//!
//! # Invariants
//!
//! * Whatever is wrong with a file is found when it is read, with its line and, for a
//!   misspelt key, the key that was meant.
//! * A case without a check is an error: it could only pass.

mod append;
mod cases;
mod check;

use std::{collections::BTreeMap, path::PathBuf};

use airside_base::{Fault, Kind};
use jiff::Zoned;
use schemars::{JsonSchema, Schema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{agent::Act, expect::Expect, rubric::Settings, tool::Selector, view::Deed, yaml};

pub use self::{
    append::add_case,
    cases::Cases,
    check::{Problem, Problems},
};

/// A suite of cases: packed, or in a list while it is made.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Airside evaluation suite")]
pub struct Suite<C = Cases> {
    /// Name of the suite, in reports and in the ledger.
    pub suite: String,
    /// Version of this format.
    pub schema: Version,
    /// What the suite is about, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// The moment at which conversations take place, with its zone: relative dates are
    /// resolved against it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub clock: Option<Moment>,
    /// What the model is told to be.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub system: String,
    /// What shows the state behind the tools.
    #[serde(default)]
    pub state: Probes,
    /// Sets of tools, by name; `$name` refers to them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sets: BTreeMap<String, Selector>,
    /// What holds for all cases.
    #[serde(default)]
    pub defaults: Defaults,
    /// The model that judges conversations by the rubrics of their cases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge: Option<Settings>,
    /// The cases.
    pub cases: C,
}

/// Version of the format of suites.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Version;

impl TryFrom<u32> for Version {
    type Error = &'static str;

    fn try_from(version: u32) -> Result<Self, Self::Error> {
        match version {
            1 => Ok(Self),
            _ => Err("this version reads schema 1"),
        }
    }
}

impl From<Version> for u32 {
    fn from(Version: Version) -> Self {
        1
    }
}

impl JsonSchema for Version {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Version".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> Schema {
        schemars::json_schema!({ "const": 1 })
    }
}

/// A moment with its zone, such as `2026-11-22T09:00:00-05:00`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Moment(Zoned, String);

impl Moment {
    /// Returns the day of the moment where it is.
    #[must_use]
    pub fn day(&self) -> jiff::civil::Date {
        self.0.date()
    }
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.1)
    }
}

impl TryFrom<String> for Moment {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let read = || -> Result<Zoned, jiff::Error> {
            if text.contains('[') {
                return text.parse();
            }
            let pieces = jiff::fmt::temporal::Pieces::parse(&text)?;
            let offset = pieces.to_numeric_offset().unwrap_or(jiff::tz::Offset::UTC);
            let timestamp: jiff::Timestamp = text.parse()?;
            Ok(timestamp.to_zoned(jiff::tz::TimeZone::fixed(offset)))
        };
        match read() {
            Ok(zoned) => Ok(Self(zoned, text)),
            Err(_) => Err("write a moment as 2026-11-22T09:00:00-05:00".to_owned()),
        }
    }
}

impl From<Moment> for String {
    fn from(moment: Moment) -> Self {
        moment.1
    }
}

/// What shows the state behind the tools.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Probes {
    /// Tools that are called before the first and after every turn. What they return,
    /// under the name of the probe, is the state that is compared.
    pub probe: Vec<Probe>,
    /// Tools that are called before each conversation, so that all begin with the same
    /// state. Such conversations share what they change and are had one after the other.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reset: Vec<Reset>,
}

/// A tool that brings the state back.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reset {
    /// The tool.
    pub tool: String,
    /// Its arguments.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub args: Map<String, Value>,
}

/// A tool that shows state.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// First segment of the places that the probe shows.
    pub name: String,
    /// The tool.
    pub tool: String,
    /// Its arguments.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub args: Map<String, Value>,
}

/// What holds for all cases that do not say otherwise.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Defaults {
    /// What is expected besides.
    pub expect: Expect,
}

/// One conversation that is tested.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Case {
    /// Names the case within the suite.
    pub id: String,
    /// Words to choose cases and to slice results by.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// What the user asks, where there is one request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ask: Option<String>,
    /// Other ways to ask the same: members of the case, not cases of their own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub paraphrases: Vec<String>,
    /// What the user asks one after the other.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub turns: Vec<Turn>,
    /// The tools that the model is shown. All, unless told otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<Selector>,
    /// What is expected of the whole conversation.
    pub expect: Expect,
    /// Rubrics: what a model has to find in a conversation that passes every check. It
    /// advises; only a judge that is calibrated can fail a case, and none lets one pass.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub judge: Vec<String>,
    /// What an attacker wants, for cases whose data carries an attack: if it holds, the
    /// attack has succeeded and the case has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub goal: Option<Expect>,
    /// What the attacker has written into the data that a tool returns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inject: Option<Injection>,
}

/// Text of an attacker in the results of a tool. Where `airside eval plant` stands
/// behind the endpoint it passes the gateway as the tool's own; otherwise it is added
/// before the model reads the result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Injection {
    /// The tool.
    pub tool: String,
    /// What stands at the end of each of its texts.
    pub text: String,
    /// Place in the structured part (a JSON pointer) that holds the text, too: a member
    /// that is there or a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

impl Injection {
    /// Plants the text in a result of `tools/call`. Errors are the server's own.
    pub fn plant(&self, result: &mut Value) {
        if result.get("isError") == Some(&Value::Bool(true)) {
            return;
        }
        let blocks = result.get_mut("content").and_then(Value::as_array_mut);
        let texts = blocks.into_iter().flatten().filter_map(|block| {
            let is_text = block.get("type").is_some_and(|kind| kind == "text");
            is_text.then(|| block.get_mut("text")).flatten()
        });
        for text in texts {
            if let Value::String(text) = text {
                text.push('\n');
                text.push_str(&self.text);
            }
        }
        let structured = result.get_mut("structuredContent");
        let place = self.at.as_deref().and_then(|at| at.rsplit_once('/'));
        if let (Some(structured), Some((parent, name))) = (structured, place)
            && let Some(Value::Object(members)) = structured.pointer_mut(parent)
        {
            members.insert(name.to_owned(), self.text.clone().into());
        }
    }
}

/// One request of a longer conversation.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Turn {
    /// What the user asks.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ask: String,
    /// Instead of asking, the user agrees in the view to what was shown last: the tool
    /// that confirms it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agree: Option<String>,
    /// Instead of asking, the user does this in the view of the last tool that has one,
    /// in a real browser.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub view: Vec<Deed>,
    /// What is expected of this turn.
    pub expect: Expect,
    /// Values to remember for later turns: a name and where the value is, such as
    /// `calls.search_hotels[-1].result.hotels[1]`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub save: BTreeMap<String, String>,
}

/// Why a suite cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Something in it is wrong.
    #[error("{} is not a suite", .path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What is wrong, in the order of the file.
        problems: Problems,
    },
}

impl LoadError {
    /// Code of a suite in which something is wrong.
    pub const WRONG: &'static str = "EVL-002";

    /// Returns what the user may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Read { source, .. } => {
                Fault::new(Kind::NotFound, "EVL-001", format!("{self}: {source}"))
            }
            Self::Wrong { .. } => Fault::new(Kind::Invalid, Self::WRONG, self.to_string()),
        }
    }
}

/// Largest suite file, in bytes.
const MAX_FILE: u64 = 16 << 20;

impl Suite {
    /// Reads a suite from a YAML (or JSON) file.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or anything in it is wrong.
    pub fn load(path: &std::path::Path) -> Result<Self, LoadError> {
        use std::io::Read as _;
        let read = || -> std::io::Result<String> {
            let mut text = String::new();
            std::fs::File::open(path)?
                .take(MAX_FILE)
                .read_to_string(&mut text)?;
            Ok(text)
        };
        let text = read().map_err(|source| LoadError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text).map_err(|problems| LoadError::Wrong {
            path: path.to_owned(),
            problems,
        })
    }

    /// Reads a suite from YAML (or JSON) text.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Problems> {
        let mut cases = Cases::default();
        let mut checks = check::Checks::default();
        let mut unread = None;
        let mut take = |index: usize, document: &yaml::Document| {
            let case = serde_path_to_error::deserialize::<_, Case>(&document.value);
            match case {
                Ok(case) => {
                    checks.of_case(index, &case, &document.value, document);
                    cases.push(&case.id, &document.value);
                }
                Err(error) => {
                    let at = format!("/cases/{index}");
                    unread = Some(check::unread(document, at, &error));
                }
            }
            unread.is_none()
        };
        let read = yaml::read_apart(text, "cases", &mut take);
        if let Some(problem) = unread {
            return Err(Problems(vec![problem]));
        }
        let document = read.map_err(|error| {
            Problems(vec![Problem {
                line: error.line,
                at: String::new(),
                message: error.what,
                hint: None,
            }])
        })?;
        let suite = serde_path_to_error::deserialize(&document.value);
        let mut suite: Self = suite
            .map_err(|error| Problems(vec![check::unread(&document, String::new(), &error)]))?;
        let repeated = document.value.get("cases").and_then(Value::as_array);
        for (index, (case, value)) in suite
            .cases
            .iter()
            .zip(repeated.into_iter().flatten())
            .enumerate()
        {
            checks.of_case(index, &case, value, &document);
        }
        if suite.cases.is_empty() {
            suite.cases = cases;
        }
        let problems = checks.finish(&suite, &document);
        match problems.is_empty() {
            true => Ok(suite),
            false => Err(Problems(problems)),
        }
    }

    /// Returns the suite of this name among those that ship inside.
    #[must_use]
    pub fn shipped(name: &str) -> Option<&'static str> {
        SHIPPED
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, text)| *text)
    }

    /// Returns the JSON Schema of suites.
    #[must_use]
    pub fn json_schema() -> Schema {
        schema_for!(Self)
    }
}

impl<C> Suite<C> {
    /// Returns what is expected of the whole of `case`, defaults included.
    #[must_use]
    pub fn expected(&self, case: &Case) -> Expect {
        case.expect.clone().or(&self.defaults.expect)
    }
}

/// Suites that ship inside, by name.
pub const SHIPPED: &[(&str, &str)] = &[
    ("travel", include_str!("../suites/travel.yaml")),
    ("workflow", include_str!("../suites/workflow.yaml")),
    ("redteam", include_str!("../suites/redteam.yaml")),
];

impl Turn {
    fn act(&self) -> Act<'_> {
        match &self.agree {
            Some(tool) => Act::Agree(tool),
            None if self.view.is_empty() => Act::Ask(&self.ask),
            None => Act::View(&self.view),
        }
    }
}

impl Case {
    /// Returns what the user does, one act after the other.
    #[must_use]
    pub fn acts(&self) -> Vec<Act<'_>> {
        match &self.ask {
            Some(ask) => vec![Act::Ask(ask)],
            None => self.turns.iter().map(Turn::act).collect(),
        }
    }
}

#[cfg(test)]
mod tests;
