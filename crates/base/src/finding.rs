//! What somebody should look at.
//!
//! # Invariants
//!
//! * The fingerprint of a finding does not depend on where it stands or how it is
//!   worded, so that it is known again when lines move.

use std::{borrow::Cow, fmt, str::FromStr};

use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

/// How bad something is, the harmless first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Good to know.
    Low,
    /// To be repaired.
    Medium,
    /// To be repaired before it is used.
    High,
    /// An attack, or as good as one.
    Critical,
}

impl Severity {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Critical];

    /// Returns its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is not a severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write low, medium, high or critical")]
pub struct NotASeverity;

impl FromStr for Severity {
    type Err = NotASeverity;

    fn from_str(text: &str) -> Result<Self, NotASeverity> {
        let mut all = Self::ALL.into_iter();
        all.find(|one| one.as_str() == text).ok_or(NotASeverity)
    }
}

/// What a scan looks for. Its id is stable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its id.
    pub id: Cow<'static, str>,
    /// What it finds, in a few words.
    pub title: Cow<'static, str>,
    /// What to do about it.
    pub help: Cow<'static, str>,
    /// How bad it is.
    pub severity: Severity,
}

impl Rule {
    /// Returns a rule whose texts are known.
    #[must_use]
    pub const fn new(
        id: &'static str,
        severity: Severity,
        title: &'static str,
        help: &'static str,
    ) -> Self {
        Self {
            id: Cow::Borrowed(id),
            title: Cow::Borrowed(title),
            help: Cow::Borrowed(help),
            severity,
        }
    }

    /// Returns a finding of this rule about `subject`. `what` tells it from others of the
    /// same rule and subject and may be secret: only its digest is kept.
    #[must_use]
    pub fn finding(&self, subject: &str, message: String, what: &str) -> Finding {
        Finding::new(self.id.clone(), self.severity, subject, message, what)
    }
}

/// Where something stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1; none if the whole file is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
}

/// What somebody should look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Id of the rule.
    pub rule: Cow<'static, str>,
    /// How bad it is.
    pub severity: Severity,
    /// What it is about, such as a server or a tool.
    pub subject: String,
    /// What is wrong. Texts of others in it are not escaped.
    pub message: String,
    /// Where it stands, if in a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// SHA-256 in hex, by which the same finding is known again.
    pub fingerprint: String,
}

impl Finding {
    /// Returns a finding of `rule` about `subject`. `what` tells it from others of the
    /// same rule and subject and may be secret: only its digest is kept.
    #[must_use]
    pub fn new(
        rule: impl Into<Cow<'static, str>>,
        severity: Severity,
        subject: &str,
        message: String,
        what: &str,
    ) -> Self {
        let rule = rule.into();
        let mut context = Context::new(&SHA256);
        for part in [&*rule, subject, what] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        let digest = context.finish();
        let hex = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
        Self {
            fingerprint: hex.collect(),
            rule,
            severity,
            subject: subject.to_owned(),
            message,
            place: None,
        }
    }

    /// Says where it stands.
    #[must_use]
    pub fn at(mut self, file: &str, line: Option<usize>) -> Self {
        self.place = Some(Place {
            file: file.to_owned(),
            line,
        });
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_finding_is_known_again_wherever_it_stands() {
        let find =
            |subject, what| Finding::new("secret", Severity::High, subject, "m".to_owned(), what);
        let (one, moved) = (find("a", "s3cret"), find("a", "s3cret").at("f", Some(3)));
        assert_eq!(one.fingerprint, moved.fingerprint);
        assert_ne!(one.fingerprint, find("b", "s3cret").fingerprint);
        assert_ne!(find("as", "3cret").fingerprint, one.fingerprint);
        assert!(!format!("{one:?}").contains("s3cret"));
    }

    #[test]
    fn finding_of_a_rule_is_as_bad_as_the_rule() {
        let rule = Rule::new("plain-http", Severity::High, "In the clear", "Use https.");
        let found = rule.finding("s", "m".to_owned(), "h");
        assert_eq!(found.rule, rule.id);
        assert_eq!(found.severity, Severity::High);
    }

    #[test]
    fn severities_are_read_as_they_are_written() {
        for severity in Severity::ALL {
            assert_eq!(severity.as_str().parse(), Ok(severity));
        }
        assert_eq!("worse".parse::<Severity>(), Err(NotASeverity));
        assert!(Severity::Low < Severity::Critical);
    }
}
