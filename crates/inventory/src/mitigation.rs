//! What keeps attackers from a vulnerable server while it is not fixed.
//!
//! # Invariants
//!
//! * One measure for a finding: another one takes its place, and the end of the finding
//!   ends it.
//! * The table is folded from the entries about findings alone, so that what is in force
//!   is known after a restart without the inventory.
//! * Entries that name no server were notes of what was done elsewhere. They hold nobody
//!   up.

use std::fmt;

use airside_ledger::{Column, Fact, Schema};
use serde::{Deserialize, Serialize};

use crate::event::Event;

/// What is done. The order is that of the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// A tool of the server cannot be called, or none without a name.
    BlockTool,
    /// The server reaches no network.
    DenyEgress,
    /// An operator agrees to every call of a tool.
    ForceApproval,
    /// The server cannot be called.
    QuarantineServer,
}

impl Measure {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::BlockTool,
        Self::QuarantineServer,
        Self::DenyEgress,
        Self::ForceApproval,
    ];

    /// Returns the name used in commands and entries.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BlockTool => "block-tool",
            Self::DenyEgress => "deny-egress",
            Self::ForceApproval => "force-approval",
            Self::QuarantineServer => "quarantine-server",
        }
    }

    /// Returns the one of this name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    /// Returns whether it can be about a single tool.
    #[must_use]
    pub const fn takes_a_tool(self) -> bool {
        matches!(self, Self::BlockTool | Self::ForceApproval)
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A measure in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mitigation {
    /// The finding.
    pub finding: String,
    /// Name of the upstream.
    pub server: String,
    /// The tool; all of them where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// What is done.
    pub measure: Measure,
    /// Who decided it.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// The table of measures in force, by finding.
#[derive(Debug)]
pub struct Mitigations;

impl Schema for Mitigations {
    const NAME: &'static str = "mitigations";
    type Document = Mitigation;
    const COLUMNS: &'static [Column<Mitigation>] = &[];

    fn key(fact: Fact<'_>) -> Option<String> {
        let ours = matches!(fact.kind.as_str(), "finding.mitigated" | "finding.closed");
        ours.then(|| fact.subject.to_owned())
    }

    fn fold(prior: Option<Mitigation>, fact: Fact<'_>) -> Option<Mitigation> {
        match Event::read(fact.kind.as_str(), fact.version, fact.body) {
            Some(Event::Mitigated {
                id,
                what,
                server,
                tool,
                by,
                reason,
            }) => Some(Mitigation {
                finding: id,
                measure: Measure::find(&what)?,
                server: Some(server).filter(|server| !server.is_empty())?,
                tool,
                by,
                reason,
            }),
            Some(Event::Closed { .. }) => None,
            _ => prior,
        }
    }
}

#[cfg(test)]
mod tests {
    use airside_ledger::Draft;

    use super::*;
    use crate::event::Closed;

    fn mitigated(what: &str, server: &str) -> Event {
        Event::Mitigated {
            id: "F-1".to_owned(),
            what: what.to_owned(),
            server: server.to_owned(),
            tool: None,
            by: "ann".to_owned(),
            reason: "until 2.4 is out".to_owned(),
        }
    }

    /// Folds `events` and tells what is in force after them.
    fn check(events: &[Event], expected: &str) {
        let mut row = None;
        for event in events {
            let draft: Draft = event.draft().expect("an entry");
            let key = Mitigations::key((&draft).into());
            assert_eq!(key.as_deref(), Some("F-1"), "the finding is the key");
            row = Mitigations::fold(row, (&draft).into());
        }
        let got = row.map_or("nothing".to_owned(), |row: Mitigation| {
            format!("{} of {}", row.measure, row.server)
        });
        assert_eq!(got, expected);
    }

    #[test]
    fn the_last_measure_holds_until_it_is_taken_back_or_the_finding_ends() {
        let block = mitigated("block-tool", "crm");
        let quarantine = mitigated("quarantine-server", "crm");
        let back = mitigated("", "crm");
        let closed = Event::Closed {
            id: "F-1".to_owned(),
            why: Closed::Fixed,
            evidence: "the inventory of production shows 1.3.1".to_owned(),
        };
        check(std::slice::from_ref(&block), "block-tool of crm");
        check(
            &[block.clone(), quarantine.clone()],
            "quarantine-server of crm",
        );
        check(&[block.clone(), back], "nothing");
        check(&[block.clone(), closed.clone()], "nothing");
        check(&[block, closed, quarantine], "quarantine-server of crm");
    }

    #[test]
    fn notes_without_a_server_and_unknown_measures_hold_nobody_up() {
        check(&[mitigated("block-tool", "")], "nothing");
        check(&[mitigated("pray", "crm")], "nothing");
    }

    #[test]
    fn names_lead_back() {
        for measure in Measure::ALL {
            assert_eq!(Measure::find(measure.name()), Some(measure));
        }
        assert_eq!(Measure::find(""), None);
    }
}
