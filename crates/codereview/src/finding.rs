//! What a review finds, and how it is known again.

use std::{
    cmp::Ordering,
    collections::BTreeSet,
    fmt,
    hash::{Hash as _, Hasher as _},
    str::FromStr,
};

use airside_base::{self as base, Severity};
use rustc_hash::{FxHashMap, FxHasher};
use serde::{Deserialize, Serialize};

use crate::{brief::Brief, copies::Place, source::Skipped};

/// How sure it is, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Certainty {
    /// A rule of the house, not a weakness.
    Advice,
    /// The shape is that of a weakness; where its values come from is not known.
    Pattern,
    /// A value from outside reaches it over a step that was guessed.
    Likely,
    /// A value from outside reaches it, or the text alone shows it.
    Proven,
}

impl Certainty {
    /// Returns its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Advice => "advice",
            Self::Pattern => "pattern",
            Self::Likely => "likely",
            Self::Proven => "proven",
        }
    }
}

impl fmt::Display for Certainty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Certainty {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = [Self::Advice, Self::Pattern, Self::Likely, Self::Proven];
        let mut all = all.into_iter();
        all.find(|one| one.as_str() == text)
            .ok_or("write proven, likely, pattern or advice")
    }
}

/// A place on the way of a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Path of the file.
    pub path: String,
    /// Line, from 1.
    pub line: u32,
    /// What happens there.
    pub what: String,
}

/// What somebody should look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Rule, severity, message, first line and fingerprint.
    pub what: base::Finding,
    /// What sort of weakness it is, such as `command-injection`.
    pub class: String,
    /// Number of the weakness in the common list, such as `CWE-78`.
    pub cwe: Option<String>,
    /// How sure it is.
    pub certainty: Certainty,
    /// Where it is.
    pub place: Place,
    /// The way of the value, from where it enters.
    pub trace: Vec<Step>,
    /// Other places that belong to it.
    pub related: Vec<Place>,
    /// Whether it is on lines that the change adds; true without a base.
    pub is_new: bool,
}

/// Class of functions that are nearly the same as others.
pub(crate) const NEAR_DUPLICATION: &str = "near-duplication";

impl Finding {
    /// Returns whether a gate may stop at it. None stops at a near copy of a function:
    /// whether two functions should be one is nothing that counting can decide.
    #[must_use]
    pub fn may_stop(&self) -> bool {
        self.class != NEAR_DUPLICATION
    }
}

/// What a rule found, before it gets a fingerprint.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) rule: String,
    pub(crate) class: String,
    pub(crate) cwe: Option<String>,
    pub(crate) severity: Severity,
    pub(crate) certainty: Certainty,
    pub(crate) place: Place,
    pub(crate) message: String,
    pub(crate) trace: Vec<Step>,
    pub(crate) related: Vec<Place>,
    /// The text that it is about, by which it is known again.
    pub(crate) text: Vec<u8>,
}

/// Everything that one review found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Findings, new ones first, then the worst and surest.
    pub findings: Vec<Finding>,
    /// Files that were looked at.
    pub files: usize,
    /// Their lines.
    pub lines: usize,
    /// Lines that are part of an exact copy.
    pub duplicated_lines: usize,
    /// Lines that the change adds; none without a base.
    pub added_lines: Option<usize>,
    /// What was left out.
    pub skipped: Skipped,
    /// What a person should know of the change; none without a base.
    pub brief: Option<Brief>,
    /// Files that were read to the end, by path.
    #[serde(skip)]
    pub looked: BTreeSet<String>,
}

impl Report {
    /// Puts the findings in order.
    pub fn sort(&mut self) {
        self.findings.sort_by(|one, other| {
            let rank = |f: &Finding| (f.is_new, f.certainty, f.what.severity);
            match rank(other).cmp(&rank(one)) {
                Ordering::Equal => {
                    let at = |f: &Finding| (f.place.clone(), f.what.rule.clone());
                    at(one).cmp(&at(other))
                }
                order => order,
            }
        });
    }

    /// Returns the findings that a gate at `certainty` stops at.
    pub fn stopping(&self, certainty: Certainty) -> impl Iterator<Item = &Finding> {
        let stops = move |f: &&Finding| f.is_new && f.may_stop() && f.certainty >= certainty;
        self.findings.iter().filter(stops)
    }
}

/// Gives findings their fingerprints.
#[derive(Debug, Default)]
pub(crate) struct Printer {
    /// How often the same was seen before.
    seen: FxHashMap<u64, u32>,
}

impl Printer {
    /// Makes a finding of `draft`. It is known again by its rule, its file and its text
    /// without white space: lines move, and so does indentation.
    pub(crate) fn print(&mut self, draft: Draft, is_new: bool) -> Finding {
        let mut text = String::new();
        for word in String::from_utf8_lossy(&draft.text).split_whitespace() {
            text.push_str(word);
            text.push(' ');
        }
        let mut hasher = FxHasher::default();
        (&draft.rule, &draft.place.path, &text).hash(&mut hasher);
        let times = self.seen.entry(hasher.finish()).or_default();
        *times += 1;
        text.push_str(&times.to_string());
        let path = &draft.place.path;
        let what = base::Finding::new(draft.rule, draft.severity, path, draft.message, &text);
        Finding {
            what: what.at(path, Some(draft.place.from as usize)),
            class: draft.class,
            cwe: draft.cwe,
            certainty: draft.certainty,
            place: draft.place,
            trace: draft.trace,
            related: draft.related,
            is_new,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(printer: &mut Printer, path: &str, line: u32, text: &str) -> String {
        let draft = Draft {
            rule: "r".to_owned(),
            class: "c".to_owned(),
            cwe: None,
            severity: Severity::High,
            certainty: Certainty::Proven,
            place: Place {
                path: path.to_owned(),
                from: line,
                to: line,
            },
            message: "m".to_owned(),
            trace: Vec::new(),
            related: Vec::new(),
            text: text.as_bytes().to_vec(),
        };
        printer.print(draft, true).what.fingerprint
    }

    #[test]
    fn fingerprint_survives_moves_and_tells_equals_apart() {
        let mut printer = Printer::default();
        let one = print(&mut printer, "a.py", 3, "  os.system(x)");
        assert_ne!(
            one,
            print(&mut printer, "a.py", 9, "os.system(x)"),
            "the second of its kind"
        );
        assert_eq!(
            one,
            print(&mut Printer::default(), "a.py", 70, "os.system(x)\t")
        );
        assert_ne!(
            one,
            print(&mut Printer::default(), "b.py", 3, "os.system(x)")
        );
    }
}
