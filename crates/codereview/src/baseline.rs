//! Findings that are known: the ratchet, and exceptions with an end.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::finding::{Finding, Report};

/// What is known, by fingerprint. Kept in the repository and reviewed like code.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Baseline {
    /// Findings by fingerprint.
    #[serde(default)]
    pub known: BTreeMap<String, Known>,
}

/// One known finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Known {
    /// Its rule.
    pub rule: String,
    /// Where it was.
    pub path: String,
    /// Why it may stay. Without a reason it is merely old.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who answers for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Until when. An exception with a reason needs an end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Date>,
}

/// What comparing with the known findings has shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compared {
    /// Findings that are known and still there.
    pub known: usize,
    /// Fingerprints that are known and gone: the file can shrink.
    pub gone: Vec<String>,
    /// Fingerprints whose exception has ended; they count again.
    pub ended: Vec<String>,
}

impl Baseline {
    /// Returns these findings as known from now on.
    pub fn of<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Self {
        let known = findings.into_iter().map(|finding| {
            let known = Known {
                rule: finding.what.rule.to_string(),
                path: finding.place.path.clone(),
                reason: None,
                owner: None,
                until: None,
            };
            (finding.what.fingerprint.clone(), known)
        });
        Self {
            known: known.collect(),
        }
    }

    /// Takes over the reasons, owners and ends of `older`.
    pub fn keep_reasons(&mut self, older: &Self) {
        for (print, known) in &mut self.known {
            if let Some(old) = older.known.get(print) {
                known.clone_from(old);
            }
        }
    }

    /// Returns the first exception that gives a reason without an owner or an end.
    #[must_use]
    pub fn incomplete(&self) -> Option<&str> {
        let lacks = |known: &Known| {
            known.reason.is_some() != known.owner.is_some()
                || known.reason.is_some() != known.until.is_some()
        };
        let mut all = self.known.iter();
        all.find(|(_, known)| lacks(known))
            .map(|(print, _)| print.as_str())
    }

    /// Marks the findings of `report` that are known on `today` as not new.
    pub fn apply(&self, report: &mut Report, today: Date) -> Compared {
        let mut compared = Compared::default();
        let mut seen = std::collections::BTreeSet::new();
        for finding in &mut report.findings {
            let print = &finding.what.fingerprint;
            let Some(known) = self.known.get(print) else {
                continue;
            };
            seen.insert(print.clone());
            if known.until.is_some_and(|until| until < today) {
                compared.ended.push(print.clone());
            } else {
                finding.is_new = false;
                compared.known += 1;
            }
        }
        // A change shows a part of the tree only.
        if report.added_lines.is_none() {
            let gone = self.known.keys().filter(|print| !seen.contains(*print));
            compared.gone = gone.cloned().collect();
        }
        report.sort();
        compared
    }
}

#[cfg(test)]
mod tests {
    use airside_base::Severity;

    use super::*;
    use crate::{
        copies::Place,
        finding::{Certainty, Draft, Printer},
    };

    fn report() -> Report {
        let draft = Draft {
            rule: "r".to_owned(),
            class: "c".to_owned(),
            cwe: None,
            severity: Severity::High,
            certainty: Certainty::Proven,
            place: Place {
                path: "a.py".to_owned(),
                from: 3,
                to: 3,
            },
            message: "m".to_owned(),
            trace: Vec::new(),
            related: Vec::new(),
            text: b"os.system(x)".to_vec(),
        };
        Report {
            findings: vec![Printer::default().print(draft, true)],
            ..Report::default()
        }
    }

    fn check(until: Option<&str>, today: &str, expected: (usize, usize, usize), new: usize) {
        let mut baseline = Baseline::of(&report().findings);
        for known in baseline.known.values_mut() {
            known.until = until.map(|date| date.parse().expect("a date"));
        }
        let mut report = report();
        let today = today.parse().expect("a date");
        let compared = baseline.apply(&mut report, today);
        assert_eq!(
            (compared.known, compared.gone.len(), compared.ended.len()),
            expected
        );
        assert_eq!(report.stopping(Certainty::Proven).count(), new);
    }

    #[test]
    fn known_findings_are_not_new_until_their_end() {
        check(None, "2026-11-23", (1, 0, 0), 0);
        check(Some("2026-11-23"), "2026-11-23", (1, 0, 0), 0);
        check(Some("2026-11-22"), "2026-11-23", (0, 0, 1), 1);
    }

    #[test]
    fn what_is_gone_is_named_and_reasons_stay() {
        let mut old = Baseline::of(&report().findings);
        let print = old.known.keys().next().cloned().expect("one is there");
        let mut empty = Report::default();
        let today = "2026-11-23".parse().expect("a date");
        assert_eq!(
            old.apply(&mut empty, today).gone,
            std::slice::from_ref(&print)
        );
        if let Some(known) = old.known.get_mut(&print) {
            known.reason = Some("read only".to_owned());
        }
        assert_eq!(old.incomplete(), Some(print.as_str()));
        let mut fresh = Baseline::of(&report().findings);
        fresh.keep_reasons(&old);
        assert_eq!(fresh, old);
    }
}
