//! What the ledger keeps of contracts.
//!
//! # Invariants
//!
//! * A [`Contract`] is what its entries fold to; in memory it is folded by the same
//!   function.
//! * The text of a definition is kept as it came, so that an old one can be served byte
//!   for byte after a restart.

use airside_base::{ServerId, TenantId, Timestamp};
use airside_ledger::{Cell, Column, Draft, DraftError, Fact, Kind, Schema};
use serde::{Deserialize, Serialize};

use crate::{Action, Digest, Drift};

const OBSERVED: Kind = Kind::new("contract.observed");
const CHANGED: Kind = Kind::new("contract.changed");
const ACCEPTED: Kind = Kind::new("contract.accepted");
const HELD: Kind = Kind::new("contract.held");
const QUARANTINED: Kind = Kind::new("contract.quarantined");

/// Most digests that a person accepted and that are remembered.
const MAX_TRUSTED: usize = 16;

/// What becomes of a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// What the server says is served.
    Accepted,
    /// What the server said before is served, if anything was accepted.
    Held,
    /// It is neither listed nor called.
    Quarantined,
}

impl State {
    /// Returns the state as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Held => "held",
            Self::Quarantined => "quarantined",
        }
    }
}

impl From<Action> for State {
    fn from(action: Action) -> Self {
        match action {
            Action::Accept => Self::Accepted,
            Action::Hold => Self::Held,
            Action::Quarantine => Self::Quarantined,
        }
    }
}

/// Which tool of which server, as which callers see it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Key {
    /// The server.
    pub server: ServerId,
    /// Callers to whom the server says the same.
    pub class: String,
    /// The server's own name of the tool; empty for what the server says of itself.
    pub tool: String,
}

impl Key {
    /// Returns the key of its document: what the server calls a tool has no bound.
    #[must_use]
    pub fn document(&self) -> String {
        let rest = serde_json::json!([self.class, self.tool]).to_string();
        format!("{}/{}", self.server, Digest::of(rest.as_bytes()))
    }
}

/// One definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// SHA-256 of the canonical form.
    pub digest: Digest,
    /// The text as it came.
    pub definition: String,
    /// SHA-256 over the content of its views, if they were read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<Digest>,
    /// Rules of the screen that its texts meet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hits: Vec<Hit>,
}

/// A rule of the screen that a text meets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hit {
    /// Id of the rule.
    pub rule: String,
    /// Where in the definition.
    pub place: String,
    /// Digest by which equal findings are known again.
    pub fingerprint: String,
}

/// An entry about a contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A tool is seen for the first time.
    Observed(Observed),
    /// A tool has changed, is there again, or is gone.
    Changed(Changed),
    /// A definition was accepted.
    Accepted(Decided),
    /// A definition is held on to.
    Held(Decided),
    /// A tool was put into quarantine.
    Quarantined(Decided),
}

/// `contract.observed`, version 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// Which tool.
    #[serde(rename = "of")]
    pub key: Key,
    /// What the server says.
    pub version: Version,
    /// Why it is not simply accepted.
    #[serde(default, skip_serializing_if = "Drift::is_empty")]
    pub classes: Drift,
    /// What becomes of it.
    pub state: State,
    /// When.
    pub at: Timestamp,
}

/// `contract.changed`, version 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// Which tool.
    #[serde(rename = "of")]
    pub key: Key,
    /// What was accepted until now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Digest>,
    /// What the server says now; none if the tool is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// In which ways it has changed.
    pub classes: Drift,
    /// What becomes of it.
    pub state: State,
    /// When.
    pub at: Timestamp,
}

/// `contract.accepted`, `contract.held` and `contract.quarantined`, version 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// Which tool.
    #[serde(rename = "of")]
    pub key: Key,
    /// The definition that it is about.
    pub digest: Digest,
    /// Who decided; none if the server took its change back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

impl Event {
    /// Returns which tool it is about.
    #[must_use]
    pub fn key(&self) -> &Key {
        match self {
            Self::Observed(event) => &event.key,
            Self::Changed(event) => &event.key,
            Self::Accepted(event) | Self::Held(event) | Self::Quarantined(event) => &event.key,
        }
    }

    /// Returns the draft of its entry.
    ///
    /// # Errors
    ///
    /// When it is over the ledger's limits.
    pub fn draft(&self) -> Result<Draft, DraftError> {
        let tenant = TenantId::default();
        // The name of a tool is the server's to choose; its own name is not.
        let subject = self.key().server.as_str();
        match self {
            Self::Observed(body) => Draft::new(tenant, OBSERVED, 1, subject, body),
            Self::Changed(body) => Draft::new(tenant, CHANGED, 1, subject, body),
            Self::Accepted(body) => Draft::new(tenant, ACCEPTED, 1, subject, body),
            Self::Held(body) => Draft::new(tenant, HELD, 1, subject, body),
            Self::Quarantined(body) => Draft::new(tenant, QUARANTINED, 1, subject, body),
        }
    }

    /// Reads an entry; none if it is not about a contract.
    #[must_use]
    pub fn read(fact: Fact<'_>) -> Option<Self> {
        match fact.kind.as_str() {
            "contract.observed" => fact.decode().map(Self::Observed).ok(),
            "contract.changed" => fact.decode().map(Self::Changed).ok(),
            "contract.accepted" => fact.decode().map(Self::Accepted).ok(),
            "contract.held" => fact.decode().map(Self::Held).ok(),
            "contract.quarantined" => fact.decode().map(Self::Quarantined).ok(),
            _ => None,
        }
    }
}

/// What is known of one tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contract {
    /// Which tool.
    #[serde(rename = "of")]
    pub key: Key,
    /// What becomes of it.
    pub state: State,
    /// What was accepted last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Version>,
    /// What was accepted before that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Version>,
    /// What the server says and nobody has accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offered: Option<Version>,
    /// In which ways it changed last.
    #[serde(default, skip_serializing_if = "Drift::is_empty")]
    pub classes: Drift,
    /// The server does not list it any more.
    #[serde(default)]
    pub removed: bool,
    /// Digests that a person accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trusted: Vec<Digest>,
    /// Who decided last; none if the rules did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it changed last.
    pub at: Timestamp,
}

impl Contract {
    /// Returns what the server said last.
    #[must_use]
    pub fn newest(&self) -> Option<&Version> {
        self.offered.as_ref().or(self.accepted.as_ref())
    }

    /// Returns the digest that callers are held to, or that waits for acceptance.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        let version = match self.state {
            State::Accepted | State::Held => self.accepted.as_ref().or(self.offered.as_ref()),
            State::Quarantined => self.newest(),
        };
        version.map(|version| version.digest)
    }

    /// Returns whether a person has to decide.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.state != State::Accepted && !self.removed
    }

    fn seen(event: Observed) -> Self {
        let (accepted, offered) = match event.state {
            State::Accepted => (Some(event.version), None),
            State::Held | State::Quarantined => (None, Some(event.version)),
        };
        Self {
            key: event.key,
            state: event.state,
            accepted,
            previous: None,
            offered,
            classes: event.classes,
            removed: false,
            trusted: Vec::new(),
            by: None,
            reason: None,
            at: event.at,
        }
    }

    fn change(&mut self, event: Changed) {
        self.removed = event.version.is_none();
        self.classes = event.classes;
        self.state = event.state;
        (self.by, self.reason) = (None, None);
        self.at = event.at;
        let Some(version) = event.version else {
            return;
        };
        match event.state {
            State::Accepted if self.accepted.as_ref() != Some(&version) => {
                self.previous = self.accepted.replace(version);
                self.offered = None;
            }
            State::Accepted => self.offered = None,
            State::Held | State::Quarantined => self.offered = Some(version),
        }
    }

    fn decide(&mut self, event: Decided, state: State) {
        let is = |version: &Option<Version>| {
            version
                .as_ref()
                .is_some_and(|version| version.digest == event.digest)
        };
        match state {
            State::Accepted if is(&self.offered) => {
                let accepted = std::mem::replace(&mut self.accepted, self.offered.take());
                self.previous = accepted.or(self.previous.take());
            }
            State::Accepted => self.offered = None,
            State::Held if !is(&self.accepted) && is(&self.previous) => {
                self.offered = std::mem::replace(&mut self.accepted, self.previous.take());
            }
            State::Held | State::Quarantined => {}
        }
        if state == State::Accepted && event.by.is_some() && !self.trusted.contains(&event.digest) {
            self.trusted.insert(0, event.digest);
            self.trusted.truncate(MAX_TRUSTED);
        }
        self.state = state;
        (self.by, self.reason) = (event.by, Some(event.reason));
        self.at = event.at;
    }
}

/// Returns the contract after an event.
#[must_use]
pub fn fold(prior: Option<Contract>, event: Event) -> Option<Contract> {
    if let Event::Observed(event) = event {
        return Some(Contract::seen(event));
    }
    let mut contract = prior?;
    match event {
        Event::Changed(event) => contract.change(event),
        Event::Accepted(event) => contract.decide(event, State::Accepted),
        Event::Held(event) => contract.decide(event, State::Held),
        Event::Quarantined(event) => contract.decide(event, State::Quarantined),
        Event::Observed(_) => {}
    }
    Some(contract)
}

/// The table of contracts.
#[derive(Debug)]
pub struct Contracts;

impl Schema for Contracts {
    const NAME: &'static str = "contracts";
    type Document = Contract;
    const COLUMNS: &'static [Column<Contract>] = &[
        Column {
            name: "server",
            cell: |contract| Some(Cell::Text(contract.key.server.as_str().to_owned())),
        },
        Column {
            name: "state",
            cell: |contract| Some(Cell::Text(contract.state.as_str().to_owned())),
        },
    ];

    fn key(fact: Fact<'_>) -> Option<String> {
        Event::read(fact).map(|event| event.key().document())
    }

    fn fold(prior: Option<Contract>, fact: Fact<'_>) -> Option<Contract> {
        match Event::read(fact) {
            Some(event) => fold(prior, event),
            None => prior,
        }
    }
}

#[cfg(test)]
mod tests;
