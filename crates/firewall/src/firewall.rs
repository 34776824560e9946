//! The configured firewall, and what it reads.

use std::{path::Path, sync::Arc};

use airside_base::{Fault, Kind, ServerId, secret_token};
use airside_mcp::{Call, Failure, Incoming, Limits};
use airside_screen::{Group, Groups, RULES, Rule};
use bytes::Bytes;

use crate::{
    answer::{self, Answers},
    classifier::{self, Classifier},
    config::{self, Direction, Exception, Spotlight},
    found::{Findings, FingerprintKey, Hit},
    plan::{Base, Place, Plan},
    reading::{Edit, Reader},
    schema::Schema,
    stop::Stop,
};

/// Shortest key of fingerprints, in bytes.
const MIN_KEY: usize = 16;

/// The configured firewall.
#[derive(Debug)]
pub struct Firewall {
    enabled: bool,
    check_arguments: bool,
    requests: Base,
    answers: Base,
    exceptions: Vec<Arc<Exception>>,
    key: FingerprintKey,
    classifier: Option<Arc<Classifier>>,
}

/// Why a firewall cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// An exception names a rule that does not exist.
    #[error("an exception names the rule `{id}`, which does not exist")]
    UnknownRule {
        /// The name.
        id: String,
    },
    /// An exception names neither groups nor rules.
    #[error("an exception names neither `groups` nor `rules`")]
    Empty,
    /// The file of the key cannot be used.
    #[error("cannot read the key of fingerprints from `{path}`")]
    Key {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The key is too short to be one.
    #[error("the key of fingerprints in `{path}` has fewer than {MIN_KEY} bytes")]
    ShortKey {
        /// The file.
        path: std::path::PathBuf,
    },
    /// The classifier is not on this machine, or cannot be called.
    #[error("the classifier at `{url}` has to be called by http on a loopback address")]
    Classifier {
        /// Where it should be.
        url: url::Url,
    },
    /// A limit of the classifier is zero or too large.
    #[error("`{key}` of the classifier is out of range")]
    Range {
        /// The key.
        key: &'static str,
    },
}

impl ConfigError {
    /// What an operator is told.
    #[must_use]
    pub fn fault(&self) -> Fault {
        Fault::new(Kind::Invalid, "GW-079", self.to_string())
    }
}

impl Firewall {
    /// Returns the firewall that `config` describes, for `threads` threads that serve
    /// calls. Without a key of its own it takes `fingerprints`.
    ///
    /// # Errors
    ///
    /// When the configuration contradicts itself or names what does not exist.
    pub fn new(
        config: &config::Firewall,
        fingerprints: &FingerprintKey,
        threads: usize,
    ) -> Result<Self, ConfigError> {
        let key = match &config.fingerprint_key_file {
            None => fingerprints.clone(),
            Some(path) => read_key(path)?,
        };
        Self::with_key(config, key, threads)
    }

    fn with_key(
        config: &config::Firewall,
        key: FingerprintKey,
        threads: usize,
    ) -> Result<Self, ConfigError> {
        if let Some((_, error)) = check(config).into_iter().next() {
            return Err(error);
        }
        let classifier = config.classifier.as_ref();
        let classifier = classifier.map(|config| Classifier::new(config, threads));
        Ok(Self {
            enabled: config.enabled,
            check_arguments: config.enabled && config.check_arguments,
            requests: Base::new(Direction::Requests, &config.requests),
            answers: Base::new(Direction::Answers, &config.answers),
            exceptions: config.rule.iter().cloned().map(Arc::new).collect(),
            key,
            classifier: classifier.transpose()?.map(Arc::new),
        })
    }

    fn plan(&self, direction: Direction, place: Place<'_>) -> Plan {
        let base = match direction {
            Direction::Requests => self.requests,
            Direction::Answers => self.answers,
        };
        Plan::new(base, &self.exceptions, direction, place)
    }

    /// Reads `call`, which goes to `place`.
    #[must_use]
    pub fn request(&self, call: Call, place: Place<'_>, mirrored: Mirrored) -> Checked {
        let mut checked = Checked::passed(call);
        if !self.enabled {
            return checked;
        }
        let place = place.of_call(checked.call.method());
        let plan = self.plan(Direction::Requests, place);
        if !plan.groups().is_empty() {
            self.screen(&mut checked, plan, mirrored);
        }
        checked
    }

    fn screen(&self, checked: &mut Checked, plan: Plan, mirrored: Mirrored) {
        let Some(params) = checked.call.params_span() else {
            return;
        };
        let mut reader = Reader::new(plan, self.key.clone());
        let edits = reader.read_all(&checked.call.bytes()[params.clone()]);
        checked.findings = std::mem::take(&mut reader.findings);
        if let Some(rule) = reader.blocked_by {
            checked.stop = Some(Stop::blocked(rule));
        }
        if edits.is_empty() || checked.stop.is_some() {
            return;
        }
        // Arguments that are mirrored into headers would stay there.
        let edited = apply(checked.call.bytes(), params.start, &edits);
        let reread = airside_mcp::reparse(&edited);
        let fits = |call: &Call| mirrored == Mirrored::No && call.name() == checked.call.name();
        match reread.filter(fits) {
            Some(call) => checked.call = call,
            None => checked.stop = Some(Stop::unredactable()),
        }
    }

    /// Reads `text` as `tool` of `server` would be called with it, or answer it. Text
    /// that is not JSON is read as one string.
    ///
    /// # Errors
    ///
    /// When the configuration cannot be used.
    pub fn trial(
        config: &config::Firewall,
        direction: Direction,
        (server, tool): (Option<&ServerId>, Option<&str>),
        text: &str,
    ) -> Result<Trial, ConfigError> {
        let key = match &config.fingerprint_key_file {
            None => random_key(),
            Some(path) => read_key(path)?,
        };
        let firewall = Self::with_key(config, key, 1)?;
        let place = Place {
            endpoint: "",
            server,
            tool,
        };
        let plan = firewall.plan(direction, place);
        let is_json = serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok();
        let message = match is_json {
            true => text.to_owned(),
            false => serde_json::Value::from(text).to_string(),
        };
        let mut reader = Reader::new(plan, firewall.key.clone());
        let edits = reader.read_all(message.as_bytes());
        let message = Bytes::from(message);
        let left = (!edits.is_empty()).then(|| apply(&message, 0, &edits));
        let left = left.map(|left| String::from_utf8_lossy(&left).into_owned());
        Ok(Trial {
            hits: reader.findings.hits(),
            blocked: reader.blocked_by.map(|rule| Stop::blocked(rule).0),
            left: match is_json {
                true => left,
                false => left.and_then(|left| serde_json::from_str(&left).ok()),
            },
        })
    }

    /// Reads a notification or an answer of a client's.
    pub fn message(
        &self,
        message: Incoming,
        endpoint: &str,
    ) -> (Result<Incoming, Failure>, Findings) {
        let bytes = match &message {
            Incoming::Notification(call) | Incoming::Request(call) => call.bytes(),
            Incoming::Response(response) => response.bytes(),
            Incoming::Batch(_) => return (Ok(message), Findings::default()),
        };
        let place = Place {
            endpoint,
            server: None,
            tool: None,
        };
        let plan = self.plan(Direction::Requests, place);
        if !self.enabled || plan.groups().is_empty() {
            return (Ok(message), Findings::default());
        }
        let mut reader = Reader::new(plan, self.key.clone());
        let edits = reader.read_all(bytes);
        let findings = std::mem::take(&mut reader.findings);
        if let Some(rule) = reader.blocked_by {
            return (Err(Stop::blocked(rule).failure()), findings);
        }
        if edits.is_empty() {
            return (Ok(message), findings);
        }
        let limits = Limits::DEFAULT.with_size(usize::MAX);
        let edited = Incoming::parse(&apply(bytes, 0, &edits), &limits);
        (edited.map_err(|_| Stop::unredactable().failure()), findings)
    }

    /// Returns why the arguments of a tool, called at `place`, do not fit its `schema`.
    #[must_use]
    pub fn misfit(&self, call: &Call, schema: &Schema, place: Place<'_>) -> Option<Stop> {
        if !self.check_arguments || call.method() != "tools/call" || call.is_continuation() {
            return None;
        }
        let arguments = call.arguments().unwrap_or(b"{}");
        let violations = schema.violations(arguments, place.server, place.tool);
        (!violations.is_empty()).then(|| Stop::misfit(&violations))
    }

    /// Returns what reads the answer to a call of `method` that goes to `place`.
    #[must_use]
    pub fn answers(&self, method: &str, place: Place<'_>, spotlight: Spotlight) -> Option<Answers> {
        if !self.enabled || method.ends_with("/list") {
            return None;
        }
        let place = place.of_call(method);
        let plan = self.plan(Direction::Answers, place);
        let judged = matches!(method, "tools/call" | "prompts/get" | "resources/read");
        let classifier = self.classifier.clone().filter(|_| judged);
        let marks = match spotlight {
            Spotlight::Delimit if judged => Some(answer::marks(place.server)),
            Spotlight::Delimit | Spotlight::None => None,
        };
        if plan.groups().is_empty() && classifier.is_none() && marks.is_none() {
            return None;
        }
        Some(Answers {
            reader: Reader::new(plan, self.key.clone()).with_marks(marks),
            classifier,
            server: place.server.map(ServerId::to_string),
            tool: place.tool.map(ToOwned::to_owned),
            is_tool: method == "tools/call",
        })
    }
}

/// Returns whether `text` holds what no record may hold, whatever is configured.
#[must_use]
pub fn is_secret(text: &str) -> bool {
    const NEVER: Groups = Groups::NONE.with(Group::Card).with(Group::Secret);
    !airside_screen::text(text, NEVER, &|| airside_screen::card::About::Nothing).is_empty()
}

/// Returns a key for fingerprints that nobody knows.
#[must_use]
pub fn random_key() -> FingerprintKey {
    FingerprintKey::new(secret_token().as_bytes())
}

fn read_key(path: &Path) -> Result<FingerprintKey, ConfigError> {
    let secret = std::fs::read(path).map_err(|source| ConfigError::Key {
        path: path.to_owned(),
        source,
    })?;
    let secret = secret.trim_ascii();
    if secret.len() < MIN_KEY {
        return Err(ConfigError::ShortKey {
            path: path.to_owned(),
        });
    }
    Ok(FingerprintKey::new(secret))
}

/// Returns what is wrong with a configuration: the place of the exception, if it is in
/// one, and why.
#[must_use]
pub fn check(config: &config::Firewall) -> Vec<(Option<usize>, ConfigError)> {
    let mut wrong = Vec::new();
    for (index, exception) in config.rule.iter().enumerate() {
        if exception.groups.is_empty() && exception.rules.is_empty() {
            wrong.push((Some(index), ConfigError::Empty));
        }
        let unknown = exception.rules.iter().filter(|id| find_rule(id).is_none());
        wrong.extend(unknown.map(|id| {
            let id = id.clone();
            (Some(index), ConfigError::UnknownRule { id })
        }));
    }
    if let Some(path) = &config.fingerprint_key_file
        && let Err(error) = read_key(path)
    {
        wrong.push((None, error));
    }
    if let Some(classifier) = &config.classifier
        && let Err(error) = Classifier::new(classifier, 1)
    {
        wrong.push((None, error));
    }
    wrong
}

/// Returns all rules, with that of a classifier.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    let rules = RULES.into_iter().flatten().copied();
    rules.chain([&classifier::RULE])
}

fn find_rule(id: &str) -> Option<&'static Rule> {
    rules().find(|rule| rule.id == id)
}

/// Whether headers repeat arguments of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mirrored {
    /// None does.
    No,
    /// Some may: what is taken out of the arguments would stay there.
    InHeaders,
}

/// A request that was read.
#[derive(Debug)]
pub struct Checked {
    /// What is left of it.
    pub call: Call,
    /// What was found in it.
    pub findings: Findings,
    /// Why it is not sent.
    pub stop: Option<Stop>,
}

impl Checked {
    /// Returns a call that nobody reads.
    #[must_use]
    pub fn passed(call: Call) -> Self {
        Self {
            call,
            findings: Findings::default(),
            stop: None,
        }
    }
}

/// What would become of a text.
#[derive(Debug)]
pub struct Trial {
    /// What is found in it.
    pub hits: Vec<Hit<'static>>,
    /// What would be answered instead, if it would not pass.
    pub blocked: Option<Fault>,
    /// What is left of it, if something is taken out.
    pub left: Option<String>,
}

/// Returns `bytes` with `edits`, whose ranges count from `offset`.
pub(crate) fn apply(bytes: &Bytes, offset: usize, edits: &[Edit]) -> Bytes {
    let edits: Vec<_> = edits
        .iter()
        .map(|(range, text)| (offset + range.start..offset + range.end, text.as_bytes()))
        .collect();
    airside_mcp::splice(bytes, &edits)
}
