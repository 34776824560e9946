//! What passes between callers and servers, read by the rules of `airside-screen`.
//!
//! # Invariants
//!
//! * A request is read before it is decided about, and what is taken out of it is gone
//!   then: a permit is for what is sent.
//! * Bytes that nothing is found in pass as they came. Edits touch what was found.
//! * What was found is never recorded ([`report`]), nor told to anybody.
//! * Lists of tools are not read here: what servers say of their tools is read when it
//!   changes, not whenever it is asked for.

mod answer;
mod classifier;
pub mod config;
mod leaf;
mod plan;
mod reading;
pub mod report;
pub(crate) mod schema;

use std::{path::Path, sync::Arc};

use airside_base::{Fault, Kind, ServerId, secret_token};
use airside_mcp::{Body, Call, Failure, Incoming, Limits, body::json_response, codes};
use airside_screen::{Group, Groups, RULES, Rule};
use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::json;

pub(crate) use self::{
    answer::{Answers, Notes},
    report::{Findings, FingerprintKey, Passage, Throttle},
};
use self::{
    classifier::Classifier,
    config::{Direction, Exception, Spotlight},
    plan::{Base, Place, Plan},
    reading::{Edit, Reader},
};
use crate::{Shared, event::Hit, federation::Route, record::Record, upstream::Outbound};

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
    /// calls. Without a key of its own it takes that of the process for fingerprints.
    ///
    /// # Errors
    ///
    /// When the configuration contradicts itself or names what does not exist.
    pub fn new(
        config: &config::Firewall,
        shared: &Shared,
        threads: usize,
    ) -> Result<Self, ConfigError> {
        let key = match &config.fingerprint_key_file {
            None => shared.fingerprints.clone(),
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

    /// Reads `call`, which goes to `route` through `endpoint`.
    pub(crate) fn request(&self, call: Call, route: &Route, endpoint: &str) -> Checked {
        let mut checked = Checked::passed(call);
        if !self.enabled {
            return checked;
        }
        let named = matches!(checked.call.method(), "tools/call" | "prompts/get");
        let place = Place {
            endpoint,
            server: route.server.as_ref(),
            tool: route.name.as_deref().filter(|_| named),
        };
        let plan = self.plan(Direction::Requests, place);
        if !plan.groups().is_empty() {
            self.screen(&mut checked, plan, route);
        }
        checked
    }

    fn screen(&self, checked: &mut Checked, plan: Plan, route: &Route) {
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
        match reread.filter(|call| route.params.is_none() && call.name() == checked.call.name()) {
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
    pub(crate) fn message(
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

    /// Returns why the arguments of a tool do not fit its schema.
    pub(crate) fn misfit(&self, outbound: &Outbound) -> Option<Stop> {
        let Outbound { call, route } = outbound;
        let call = call.as_ref()?;
        let schema = route.schema.as_ref().filter(|_| self.check_arguments)?;
        if call.method() != "tools/call" || call.is_continuation() {
            return None;
        }
        let arguments = call.arguments().unwrap_or(b"{}");
        let (server, tool) = (route.server.as_ref(), route.name.as_deref());
        let violations = schema.violations(arguments, server, tool);
        (!violations.is_empty()).then(|| Stop::misfit(&violations))
    }

    /// Returns what reads the answer to a call of `method` that goes to `route`.
    pub(crate) fn answers(
        &self,
        method: &str,
        route: &Route,
        endpoint: &str,
        spotlight: Spotlight,
    ) -> Option<Answers> {
        if !self.enabled || method.ends_with("/list") {
            return None;
        }
        let named = matches!(method, "tools/call" | "prompts/get");
        let place = Place {
            endpoint,
            server: route.server.as_ref(),
            tool: route.name.as_deref().filter(|_| named),
        };
        let plan = self.plan(Direction::Answers, place);
        let judged = matches!(method, "tools/call" | "prompts/get" | "resources/read");
        let classifier = self.classifier.clone().filter(|_| judged);
        let marks = match spotlight {
            Spotlight::Delimit if judged => Some(answer::marks(route.server.as_ref())),
            Spotlight::Delimit | Spotlight::None => None,
        };
        if plan.groups().is_empty() && classifier.is_none() && marks.is_none() {
            return None;
        }
        Some(Answers {
            reader: Reader::new(plan, self.key.clone()).with_marks(marks),
            classifier,
            server: route.server.as_ref().map(ServerId::to_string),
            tool: place.tool.map(ToOwned::to_owned),
            is_tool: method == "tools/call",
        })
    }
}

/// Returns whether `text` holds what no record may hold, whatever is configured.
pub(crate) fn is_secret(text: &str) -> bool {
    const NEVER: Groups = Groups::NONE.with(Group::Card).with(Group::Secret);
    !airside_screen::text(text, NEVER, &|| airside_screen::card::About::Nothing).is_empty()
}

/// Returns a key for fingerprints that nobody knows.
pub(crate) fn random_key() -> FingerprintKey {
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

/// A request that was read.
#[derive(Debug)]
pub(crate) struct Checked {
    /// What is left of it.
    pub(crate) call: Call,
    pub(crate) findings: Findings,
    /// Why it is not sent.
    pub(crate) stop: Option<Stop>,
}

impl Checked {
    /// Returns a call that nobody reads.
    pub(crate) fn passed(call: Call) -> Self {
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

/// Why a message goes no further.
#[derive(Debug)]
pub(crate) struct Stop(Fault);

impl Stop {
    fn blocked(rule: &Rule) -> Self {
        let what = match rule.group {
            Group::Card => "payment card numbers may not be sent to this tool",
            Group::Secret => "credentials may not be sent to this tool",
            Group::Personal => "personal data of this kind may not be sent to this tool",
            Group::Hidden => "text with hidden characters may not be sent to this tool",
            Group::Instruction | Group::Payload => "text of this kind may not be sent to this tool",
        };
        let hint = format!("remove it and call again (rule {})", rule.id);
        Self(Fault::new(Kind::Invalid, "GW-076", what).with_hint(hint))
    }

    fn unredactable() -> Self {
        let what = "an argument that a header repeats holds what may not be sent to this tool";
        Self(Fault::new(Kind::Invalid, "GW-076", what).with_hint("remove it and call again"))
    }

    fn misfit(violations: &[String]) -> Self {
        let what = format!(
            "the arguments do not fit the input schema of the tool: {}",
            violations.join("; ")
        );
        Self(
            Fault::new(Kind::Invalid, "GW-075", what)
                .with_hint("correct them by the tool's inputSchema and call again"),
        )
    }

    fn answer_blocked() -> Self {
        let what = "the answer of the server was not passed on: it holds what may not pass";
        Self(Fault::new(Kind::Forbidden, "GW-077", what))
    }

    fn unclassified() -> Self {
        let what = "the answer of the server was not passed on: it could not be classified";
        Self(Fault::new(Kind::Unavailable, "GW-078", what))
    }

    /// Returns the stable code.
    pub(crate) fn code(&self) -> &'static str {
        self.0.code()
    }

    /// Answers `call`, which was not even decided about, and records that.
    pub(crate) fn settle(self, record: Record, call: &Call) -> Response<Body> {
        record.refused(&[], self.code(), StatusCode::OK);
        self.answer(call.id(), call.method() == "tools/call")
    }

    /// Returns the message that answers the request `id`. What goes wrong with a tool is
    /// a result, which the model that called it gets to see.
    fn message(self, id: Option<&str>, is_tool: bool) -> (StatusCode, Bytes) {
        if let (true, Some(id)) = (is_tool, id) {
            let hint = self
                .0
                .hint()
                .map(|hint| format!(" {hint}."))
                .unwrap_or_default();
            let text = format!("{}.{hint} [{}]", self.0.public(), self.0.code());
            let result = json!({
                "resultType": "complete",
                "content": [{"type": "text", "text": text}],
                "isError": true,
                "_meta": {"airside/refusal": {"code": self.0.code()}},
            });
            let body = airside_mcp::result_body(id, result.to_string().as_bytes());
            return (StatusCode::OK, body);
        }
        let failure = self.failure();
        (failure.status(), failure.body(id))
    }

    fn failure(self) -> Failure {
        Failure::new(StatusCode::OK, codes::INVALID_PARAMS, self.0)
    }

    /// Returns the answer to the call `id`.
    pub(crate) fn answer(self, id: Option<&str>, is_tool: bool) -> Response<Body> {
        let (status, message) = self.message(id, is_tool);
        json_response(status, message)
    }
}

/// Returns `bytes` with `edits`, whose ranges count from `offset`.
fn apply(bytes: &Bytes, offset: usize, edits: &[Edit]) -> Bytes {
    let edits: Vec<_> = edits
        .iter()
        .map(|(range, text)| (offset + range.start..offset + range.end, text.as_bytes()))
        .collect();
    airside_mcp::splice(bytes, &edits)
}
