//! What the operator writes about the firewall.

use std::path::PathBuf;

use airside_base::ServerId;
use airside_screen as screen;
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

/// What is looked for in calls and answers, and what is done about it. Rules about
/// instructions are a reason to ask and a trace for later, not a boundary.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Firewall {
    /// Whether anything is looked for.
    pub enabled: bool,
    /// Whether arguments of a tool have to fit the schema that its server lists
    /// (JSON Schema 2020-12). A call that does not fit is not sent; the model is told why.
    pub check_arguments: bool,
    /// What is done about what callers send. What is not named has these defaults:
    /// `card` block, `secret`, `hidden` and `payload` flag, `personal` and
    /// `instruction` allow.
    pub requests: Actions,
    /// What is done about what servers answer. What is not named has these defaults:
    /// `card`, `secret` and `hidden` redact, `instruction` and `payload` flag,
    /// `personal` allow. The rule `secret.assigned`, which goes by the name beside a value,
    /// flags unless `secret` is named.
    pub answers: Actions,
    /// Exceptions, each `[[firewall.rule]]`. The last one that fits decides.
    pub rule: Vec<Exception>,
    /// File whose content keys the fingerprints in records, so that equal findings are
    /// known again on other nodes and after a restart. Without it a key is drawn at start.
    pub fingerprint_key_file: Option<PathBuf>,
    /// A classifier of your own for answers of tools: a program on this machine.
    pub classifier: Option<Classifier>,
}

impl Default for Firewall {
    fn default() -> Self {
        Self {
            enabled: true,
            check_arguments: true,
            requests: Actions::default(),
            answers: Actions::default(),
            rule: Vec::new(),
            fingerprint_key_file: None,
            classifier: None,
        }
    }
}

/// What is done about each group of rules.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Actions {
    /// Payment card numbers.
    pub card: Option<Action>,
    /// Credentials: tokens of known issuers, private keys, JSON Web Tokens, passwords.
    pub secret: Option<Action>,
    /// E-mail addresses, phone numbers, IBANs, lines of passports.
    pub personal: Option<Action>,
    /// Characters that people do not see.
    pub hidden: Option<Action>,
    /// Text that tells a model what to do.
    pub instruction: Option<Action>,
    /// Commands, templates, script, addresses of internal services.
    pub payload: Option<Action>,
}

impl Actions {
    pub(crate) fn of(&self, group: screen::Group) -> Option<Action> {
        match group {
            screen::Group::Card => self.card,
            screen::Group::Secret => self.secret,
            screen::Group::Personal => self.personal,
            screen::Group::Hidden => self.hidden,
            screen::Group::Instruction => self.instruction,
            screen::Group::Payload => self.payload,
        }
    }
}

/// What is done about a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Nothing; it is not looked for.
    Allow,
    /// It passes and is recorded.
    Flag,
    /// It is replaced by a mark, and recorded. Hidden characters are taken out.
    Redact,
    /// The call is not sent, or its answer not passed on.
    Block,
}

impl Action {
    /// Returns the action as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Flag => "flag",
            Self::Redact => "redact",
            Self::Block => "block",
        }
    }
}

/// An exception for some calls and some rules.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Exception {
    /// Upstream servers that it is about; all if none is named.
    #[serde(default)]
    pub upstreams: Vec<ServerId>,
    /// Paths of endpoints that it is about; all if none is named.
    #[serde(default)]
    pub endpoints: Vec<String>,
    /// Tools that it is about, by the server's own name; `*` at the end stands for
    /// anything. All calls if none is named.
    #[serde(default)]
    pub tools: Vec<String>,
    /// Whether it is about `requests` or `answers`; both if it does not say.
    #[serde(default)]
    pub direction: Option<Direction>,
    /// Groups of rules that it is about.
    #[serde(default)]
    pub groups: Vec<Group>,
    /// Single rules that it is about, such as `hidden.zero-width`
    /// (`airside firewall rules` lists them).
    #[serde(default)]
    pub rules: Vec<String>,
    /// What is done.
    pub action: Action,
}

/// Which way something goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// From callers to servers.
    Requests,
    /// From servers to callers.
    Answers,
}

/// A family of rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// Payment card numbers.
    Card,
    /// Credentials.
    Secret,
    /// Personal data.
    Personal,
    /// Characters that people do not see.
    Hidden,
    /// Text that tells a model what to do.
    Instruction,
    /// Text that does harm where it is interpreted.
    Payload,
}

impl From<Group> for screen::Group {
    fn from(group: Group) -> Self {
        match group {
            Group::Card => Self::Card,
            Group::Secret => Self::Secret,
            Group::Personal => Self::Personal,
            Group::Hidden => Self::Hidden,
            Group::Instruction => Self::Instruction,
            Group::Payload => Self::Payload,
        }
    }
}

/// A classifier of answers: a program that listens on a loopback address. It is sent
/// `{"server": …, "tool": …, "text": …}` by POST and answers `{"score": 0.97}`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Classifier {
    /// Where it listens: `http` on a loopback address.
    pub url: Url,
    /// Score in hundredths from which an answer counts as a finding of the rule
    /// `instruction.classifier`.
    #[serde(default = "Classifier::default_threshold_percent")]
    pub threshold_percent: u8,
    /// Longest wait for a score, in milliseconds.
    #[serde(default = "Classifier::default_timeout_ms")]
    pub timeout_ms: u64,
    /// What happens to an answer that got no score.
    #[serde(default)]
    pub when_unavailable: WhenUnavailable,
}

impl Classifier {
    const fn default_threshold_percent() -> u8 {
        90
    }

    const fn default_timeout_ms() -> u64 {
        200
    }
}

/// What happens to an answer that got no score.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WhenUnavailable {
    /// It passes on what the rules say, and that it has no score is recorded.
    #[default]
    Pass,
    /// It is not passed on.
    Block,
}

/// Whether text of a server is marked as such for the model that reads it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Spotlight {
    /// It passes as it is.
    #[default]
    None,
    /// The text of each content block stands between two marks that are drawn for
    /// every answer, with a sentence that it is data.
    Delimit,
}
